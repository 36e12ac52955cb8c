"""Unmapped frames: those of pages from which the last counted mapping has gone, many at once.

    free_unmapped    for each frame: it is on the hot list of its zone, wherever it lies
    settle_unmapped  after the last: what is not to be kept there goes to the allocator, all in batches

Unit: the frame, named by its physical address. One by one, frames behind a hot list's frontier go to the allocator each
for itself, which costs more than all the rest; here a batch is what one word of the allocator has. Poisons what is
freed, as frames.py. Only in `modern`.
"""

from incroos.kernel.layout import PAGE_SHIFT
from incroos.kernel.pmm import hot_list
from incroos.kernel.pmm.all import blocks, frame_database, modern
from incroos.kernel.pmm.frames import poison
from incroos.kernel.state import NR_ZONES, Kernel
from incroos.lang import Pfn, PhysAddr, kernel, store64


@kernel
def free_unmapped(k: Kernel, pa: PhysAddr) -> None:
    """Take back a frame that take_frame gave. Panics if somebody else has it, or it is mapped."""
    database = k.blocks.database
    pfn = Pfn(pa >> PAGE_SHIFT)
    if frame_database.head_of(database, pfn) & ~frame_database.OWNER_MASK != frame_database.USED_ONCE:
        modern.fail_to_free(k, pa)
    store64(k.m, frame_database.record_of(database, pfn).addr, frame_database.INSIDE)
    zone = blocks.zone_of(k.blocks, pfn)
    hot = zone.single
    if hot.top - hot.bottom == hot.limit:
        zone.config.frames.take_back(zone, database, hot, hot.limit // 2)
    hot_list.push(hot, pfn)
    if k.config.counters != 0:
        k.counters.frees += 1
    poison(k, pa)


@kernel
def settle_unmapped(k: Kernel) -> None:
    """Keep no frames on a hot list if the newest lies behind its frontier."""
    for number in range(NR_ZONES):
        zone = k.blocks.zones[number]
        hot = zone.single
        if hot.top != hot.bottom and hot_list.newest(hot) >= hot.frontier:
            zone.config.frames.take_back(zone, k.blocks.database, hot, hot_list.nr_blocks(hot))
