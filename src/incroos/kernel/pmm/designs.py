"""Designs: what a module must have to be a frame allocator, or the stock of frames. A configuration names one of each.

zones.py calls the frame allocator, which holds the free frames of a zone: `zone.config.frames.take(zone, database, 0)`.
Its state is a struct in `zone.allocator`, ALLOCATOR_BYTES at most; for more it gets memory. A design of your own
defines the struct, STATE_BYTES and six functions: init, put, take, take_at, is_free and nr_free_frames. All others it
may take from the defaults:

    from incroos.kernel.pmm.all.defaults import add, check, end_of_taken, metadata_bytes, nr_free_blocks, ...

Unit: the block of 2**order frames, named by the PFN of its first frame. A block lies within the zone and at a multiple
of its size. Callers give back only what they were given, in parts if they said so, so a design does not look for
misuse: blocks.py does.
"""

from typing import Protocol

from incroos.kernel.state import FrameDatabase, HotList, Kernel, TableRecord, Zone
from incroos.lang import Pfn, PhysAddr, VirtAddr, word


class FrameAllocator(Protocol):
    """The free frames of a zone, those on hot lists aside."""

    STATE_BYTES: int  # of zone.allocator that the design uses: the SIZE of its struct

    # ------------------------------------------------------------------ what each design defines
    def init(self, zone: Zone, memory: VirtAddr) -> None:
        """No frame is free. start and end of the zone are set; the design has metadata_bytes of memory."""

    def put(self, zone: Zone, database: FrameDatabase, pfn: Pfn, order: word) -> None:
        """Take back a block."""

    def take(self, zone: Zone, database: FrameDatabase, order: word) -> Pfn:
        """A block; NO_FRAME."""

    def take_at(self, zone: Zone, database: FrameDatabase, pfn: Pfn, order: word) -> word:
        """This block: OK, or NOT_FREE."""

    def is_free(self, zone: Zone, database: FrameDatabase, pfn: Pfn, order: word) -> bool:
        """Whether all frames of a block are free."""

    def nr_free_frames(self, zone: Zone) -> word:
        """How many frames are free."""

    # ------------------------------------------------------------------ what has a default
    def metadata_bytes(self, start: Pfn, end: Pfn) -> word:
        """How much memory the design takes for a zone, besides its struct: whole words. Default: none."""

    def add(self, zone: Zone, database: FrameDatabase, start: Pfn, end: Pfn) -> None:
        """Call [start, end) free, which the design did not have before. Default: `put` of its largest blocks."""

    def end_of_taken(self, zone: Zone, database: FrameDatabase, pfn: Pfn) -> Pfn:
        """A PFN behind one at which a block begins that is not free: no frame between is free. Default: the next."""

    def refill(self, zone: Zone, database: FrameDatabase, hot: HotList) -> None:
        """Put blocks on an empty hot list, if there are any, and make their records readable. Default: `take`."""

    def take_back(self, zone: Zone, database: FrameDatabase, hot: HotList, nr_blocks: word) -> None:
        """Take so many of the oldest blocks off a hot list. Default: `put` of each."""

    def part(self, zone: Zone, database: FrameDatabase, pfn: Pfn, order: word) -> None:
        """A block that was handed out will come back frame by frame. Default: nothing to do."""

    def nr_free_blocks(self, zone: Zone, order: word) -> word:
        """Free blocks of an order that are part of no larger one. Default: unknown, 0."""

    def nr_splits(self, zone: Zone) -> word:
        """How many blocks were split so far. Default: not counted, 0."""

    def nr_merges(self, zone: Zone) -> word:
        """How many pairs or groups of blocks came together so far. Default: not counted, 0."""

    def check(self, zone: Zone, database: FrameDatabase) -> word:
        """0, or the number of the first invariant that does not hold. Default: 1 where the count of frames is wrong."""


class FrameStock(Protocol):
    """Who has the frames; frames.py asks. All answers are as there."""

    SPACE: int  # the address space that it goes with

    def init(self, k: Kernel) -> None:
        """The memory map is read, and the pool has its frames; all other state is 0."""

    def take_frame(self, k: Kernel) -> PhysAddr:
        """A frame for a page, as its last owner left it; NO_FRAME. Only when frames are open."""

    def has_zeroed(self, k: Kernel) -> bool:
        """Whether a frame was zeroed ahead of time, and may be had."""

    def take_zeroed(self, k: Kernel) -> PhysAddr:
        """One that was; NO_FRAME."""

    def zero_ahead(self, k: Kernel, nr_frames: word) -> word:
        """Zero so many free frames at most; how many."""

    def check_free_page(self, k: Kernel, pa: PhysAddr) -> word:
        """OK if put_frame may have the frame of a page back, else why not."""

    def put_frame(self, k: Kernel, pa: PhysAddr) -> None:
        """Take back what check_free_page says OK to."""

    def take_table(self, k: Kernel, level: word) -> PhysAddr:
        """A frame for a page table, as its last owner left it, of the pool until frames are open; NO_FRAME."""

    def take_zeroed_table(self, k: Kernel, level: word) -> PhysAddr:
        """One that is full of zeros; NO_FRAME when has_zeroed says that there is none."""

    def put_zeroed_table(self, k: Kernel, pa: PhysAddr) -> bool:
        """Take back a table's frame that is full of zeros, unless there is no room for such; checked before."""

    def has_kept(self, k: Kernel) -> bool:
        """Whether a root was put back as it was."""

    def take_kept_table(self, k: Kernel, level: word) -> PhysAddr:
        """Such a root; NO_FRAME when has_kept says that there is none."""

    def put_kept_table(self, k: Kernel, pa: PhysAddr) -> bool:
        """Take back a root as it is, unless there is no room for such; checked before."""

    def check_free_table(self, k: Kernel, pa: PhysAddr) -> word:
        """OK if put_table may have the frame of a table back, else why not."""

    def put_table(self, k: Kernel, pa: PhysAddr) -> None:
        """Take back what check_free_table says OK to."""

    def record_of(self, k: Kernel, pa: PhysAddr) -> TableRecord:
        """The record of the table round pa."""

    def is_table(self, k: Kernel, pa: PhysAddr) -> bool:
        """Whether the frame round any pa is a page table."""

    def is_page(self, k: Kernel, pa: PhysAddr) -> bool:
        """Whether the frame round any pa was handed out for a page."""

    def is_managed(self, k: Kernel, pa: PhysAddr) -> bool:
        """Whether take_frame might give the frame round any pa."""

    def nr_total_frames(self, k: Kernel) -> word:
        """Frames that take_frame might give, free or not."""

    def nr_free_frames(self, k: Kernel) -> word:
        """Free frames among them."""

    def check(self, k: Kernel) -> word:
        """0, or the number of the first invariant that does not hold."""
