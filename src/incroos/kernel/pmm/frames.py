"""Frames: who gets the machine's RAM, 4 KiB at a time. The interface of all stocks, and what they have in common.

Unit: the frame, named by its physical address. Knows nothing of virtual addresses and never reclaims: when no frame is
free it says so. The configuration names the stock that has the frames (designs.py): classic.py has two bitmaps,
all/modern.py blocks of all RAM. Page tables come from the boot pool first, which is mapped from the start.

A frame is zeroed when it is handed out and not touched while it is free (a build that poisons fills it on free).
"""

from typing import Final

from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import NR_TRACKED_FRAMES, PAGE_BYTES, POOL_END, POOL_START, ZONE_START
from incroos.kernel.pmm import bitmap, memory_map
from incroos.kernel.state import Counters, Frames, Kernel, Statistics, TableRecord
from incroos.lang import PhysAddr, VirtAddr, fill, kernel, word

# PMM-1   the memory map is in order                                              1 to 5: MAP invariant
# PMM-2   and on: the stock is in order                                           11 on: what it says

POISON: Final = 0xF5  # what a freed frame is filled with


@kernel
def init(k: Kernel, start_info: PhysAddr) -> None:
    """Read the memory map and call all RAM of pool and zone free. Panics when there is no memory map.

    Frames of the zone can be had after open_zone.
    """
    memory_map.read(k, start_info)
    begin(k)


@kernel
def init_embedded(k: Kernel, entries: VirtAddr, nr_entries: word) -> None:
    """The same from a list of regions in the form of PVH, wherever it lies."""
    memory_map.read_list(k, entries, nr_entries)
    begin(k)


@kernel
def begin(k: Kernel) -> None:
    """Call all RAM of pool and zone free that the memory map has."""
    frames = k.frames
    bitmap.init(frames.pool, PhysAddr(POOL_START))
    bitmap.init(frames.zone, PhysAddr(ZONE_START))
    bitmap.add_ram(frames.pool, k.memory_map, PhysAddr(POOL_END))
    frames.are_frames_open = 0
    frames.early_start = PhysAddr(0)
    frames.early_end = PhysAddr(0)
    frames.early_limit = PhysAddr(0)
    frames.requests = 0
    fill(k.m, k.blocks.addr, 0, Frames.SIZE)
    fill(k.m, k.counters.addr, 0, Counters.SIZE)
    fill(k.m, k.statistics.addr, 0, Statistics.SIZE)
    frames.refuse_at = 0
    frames.nr_tables = 0
    fill(k.m, frames.records.addr, 0, NR_TRACKED_FRAMES * TableRecord.SIZE)
    k.config.stock.init(k)


@kernel
def open_zone(k: Kernel) -> None:
    """Allow frames of the zone, or of all RAM, to be handed out: from now on they are mapped."""
    k.frames.are_frames_open = 1


@kernel
def alloc_page(k: Kernel) -> PhysAddr:
    """A zeroed frame of the zone; NO_FRAME when none is free."""
    if k.config.stock.has_zeroed(k):
        pa = take_zeroed(k)
    else:
        pa = take_frame(k)
        if pa >= 0:
            zero_frame(k, pa)
    return pa


@kernel
def take_zeroed(k: Kernel) -> PhysAddr:
    """One that was; NO_FRAME."""
    return PhysAddr(NO_FRAME) if is_refused(k) else k.config.stock.take_zeroed(k)


@kernel
def zero_ahead(k: Kernel, nr_frames: word) -> word:
    """Zero so many frames, at most, for alloc_page to find: for a kernel that has nothing else to do. How many it did.

    None in `classic`, which has a fixed number of frames and hands out the lowest.
    """
    return k.config.stock.zero_ahead(k, nr_frames)


@kernel
def free_page(k: Kernel, pa: PhysAddr) -> word:
    """Take back what alloc_page or take_frame gave.

    MISALIGNED, FOREIGN (not of the zone), RESERVED (below the zone, or a page table), DOUBLE_FREE and, in `modern`,
    WRONG_BLOCK change nothing. Only the owner may free a frame: entries of page tables are not looked at. In `modern` a
    frame with counted mappings or other references is a panic.
    """
    code = k.config.stock.check_free_page(k, pa)
    if code == OK:
        k.config.stock.put_frame(k, pa)
        poison(k, pa)
    return code


@kernel
def take_frame(k: Kernel) -> PhysAddr:
    """A frame of the zone with whatever its last owner left in it; NO_FRAME. For callers that overwrite it whole."""
    if k.frames.are_frames_open == 0:
        panic(k, b'pmm: a frame of the zone was asked for before vmm.init', 0, 0, 0)
    if is_refused(k):
        return PhysAddr(NO_FRAME)
    return k.config.stock.take_frame(k)


@kernel
def address_of(k: Kernel, pa: PhysAddr) -> VirtAddr:
    """Where the kernel reads and writes the byte at pa of a frame of pool or zone."""
    return VirtAddr(k.config.frame_window + pa)


@kernel
def zero_frame(k: Kernel, pa: PhysAddr) -> None:
    """Fill a frame of pool or zone with zeros."""
    fill(k.m, address_of(k, pa), 0, PAGE_BYTES)


@kernel
def alloc_table(k: Kernel, level: word) -> PhysAddr:
    """A zeroed frame to be a page table of the level, 1 to 5: of the pool, or else of the zone; NO_FRAME."""
    pa = take_table(k, level)
    if pa >= 0:
        zero_frame(k, pa)
    return pa


@kernel
def take_table(k: Kernel, level: word) -> PhysAddr:
    """The same with whatever the frame's last owner left in it."""
    if is_refused(k):
        return PhysAddr(NO_FRAME)
    pa = k.config.stock.take_table(k, level)
    if pa >= 0:
        k.frames.nr_tables += 1
    return pa


@kernel
def has_zeroed(k: Kernel) -> bool:
    """Whether take_zeroed_table has a frame, and alloc_page one that it need not zero."""
    return k.config.stock.has_zeroed(k)


@kernel
def take_zeroed_table(k: Kernel, level: word) -> PhysAddr:
    """A frame full of zeros to be a page table. PRE has_zeroed. NO_FRAME where a test wants it refused."""
    if is_refused(k):
        return PhysAddr(NO_FRAME)
    k.frames.nr_tables += 1
    return k.config.stock.take_zeroed_table(k, level)


@kernel
def free_zeroed_table(k: Kernel, pa: PhysAddr) -> word:
    """Take back what alloc_table gave, as free_table does, full of zeros: who has it next finds them."""
    if k.config.poison != 0 or not k.config.stock.put_zeroed_table(k, pa):
        return free_table(k, pa)
    k.frames.nr_tables -= 1
    return OK


@kernel
def has_kept(k: Kernel) -> bool:
    """Whether take_kept_table has a frame."""
    return k.config.stock.has_kept(k)


@kernel
def take_kept_table(k: Kernel, level: word) -> PhysAddr:
    """A root as it was given to free_kept_table. PRE has_kept. NO_FRAME where a test wants it refused."""
    if is_refused(k):
        return PhysAddr(NO_FRAME)
    k.frames.nr_tables += 1
    return k.config.stock.take_kept_table(k, level)


@kernel
def free_kept_table(k: Kernel, pa: PhysAddr) -> word:
    """Take back a root as free_table does, and keep what is in it for the next one, as long as memory is not short."""
    if k.config.poison != 0 or not k.config.stock.put_kept_table(k, pa):
        return free_table(k, pa)
    k.frames.nr_tables -= 1
    return OK


@kernel
def free_table(k: Kernel, pa: PhysAddr) -> word:
    """Take back what alloc_table gave, once no TLB knows it.

    MISALIGNED, FOREIGN, RESERVED (no page table, or one of the boot code's) and DOUBLE_FREE change nothing.
    """
    code = k.config.stock.check_free_table(k, pa)
    if code == OK:
        k.frames.nr_tables -= 1
        k.config.stock.put_table(k, pa)
        poison(k, pa)
    return code


@kernel
def record_of(k: Kernel, pa: PhysAddr) -> TableRecord:
    """The record of the frame round pa, which is among those that have one."""
    return k.config.stock.record_of(k, pa)


@kernel
def is_table(k: Kernel, pa: PhysAddr) -> bool:
    """Whether the frame at any pa is a page table."""
    return k.config.stock.is_table(k, pa)


@kernel
def poison(k: Kernel, pa: PhysAddr) -> None:
    """Spoil what is in a frame that is freed, in builds that do."""
    if k.config.poison != 0:
        fill(k.m, address_of(k, pa), POISON, PAGE_BYTES)


@kernel
def is_managed(k: Kernel, pa: PhysAddr) -> bool:
    """Whether alloc_page might give the frame round any pa."""
    return k.config.stock.is_managed(k, pa)


@kernel
def is_page(k: Kernel, pa: PhysAddr) -> bool:
    """Whether alloc_page gave the frame round any pa and has not got it back."""
    return k.config.stock.is_page(k, pa)


@kernel
def is_refused(k: Kernel) -> bool:
    """Whether this request is the one that a test wants refused; counts requests in builds that inject faults."""
    if k.config.fault_injection == 0:
        return False
    k.frames.requests += 1
    return k.frames.requests == k.frames.refuse_at


@kernel
def nr_total_frames(k: Kernel) -> word:
    """Frames of the zone, or in `modern` of all RAM that blocks have, free or not."""
    return k.config.stock.nr_total_frames(k)


@kernel
def nr_free_frames(k: Kernel) -> word:
    """Free frames among them."""
    return k.config.stock.nr_free_frames(k)


@kernel
def nr_total_pool_frames(k: Kernel) -> word:
    """Frames of the boot pool, free or not."""
    return k.frames.pool.nr_total_frames


@kernel
def nr_free_pool_frames(k: Kernel) -> word:
    """Free frames of the boot pool."""
    return k.frames.pool.nr_free_frames


@kernel
def check(k: Kernel) -> word:
    """0, or the number, listed at the head of this file, of the first invariant that does not hold."""
    code = memory_map.check(k.memory_map)
    return code if code != OK else k.config.stock.check(k)
