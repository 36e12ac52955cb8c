"""Next fit: a frame allocator in a file outside of the package. Each frame has a byte, which is 1 while it is free."""

from typing import Final

from incroos.kernel.codes import NO_FRAME, NOT_FREE, OK
from incroos.kernel.pmm.all.defaults import (
    add,
    check,
    end_of_taken,
    nr_free_blocks,
    nr_merges,
    nr_splits,
    part,
    refill,
    take_back,
)
from incroos.kernel.state import FrameDatabase, Zone
from incroos.lang import Pfn, Struct, VirtAddr, fill, kernel, load8, u64, word


class NextFit(Struct):
    marks: VirtAddr  # the byte of the zone's first frame
    next: Pfn  # where the search begins
    nr_free_frames: u64


STATE_BYTES: Final = NextFit.SIZE


@kernel
def state_of(zone: Zone) -> NextFit:
    return NextFit(zone.m, zone.allocator.addr)


@kernel
def metadata_bytes(start: Pfn, end: Pfn) -> word:
    return (end - start + 7) & -8


@kernel
def init(zone: Zone, memory: VirtAddr) -> None:
    state = state_of(zone)
    state.marks = memory
    state.next = zone.start
    state.nr_free_frames = 0
    fill(zone.m, memory, 0, zone.end - zone.start)


@kernel
def mark(zone: Zone, pfn: word, order: word, is_free: word) -> None:
    state = state_of(zone)
    fill(zone.m, VirtAddr(state.marks + pfn - zone.start), is_free, 1 << order)
    state.nr_free_frames += (2 * is_free - 1) << order


@kernel
def put(zone: Zone, database: FrameDatabase, pfn: Pfn, order: word) -> None:
    mark(zone, pfn, order, 1)


@kernel
def take(zone: Zone, database: FrameDatabase, order: word) -> Pfn:
    state = state_of(zone)
    pfn = find(zone, database, state.next, zone.end, order)
    if pfn < 0:
        pfn = find(zone, database, zone.start, zone.end, order)
    if pfn >= 0:
        mark(zone, pfn, order, 0)
        state.next = Pfn(pfn + (1 << order))
    return Pfn(pfn)


@kernel
def find(zone: Zone, database: FrameDatabase, start: word, end: word, order: word) -> word:
    pfn = (start + (1 << order) - 1) & -(1 << order)
    while pfn + (1 << order) <= end:
        if is_free(zone, database, Pfn(pfn), order):
            return pfn
        pfn += 1 << order
    return NO_FRAME


@kernel
def take_at(zone: Zone, database: FrameDatabase, pfn: Pfn, order: word) -> word:
    if not is_free(zone, database, pfn, order):
        return NOT_FREE
    mark(zone, pfn, order, 0)
    return OK


@kernel
def is_free(zone: Zone, database: FrameDatabase, pfn: Pfn, order: word) -> bool:
    marks = state_of(zone).marks - zone.start
    for at in range(pfn, pfn + (1 << order)):
        if load8(zone.m, VirtAddr(marks + at)) == 0:
            return False
    return True


@kernel
def nr_free_frames(zone: Zone) -> word:
    return state_of(zone).nr_free_frames
