"""Classic: the stock of frames of config `classic`, two bitmaps that are told apart by address.

    boot pool  0x10000 - 0x100000, what is RAM of it   page tables only, because it is mapped from the start
    zone       8,192 frames from 2 MiB, what is RAM    everything; page tables when the pool is empty

Unit: the frame, named by its physical address. A record for each frame says whether it is a page table.
"""

from typing import Final

from incroos.kernel.codes import NO_FRAME, OK, RESERVED
from incroos.kernel.config import CLASSIC_SPACE
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
from incroos.kernel.pmm import bitmap
from incroos.kernel.state import FrameBitmap, FrameState, Kernel, TableRecord
from incroos.lang import PhysAddr, kernel, load64, word

# PMM-2   the pool is in order                                                   11 to 14: 10 + BITMAP invariant
# PMM-3   the zone is in order                                                   21 to 24: 20 + BITMAP invariant
# PMM-4   a record names a table only if the frame is handed out, or is one of the boot code's tables         31

SPACE: Final = CLASSIC_SPACE
POOL_INVARIANTS: Final = 10
ZONE_INVARIANTS: Final = 20
RECORD_INVARIANT: Final = 31


@kernel
def init(k: Kernel) -> None:
    """Call all RAM of the zone free."""
    bitmap.add_ram(k.frames.zone, k.memory_map, PhysAddr(ZONE_END))


@kernel
def stock_of(frames: FrameState, pa: PhysAddr) -> FrameBitmap:
    """The stock whose addresses pa is among, or the one that will refuse it."""
    if pa < POOL_END:
        return frames.pool
    return frames.zone


# ------------------------------------------------------------------ pages
@kernel
def take_frame(k: Kernel) -> PhysAddr:
    """The lowest free frame of the zone; NO_FRAME."""
    return bitmap.take(k.frames.zone)


@kernel
def check_free_page(k: Kernel, pa: PhysAddr) -> word:
    """OK if put_frame may have the frame back, else why not."""
    code = bitmap.check_free(k.frames.zone, pa)
    if code == OK:
        return OK if k.frames.records[pa >> PAGE_SHIFT].level == 0 else RESERVED
    if 0 <= pa < ZONE_START and pa % PAGE_BYTES == 0:
        return RESERVED
    return code


@kernel
def put_frame(k: Kernel, pa: PhysAddr) -> None:
    """Take back a page's frame, checked before."""
    bitmap.put(k.frames.zone, pa)


@kernel
def is_managed(k: Kernel, pa: PhysAddr) -> bool:
    """Whether the frame round any pa is of the zone."""
    return ZONE_START <= pa < ZONE_END


@kernel
def is_page(k: Kernel, pa: PhysAddr) -> bool:
    """Whether the frame round any pa is handed out, and not as a page table."""
    return bitmap.check_free(k.frames.zone, PhysAddr(pa & -PAGE_BYTES)) == OK and not is_table(k, pa)


@kernel
def nr_total_frames(k: Kernel) -> word:
    """Frames of the zone, free or not."""
    return k.frames.zone.nr_total_frames


@kernel
def nr_free_frames(k: Kernel) -> word:
    """Free frames among them."""
    return k.frames.zone.nr_free_frames


# ------------------------------------------------------------------ zeroing ahead of time: never, the lowest goes first
@kernel
def has_zeroed(k: Kernel) -> bool:
    """No frame is zeroed before it is asked for."""
    return False


@kernel
def take_zeroed(k: Kernel) -> PhysAddr:
    """NO_FRAME."""
    return PhysAddr(NO_FRAME)


@kernel
def zero_ahead(k: Kernel, nr_frames: word) -> word:
    """None."""
    return 0


# ------------------------------------------------------------------ tables
@kernel
def take_table(k: Kernel, level: word) -> PhysAddr:
    """A frame to be a page table, of the pool or else of the zone, once that is open; NO_FRAME."""
    pa = bitmap.take(k.frames.pool)
    if pa < 0 and k.frames.are_frames_open != 0:
        pa = bitmap.take(k.frames.zone)
    if pa >= 0:
        k.frames.records[pa >> PAGE_SHIFT].level = level
    return pa


@kernel
def take_zeroed_table(k: Kernel, level: word) -> PhysAddr:
    """NO_FRAME."""
    return PhysAddr(NO_FRAME)


@kernel
def put_zeroed_table(k: Kernel, pa: PhysAddr) -> bool:
    """No frame is kept as one that is full of zeros."""
    return False


@kernel
def has_kept(k: Kernel) -> bool:
    """No root is: there is one space."""
    return False


@kernel
def take_kept_table(k: Kernel, level: word) -> PhysAddr:
    """NO_FRAME."""
    return PhysAddr(NO_FRAME)


@kernel
def put_kept_table(k: Kernel, pa: PhysAddr) -> bool:
    """Refused."""
    return False


@kernel
def check_free_table(k: Kernel, pa: PhysAddr) -> word:
    """OK if put_table may have the frame back, else why not."""
    code = bitmap.check_free(stock_of(k.frames, pa), pa)
    if code == OK:
        return OK if k.frames.records[pa >> PAGE_SHIFT].level != 0 else RESERVED
    if (0 <= pa < POOL_START or POOL_END <= pa < ZONE_START) and pa % PAGE_BYTES == 0:
        return RESERVED
    return code


@kernel
def put_table(k: Kernel, pa: PhysAddr) -> None:
    """Take back a table's frame, checked before."""
    k.frames.records[pa >> PAGE_SHIFT].level = 0
    bitmap.put(stock_of(k.frames, pa), pa)


@kernel
def record_of(k: Kernel, pa: PhysAddr) -> TableRecord:
    """The record of the frame round pa, which is among those that have one."""
    return k.frames.records[pa >> PAGE_SHIFT]


@kernel
def is_table(k: Kernel, pa: PhysAddr) -> bool:
    """Whether the frame at any pa is a page table."""
    return 0 <= pa < ZONE_END and record_of(k, pa).level != 0


# ------------------------------------------------------------------ the check
@kernel
def check(k: Kernel) -> word:
    """0, or the number, listed at the head of this file, of the first invariant that does not hold."""
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
