"""Ranges of frames: [start, end) of any length, wherever it begins; frames in a row of any number; reservations.

Unit: the PFN; a range may go from one zone into the next. It is handed out as the largest blocks that it consists of,
each with a record and a reference of its own (blocks.py), so that a part of it can be given back, by block or by range.

    [5, 24)   5   6   8       16      24
              |0| |1| |  3  | |  3  |         orders

A reservation is a range that nobody gets, and that no free, get or put accepts: only `release_range` ends it.
"""

from incroos.kernel.codes import BAD_ORDER, NO_FRAME, NOT_FREE, OK, SHARED, WRONG_BLOCK
from incroos.kernel.pmm import orders
from incroos.kernel.pmm.all import blocks, frame_database, zones
from incroos.kernel.pmm.all.blocks import zone_of
from incroos.kernel.pmm.all.frame_database import KEPT, OWNER_SHIFT, USED, USED_ONCE, record_of
from incroos.kernel.pmm.all.zones import NO_ZONE
from incroos.kernel.state import MAX_ORDER, Frames, Zone
from incroos.lang import Pfn, cold, count_leading_zeros, kernel, word


# ------------------------------------------------------------------ this range
@kernel
def order_at(frames: Frames, pfn: Pfn, end: Pfn) -> word:
    """The order of the first block of [pfn, end): the largest that fits into it and into the frame's zone."""
    return orders.largest_order(pfn, min(end, zone_of(frames, pfn).end), MAX_ORDER)


@kernel
def is_range_free(frames: Frames, start: Pfn, end: Pfn) -> bool:
    """Whether each frame of a range is free, so that it can be taken; drains the hot lists if that decides it."""
    if start < 0 or start > end or end > frames.database.nr_frames:
        return False
    at = start
    while at < end:
        order = order_at(frames, at, end)
        if not blocks.is_free(frames, at, order):
            return False
        at = Pfn(at + (1 << order))
    return True


@kernel
def alloc_range(frames: Frames, start: Pfn, end: Pfn, owner: word) -> word:
    """Hand out all frames of a range: OK, or NOT_FREE."""
    if not is_range_free(frames, start, end):
        return NOT_FREE
    take_range(frames, start, end, USED_ONCE | owner << OWNER_SHIFT)
    return OK


@kernel
def take_range(frames: Frames, start: Pfn, end: Pfn, mark: word) -> None:
    """Take all frames of a range that can be taken; this is noted of each block."""
    at = start
    while at < end:
        order = order_at(frames, at, end)
        zone = zone_of(frames, at)
        zone.config.frames.take_at(zone, frames.database, at, order)
        frame_database.note(frames.database, at, order, mark)
        at = Pfn(at + (1 << order))


@kernel
def free_range(frames: Frames, start: Pfn, end: Pfn) -> word:
    """Take back a range that consists of used blocks with one reference each, however they were asked for.

    Otherwise what why_not_free says of the first frame where that is not so, and WRONG_BLOCK if a block goes on behind
    the end.
    """
    at = start
    while at < end:
        if frame_database.state_of(frames.database, at) != USED:
            return blocks.why_not_free(frames, at, 0)
        record = record_of(frames.database, at)
        if record.nr_references != 1:
            return SHARED
        at = Pfn(at + (1 << record.order))
    if at != end:
        return WRONG_BLOCK
    put_range(frames, start, end)
    return OK


@kernel
def put_range(frames: Frames, start: Pfn, end: Pfn) -> None:
    """Free a range that consists of blocks that may be freed."""
    at = start
    while at < end:
        order = record_of(frames.database, at).order
        blocks.release(frames, at, order)
        at = Pfn(at + (1 << order))


# ------------------------------------------------------------------ reservations
@kernel
def reserve_range(frames: Frames, start: Pfn, end: Pfn, owner: word) -> word:
    """Keep a range of free frames from everybody until release_range: OK, or NOT_FREE."""
    if not is_range_free(frames, start, end):
        return NOT_FREE
    take_range(frames, start, end, KEPT | owner << OWNER_SHIFT)
    frames.nr_reserved_frames += end - start
    return OK


@kernel
def release_range(frames: Frames, start: Pfn, end: Pfn) -> word:
    """Free a range that consists of reserved blocks, such as what one reserve_range or several got; WRONG_BLOCK."""
    at = start
    while at < end:
        if frame_database.state_of(frames.database, at) != KEPT:
            return WRONG_BLOCK
        at = Pfn(at + (1 << record_of(frames.database, at).order))
    if at != end:
        return WRONG_BLOCK
    put_range(frames, start, end)
    frames.nr_reserved_frames -= end - start
    return OK


@kernel
def nr_reserved_frames_of(frames: Frames, owner: word) -> word:
    """How many frames are reserved for that. Looks at all records."""
    return frame_database.nr_frames_of(frames.database, KEPT, owner)


# ------------------------------------------------------------------ frames in a row, wherever they are
@kernel
def alloc_contiguous(frames: Frames, zone: word, nr_frames: word, alignment: word, owner: word) -> Pfn:
    """So many frames in a row from a multiple of 2**alignment on, of one zone: this one or those it falls back on.

    Take them back with free_range. NO_FRAME; BAD_ORDER for an alignment beyond MAX_ORDER or no frames at all.
    """
    if alignment < 0 or alignment > MAX_ORDER or nr_frames <= 0:
        return Pfn(BAD_ORDER)
    if nr_frames > frames.database.nr_frames:
        return Pfn(NO_FRAME)
    start = Pfn(NO_FRAME)
    number = zone
    while start < 0 and number != NO_ZONE:
        start = find_in_zone(frames, frames.zones[number], nr_frames, alignment)
        number = frames.zones[number].fallback
    if start >= 0:
        take_range(frames, start, Pfn(start + nr_frames), USED_ONCE | owner << OWNER_SHIFT)
    return start


@kernel
def find_in_zone(frames: Frames, zone: Zone, nr_frames: word, alignment: word) -> Pfn:
    """So many free frames in a row, of which no hot list has any, not taken yet; NO_FRAME."""
    order = max(orders.order_for(nr_frames), alignment)
    if order <= MAX_ORDER:
        pfn = zones.take(zone, frames.database, order)
        if pfn >= 0:
            zone.config.frames.put(zone, frames.database, pfn, order)
            return pfn
    zones.drain(zone, frames.database)
    return find_run(frames, zone, nr_frames, 1 << alignment)


@cold
@kernel
def find_run(frames: Frames, zone: Zone, nr_frames: word, alignment: word) -> Pfn:
    """The lowest run of free frames in a zone of which no hot list has any; NO_FRAME.

    No block is large enough, but neighbours may be. A run of n frames has a block of more than n / 4: only the
    multiples of that are looked at, and where one is free, how far the free frames go from there. Long where a large
    zone is full of small blocks; what has no RAM is passed over in steps of 512 frames and more.
    """
    order = min(MAX_ORDER, 62 - count_leading_zeros(nr_frames + 1))
    at = (zone.start + (1 << order) - 1) & -(1 << order)
    while at + (1 << order) <= zone.end:
        end = end_of_free(frames, zone, at, order)
        if end > at:
            start = (start_of_free(frames, zone, at, order) + alignment - 1) & -alignment
            if start + nr_frames <= end:
                return Pfn(start)
            at = end & -(1 << order)
        at = max(at + (1 << order), zone.config.frames.end_of_taken(zone, frames.database, Pfn(at)))
    return Pfn(NO_FRAME)


@kernel
def start_of_free(frames: Frames, zone: Zone, pfn: word, order: word) -> word:
    """Where the free frames before a multiple of 2**order begin, the last 2**order of which are not all free."""
    start = pfn
    for smaller in range(order - 1, -1, -1):
        before = start - (1 << smaller)
        if before >= zone.start and zone.config.frames.is_free(zone, frames.database, Pfn(before), smaller):
            start = before
    return start


@kernel
def end_of_free(frames: Frames, zone: Zone, pfn: word, order: word) -> word:
    """Where the free frames from a multiple of 2**order on end; there, when the first 2**order are not all free."""
    end = pfn
    while end + (1 << order) <= zone.end and zone.config.frames.is_free(zone, frames.database, Pfn(end), order):
        end += 1 << order
    if end == pfn:
        return pfn
    for smaller in range(order - 1, -1, -1):
        if end + (1 << smaller) <= zone.end and zone.config.frames.is_free(zone, frames.database, Pfn(end), smaller):
            end += 1 << smaller
    return end
