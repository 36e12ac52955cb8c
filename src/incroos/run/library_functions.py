"""What the C library offers: a prototype for each function, and the kernel function behind it.

Beside its kernel function, a prototype says what C calls it and which of C's types its words are. The names of the
three managers are those of the seed: `pmm_alloc_page`, `vmm_map_page`, `kmalloc`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from incroos.build.c_library import Step
from incroos.kernel import heap, pmm, vmm
from incroos.kernel.config import MODERN_SPACE, KernelConfig
from incroos.kernel.embed import library

Functions = Mapping[str, Callable[..., Any]]

STATE: Final = 'struct incro_kernel *state, const struct incro_start *start'

START: Final[Functions] = {
    f'int64_t pmm_init({STATE})': library.pmm_init,
    'int64_t vmm_init(void)': library.vmm_init,
    'int64_t heap_init(void)': library.heap_init,
    f'int64_t incro_mm_init({STATE})': library.incro_mm_init,
}
CALL_SITES: Final[
    Mapping[Callable[..., Any], Callable[..., Any]]
] = {  # who asks is handed to these in the place of those that it is not
    heap.kmalloc: heap.kmalloc_at,
    heap.kfree: heap.kfree_at,
    heap.kzalloc: heap.kzalloc_at,
    heap.kcalloc: heap.kcalloc_at,
    heap.krealloc: heap.krealloc_at,
    heap.kmemalign: heap.kmemalign_at,
}
STEPS: Final = {
    'pmm_init': Step.FIRST,
    'vmm_init': Step.NEXT,
    'heap_init': Step.LAST,
    'incro_mm_init': Step.ALL,
}

FRAMES: Final[Functions] = {
    'int64_t pmm_alloc_page(void)': pmm.alloc_page,
    'int64_t pmm_free_page(uint64_t pa)': pmm.free_page,
    'int64_t pmm_take_frame(void)': pmm.take_frame,
    'void *pmm_address_of(uint64_t pa)': pmm.address_of,
    'bool pmm_is_managed(uint64_t pa)': pmm.is_managed,
    'bool pmm_is_page(uint64_t pa)': pmm.is_page,
    'int64_t pmm_nr_total_frames(void)': pmm.nr_total_frames,
    'int64_t pmm_nr_free_frames(void)': pmm.nr_free_frames,
    'int64_t pmm_check(void)': pmm.check,
}
MODERN_FRAMES: Final[Functions] = {
    'int64_t pmm_take_huge(void)': pmm.take_huge,
    'int64_t pmm_free_block(uint64_t pa)': pmm.free_block,
    'int64_t pmm_zero_ahead(int64_t nr_frames)': pmm.zero_ahead,
}
PAGES: Final[Functions] = {
    'int64_t vmm_map_page(uint64_t va, uint64_t pa, uint64_t flags)': vmm.map_page,
    'int64_t vmm_unmap_page(uint64_t va)': vmm.unmap_page,
    'int64_t vmm_protect_page(uint64_t va, uint64_t flags)': vmm.protect,
    'int64_t vmm_get_physical(uint64_t va)': vmm.get_physical,
    'int64_t vmm_map_leaf(uint64_t va, uint64_t pa, uint64_t flags, int64_t level)': vmm.map_leaf,
    'int64_t vmm_unmap_leaf(uint64_t va, int64_t level)': vmm.unmap_leaf,
    'int64_t vmm_protect_leaf(uint64_t va, uint64_t flags, int64_t level)': vmm.protect_leaf,
    'int64_t vmm_map_range(uint64_t va, uint64_t pa, size_t nbytes, uint64_t flags)': vmm.map_range,
    'int64_t vmm_unmap_range(uint64_t va, size_t nbytes)': vmm.unmap_range,
    'int64_t vmm_protect_range(uint64_t va, size_t nbytes, uint64_t flags)': vmm.protect_range,
    'int64_t vmm_check(void)': vmm.check,
}
MODERN_PAGES: Final[Functions] = {
    'void *vmalloc(size_t nbytes)': vmm.vmalloc,
    'int64_t vfree(void *va)': vmm.vfree,
}
OBJECTS: Final[Functions] = {
    'void *kmalloc(size_t nbytes)': heap.kmalloc,
    'int64_t kfree(void *ptr)': heap.kfree,
    'void *kzalloc(size_t nbytes)': heap.kzalloc,
    'void *kcalloc(size_t nr_items, size_t item_bytes)': heap.kcalloc,
    'void *krealloc(void *ptr, size_t nbytes)': heap.krealloc,
    'void *kmemalign(size_t alignment, size_t nbytes)': heap.kmemalign,
    'size_t kmalloc_usable_size(const void *ptr)': heap.kmalloc_usable_size,
    'bool heap_owns(const void *ptr)': heap.owns,
    'int64_t heap_used_bytes(void)': heap.used_bytes,
    'int64_t heap_committed_bytes(void)': heap.committed_bytes,
    'int64_t heap_free_bytes(void)': heap.free_bytes,
    'int64_t heap_shrink(void)': heap.shrink,
    'int64_t heap_check(void)': heap.check,
}
CACHES: Final[Functions] = {
    'struct incro_object_cache *cache_create(const char *name, size_t object_bytes, size_t alignment,'
    ' const void *fresh, incro_constructor *constructor)': library.cache_create,
    'void *cache_alloc(struct incro_object_cache *cache)': library.cache_alloc,
    'int64_t cache_free(struct incro_object_cache *cache, void *ptr)': library.cache_free,
    'int64_t cache_destroy(struct incro_object_cache *cache)': library.cache_destroy,
    'int64_t cache_shrink(struct incro_object_cache *cache)': library.cache_shrink,
}
FIGURES: Final[Functions] = {
    'const struct incro_statistics *incro_mm_statistics(void)': library.collect_statistics,
}
STATE_BYTES: Final = 'size_t incro_mm_state_bytes(void)'


def functions_of(config: KernelConfig) -> dict[str, Functions]:
    """The functions that a configuration has, by the headings under which the header lists them."""
    is_modern = config.space == MODERN_SPACE
    return {
        'The start': START,
        'Frames': {**FRAMES, **(MODERN_FRAMES if is_modern else {})},
        'Pages': {**PAGES, **(MODERN_PAGES if is_modern else {})},
        'Objects': OBJECTS,
        **({'Caches of objects': CACHES} if is_modern else {}),
        **({'Figures': FIGURES} if is_modern else {}),
    }
