"""Blocks of frames for all of RAM: who asks gets 2**order frames, aligned on their size, and gives them back.

Unit: the block, named by the PFN of its first frame. Knows nothing of addresses, of page tables, or of reclaim; does
not touch frames. `owner` is the user's number for what a block is for. Ranges of any length: frame_ranges.py.

    Frames      database    which block has which order, owner and references
                zones       which frames are free

Ask metadata_bytes, make the memory ready, init, and then add_ram for each piece of RAM. Whoever hands out a block notes
it in the database, and only what is noted there is taken back: all misuse is found there.
"""

from typing import Final

from incroos.kernel.codes import (
    BAD_ORDER,
    DOUBLE_FREE,
    FOREIGN,
    MISALIGNED,
    NO_FRAME,
    NOT_FREE,
    OK,
    RESERVED,
    SHARED,
    WRONG_BLOCK,
)
from incroos.kernel.pmm import hot_list
from incroos.kernel.pmm.all import frame_database, zones
from incroos.kernel.pmm.all.frame_database import (
    ALL,
    HUGE_ORDER,
    INSIDE,
    KEPT,
    ORDER_SHIFT,
    OWNER_MASK,
    OWNER_SHIFT,
    USED_ONCE,
    can_read,
    head_of,
    known_of,
    record_of,
)
from incroos.kernel.pmm.all.zones import LOW, NO_ZONE
from incroos.kernel.state import MAX_ORDER, NR_ZONES, FrameDatabase, Frames, Zone
from incroos.lang import Pfn, VirtAddr, cold, kernel, store64, unsigned_less, word

# BLOCKS-1  the database is in order                            1 to 4: DATABASE invariant
# BLOCKS-2  each frame of RAM is free, used or reserved                  5
# BLOCKS-3  nr_reserved_frames is how many are reserved                  6
# BLOCKS-4  the zones are in order           101, 201, 301 on: 100 * (zone + 1) + ZONE invariant

LOST_OR_FOUND: Final = 5
WRONG_RESERVED: Final = 6
ZONE_INVARIANTS: Final = 100
HUGE_USED_ONCE: Final = USED_ONCE | HUGE_ORDER << ORDER_SHIFT


# ------------------------------------------------------------------ making
@kernel
def metadata_bytes(frames: Frames, nr_frames: word) -> word:
    """How much memory init takes for PFNs below nr_frames, besides the struct and the records.

    Nothing has to be there yet. Of the parts that belong to RAM which is never added, none is touched.
    """
    total = frame_database.known_bytes(nr_frames)
    for number in range(NR_ZONES):
        total += zones.metadata_bytes(frames.zones[number], number, nr_frames)
    return total


@kernel
def init(frames: Frames, memory: VirtAddr, records: VirtAddr, nr_frames: word) -> None:
    """No frame is RAM yet. Has metadata_bytes of memory, and 16 bytes for each PFN at `records`, in whole aligned 512.

    Records are touched later on, and only in those aligned 512 of which a frame is RAM; there, also those of PFNs from
    nr_frames on.
    """
    frame_database.init(frames.database, records, memory, nr_frames)
    at = VirtAddr(memory + frame_database.known_bytes(nr_frames))
    frames.preferred = LOW
    frames.nr_reserved_frames = 0
    for number in range(NR_ZONES):
        zones.init(frames.zones[number], at, number, nr_frames)
        at = VirtAddr(at + zones.metadata_bytes(frames.zones[number], number, nr_frames))


@kernel
def add_ram(frames: Frames, start: Pfn, end: Pfn) -> None:
    """Call [start, end) free: RAM that was not added before, below nr_frames."""
    for number in range(NR_ZONES):
        zone = frames.zones[number]
        first = Pfn(max(start, zone.start))
        behind = Pfn(min(end, zone.end))
        if first < behind:
            zones.add(zone, frames.database, first, behind)
            frames.preferred = max(frames.preferred, number)


@kernel
def zone_of(frames: Frames, pfn: word) -> Zone:
    """The zone of a frame."""
    return frames.zones[zones.number_of(pfn)]


# ------------------------------------------------------------------ alloc
@kernel
def alloc_frame(frames: Frames, owner: word) -> Pfn:
    """A frame from anywhere; NO_FRAME."""
    hot = frames.zones[frames.preferred].single
    if hot.top == hot.bottom:
        return alloc_slowly(frames, frames.preferred, 0, owner)
    pfn = hot_list.pop(hot)
    store64(frames.m, record_of(frames.database, pfn).addr, USED_ONCE | owner << OWNER_SHIFT)
    return pfn


@kernel
def alloc_block(frames: Frames, zone: word, order: word, owner: word) -> Pfn:
    """A block of a zone or of those that it falls back on; NO_FRAME, BAD_ORDER."""
    hot = frames.zones[zone].huge
    if order != HUGE_ORDER or hot.top == hot.bottom:
        return alloc_slowly(frames, zone, order, owner)
    pfn = hot_list.pop(hot)
    store64(frames.m, record_of(frames.database, pfn).addr, HUGE_USED_ONCE | owner << OWNER_SHIFT)
    return pfn


@cold
@kernel
def alloc_slowly(frames: Frames, zone: word, order: word, owner: word) -> Pfn:
    """The same when it is not simply the newest block of a hot list."""
    if order < 0 or order > MAX_ORDER:
        return Pfn(BAD_ORDER)
    pfn = take(frames, zone, order)
    if pfn >= 0:
        frame_database.note_used(frames.database, pfn, order, owner)
    return pfn


@kernel
def take(frames: Frames, zone: word, order: word) -> Pfn:
    """A block that is not noted yet; NO_FRAME."""
    pfn = Pfn(NO_FRAME)
    number = zone
    while pfn < 0 and number != NO_ZONE:
        pfn = zones.take(frames.zones[number], frames.database, order)
        number = frames.zones[number].fallback
    return pfn


@kernel
def alloc_at(frames: Frames, pfn: Pfn, order: word, owner: word) -> word:
    """This block: OK, or NOT_FREE, BAD_ORDER, MISALIGNED."""
    if order < 0 or order > MAX_ORDER:
        return BAD_ORDER
    if pfn & ((1 << order) - 1) != 0:
        return MISALIGNED
    if not is_free(frames, pfn, order):
        return NOT_FREE
    zone = zone_of(frames, pfn)
    zone.config.frames.take_at(zone, frames.database, pfn, order)
    frame_database.note_used(frames.database, pfn, order, owner)
    return OK


@kernel
def is_free(frames: Frames, pfn: Pfn, order: word) -> bool:
    """Whether all frames of a block are free, so that it can be taken; drains the hot lists if that decides it."""
    if pfn < 0 or pfn > frames.database.nr_frames - (1 << order):
        return False
    zone = zone_of(frames, pfn)
    if pfn + (1 << order) > zone.end:
        return False
    if zone.config.frames.is_free(zone, frames.database, pfn, order):
        return True
    return zones.drain(zone, frames.database) != 0 and zone.config.frames.is_free(zone, frames.database, pfn, order)


@kernel
def part_huge(frames: Frames, pfn: Pfn, owner: word) -> None:
    """Let a used block of HUGE_ORDER be single frames, each with one mapping: they come back one by one."""
    zone = zone_of(frames, pfn)
    zone.config.frames.part(zone, frames.database, pfn, HUGE_ORDER)
    frame_database.part_huge(frames.database, pfn, owner)


# ------------------------------------------------------------------ free
@kernel
def free_frame(frames: Frames, pfn: Pfn) -> word:
    """Take back a single frame. What why_not_free says changes nothing."""
    database = frames.database
    if not unsigned_less(pfn, database.nr_frames):
        return FOREIGN
    if known_of(database, pfn) != ALL:
        return why_not_free(frames, pfn, 0)
    if head_of(database, pfn) & ~OWNER_MASK != USED_ONCE:
        return why_not_free(frames, pfn, 0)
    store64(frames.m, record_of(database, pfn).addr, INSIDE)
    zone = zone_of(frames, pfn)
    zones.put_hot(zone, database, zone.single, pfn)
    return OK


@kernel
def free_block(frames: Frames, pfn: Pfn, order: word) -> word:
    """Take back a block. What why_not_free says changes nothing."""
    if order != HUGE_ORDER or not can_free(frames.database, pfn, HUGE_ORDER):
        return free_slowly(frames, pfn, order)
    frame_database.note_free(frames.database, pfn)
    zone = zone_of(frames, pfn)
    zones.put_hot(zone, frames.database, zone.huge, pfn)
    return OK


@cold
@kernel
def free_slowly(frames: Frames, pfn: Pfn, order: word) -> word:
    """The same when it is not simply one more block on a hot list."""
    if not can_free(frames.database, pfn, order):
        return why_not_free(frames, pfn, order)
    release(frames, pfn, order)
    return OK


@kernel
def can_free(database: FrameDatabase, pfn: Pfn, order: word) -> bool:
    """Whether a block of this order begins at the frame that was handed out and has one reference."""
    if not unsigned_less(pfn, database.nr_frames) or not unsigned_less(order, MAX_ORDER + 1):
        return False
    return can_read(database, pfn) and head_of(database, pfn) & ~OWNER_MASK == USED_ONCE | order << ORDER_SHIFT


@kernel
def release(frames: Frames, pfn: Pfn, order: word) -> None:
    """Take back a block that can be freed."""
    zone = zone_of(frames, pfn)
    frame_database.note_free(frames.database, pfn)
    if order == 0:
        zones.put_hot(zone, frames.database, zone.single, pfn)
    elif order == HUGE_ORDER:
        zones.put_hot(zone, frames.database, zone.huge, pfn)
    else:
        zone.config.frames.put(zone, frames.database, pfn, order)


@cold
@kernel
def why_not_free(frames: Frames, pfn: Pfn, order: word) -> word:
    """Why a block cannot be freed.

    BAD_ORDER, FOREIGN (no RAM), MISALIGNED (no multiple of its size), RESERVED, SHARED (others hold references),
    WRONG_BLOCK (a used block of another order begins here, or the frame lies within one), DOUBLE_FREE.
    """
    database = frames.database
    if order < 0 or order > MAX_ORDER:
        return BAD_ORDER
    if pfn < 0 or pfn >= database.nr_frames:
        return FOREIGN
    if pfn & ((1 << order) - 1) != 0:
        return MISALIGNED
    first = frame_database.find_block_round(database, pfn)
    if first >= 0 and record_of(database, first).state == KEPT:
        return RESERVED
    if first == pfn and record_of(database, pfn).order == order:
        return SHARED
    if first >= 0:
        return WRONG_BLOCK
    zone = zone_of(frames, pfn)
    return DOUBLE_FREE if zones.is_hot(zone, pfn) or zone.config.frames.is_free(zone, database, pfn, 0) else FOREIGN


# ------------------------------------------------------------------ references
@kernel
def get(frames: Frames, pfn: Pfn) -> word:
    """One more reference to a used block: how many it has then; WRONG_BLOCK where none begins, SHARED if too many."""
    return frame_database.add_reference(frames.database, pfn)


@kernel
def put(frames: Frames, pfn: Pfn) -> word:
    """One reference less: how many are left. With the last one goes the block.

    WRONG_BLOCK as in get; SHARED where none but mappings are left, which frame_database.drop_mapping ends.
    """
    database = frames.database
    if not frame_database.is_used(database, pfn):
        return WRONG_BLOCK
    record = record_of(database, pfn)
    nr_left = record.nr_references - 1
    if nr_left <= record.nr_mappings and nr_left != 0:
        return SHARED
    if nr_left == 0:
        release(frames, pfn, record.order)
    else:
        record.nr_references = nr_left
    return nr_left


# ------------------------------------------------------------------ counts and the check
@kernel
def nr_total_frames(frames: Frames) -> word:
    """Frames of RAM."""
    total = 0
    for number in range(NR_ZONES):
        total += frames.zones[number].nr_total_frames
    return total


@kernel
def nr_free_frames(frames: Frames) -> word:
    """Frames that nobody has."""
    total = 0
    for number in range(NR_ZONES):
        total += zones.nr_free_frames(frames.zones[number])
    return total


@kernel
def drain(frames: Frames) -> None:
    """Let free frames on hot lists coalesce."""
    for number in range(NR_ZONES):
        zones.drain(frames.zones[number], frames.database)


@kernel
def check(frames: Frames) -> word:
    """0, or the number, listed at the head of this file, of the first invariant that does not hold."""
    code = frame_database.check(frames.database)
    if code != OK:
        return code
    nr_used, nr_kept = frame_database.count_frames(frames.database)
    if nr_used + nr_kept + nr_free_frames(frames) != nr_total_frames(frames):
        return LOST_OR_FOUND
    if nr_kept != frames.nr_reserved_frames:
        return WRONG_RESERVED
    for number in range(NR_ZONES):
        code = zones.check(frames.zones[number], frames.database)
        if code != OK:
            return ZONE_INVARIANTS * (number + 1) + code
    return OK
