"""Pages of a heap in a process: mapped in pieces as the heap grows, so that a heap costs no more than it uses.

Unit: the page. Knows nothing of chunks or slabs. The ranges are the slot behind the HostedHeap struct, so that each
heap of the process has its own, and an address tells the heap. Nothing is reserved: addresses of the slot that are not
mapped yet are the heap's only as long as nobody else maps something there.

    start                 1/64        1/8                     1/2                              slot_bytes
      | HostedHeap struct  | records   | slabs                 | chunks                          |
"""

from typing import Final

from incroos.kernel.codes import NO_ADDRESSES, OK
from incroos.kernel.heap import ranges
from incroos.kernel.heap.page_defaults import HAS_LARGE_RANGES as HAS_LARGE_RANGES
from incroos.kernel.heap.page_defaults import are_as as are_as
from incroos.kernel.heap.page_defaults import give_large as give_large
from incroos.kernel.heap.page_defaults import large_bytes as large_bytes
from incroos.kernel.heap.page_defaults import take_large as take_large
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import Heap, host_of
from incroos.lang import VirtAddr, call4, cold, kernel, word

HAS_FRAMES: Final = False
HAS_FIXED_RANGES: Final = False
HAS_HOLES: Final = True
CAN_MOVE: Final = True
HAS_ZEROS: Final = True
PIECE_BYTES: Final = 4 << PAGE_SHIFT

AHEAD_SHIFT: Final = 3  # of what is in use, this part is mapped ahead: an eighth
LEAST_AHEAD: Final = 16 << PAGE_SHIFT
MOST_AHEAD: Final = 1024 << PAGE_SHIFT


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
def map_fresh(heap: Heap, start: VirtAddr, end: VirtAddr, limit: VirtAddr) -> word:
    """Ask the system for pages, and remember what it said. They get frames when they are touched."""
    host = host_of(heap)
    host.answer = NO_ADDRESSES if end > limit else call4(heap.m, host.map, start, end - start, 0, 0)
    return host.answer


@kernel
def map_ahead(heap: Heap, start: VirtAddr, end: VirtAddr, limit: VirtAddr, used_bytes: word) -> VirtAddr:
    """Ask for more pages than are wanted, in proportion to what is in use: a call stops the process's other threads.

    Where there is not so much, what is wanted must do.
    """
    ahead = min(max(used_bytes >> AHEAD_SHIFT, LEAST_AHEAD), MOST_AHEAD) & -PAGE_BYTES
    until = VirtAddr(min(end + ahead, limit))
    if end < until and map_fresh(heap, start, until, limit) == OK:
        return until
    return end if map_fresh(heap, start, end, limit) == OK else start


@cold
@kernel
def unmap_and_free(heap: Heap, start: VirtAddr, end: VirtAddr) -> word:
    """Give pages at the end of a range back to the system, with their addresses."""
    return call4(heap.m, host_of(heap).unmap, start, end - start, 0, 0)


@cold
@kernel
def empty(heap: Heap, start: VirtAddr, end: VirtAddr) -> word:
    """Give pages back to the system and keep their addresses. It refuses where a process has locked its memory."""
    return call4(heap.m, host_of(heap).release, start, end - start, 0, 0)


@cold
@kernel
def renew(heap: Heap, start: VirtAddr, end: VirtAddr) -> word:
    """Let there be a mapping like that of the pages around it, with which it becomes one."""
    return call4(heap.m, host_of(heap).renew, start, end - start, 0, 0)


@cold
@kernel
def move(heap: Heap, start: VirtAddr, end: VirtAddr, to: VirtAddr, to_end: VirtAddr) -> word:
    """Let the system change its page tables. What it moves stays a mapping of its own, as long as it is not renewed."""
    return call4(heap.m, host_of(heap).move, start, end - start, to, to_end - to)
