"""Pages of a heap in a process: the system maps them as they are touched, and only limits are kept here.

Unit: the page. Knows nothing of chunks or slabs. The ranges are the slot behind the HostedHeap struct, so that each
heap of the process has its own, and an address tells the heap:

    start                 1/64        1/8                     1/2                              slot_bytes
      | HostedHeap struct  | records   | slabs                 | chunks                          |
"""

from typing import Final

from incroos.kernel.codes import BAD_FREE, NO_FRAME, OK
from incroos.kernel.heap import ranges
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import Heap, host_of
from incroos.lang import VirtAddr, call4, cold, kernel, word

HAS_FRAMES: Final = False
HAS_FIXED_RANGES: Final = False
HAS_LARGE_RANGES: Final = False
HAS_HOLES: Final = True

AHEAD_SHIFT: Final = 6  # of what is in use, this part is asked for ahead: one in 64
LEAST_AHEAD: Final = 4 << PAGE_SHIFT
MOST_AHEAD: Final = 64 << PAGE_SHIFT


@kernel
def range_of(heap: Heap, which: word) -> tuple[VirtAddr, word]:
    """Parts of the slot."""
    slot_bytes = host_of(heap).slot_bytes
    if which == ranges.CHUNKS:
        return VirtAddr(heap.addr + (slot_bytes >> 1)), slot_bytes >> 1
    if which == ranges.SLABS:
        return VirtAddr(heap.addr + (slot_bytes >> 3)), (slot_bytes >> 1) - (slot_bytes >> 3)
    return VirtAddr(heap.addr + (slot_bytes >> 6)), (slot_bytes >> 3) - (slot_bytes >> 6)


@cold
@kernel
def map_fresh(heap: Heap, start: VirtAddr, end: VirtAddr) -> word:
    """Ask the system for the pages, where it wants to be asked."""
    host = host_of(heap)
    if host.commit == 0 or call4(heap.m, host.commit, start, end - start, 0, 0) == 0:
        return OK
    return NO_FRAME


@kernel
def get_ready(heap: Heap, ready: VirtAddr, end: VirtAddr, limit: VirtAddr, used_bytes: word) -> VirtAddr:
    """Ask for pages in a row, which is dearer than a fault for one and cheaper than for two.

    So some are asked for that are not wanted yet, in proportion to what is in use. Of a large range nobody knows
    whether it is touched.
    """
    host = host_of(heap)
    if end <= ready or host.populate == 0:
        return max(ready, end)
    ahead = min(max(used_bytes >> AHEAD_SHIFT, LEAST_AHEAD), MOST_AHEAD) & -PAGE_BYTES
    if end - ready > ahead:
        return end
    until = VirtAddr(min(end + ahead, limit))
    call4(heap.m, host.populate, ready, until - ready, 0, 0)
    return until


@cold
@kernel
def unmap_and_free(heap: Heap, start: VirtAddr, end: VirtAddr) -> None:
    """Give the pages back to the system; they read as zeros when they are next touched."""
    call4(heap.m, host_of(heap).release, start, end - start, 0, 0)


@kernel
def are_as(heap: Heap, start: VirtAddr, end: VirtAddr, wanted: bool) -> bool:
    """Only the system knows."""
    return True


# ------------------------------------------------------------------ ranges of their own: there are none
@kernel
def take_large(heap: Heap, nbytes: word) -> VirtAddr:
    """0."""
    return VirtAddr(0)


@kernel
def give_large(heap: Heap, ptr: VirtAddr) -> word:
    """BAD_FREE."""
    return BAD_FREE


@kernel
def large_bytes(heap: Heap, ptr: VirtAddr) -> word:
    """0."""
    return 0
