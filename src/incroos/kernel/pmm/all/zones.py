"""Zones: the frames below 1 MiB, those below 4 GiB, and the rest, each with an allocator and hot lists of its own.

Unit: the block, named by the PFN of its first frame. Knows nothing of who has a block: blocks.py does. What a request
may fall back on is data: each zone names the next one to ask. Which allocator holds the free frames is up to the
configuration; it has these few functions: init, add, put, take, take_at, is_free, end_of_taken, refill,
take_back, check.

    zone        LOW                  MIDDLE                              HIGH
    PFN         [0, 0x100)           [0x100, 0x100000)                   [0x100000, ...)
    for         real-mode code       devices with addresses of 32 bits   everything else
    falls back  on nothing           on LOW                              on MIDDLE

    request -> single (hot list, order 0) -> tree or buddy
            -> huge   (hot list, order 9) ->
            -> any other order             ->
            -> zeroed (frames that are full of zeros), for those who ask for such (zeroing.py)
"""

from typing import Final

from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.config import BUDDY, KernelConfig
from incroos.kernel.pmm import hot_list
from incroos.kernel.pmm.all import buddy
from incroos.kernel.pmm.all.buddy import Buddy
from incroos.kernel.pmm.all.frame_database import HUGE_ORDER, open_all, open_record
from incroos.kernel.pmm.tree import frame_tree, tree_batches
from incroos.kernel.pmm.tree.frame_tree import FrameTree
from incroos.kernel.state import NR_SLOTS, NR_ZONES, FrameDatabase, HotList
from incroos.lang import Pfn, Struct, VirtAddr, cold, kernel, u64, word

# ZONE-1   the hot list of single frames is in order       1 and 2: HOT invariant
# ZONE-2   the one of huge blocks is in order             11 and 12: 10 + HOT invariant
# ZONE-3   the allocator is in order                      21 on: 20 + TREE or BUDDY invariant
# ZONE-4   what is on a hot list is not free as well      31
# ZONE-5   the list of zeroed frames is in order          41 and 42: 40 + HOT invariant

LOW: Final = 0
MIDDLE: Final = 1
HIGH: Final = 2
NO_ZONE: Final = NR_ZONES
LOW_END: Final = 1 << 8
MIDDLE_END: Final = 1 << 20

HUGE_SLOTS: Final = 16  # huge blocks that are kept from coalescing
HUGE_INVARIANTS: Final = 10
ALLOCATOR_INVARIANTS: Final = 20
HOT_AND_FREE: Final = 31
ZEROED_INVARIANTS: Final = 40


class Zone(Struct):
    """Frames of one range."""

    config: KernelConfig
    start: Pfn
    end: Pfn
    fallback: u64  # the zone to ask when this one has nothing
    nr_total_frames: u64  # its RAM
    single: HotList
    huge: HotList
    zeroed: HotList
    tree: FrameTree
    buddy: Buddy


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
def tree_start(number: word) -> Pfn:
    """Where the zone's tree begins: at the start of a largest block."""
    return Pfn(MIDDLE_END) if number == HIGH else Pfn(0)


@kernel
def metadata_bytes(zone: Zone, number: word, nr_frames: word) -> word:
    """How much memory a zone's allocator takes besides its struct; of the zone, only the configuration is looked at."""
    if zone.config.frame_allocator == BUDDY:
        return 0
    return frame_tree.metadata_bytes(end_of(number, nr_frames) - tree_start(number))


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
    if zone.config.frame_allocator == BUDDY:
        buddy.init(zone.buddy, zone.start, zone.end)
    else:
        frame_tree.init(zone.tree, memory, tree_start(number), zone.end - tree_start(number))


# ------------------------------------------------------------------ the allocator that the configuration names
@kernel
def add(zone: Zone, database: FrameDatabase, start: Pfn, end: Pfn) -> None:
    """Call RAM of the zone free."""
    zone.nr_total_frames += end - start
    if zone.config.frame_allocator == BUDDY:
        buddy.add(zone.buddy, database, start, end)
    else:
        frame_tree.add(zone.tree, start, end)


@kernel
def put(zone: Zone, database: FrameDatabase, pfn: Pfn, order: word) -> None:
    """Take back a block, past the hot lists."""
    if zone.config.frame_allocator == BUDDY:
        buddy.put(zone.buddy, database, pfn, order)
    else:
        frame_tree.put(zone.tree, pfn, order)


@kernel
def take_from_allocator(zone: Zone, database: FrameDatabase, order: word) -> Pfn:
    """A block, past the hot lists; NO_FRAME."""
    if zone.config.frame_allocator == BUDDY:
        return buddy.take(zone.buddy, database, order)
    return frame_tree.take(zone.tree, order)


@kernel
def take_at(zone: Zone, database: FrameDatabase, pfn: Pfn, order: word) -> word:
    """This block: OK, or NOT_FREE, also if it is on a hot list."""
    if zone.config.frame_allocator == BUDDY:
        return buddy.take_at(zone.buddy, database, pfn, order)
    return frame_tree.take_at(zone.tree, pfn, order)


@kernel
def is_free(zone: Zone, database: FrameDatabase, pfn: Pfn, order: word) -> bool:
    """Whether all frames of a block are free and on no hot list."""
    if zone.config.frame_allocator == BUDDY:
        return buddy.is_free(database, pfn, order)
    return frame_tree.is_free(zone.tree, pfn, order)


@kernel
def end_of_taken(zone: Zone, database: FrameDatabase, pfn: Pfn) -> Pfn:
    """A PFN behind one at which a block begins that is not free: no frame between them is free."""
    if zone.config.frame_allocator == BUDDY:
        return buddy.end_of_taken(database, pfn)
    return frame_tree.end_of_taken(zone.tree, pfn)


@cold
@kernel
def refill(zone: Zone, database: FrameDatabase, hot: HotList) -> None:
    """Put blocks on an empty hot list, if there are any. Their records may be written."""
    if zone.config.frame_allocator == BUDDY:
        buddy.refill(zone.buddy, database, hot)
    elif tree_batches.refill(zone.tree, hot) != 0:
        if hot.order == 0:
            open_all(database, hot_list.oldest(hot))  # all of them lie in one word
        else:
            open_records(database, hot)


@kernel
def open_records(database: FrameDatabase, hot: HotList) -> None:
    """Make the records readable of all blocks on a hot list."""
    for at in range(hot.bottom, hot.top):
        open_record(database, hot.slots[at & (NR_SLOTS - 1)], hot.order)


@kernel
def take_back(zone: Zone, database: FrameDatabase, hot: HotList, nr_blocks: word) -> None:
    """Give the oldest blocks of a hot list back to the allocator."""
    if zone.config.frame_allocator == BUDDY:
        buddy.take_back(zone.buddy, database, hot, nr_blocks)
    else:
        tree_batches.take_back(zone.tree, hot, nr_blocks)


@kernel
def check_allocator(zone: Zone, database: FrameDatabase) -> word:
    """0, or the number of the first invariant of the allocator that does not hold."""
    if zone.config.frame_allocator == BUDDY:
        return buddy.check(zone.buddy, database)
    return frame_tree.check(zone.tree)


@kernel
def nr_free_frames(zone: Zone) -> word:
    """Frames that nobody has, those on hot lists too."""
    nr_hot = hot_list.nr_blocks(zone.single) + hot_list.nr_blocks(zone.zeroed)
    nr_hot += hot_list.nr_blocks(zone.huge) << HUGE_ORDER
    if zone.config.frame_allocator == BUDDY:
        return zone.buddy.nr_free_frames + nr_hot
    return zone.tree.nr_free_frames + nr_hot


@kernel
def nr_free_blocks(zone: Zone, order: word) -> word:
    """Free blocks of an order that are part of no larger one; hot lists do not count: see drain."""
    if zone.config.frame_allocator == BUDDY:
        return zone.buddy.nr_blocks[order]
    return frame_tree.nr_free_blocks(zone.tree, order)


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
    return take_from_allocator(zone, database, order)


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
        put(zone, database, pfn, hot.order)
    else:
        take_back(zone, database, hot, hot.limit // 2)
        hot_list.push(hot, pfn)


@kernel
def drain(zone: Zone, database: FrameDatabase) -> word:
    """Give all blocks of the hot lists back to the allocator, so that they can coalesce; how many there were."""
    nr_single = hot_list.nr_blocks(zone.single)
    nr_huge = hot_list.nr_blocks(zone.huge)
    nr_zeroed = hot_list.nr_blocks(zone.zeroed)
    take_back(zone, database, zone.single, nr_single)
    take_back(zone, database, zone.huge, nr_huge)
    take_back(zone, database, zone.zeroed, nr_zeroed)
    return nr_single + nr_huge + nr_zeroed


@kernel
def check(zone: Zone, database: FrameDatabase) -> word:
    """0, or the number, listed at the head of this file, of the first invariant that does not hold."""
    code = hot_list.check(zone.single)
    if code != OK:
        return code
    code = hot_list.check(zone.huge)
    if code != OK:
        return HUGE_INVARIANTS + code
    code = check_allocator(zone, database)
    if code != OK:
        return ALLOCATOR_INVARIANTS + code
    code = hot_list.check(zone.zeroed)
    if code != OK:
        return ZEROED_INVARIANTS + code
    if has_free(zone, database, zone.single) or has_free(zone, database, zone.huge):
        return HOT_AND_FREE
    return HOT_AND_FREE if has_free(zone, database, zone.zeroed) else OK


@kernel
def is_hot(zone: Zone, pfn: word) -> bool:
    """Whether a frame is on a hot list, or lies in a block that is."""
    return hot_list.has(zone.single, pfn) or hot_list.has(zone.huge, pfn) or hot_list.has(zone.zeroed, pfn)


@kernel
def has_free(zone: Zone, database: FrameDatabase, hot: HotList) -> bool:
    """Whether the allocator calls the first frame of a block on the hot list free."""
    for at in range(hot.bottom, hot.top):
        if is_free(zone, database, Pfn(hot.slots[at & (NR_SLOTS - 1)]), 0):
            return True
    return False
