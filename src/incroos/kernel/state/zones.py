"""Zones of frames: their hot lists, and the area for the state of their allocator."""

from typing import Annotated, Final

from incroos.kernel.config import KernelConfig
from incroos.kernel.layout import ALLOCATOR_BYTES
from incroos.kernel.state.frame_database import FrameDatabase
from incroos.lang import Array, Pfn, Struct, u32, u64

NR_ZONES: Final = 3
NR_SLOTS: Final = 128  # of a hot list


class HotList(Struct):
    """Free blocks of one order. Lock: zone."""

    order: u64  # of its blocks
    limit: u64  # how many blocks may be on it
    top: u64  # blocks that were ever pushed, less those that were popped; the next one goes to this slot
    bottom: u64  # the slot of the oldest one
    frontier: u64  # a block from this PFN on is not to be kept here
    slots: Annotated[Array[u32], NR_SLOTS]


class Zone(Struct):
    """Frames of one range. Owner: pmm.zones, and the design that config.frames names for its allocator.

    Lock: zone; start, end and fallback do not change.
    """

    config: KernelConfig
    start: Pfn
    end: Pfn
    fallback: u64  # the zone to ask when this one has nothing
    nr_total_frames: u64  # its RAM
    single: HotList
    huge: HotList
    zeroed: HotList
    kept: HotList  # roots of address spaces
    allocator: Annotated[Array[u64], ALLOCATOR_BYTES // 8]  # a struct of the design


class Frames(Struct):
    """All frames of the machine. Owner: pmm.blocks. Lock: database, for the count; the zones have their own."""

    zones: Annotated[Array[Zone], NR_ZONES]
    database: FrameDatabase
    preferred: u64  # the highest zone that has RAM
    nr_reserved_frames: u64
