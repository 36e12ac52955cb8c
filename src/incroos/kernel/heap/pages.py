"""Pages of a heap in a kernel: mapped to frames before anything reaches them, given back when nothing does.

Unit: the page. Knows nothing of chunks or slabs. The ranges are those of the configuration.
"""

from typing import Final

from incroos.kernel import vmm
from incroos.kernel.codes import NO_ADDRESSES, OK
from incroos.kernel.heap import counters
from incroos.kernel.heap.page_defaults import CAN_MOVE as CAN_MOVE
from incroos.kernel.heap.page_defaults import HAS_HOLES as HAS_HOLES
from incroos.kernel.heap.page_defaults import HAS_ZEROS as HAS_ZEROS
from incroos.kernel.heap.page_defaults import PIECE_BYTES as PIECE_BYTES
from incroos.kernel.heap.page_defaults import empty as empty
from incroos.kernel.heap.page_defaults import map_ahead as map_ahead
from incroos.kernel.heap.page_defaults import move as move
from incroos.kernel.heap.page_defaults import range_of as range_of
from incroos.kernel.heap.page_defaults import renew as renew
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Heap, kernel_of_heap
from incroos.lang import VirtAddr, cold, kernel, word

HAS_FRAMES: Final = True
HAS_FIXED_RANGES: Final = True
HAS_LARGE_RANGES: Final = True


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


@cold
@kernel
def unmap_and_free(heap: Heap, start: VirtAddr, end: VirtAddr) -> word:
    """Give back the frames of [start, end)."""
    vmm.unmap_and_free(kernel_of_heap(heap), start, end)
    if heap.config.counters != 0:
        counters.note_committed(heap, start - end)
    return OK


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
