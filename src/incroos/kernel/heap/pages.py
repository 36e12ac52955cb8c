"""Pages of a heap in a kernel: mapped to frames before anything reaches them, given back when nothing does.

Unit: the page. Knows nothing of chunks or slabs. The ranges are those of the configuration.
"""

from typing import Final

from incroos.kernel import vmm
from incroos.kernel.codes import NO_ADDRESSES, NO_FRAME, NOT_MAPPED, OK
from incroos.kernel.heap import counters, ranges
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Heap, kernel_of_heap
from incroos.lang import VirtAddr, cold, kernel, word

HAS_FRAMES: Final = True
HAS_FIXED_RANGES: Final = True
HAS_LARGE_RANGES: Final = True
HAS_HOLES: Final = False
CAN_MOVE: Final = False
HAS_ZEROS: Final = False
PIECE_BYTES: Final = PAGE_BYTES


@kernel
def range_of(heap: Heap, which: word) -> tuple[VirtAddr, word]:
    """The configuration has them."""
    if which == ranges.CHUNKS:
        return VirtAddr(heap.config.heap), heap.config.heap_max_bytes
    if which == ranges.SLABS:
        return VirtAddr(heap.config.slabs), heap.config.heap_max_bytes
    return VirtAddr(heap.config.slab_records), heap.config.heap_max_bytes


@cold
@kernel
def map_fresh(heap: Heap, start: VirtAddr, end: VirtAddr, limit: VirtAddr) -> word:
    """Map frames at [start, end), writable and never executed; a code, and nothing changed, when one is refused."""
    if end > limit:
        return NO_ADDRESSES
    code = vmm.map_fresh(kernel_of_heap(heap), start, end, vmm.DATA)
    if code == OK and heap.config.counters != 0:
        counters.note_committed(heap, end - start)
    return code


@kernel
def map_ahead(heap: Heap, start: VirtAddr, end: VirtAddr, limit: VirtAddr, used_bytes: word) -> VirtAddr:
    """Frames are dear, and an entry in a page table is not: nothing is mapped ahead."""
    return end if map_fresh(heap, start, end, limit) == OK else start


@cold
@kernel
def unmap_and_free(heap: Heap, start: VirtAddr, end: VirtAddr) -> word:
    """Give back the frames of [start, end)."""
    vmm.unmap_and_free(kernel_of_heap(heap), start, end)
    if heap.config.counters != 0:
        counters.note_committed(heap, start - end)
    return OK


@kernel
def empty(heap: Heap, start: VirtAddr, end: VirtAddr) -> word:
    """NOT_MAPPED: what is given back is unmapped."""
    return NOT_MAPPED


@kernel
def renew(heap: Heap, start: VirtAddr, end: VirtAddr) -> word:
    """NOT_MAPPED: no page is in need of it."""
    return NOT_MAPPED


@kernel
def move(heap: Heap, start: VirtAddr, end: VirtAddr, to: VirtAddr, to_end: VirtAddr) -> word:
    """NO_FRAME: it is not done."""
    return NO_FRAME


@kernel
def are_as(heap: Heap, start: VirtAddr, end: VirtAddr, wanted: bool) -> bool:
    """Whether the page tables have frames for all pages of [start, end), or for none."""
    k = kernel_of_heap(heap)
    for va in range(start, end, PAGE_BYTES):
        if (vmm.get_physical(k, VirtAddr(va)) >= 0) != wanted:
            return False
    return True


# ------------------------------------------------------------------ ranges of their own
@kernel
def take_large(heap: Heap, nbytes: word) -> VirtAddr:
    """vmalloc has them."""
    return vmm.vmalloc_for_heap(kernel_of_heap(heap), nbytes)


@kernel
def give_large(heap: Heap, ptr: VirtAddr) -> word:
    """vmalloc takes them back."""
    return vmm.vfree_of_heap(kernel_of_heap(heap), ptr)


@kernel
def large_bytes(heap: Heap, ptr: VirtAddr) -> word:
    """vmalloc knows them."""
    return vmm.heap_pages_from(kernel_of_heap(heap), ptr) * PAGE_BYTES
