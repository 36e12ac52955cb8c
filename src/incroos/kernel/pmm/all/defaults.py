"""Defaults: what a design of frame allocators need not define (designs.py), in terms of what it does define.

Right for any design, and slower than one of its own: each block goes by itself, and the check asks for each frame.
"""

from typing import Final

from incroos.kernel.codes import OK
from incroos.kernel.pmm import hot_list, orders
from incroos.kernel.pmm.all.frame_database import open_record
from incroos.kernel.state import MAX_ORDER, FrameDatabase, HotList, Zone
from incroos.lang import Pfn, kernel, word

__all__ = [
    'add',
    'check',
    'end_of_taken',
    'metadata_bytes',
    'nr_free_blocks',
    'nr_merges',
    'nr_splits',
    'part',
    'refill',
    'take_back',
]

BATCH: Final = 32  # blocks that a hot list gets at once
WRONG_COUNT: Final = 1


@kernel
def metadata_bytes(start: Pfn, end: Pfn) -> word:
    """None."""
    return 0


@kernel
def add(zone: Zone, database: FrameDatabase, start: Pfn, end: Pfn) -> None:
    """Put the largest blocks that the range consists of."""
    at = start
    while at < end:
        order = orders.largest_order(at, end, MAX_ORDER)
        zone.config.frames.put(zone, database, at, order)
        at = Pfn(at + (1 << order))


@kernel
def end_of_taken(zone: Zone, database: FrameDatabase, pfn: Pfn) -> Pfn:
    """The next frame."""
    return Pfn(pfn + 1)


@kernel
def refill(zone: Zone, database: FrameDatabase, hot: HotList) -> None:
    """Take some blocks one by one."""
    for _block in range(min(BATCH, hot.limit // 2)):
        pfn = zone.config.frames.take(zone, database, hot.order)
        if pfn < 0:
            break
        open_record(database, pfn, hot.order)
        hot_list.push(hot, pfn)


@kernel
def take_back(zone: Zone, database: FrameDatabase, hot: HotList, nr_blocks: word) -> None:
    """Put the blocks one by one."""
    for _block in range(nr_blocks):
        zone.config.frames.put(zone, database, hot_list.pop_oldest(hot), hot.order)


@kernel
def part(zone: Zone, database: FrameDatabase, pfn: Pfn, order: word) -> None:
    """Nothing to do."""


@kernel
def nr_free_blocks(zone: Zone, order: word) -> word:
    """Unknown."""
    return 0


@kernel
def nr_splits(zone: Zone) -> word:
    """Not counted."""
    return 0


@kernel
def nr_merges(zone: Zone) -> word:
    """Not counted."""
    return 0


@kernel
def check(zone: Zone, database: FrameDatabase) -> word:
    """OK, or WRONG_COUNT where not just as many frames are free as the design counts."""
    nr_free_frames = 0
    for pfn in range(zone.start, zone.end):
        if zone.config.frames.is_free(zone, database, Pfn(pfn), 0):
            nr_free_frames += 1
    return OK if nr_free_frames == zone.config.frames.nr_free_frames(zone) else WRONG_COUNT
