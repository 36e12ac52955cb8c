"""What can be called from outside: by the host through the mailbox, and by C in the library. The one table of it.

From a row come
    the operation         `call('kmalloc', 100)` of the host's drivers, and its case in dispatch.py
    with_site             a second operation, `kmalloc_at`, which takes the call site as its last word
    the C function        its line in incro_mm.h, its wrapper, and its comment: the kernel function's docstring

An operation's code is its place in the table, counted from 1: both sides of a mailbox have the same table.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from incroos.guest import services, soak, user_spaces
from incroos.guest.soak import blocks
from incroos.kernel import heap, pmm, vmm
from incroos.kernel.config import MODERN_SPACE, KernelConfig
from incroos.kernel.embed import library, pages

Function = Callable[..., Any]


class Row(NamedTuple):
    """A kernel function. Its parameters behind the Kernel are words, or views, for which their addresses stand."""

    name: str | None  # of the operation; None where the host cannot ask for it, as for what some configurations lack
    function: Function
    prototype: str = ''  # in C; empty where the library does not have it
    with_site: Function | None = None  # what is called in the function's place where the call site is known
    only_in: int | None = None  # the kind of space without which the library does not have it


STATE: Final = 'struct incro_kernel *state, const struct incro_start *start'

CALLS: Final[Mapping[str, tuple[Row, ...]]] = {  # by the headings of the C header
    'The start': (
        Row(None, library.pmm_init, f'int64_t pmm_init({STATE})'),
        Row(None, library.vmm_init, 'int64_t vmm_init(void)'),
        Row(None, library.heap_init, 'int64_t heap_init(void)'),
        Row(None, library.incro_mm_init, f'int64_t incro_mm_init({STATE})'),
    ),
    'Frames': (
        Row('alloc_page', pmm.alloc_page, 'int64_t pmm_alloc_page(void)'),
        Row('free_page', pmm.free_page, 'int64_t pmm_free_page(uint64_t pa)'),
        Row('take_frame', pmm.take_frame, 'int64_t pmm_take_frame(void)'),
        Row('address_of', pmm.address_of, 'void *pmm_address_of(uint64_t pa)'),
        Row('is_managed', pmm.is_managed, 'bool pmm_is_managed(uint64_t pa)'),
        Row('is_page', pmm.is_page, 'bool pmm_is_page(uint64_t pa)'),
        Row('nr_total_frames', pmm.nr_total_frames, 'int64_t pmm_nr_total_frames(void)'),
        Row('nr_free_frames', pmm.nr_free_frames, 'int64_t pmm_nr_free_frames(void)'),
        Row('check_pmm', pmm.check, 'int64_t pmm_check(void)'),
        Row(None, pmm.take_huge, 'int64_t pmm_take_huge(void)', only_in=MODERN_SPACE),
        Row(None, pmm.free_block, 'int64_t pmm_free_block(uint64_t pa)', only_in=MODERN_SPACE),
        Row('zero_ahead', pmm.zero_ahead, 'int64_t pmm_zero_ahead(int64_t nr_frames)', only_in=MODERN_SPACE),
        Row('nr_total_pool_frames', pmm.nr_total_pool_frames),
        Row('nr_free_pool_frames', pmm.nr_free_pool_frames),
        Row('alloc_table', pmm.alloc_table),
        Row('free_table', pmm.free_table),
        Row('refuse_at', services.refuse_at),
        Row('read_memory_map', services.read_memory_map),
    ),
    'Pages': (
        Row('map_page', vmm.map_page),
        Row('unmap_page', vmm.unmap_page),
        Row('protect', vmm.protect),
        Row('get_physical', vmm.get_physical, 'int64_t vmm_get_physical(uint64_t va)'),
        Row('map_leaf', vmm.map_leaf),
        Row('unmap_leaf', vmm.unmap_leaf),
        Row('protect_leaf', vmm.protect_leaf),
        Row('map_range', vmm.map_range),
        Row('unmap_range', vmm.unmap_range),
        Row('protect_range', vmm.protect_range),
        Row(None, pages.map_page, 'int64_t vmm_map_page(uint64_t va, uint64_t pa, uint64_t flags)'),
        Row(None, pages.unmap_page, 'int64_t vmm_unmap_page(uint64_t va)'),
        Row(None, pages.protect, 'int64_t vmm_protect_page(uint64_t va, uint64_t flags)'),
        Row(None, pages.map_leaf, 'int64_t vmm_map_leaf(uint64_t va, uint64_t pa, uint64_t flags, int64_t level)'),
        Row(None, pages.unmap_leaf, 'int64_t vmm_unmap_leaf(uint64_t va, int64_t level)'),
        Row(None, pages.protect_leaf, 'int64_t vmm_protect_leaf(uint64_t va, uint64_t flags, int64_t level)'),
        Row(None, pages.map_range, 'int64_t vmm_map_range(uint64_t va, uint64_t pa, size_t nbytes, uint64_t flags)'),
        Row(None, pages.unmap_range, 'int64_t vmm_unmap_range(uint64_t va, size_t nbytes)'),
        Row(None, pages.protect_range, 'int64_t vmm_protect_range(uint64_t va, size_t nbytes, uint64_t flags)'),
        Row('check_vmm', vmm.check, 'int64_t vmm_check(void)'),
        Row('vmalloc', vmm.vmalloc, 'void *vmalloc(size_t nbytes)', only_in=MODERN_SPACE),
        Row('vfree', vmm.vfree, 'int64_t vfree(void *va)', only_in=MODERN_SPACE),
        Row('merge', vmm.merge),
        Row('check_space', vmm.check_space),
        Row('check_vmalloc', vmm.check_vmalloc),
    ),
    'Objects': (
        Row('kmalloc', heap.kmalloc, 'void *kmalloc(size_t nbytes)', heap.kmalloc_at),
        Row('kfree', heap.kfree, 'int64_t kfree(void *ptr)', heap.kfree_at),
        Row('kzalloc', heap.kzalloc, 'void *kzalloc(size_t nbytes)', heap.kzalloc_at),
        Row('kcalloc', heap.kcalloc, 'void *kcalloc(size_t nr_items, size_t item_bytes)', heap.kcalloc_at),
        Row('krealloc', heap.krealloc, 'void *krealloc(void *ptr, size_t nbytes)', heap.krealloc_at),
        Row('kmemalign', heap.kmemalign, 'void *kmemalign(size_t alignment, size_t nbytes)', heap.kmemalign_at),
        Row('kmalloc_usable_size', heap.kmalloc_usable_size, 'size_t kmalloc_usable_size(const void *ptr)'),
        Row('owns', heap.owns, 'bool heap_owns(const void *ptr)'),
        Row('used_bytes', heap.used_bytes, 'int64_t heap_used_bytes(void)'),
        Row('committed_bytes', heap.committed_bytes, 'int64_t heap_committed_bytes(void)'),
        Row('free_bytes', heap.free_bytes, 'int64_t heap_free_bytes(void)'),
        Row('shrink', heap.shrink, 'int64_t heap_shrink(void)'),
        Row('check_heap', heap.check, 'int64_t heap_check(void)'),
        Row('find_damage', heap.find_damage),
        Row('visited_bytes', services.visited_bytes),
        Row('next_visit', services.next_visit),
        Row('snapshot', services.snapshot),
        Row('leaked_blocks', services.leaked_blocks),
        Row('leaked_bytes', services.leaked_bytes),
        Row('put_leaks', services.put_leaks),
    ),
    'Caches of objects': (
        Row(
            None,
            library.cache_create,
            'struct incro_object_cache *cache_create(const char *name, size_t object_bytes, size_t alignment,'
            ' const void *fresh, incro_constructor *constructor)',
            only_in=MODERN_SPACE,
        ),
        Row(
            'cache_alloc',
            library.cache_alloc,
            'void *cache_alloc(struct incro_object_cache *cache)',
            only_in=MODERN_SPACE,
        ),
        Row(
            'cache_free',
            library.cache_free,
            'int64_t cache_free(struct incro_object_cache *cache, void *ptr)',
            only_in=MODERN_SPACE,
        ),
        Row(
            'cache_destroy',
            library.cache_destroy,
            'int64_t cache_destroy(struct incro_object_cache *cache)',
            only_in=MODERN_SPACE,
        ),
        Row(
            'cache_shrink',
            library.cache_shrink,
            'int64_t cache_shrink(struct incro_object_cache *cache)',
            only_in=MODERN_SPACE,
        ),
        Row('cache_create', services.create_cache),
        Row('cache_keep', heap.cache_keep),
    ),
    'Figures': (
        Row(
            None,
            library.collect_statistics,
            'const struct incro_statistics *incro_mm_statistics(void)',
            only_in=MODERN_SPACE,
        ),
        Row('collect_statistics', services.collect_statistics),
        Row('put_statistics', services.put_statistics),
    ),
    'Memory': (
        Row('load', services.load),
        Row('store', services.store),
        Row('fill', services.fill_bytes),
        Row('count_other', services.count_other),
    ),
    'Operations that the kernel makes up by itself': (
        Row('soak_begin', soak.begin),
        Row('soak_run', soak.run),
        Row('soak_check', soak.check),
        Row('soak_finish', soak.finish),
        Row('block_soak_begin', blocks.begin),
        Row('block_soak_run', blocks.run),
        Row('block_soak_check', blocks.check),
        Row('block_soak_finish', blocks.finish),
    ),
    'User spaces': (
        Row('vm_init', user_spaces.init),
        Row('vm_check', user_spaces.check),
        Row('vm_create', user_spaces.create),
        Row('vm_destroy', user_spaces.destroy),
        Row('vm_fork', user_spaces.fork),
        Row('vm_use', user_spaces.use),
        Row('vm_map_anywhere', user_spaces.map_anywhere),
        Row('vm_map_at', user_spaces.map_at),
        Row('vm_map_stack', user_spaces.map_stack),
        Row('vm_map_shared', user_spaces.map_shared),
        Row('vm_unmap', user_spaces.unmap),
        Row('vm_protect', user_spaces.protect),
        Row('vm_advise', user_spaces.advise),
        Row('vm_lock', user_spaces.lock),
        Row('vm_remap', user_spaces.remap),
        Row('vm_populate', user_spaces.populate),
        Row('vm_begin_heap', user_spaces.begin_heap),
        Row('vm_set_break', user_spaces.set_break),
        Row('vm_fault', user_spaces.fault),
        Row('vm_load64', user_spaces.load64),
        Row('vm_store64', user_spaces.store64),
        Row('vm_copy_out', user_spaces.copy_out),
        Row('vm_copy_in', user_spaces.copy_in),
    ),
    'The end': (
        Row('panic', services.panic_now),
        Row('spin', services.spin),
        Row('stop', services.stop),
    ),
}


def operations() -> dict[str, Function]:
    """The function behind each operation, in the order of their codes."""
    found: dict[str, Function] = {}
    for row in [row for rows in CALLS.values() for row in rows]:
        for name, function in ((row.name, row.function), (f'{row.name}_at', row.with_site)):
            if row.name is None or name is None or function is None:
                continue
            if name in found:
                raise ValueError(f'two operations are called {name}')
            found[name] = function
    return found


OPERATIONS: Final[Mapping[str, Function]] = operations()
CODES: Final[Mapping[str, int]] = {name: code for code, name in enumerate(OPERATIONS, 1)}


def c_rows(config: KernelConfig) -> dict[str, list[Row]]:
    """The rows that the library has in a configuration, by headings."""
    listed = {
        heading: [row for row in rows if row.prototype and row.only_in in (None, config.space)]
        for heading, rows in CALLS.items()
    }
    return {heading: rows for heading, rows in listed.items() if rows}
