"""Zones: the frames below 1 MiB, those below 4 GiB, and the rest, each with an allocator and hot lists of its own.

Unit: the block, named by the PFN of its first frame. Knows nothing of who has a block: blocks.py does. What a request
may fall back on is data: each zone names the next one to ask. The configuration names the allocator that holds the
free frames, as `zone.config.frames` (designs.py).

    zone        LOW                  MIDDLE                              HIGH
    PFN         [0, 0x100)           [0x100, 0x100000)                   [0x100000, ...)
    for         real-mode code       devices with addresses of 32 bits   everything else
    falls back  on nothing           on LOW                              on MIDDLE

    request -> single (hot list, order 0) -> allocator
            -> huge   (hot list, order 9) ->
            -> any other order             ->
            -> zeroed (frames that are full of zeros), for those who ask for such (zeroing.py)
            -> kept (roots of address spaces), the same
"""

from typing import Final

from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.pmm import hot_list
from incroos.kernel.pmm.all.frame_database import HUGE_ORDER
from incroos.kernel.state import NR_SLOTS, NR_ZONES, FrameDatabase, HotList, Zone
from incroos.lang import Pfn, VirtAddr, cold, kernel, word

# ZONE-1   the hot list of single frames is in order       1 and 2: HOT invariant
# ZONE-2   the one of huge blocks is in order             11 and 12: 10 + HOT invariant
# ZONE-3   the allocator is in order                      21 on: 20 + invariant of the design
# ZONE-4   what is on a hot list is not free as well      31
# ZONE-5   the list of zeroed frames is in order          41 and 42: 40 + HOT invariant
# ZONE-6   the list of roots is in order                  51 and 52: 50 + HOT invariant

LOW: Final = 0
MIDDLE: Final = 1
HIGH: Final = 2
NO_ZONE: Final = NR_ZONES
LOW_END: Final = 1 << 8
MIDDLE_END: Final = 1 << 20

HUGE_SLOTS: Final = 16  # huge blocks that are kept from coalescing
MOST_KEPT: Final = 8  # roots in stock
HUGE_INVARIANTS: Final = 10
ALLOCATOR_INVARIANTS: Final = 20
HOT_AND_FREE: Final = 31
ZEROED_INVARIANTS: Final = 40
KEPT_INVARIANTS: Final = 50


@kernel
def start_of(number: word) -> Pfn:
    """Where a zone begins."""
    if number == LOW:
        return Pfn(0)
    return Pfn(LOW_END) if number == MIDDLE else Pfn(MIDDLE_END)


@kernel
def end_of(number: word, nr_frames: word) -> Pfn:
    """Where a zone ends on a machine whose PFNs are below nr_frames; not before it begins."""
    if number == LOW:
        return Pfn(min(LOW_END, nr_frames))
    if number == MIDDLE:
        return Pfn(max(LOW_END, min(MIDDLE_END, nr_frames)))
    return Pfn(max(MIDDLE_END, nr_frames))


@kernel
def number_of(pfn: word) -> word:
    """The zone of a frame."""
    if pfn >= MIDDLE_END:
        return HIGH
    return MIDDLE if pfn >= LOW_END else LOW


@kernel
def metadata_bytes(zone: Zone, number: word, nr_frames: word) -> word:
    """How much memory a zone's allocator takes besides its struct; of the zone, only the configuration is looked at."""
    return zone.config.frames.metadata_bytes(start_of(number), end_of(number, nr_frames))


@kernel
def init(zone: Zone, memory: VirtAddr, number: word, nr_frames: word) -> None:
    """Make a zone without RAM in metadata_bytes of memory."""
    zone.start = start_of(number)
    zone.end = end_of(number, nr_frames)
    zone.fallback = number - 1 if number > LOW else NO_ZONE
    zone.nr_total_frames = 0
    hot_list.init(zone.single, 0, NR_SLOTS, zone.end)
    hot_list.init(zone.huge, HUGE_ORDER, HUGE_SLOTS, zone.end)
    hot_list.init(zone.zeroed, 0, NR_SLOTS, zone.end)
    hot_list.init(zone.kept, 0, MOST_KEPT, zone.end)
    zone.config.frames.init(zone, memory)


@kernel
def add(zone: Zone, database: FrameDatabase, start: Pfn, end: Pfn) -> None:
    """Call RAM of the zone free."""
    zone.nr_total_frames += end - start
    zone.config.frames.add(zone, database, start, end)


@cold
@kernel
def refill(zone: Zone, database: FrameDatabase, hot: HotList) -> None:
    """Put blocks on an empty hot list, if there are any. Their records may be written."""
    zone.config.frames.refill(zone, database, hot)


@kernel
def nr_free_frames(zone: Zone) -> word:
    """Frames that nobody has, those on hot lists too."""
    nr_hot = hot_list.nr_blocks(zone.single) + hot_list.nr_blocks(zone.zeroed)
    nr_hot += hot_list.nr_blocks(zone.kept)
    nr_hot += hot_list.nr_blocks(zone.huge) << HUGE_ORDER
    return zone.config.frames.nr_free_frames(zone) + nr_hot


# ------------------------------------------------------------------ with the hot lists
@kernel
def take(zone: Zone, database: FrameDatabase, order: word) -> Pfn:
    """A block; NO_FRAME when not even what is on the hot lists makes one."""
    pfn = try_to_take(zone, database, order)
    if pfn < 0 and drain(zone, database) != 0:
        pfn = try_to_take(zone, database, order)
    return pfn


@kernel
def try_to_take(zone: Zone, database: FrameDatabase, order: word) -> Pfn:
    """A block, as long as the hot lists of other orders do not matter."""
    if order == 0:
        return take_hot(zone, database, zone.single)
    if order == HUGE_ORDER:
        return take_hot(zone, database, zone.huge)
    return zone.config.frames.take(zone, database, order)


@kernel
def take_hot(zone: Zone, database: FrameDatabase, hot: HotList) -> Pfn:
    """A block off a hot list; it is refilled first when it is empty."""
    if hot.top == hot.bottom:
        refill(zone, database, hot)
        if hot.top == hot.bottom:
            return Pfn(NO_FRAME)
    return hot_list.pop(hot)


@kernel
def put_hot(zone: Zone, database: FrameDatabase, hot: HotList, pfn: Pfn) -> None:
    """Take back a block of a hot list's order, onto the list if it may be there."""
    top = hot.top
    if pfn >= hot.frontier or top - hot.bottom == hot.limit:
        put_slowly(zone, database, hot, pfn)
    else:
        hot.slots[top & (NR_SLOTS - 1)] = pfn
        hot.top = top + 1


@cold
@kernel
def put_slowly(zone: Zone, database: FrameDatabase, hot: HotList, pfn: Pfn) -> None:
    """Take back a block that lies behind the frontier, or for which the list is too full."""
    if pfn >= hot.frontier:
        zone.config.frames.put(zone, database, pfn, hot.order)
    else:
        zone.config.frames.take_back(zone, database, hot, hot.limit // 2)
        hot_list.push(hot, pfn)


@kernel
def drain(zone: Zone, database: FrameDatabase) -> word:
    """Give all blocks of the hot lists back to the allocator, so that they can coalesce; how many there were."""
    nr_single = hot_list.nr_blocks(zone.single)
    nr_huge = hot_list.nr_blocks(zone.huge)
    nr_zeroed = hot_list.nr_blocks(zone.zeroed)
    nr_kept = hot_list.nr_blocks(zone.kept)
    zone.config.frames.take_back(zone, database, zone.single, nr_single)
    zone.config.frames.take_back(zone, database, zone.huge, nr_huge)
    zone.config.frames.take_back(zone, database, zone.zeroed, nr_zeroed)
    zone.config.frames.take_back(zone, database, zone.kept, nr_kept)
    return nr_single + nr_huge + nr_zeroed + nr_kept


@kernel
def check(zone: Zone, database: FrameDatabase) -> word:
    """0, or the number, listed at the head of this file, of the first invariant that does not hold."""
    code = hot_list.check(zone.single)
    if code != OK:
        return code
    code = hot_list.check(zone.huge)
    if code != OK:
        return HUGE_INVARIANTS + code
    code = zone.config.frames.check(zone, database)
    if code != OK:
        return ALLOCATOR_INVARIANTS + code
    code = hot_list.check(zone.zeroed)
    if code != OK:
        return ZEROED_INVARIANTS + code
    code = hot_list.check(zone.kept)
    if code != OK:
        return KEPT_INVARIANTS + code
    if has_free(zone, database, zone.single) or has_free(zone, database, zone.huge):
        return HOT_AND_FREE
    if has_free(zone, database, zone.kept):
        return HOT_AND_FREE
    return HOT_AND_FREE if has_free(zone, database, zone.zeroed) else OK


@kernel
def is_hot(zone: Zone, pfn: word) -> bool:
    """Whether a frame is on a hot list, or lies in a block that is."""
    if hot_list.has(zone.single, pfn) or hot_list.has(zone.huge, pfn):
        return True
    return hot_list.has(zone.zeroed, pfn) or hot_list.has(zone.kept, pfn)


@kernel
def has_free(zone: Zone, database: FrameDatabase, hot: HotList) -> bool:
    """Whether the allocator calls the first frame of a block on the hot list free."""
    for at in range(hot.bottom, hot.top):
        if zone.config.frames.is_free(zone, database, Pfn(hot.slots[at & (NR_SLOTS - 1)]), 0):
            return True
    return False
