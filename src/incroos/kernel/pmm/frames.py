"""Frames: who gets the machine's RAM, 4 KiB at a time.

Unit: the frame, named by its physical address. Knows nothing of virtual addresses and never reclaims: when no frame is
free it says so. In config `modern` all_ram.py has the frames; in `classic` there are two stocks, told apart by address:

    boot pool  0x10000 - 0x100000, what is RAM of it   page tables only, because it is mapped from the start
    zone       8,192 frames from 2 MiB, what is RAM    everything; page tables when the pool is empty

A frame is zeroed when it is handed out and not touched while it is free (a build that poisons fills it on free).
"""

from typing import Final

from incroos.kernel.codes import NO_FRAME, OK, RESERVED
from incroos.kernel.config import MODERN_SPACE
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import (
    BOOT_TABLES_END,
    NR_TRACKED_FRAMES,
    PAGE_BYTES,
    PAGE_SHIFT,
    POOL_END,
    POOL_START,
    ZONE_END,
    ZONE_START,
)
from incroos.kernel.pmm import bitmap, memory_map
from incroos.kernel.pmm.all import blocks
from incroos.kernel.pmm.all import modern as all_ram
from incroos.kernel.state import Counters, FrameBitmap, Frames, FrameState, Kernel, Statistics, TableRecord
from incroos.lang import PhysAddr, VirtAddr, fill, kernel, load64, word

# PMM-1   the memory map is in order                                              1 to 5: MAP invariant
# PMM-2   the pool is in order                                                   11 to 14: 10 + BITMAP invariant
# PMM-3   the zone is in order                                                   21 to 24: 20 + BITMAP invariant
# PMM-4   a record names a table only if the frame is handed out, or is one of the boot code's tables         31

POOL_INVARIANTS: Final = 10
ZONE_INVARIANTS: Final = 20
RECORD_INVARIANT: Final = 31
BLOCKS_INVARIANTS: Final = 1000  # in `modern`
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
    if k.config.space == MODERN_SPACE:
        all_ram.init_early(k)
    else:
        bitmap.add_ram(frames.zone, k.memory_map, PhysAddr(ZONE_END))
    frames.requests = 0
    fill(k.m, k.blocks.addr, 0, Frames.SIZE)
    fill(k.m, k.counters.addr, 0, Counters.SIZE)
    fill(k.m, k.statistics.addr, 0, Statistics.SIZE)
    frames.refuse_at = 0
    fill(k.m, frames.records.addr, 0, NR_TRACKED_FRAMES * TableRecord.SIZE)


@kernel
def open_zone(k: Kernel) -> None:
    """Allow frames of the zone, or of all RAM, to be handed out: from now on they are mapped."""
    k.frames.are_frames_open = 1


@kernel
def alloc_page(k: Kernel) -> PhysAddr:
    """A zeroed frame of the zone; NO_FRAME when none is free."""
    if has_zeroed(k):
        pa = take_zeroed(k)
    else:
        pa = take_frame(k)
        if pa >= 0:
            zero_frame(k, pa)
    return pa


@kernel
def has_zeroed(k: Kernel) -> bool:
    """Whether a frame was zeroed ahead."""
    return k.config.space == MODERN_SPACE and k.frames.are_frames_open != 0 and all_ram.has_zeroed(k)


@kernel
def take_zeroed(k: Kernel) -> PhysAddr:
    """One that was; NO_FRAME."""
    return PhysAddr(NO_FRAME) if is_refused(k) else all_ram.take_zeroed(k)


@kernel
def zero_ahead(k: Kernel, nr_frames: word) -> word:
    """Zero so many frames, at most, for alloc_page to find: for a kernel that has nothing else to do. How many it did.

    None in `classic`, which has a fixed number of frames and hands out the lowest.
    """
    return all_ram.zero_ahead(k, nr_frames) if k.config.space == MODERN_SPACE else 0


@kernel
def free_page(k: Kernel, pa: PhysAddr) -> word:
    """Take back what alloc_page or take_frame gave.

    MISALIGNED, FOREIGN (not of the zone), RESERVED (below the zone, or a page table) and DOUBLE_FREE change nothing.
    Whose the frame is, and whether it is mapped, is not looked at: only its owner may free it.
    """
    if k.config.space == MODERN_SPACE:
        code = all_ram.check_free_page(k, pa)
        if code == OK:
            poison(k, pa)
            all_ram.put_frame(k, pa)
        return code
    code = bitmap.check_free(k.frames.zone, pa)
    if code == OK:
        if k.frames.records[pa >> PAGE_SHIFT].level != 0:
            return RESERVED
        put_frame(k, k.frames.zone, pa)
        return OK
    if 0 <= pa < ZONE_START and pa % PAGE_BYTES == 0:
        return RESERVED
    return code


@kernel
def take_frame(k: Kernel) -> PhysAddr:
    """A frame of the zone with whatever its last owner left in it; NO_FRAME. For callers that overwrite it whole."""
    if k.frames.are_frames_open == 0:
        panic(k, b'pmm: a frame of the zone was asked for before vmm.init', 0, 0, 0)
    if is_refused(k):
        return PhysAddr(NO_FRAME)
    if k.config.space == MODERN_SPACE:
        return all_ram.take_frame(k)
    return bitmap.take(k.frames.zone)


@kernel
def take_huge(k: Kernel) -> PhysAddr:
    """512 frames in a row, at a multiple of 2 MiB, as their last owners left them; NO_FRAME. Only in `modern`."""
    return PhysAddr(NO_FRAME) if is_refused(k) else all_ram.take_huge(k)


@kernel
def free_block(k: Kernel, pa: PhysAddr) -> word:
    """Take back what take_frame or take_huge gave; else the codes of free_page. Only in `modern`."""
    if not all_ram.is_page(k, pa) or all_ram.bytes_of_page(k, pa) == PAGE_BYTES:
        return free_page(k, pa)
    for at in range(0, all_ram.bytes_of_page(k, pa), PAGE_BYTES):
        poison(k, PhysAddr(pa + at))
    all_ram.put_huge(k, pa)
    return OK


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
    if k.config.space == MODERN_SPACE:
        return all_ram.take_table(k, level)
    pa = bitmap.take(k.frames.pool)
    if pa < 0 and k.frames.are_frames_open != 0:
        pa = bitmap.take(k.frames.zone)
    if pa >= 0:
        k.frames.records[pa >> PAGE_SHIFT].level = level
    return pa


@kernel
def free_table(k: Kernel, pa: PhysAddr) -> word:
    """Take back what alloc_table gave, once no TLB knows it.

    MISALIGNED, FOREIGN, RESERVED (no page table, or one of the boot code's) and DOUBLE_FREE change nothing.
    """
    if k.config.space == MODERN_SPACE:
        code = all_ram.check_free_table(k, pa)
        if code == OK:
            poison(k, pa)
            all_ram.put_table(k, pa)
        return code
    stock = stock_of(k.frames, pa)
    code = bitmap.check_free(stock, pa)
    if code == OK:
        if k.frames.records[pa >> PAGE_SHIFT].level == 0:
            return RESERVED
        k.frames.records[pa >> PAGE_SHIFT].level = 0
        put_frame(k, stock, pa)
        return OK
    if (0 <= pa < POOL_START or POOL_END <= pa < ZONE_START) and pa % PAGE_BYTES == 0:
        return RESERVED
    return code


@kernel
def record_of(k: Kernel, pa: PhysAddr) -> TableRecord:
    """The record of the frame round pa, which is among those that have one."""
    if k.config.space == MODERN_SPACE:
        return all_ram.record_of(k, pa)
    return k.frames.records[pa >> PAGE_SHIFT]


@kernel
def is_table(k: Kernel, pa: PhysAddr) -> bool:
    """Whether the frame at any pa is a page table."""
    if k.config.space == MODERN_SPACE:
        return all_ram.is_table(k, pa)
    return 0 <= pa < ZONE_END and record_of(k, pa).level != 0


@kernel
def stock_of(frames: FrameState, pa: PhysAddr) -> FrameBitmap:
    """The stock whose addresses pa is among, or the one that will refuse it."""
    if pa < POOL_END:
        return frames.pool
    return frames.zone


@kernel
def put_frame(k: Kernel, stock: FrameBitmap, pa: PhysAddr) -> None:
    """Give a frame, checked before, back to its stock."""
    poison(k, pa)
    bitmap.put(stock, pa)


@kernel
def poison(k: Kernel, pa: PhysAddr) -> None:
    """Spoil what is in a frame that is freed, in builds that do."""
    if k.config.poison != 0:
        fill(k.m, address_of(k, pa), POISON, PAGE_BYTES)


@kernel
def is_managed(k: Kernel, pa: PhysAddr) -> bool:
    """Whether alloc_page might give the frame round any pa."""
    if k.config.space == MODERN_SPACE:
        return 0 <= pa >> PAGE_SHIFT < all_ram.nr_frames(k)
    return ZONE_START <= pa < ZONE_END


@kernel
def is_page(k: Kernel, pa: PhysAddr) -> bool:
    """Whether alloc_page gave the frame round any pa and has not got it back."""
    if k.config.space == MODERN_SPACE:
        return all_ram.is_page(k, pa)
    return bitmap.check_free(k.frames.zone, PhysAddr(pa & -PAGE_BYTES)) == OK and not is_table(k, pa)


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
    if k.config.space == MODERN_SPACE:
        return blocks.nr_total_frames(k.blocks)
    return k.frames.zone.nr_total_frames


@kernel
def nr_free_frames(k: Kernel) -> word:
    """Free frames among them."""
    if k.config.space == MODERN_SPACE:
        return blocks.nr_free_frames(k.blocks)
    return k.frames.zone.nr_free_frames


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
    if code != OK:
        return code
    if k.config.space == MODERN_SPACE:
        code = blocks.check(k.blocks)
        return code if code == OK else BLOCKS_INVARIANTS + code
    code = bitmap.check(k.frames.pool)
    if code != OK:
        return POOL_INVARIANTS + code
    code = bitmap.check(k.frames.zone)
    if code != OK:
        return ZONE_INVARIANTS + code
    return check_records(k)


@kernel
def check_records(k: Kernel) -> word:
    """OK or RECORD_INVARIANT. Looks at two records at a time, because nearly all of them are zero."""
    for pfn in range(0, NR_TRACKED_FRAMES, 2):
        if load64(k.m, k.frames.records[pfn].addr) != 0 and not (
            is_record_right(k.frames, pfn) and is_record_right(k.frames, pfn + 1)
        ):
            return RECORD_INVARIANT
    return OK


@kernel
def is_record_right(frames: FrameState, pfn: word) -> bool:
    """Whether the frame may be what its record says."""
    record = frames.records[pfn]
    pa = PhysAddr(pfn << PAGE_SHIFT)
    if record.level == 0:
        return record.nr_entries == 0 and record.nr_references == 0
    return pa < BOOT_TABLES_END or bitmap.check_free(stock_of(frames, pa), pa) == OK
