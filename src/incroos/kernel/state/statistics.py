"""What is counted all the time, and what is collected when somebody asks."""

from typing import Annotated

from incroos.kernel.state.frame_database import NR_ORDERS
from incroos.kernel.state.zones import NR_ZONES
from incroos.lang import Array, Struct, i64, u64


class Counters(Struct):
    """How often things were done, where config.counters is set. Owner: who does them."""

    allocs: u64  # frames and tables that were handed out
    frees: u64
    flushes: u64  # pages that the TLB was told to forget


class ZoneStatistics(Struct):
    """Of one zone, in frames."""

    total: u64
    free: u64
    free_blocks: Annotated[Array[u64], NR_ORDERS]  # by order; those on hot lists do not count


class Statistics(Struct):
    """Figures about memory, in frames where nothing else is said; as they were when somebody asked. Owner: statistics.

    ram == managed + reserved_low + reserved_metadata, managed == the sum of the zones' totals. What is no RAM is
    counted by kind in memory_map.nr_frames.
    """

    nr_collected: u64  # how often somebody asked
    ram: u64
    managed: u64  # frames that blocks are made of
    free: u64
    pages: u64  # handed out, and no page tables
    kept: u64  # that pmm.frame_ranges has reserved
    tables: u64  # page tables, early ones too
    reserved_low: u64  # below 2 MiB: BIOS data, boot tables, image and state, early page tables
    reserved_metadata: u64  # the metadata themselves, and the frames' records
    largest_free_order: i64  # -1 when no block is free
    fragmentation: Annotated[Array[u64], NR_ORDERS]  # free frames that are in no free block of the order, per mille
    mapped: Annotated[Array[u64], 3]  # pages of 4 KiB, 2 MiB and 1 GiB
    splits: u64
    merges: u64
    zones: Annotated[Array[ZoneStatistics], NR_ZONES]
