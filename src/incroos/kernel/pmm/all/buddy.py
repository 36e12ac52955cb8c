"""Buddy allocator: hands out blocks of 2**order frames, aligned on their size, from a list for each order.

Unit: the block, named by the PFN of its first frame. Knows nothing of what a frame is for, nor of who has it. The lists
go through the frame database, never through the frames. Callers give back only what they were given (blocks.py).

    heads       0   1   2   3 ...  18       the newest free block of each order, or none
    not_empty   0   1   0   1 ...   0       the same as bits: one count of trailing zeros finds the order to split
                    |       |
                  [12,14) [32,40)           record 12: ON_LIST, order 1, next, previous; record 32: ...
                  [ 6, 8)

A block is split by putting its upper half on the list of the order below, until the rest is as small as wanted. A block
that comes back looks at the record of its buddy, the block whose PFN differs in the bit of the order. That record may
be read when `known` of the database says so. If it was never written, no block ever began there, so none is free: this
answers for buddies that are no RAM as well, without a look at the memory map. Only the zone's ends are compared, since
RAM goes on behind them.
"""

from typing import Annotated, Final

from incroos.kernel.codes import NO_FRAME, NOT_FREE, OK
from incroos.kernel.pmm import hot_list
from incroos.kernel.pmm.all import frame_database
from incroos.kernel.pmm.all.defaults import BATCH
from incroos.kernel.pmm.all.defaults import add as add
from incroos.kernel.pmm.all.defaults import part as part
from incroos.kernel.pmm.all.defaults import take_back as take_back
from incroos.kernel.pmm.all.frame_database import HUGE_FRAMES, INSIDE, NO_LINK, NONE, ON_LIST
from incroos.kernel.state import MAX_ORDER, NR_ORDERS, FrameDatabase, HotList, ListRecord, Zone
from incroos.lang import (
    Array,
    Pfn,
    Struct,
    VirtAddr,
    count_trailing_zeros,
    kernel,
    u32,
    u64,
    word,
)

# BUDDY-1  nr_free_frames == the sum over all orders of nr_blocks << order, and a list has nr_blocks blocks
# BUDDY-2  each block on a list has the list's order, is aligned on its size, and lies within the zone
# BUDDY-3  the links of neighbours on a list name each other
# BUDDY-4  a bit of not_empty is set exactly where a list has blocks
# BUDDY-5  no two buddies are free: they would be one block
# BUDDY-6  no free block lies in a larger one


class Buddy(Struct):
    """Free blocks of a zone."""

    nr_free_frames: u64
    nr_splits: u64
    nr_merges: u64
    not_empty: u64
    nr_blocks: Annotated[Array[u64], NR_ORDERS]
    heads: Annotated[Array[u32], NR_ORDERS]


STATE_BYTES: Final = Buddy.SIZE


@kernel
def buddy_of(zone: Zone) -> Buddy:
    """The lists of a zone."""
    return Buddy(zone.m, zone.allocator.addr)


@kernel
def metadata_bytes(start: Pfn, end: Pfn) -> word:
    """None: the lists go through the frame database."""
    return 0


@kernel
def init(zone: Zone, memory: VirtAddr) -> None:
    """No block is free."""
    buddy = buddy_of(zone)
    buddy.nr_free_frames = 0
    buddy.nr_splits = 0
    buddy.nr_merges = 0
    buddy.not_empty = 0
    for order in range(NR_ORDERS):
        buddy.nr_blocks[order] = 0
        buddy.heads[order] = NO_LINK


# ------------------------------------------------------------------ lists
@kernel
def links_of(database: FrameDatabase, pfn: word) -> ListRecord:
    """The record of a block on a list."""
    return ListRecord(database.m, frame_database.record_of(database, pfn).addr)


@kernel
def push(buddy: Buddy, database: FrameDatabase, pfn: word, order: word) -> None:
    """Put a block on the list of its order."""
    frame_database.open_record(database, pfn, order)
    record = links_of(database, pfn)
    following = buddy.heads[order]
    record.state = ON_LIST
    record.order = order
    record.next = following
    record.previous = NO_LINK
    if following != NO_LINK:
        links_of(database, following).previous = pfn
    buddy.heads[order] = pfn
    buddy.nr_blocks[order] += 1
    buddy.not_empty = buddy.not_empty | 1 << order


@kernel
def remove(buddy: Buddy, database: FrameDatabase, pfn: word, order: word) -> None:
    """Take a block off the list of its order."""
    record = links_of(database, pfn)
    following = record.next
    previous = record.previous
    record.state = INSIDE
    record.previous = 0  # where the mappings are counted of who gets the block
    if following != NO_LINK:
        links_of(database, following).previous = previous
    if previous != NO_LINK:
        links_of(database, previous).next = following
    else:
        buddy.heads[order] = following
        if following == NO_LINK:
            buddy.not_empty = buddy.not_empty & ~(1 << order)
    buddy.nr_blocks[order] -= 1


@kernel
def is_on_list(database: FrameDatabase, pfn: word, order: word) -> bool:
    """Whether a free block of just that order begins at a frame below nr_frames."""
    if not frame_database.can_read(database, pfn):
        return False
    record = frame_database.record_of(database, pfn)
    return record.state == ON_LIST and record.order == order


# ------------------------------------------------------------------ blocks
@kernel
def put(zone: Zone, database: FrameDatabase, pfn: Pfn, order: word) -> None:
    """Take back a block that was handed out, and let it coalesce."""
    buddy = buddy_of(zone)
    buddy.nr_free_frames += 1 << order
    while order < MAX_ORDER:
        other = pfn ^ 1 << order
        if other < zone.start or other >= zone.end or not is_on_list(database, other, order):
            break
        remove(buddy, database, other, order)
        buddy.nr_merges += 1
        pfn = Pfn(min(pfn, other))
        order += 1
    push(buddy, database, pfn, order)


@kernel
def take(zone: Zone, database: FrameDatabase, order: word) -> Pfn:
    """The newest block of the smallest order that is large enough, as much of it as is wanted; NO_FRAME."""
    buddy = buddy_of(zone)
    candidates = buddy.not_empty >> order
    if candidates == 0:
        return Pfn(NO_FRAME)
    found = order + count_trailing_zeros(candidates)
    pfn = buddy.heads[found]
    remove(buddy, database, pfn, found)
    split(buddy, database, pfn, found, pfn, order)
    return Pfn(pfn)


@kernel
def split(buddy: Buddy, database: FrameDatabase, pfn: word, order: word, wanted: word, wanted_order: word) -> None:
    """Out of a block that is on no list, hand out another; the rest goes on lists."""
    buddy.nr_free_frames -= 1 << wanted_order
    while order > wanted_order:
        order -= 1
        half = 1 << order
        buddy.nr_splits += 1
        if wanted & half == 0:
            push(buddy, database, pfn + half, order)
        else:
            push(buddy, database, pfn, order)
            pfn += half


@kernel
def find_free(database: FrameDatabase, pfn: Pfn, order: word) -> word:
    """The order of the free block in which this one lies, or which it is; -1 when it is not free."""
    for above in range(order, NR_ORDERS):
        if is_on_list(database, pfn & -(1 << above), above):
            return above
    return -1


@kernel
def is_free(zone: Zone, database: FrameDatabase, pfn: Pfn, order: word) -> bool:
    """Whether all frames of a block are free."""
    return find_free(database, pfn, order) >= 0


@kernel
def end_of_taken(zone: Zone, database: FrameDatabase, pfn: Pfn) -> Pfn:
    """A PFN behind one at which a block begins that is not free: no frame between them is free."""
    if frame_database.known_of(database, pfn) == NONE:
        return Pfn((pfn | HUGE_FRAMES - 1) + 1)  # where no block ever began, no frame is free by itself
    return Pfn(pfn + 1)


@kernel
def take_at(zone: Zone, database: FrameDatabase, pfn: Pfn, order: word) -> word:
    """Take this block: OK, or NOT_FREE."""
    buddy = buddy_of(zone)
    found = find_free(database, pfn, order)
    if found < 0:
        return NOT_FREE
    first = pfn & -(1 << found)
    remove(buddy, database, first, found)
    split(buddy, database, first, found, pfn, order)
    return OK


# ------------------------------------------------------------------ many at once, for a hot list
@kernel
def refill(zone: Zone, database: FrameDatabase, hot: HotList) -> None:
    """Put some blocks on an empty hot list; the records of blocks that were on a list can be read."""
    for _block in range(min(BATCH, hot.limit // 2)):
        pfn = take(zone, database, hot.order)
        if pfn < 0:
            break
        hot_list.push(hot, pfn)


# ------------------------------------------------------------------ counts and the check
@kernel
def nr_free_frames(zone: Zone) -> word:
    """How many frames are free."""
    return buddy_of(zone).nr_free_frames


@kernel
def nr_free_blocks(zone: Zone, order: word) -> word:
    """How many blocks the order's list has."""
    return buddy_of(zone).nr_blocks[order]


@kernel
def nr_splits(zone: Zone) -> word:
    """How many blocks were halved so far."""
    return buddy_of(zone).nr_splits


@kernel
def nr_merges(zone: Zone) -> word:
    """How many pairs of buddies came together so far."""
    return buddy_of(zone).nr_merges


@kernel
def check(zone: Zone, database: FrameDatabase) -> word:
    """0, or the number of the first BUDDY invariant that does not hold."""
    buddy = buddy_of(zone)
    nr_free_frames = 0
    for order in range(NR_ORDERS):
        code = check_list(zone, database, order)
        if code != OK:
            return code
        nr_free_frames += buddy.nr_blocks[order] << order
    return OK if nr_free_frames == buddy.nr_free_frames else 1


@kernel
def check_list(zone: Zone, database: FrameDatabase, order: word) -> word:
    """The invariants of one list."""
    buddy = buddy_of(zone)
    previous = NO_LINK
    pfn = buddy.heads[order]
    nr_blocks = 0
    while pfn != NO_LINK:
        if not zone.start <= pfn <= zone.end - (1 << order) or not is_on_list(database, pfn, order):
            return 2
        if pfn % (1 << order) != 0:
            return 2
        record = links_of(database, pfn)
        if record.previous != previous:
            return 3
        if order < MAX_ORDER and is_buddy_free(zone, database, pfn, order):
            return 5
        if order < MAX_ORDER and find_free(database, Pfn(pfn), order + 1) >= 0:
            return 6
        nr_blocks += 1
        if nr_blocks > buddy.nr_blocks[order]:
            return 1
        previous = pfn
        pfn = record.next
    if (buddy.not_empty >> order & 1 != 0) != (nr_blocks != 0):
        return 4
    return OK if nr_blocks == buddy.nr_blocks[order] else 1


@kernel
def is_buddy_free(zone: Zone, database: FrameDatabase, pfn: word, order: word) -> bool:
    """Whether the buddy of a block is a free block of the same order in the same zone."""
    other = pfn ^ 1 << order
    return zone.start <= other < zone.end and is_on_list(database, other, order)
