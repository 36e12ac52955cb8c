"""The library's own functions: how a kernel that it is linked into starts it, and what only such a kernel asks.

    pmm_init    the Kernel struct, the hooks, the memory map           stage PMM_READY
    vmm_init    tables of our own, CR3; frames can be had              stage VMM_READY
    heap_init   the heap; from now on all functions can be called      stage READY

Everything else of the library is a function of pmm, vmm or heap as it is. Unit: the step. What was asked for out of
order, or with arguments that cannot be right, is answered by a code; a memory map or a state of the processor that does
not do is a panic, through the hook for panics, which is there from the first step on.
"""

from typing import Final

from incroos.kernel import heap, pmm, statistics
from incroos.kernel.codes import ALREADY_STARTED, BAD_START, NOT_STARTED, OK
from incroos.kernel.config import CLASSIC_SPACE
from incroos.kernel.embed import space
from incroos.kernel.io import console
from incroos.kernel.state import NR_NAME_BYTES, Hooks, Kernel, ObjectCache
from incroos.lang import Struct, VirtAddr, copy, kernel, load8, u64, word

NOTHING_READY: Final = 0
PMM_READY: Final = 1
VMM_READY: Final = 2
READY: Final = 3
MAX_ENTRIES: Final = 4096  # far more than any firmware tells, and few enough that reading them ends soon


class Start(Struct):
    """What a kernel tells the library. It may forget it afterwards."""

    regions: VirtAddr  # the memory map, in any order; where regions overlap, RAM is what every one of them calls RAM
    nr_regions: u64
    window: VirtAddr  # where the kernel sees physical address 0; 0 in config classic
    hooks: Hooks  # write, lock and unlock may be 0


@kernel
def pmm_init(k: Kernel, start: Start) -> word:
    """The first step: read the memory map, and call RAM free that has no use.

    BAD_START for a struct that is not there or not aligned, no regions, no hook for panics, one of lock and unlock
    without the other, or a window in config classic; ALREADY_STARTED.
    """
    if not is_good_start(k, start):
        return BAD_START
    console.init_embedded(k)
    copy(k.m, k.hooks.hooks.addr, start.hooks.addr, Hooks.SIZE)
    k.hooks.window = start.window
    pmm.init_embedded(k, start.regions, start.nr_regions)
    k.hooks.stage = PMM_READY
    return OK


@kernel
def is_good_start(k: Kernel, start: Start) -> bool:
    """Whether the arguments can be right."""
    if k.addr == 0 or k.addr % 8 != 0 or start.addr == 0 or start.addr % 8 != 0:
        return False
    if start.regions == 0 or not 0 < start.nr_regions <= MAX_ENTRIES:
        return False
    if k.config.space == CLASSIC_SPACE and start.window != 0:
        return False
    return start.hooks.panic != 0 and (start.hooks.lock == 0) == (start.hooks.unlock == 0)


@kernel
def vmm_init(k: Kernel) -> word:
    """The second step: make page tables of the library's own, with all that was mapped, and load CR3.

    NOT_STARTED before pmm_init, ALREADY_STARTED when it was done.
    """
    if k.hooks.stage != PMM_READY:
        return ALREADY_STARTED
    space.init(k, k.hooks.window)
    k.hooks.stage = VMM_READY
    return OK


@kernel
def heap_init(k: Kernel) -> word:
    """The last step: begin with an empty heap. NOT_STARTED before vmm_init, ALREADY_STARTED when it was done."""
    if k.hooks.stage != VMM_READY:
        return NOT_STARTED if k.hooks.stage < VMM_READY else ALREADY_STARTED
    heap.init(k)
    k.hooks.stage = READY
    return OK


@kernel
def incro_mm_init(k: Kernel, start: Start) -> word:
    """All three steps: pmm_init, vmm_init, heap_init."""
    code = pmm_init(k, start)
    if code == OK:
        code = vmm_init(k)
    return heap_init(k) if code == OK else code


# ------------------------------------------------------------------ caches, by their addresses
@kernel
def cache_create(
    k: Kernel, name: VirtAddr, object_bytes: word, alignment: word, fresh: VirtAddr, constructor: VirtAddr
) -> VirtAddr:
    """A cache of objects of object_bytes bytes, at multiples of a power of two up to a page.

    Fresh objects are copies of what `fresh` points to now, unless that is 0; then the constructor gets them, unless
    that is 0, and must not call the library. Of the name, which ends with a 0, the cache keeps what it has room for.
    0, and nothing changed, for other sizes and alignments and without frames.
    """
    cache = heap.cache_create(k, b'', object_bytes, alignment, fresh, constructor)
    if cache.addr != 0 and name != 0:
        index = 0
        while index < NR_NAME_BYTES and load8(k.m, VirtAddr(name + index)) != 0:
            cache.name[index] = load8(k.m, VirtAddr(name + index))
            index += 1
    return cache.addr


@kernel
def cache_alloc(k: Kernel, cache: VirtAddr) -> VirtAddr:
    """An object of a cache that there is; 0, and nothing changed, without frames for it."""
    return heap.cache_alloc(k, ObjectCache(k.m, cache)) if cache != 0 else VirtAddr(0)


@kernel
def cache_free(k: Kernel, cache: VirtAddr, ptr: VirtAddr) -> word:
    """Take back an object of this cache, as it was when it was constructed; 0 does nothing.

    BAD_FREE, and nothing changed, for all else.
    """
    return heap.cache_free(k, ObjectCache(k.m, cache), ptr)


@kernel
def cache_destroy(k: Kernel, cache: VirtAddr) -> word:
    """End a cache and give its pages back. CACHE_IN_USE while somebody has an object; BAD_FREE when it is no cache."""
    return heap.cache_destroy(k, ObjectCache(k.m, cache))


@kernel
def cache_shrink(k: Kernel, cache: VirtAddr) -> word:
    """Give back the pages of a cache that no used object lies in; how many bytes, or BAD_FREE when it is no cache."""
    return heap.cache_shrink(k, ObjectCache(k.m, cache))


# ------------------------------------------------------------------ figures
@kernel
def collect_statistics(k: Kernel) -> VirtAddr:
    """Count figures about memory, and say where they are; 0 in config classic, which has none."""
    if not statistics.can_collect(k):
        return VirtAddr(0)
    return statistics.collect(k).addr
