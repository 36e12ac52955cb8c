"""The frame database: a record of each frame, and which records have been written."""

from typing import Annotated, Final

from incroos.lang import Array, Struct, VirtAddr, u8, u16, u32, u64

MAX_ORDER: Final = 18  # a block of 1 GiB
NR_ORDERS: Final = MAX_ORDER + 1


class FrameRecord(Struct):
    """A used or reserved block begins here, or nothing does.

    byte    0      1      2      4              8           12           16
            state  order  owner  nr_references  owner_word  nr_mappings

    A mapping is a reference, too, so that a block that is mapped cannot be freed: one look at the first eight bytes
    says that a block is used, of which order, and that nobody but its owner has it. Lock: database.
    """

    state: u8
    order: u8  # of the block
    owner: u16  # what a used or reserved block is for: its user's number
    nr_references: u32  # of a used block: its owner's, and one for each mapping; as many `put` free it
    owner_word: u32  # of a used block, its owner's to use: a TableRecord, a number of the heap, later the reverse map
    nr_mappings: u32  # of a used block: entries of page tables that lead to it, where they are counted; else 0


class ListRecord(Struct):
    """The 16 bytes where a free block begins that is on a list. Lock: zone."""

    state: u8
    order: u8  # of the block
    owner: u16  # nobody's
    nr_references: u32  # none
    next: u32  # PFNs of its neighbours on the list
    previous: u32


class FrameDatabase(Struct):
    """Where the records are. Lock: database, for what is at `known`."""

    records: VirtAddr
    known: VirtAddr
    nr_frames: u64  # the PFNs are below it


class Records(Struct):
    """View of the records. Lock: database."""

    items: Annotated[Array[FrameRecord], 0]


class KnownBytes(Struct):
    """View of `known`. Lock: database."""

    items: Annotated[Array[u8], 0]
