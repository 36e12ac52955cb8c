"""The frame database: a record of each frame, and which records have been written."""

from typing import Annotated, Final

from incroos.lang import Array, Struct, VirtAddr, u8, u16, u32, u64

MAX_ORDER: Final = 18  # a block of 1 GiB
NR_ORDERS: Final = MAX_ORDER + 1


class FrameRecord(Struct):
    """A block begins here, or nothing does."""

    state: u8
    order: u8  # of the block
    owner: u16  # what a used or reserved block is for: its user's number
    nr_references: u32  # of a used block: as many `put` free it
    next: u32  # of a free block: PFNs of its neighbours on the list; of a used one: its owner's to use
    previous: u32


class FrameDatabase(Struct):
    """Where the records are."""

    records: VirtAddr
    known: VirtAddr
    nr_frames: u64  # the PFNs are below it


class Records(Struct):
    """View of the records."""

    items: Annotated[Array[FrameRecord], 0]


class KnownBytes(Struct):
    """View of `known`."""

    items: Annotated[Array[u8], 0]
