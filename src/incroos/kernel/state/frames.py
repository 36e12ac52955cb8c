"""Frames: the stocks of `classic`, the early ones of `modern`, and the tables below the zone's end."""

from typing import Annotated, Final

from incroos.kernel.layout import NR_TRACKED_FRAMES, ZONE_FRAMES
from incroos.lang import Array, PhysAddr, Struct, u8, u16, u64

BITMAP_WORDS: Final = ZONE_FRAMES // 64
SUMMARY_WORDS: Final = BITMAP_WORDS // 64


class FrameBitmap(Struct):
    """Up to 8,192 frames in a row, one bit each. Owner: pmm.bitmap. Lock: stock."""

    start: PhysAddr  # of the frame of bit 0
    hint: u64  # the word where the search begins
    nr_total_frames: u64
    nr_free_frames: u64
    summary: Annotated[Array[u64], SUMMARY_WORDS]  # a bit for each word of `free`: is it not 0?
    managed: Annotated[Array[u64], BITMAP_WORDS]  # the frame is RAM and may be handed out
    free: Annotated[Array[u64], BITMAP_WORDS]  # the frame is nobody's


class TableRecord(Struct):
    """What is known of a page table in one frame. Owner: pmm for the level, vmm for the rest. Lock: stock."""

    nr_entries: u16  # of a table: entries that are not 0, and 1 more if the boot code made it
    level: u8  # 1 to 5: the frame is a page table of this level; 0: it is not a table
    nr_references: u8  # used inside vmm.check, 0 at all other times


class FrameState(Struct):
    """Owner: pmm. Lock: stock."""

    pool: FrameBitmap
    zone: FrameBitmap
    are_frames_open: u64  # 1 when frames can be had that are not of the pool
    early_start: PhysAddr  # all_ram: early memory is [early_end, early_limit), and may grow down to early_start
    early_end: PhysAddr
    early_limit: PhysAddr
    requests: u64  # frames asked for so far; counted where config.fault_injection is set
    nr_tables: u64  # page tables that were handed out, of all address spaces
    refuse_at: u64  # the request to be refused, counting from 1; 0 refuses none
    records: Annotated[Array[TableRecord], NR_TRACKED_FRAMES]  # the frame database: by PFN, from address 0 on
