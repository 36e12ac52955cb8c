"""Designs of frame allocators: what a module must have to hold the free frames of a zone.

A configuration names the module, and zones.py calls it: `zone.config.frames.take(zone, database, 0)`. Its state is a
struct in `zone.allocator`, ALLOCATOR_BYTES at most; for more it gets memory. A design of its own defines a struct,
STATE_BYTES and six functions: init, put, take, take_at, is_free and nr_free_frames. For all others it may begin with

    from incroos.kernel.pmm.all.defaults import *

Unit: the block of 2**order frames, named by the PFN of its first frame. A block lies within the zone and at a multiple
of its size. Callers give back only what they were given, so a design does not look for misuse: blocks.py does.
"""

from typing import Protocol

from incroos.kernel.state import FrameDatabase, HotList, Zone
from incroos.lang import Pfn, VirtAddr, word


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

    def nr_free_blocks(self, zone: Zone, order: word) -> word:
        """Free blocks of an order that are part of no larger one. Default: unknown, 0."""

    def nr_splits(self, zone: Zone) -> word:
        """How many blocks were split so far. Default: not counted, 0."""

    def nr_merges(self, zone: Zone) -> word:
        """How many pairs or groups of blocks came together so far. Default: not counted, 0."""

    def check(self, zone: Zone, database: FrameDatabase) -> word:
        """0, or the number of the first invariant that does not hold. Default: 1 where the count of frames is wrong."""
