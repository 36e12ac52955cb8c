"""Statistics: counts figures about memory when somebody asks. Only in config `modern`.

What is counted says struct Statistics in state/, where the host reads it. Takes as long as there are tables and words
of free frames. Unit: the frame.
"""

from typing import Final

from incroos.kernel import pmm
from incroos.kernel.arch.pte import (
    LARGEST_LEAF_LEVEL,
    NR_ENTRIES,
    PHYSICAL_END,
    index_in,
    is_leaf,
    is_present,
    page_bytes,
)
from incroos.kernel.config import MODERN_SPACE
from incroos.kernel.layout import BOOT_MAP_END, PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.pmm import hot_list
from incroos.kernel.pmm.all import modern as all_ram
from incroos.kernel.pmm.all import zones
from incroos.kernel.pmm.all.frame_database import HUGE_ORDER
from incroos.kernel.pmm.all.zones import LOW
from incroos.kernel.pmm.memory_kinds import RAM
from incroos.kernel.state import NR_ORDERS, NR_ZONES, Kernel, Statistics, Zone, ZoneStatistics
from incroos.kernel.vmm import walk
from incroos.kernel.vmm.levels import address_behind, nr_addresses
from incroos.kernel.vmm.windows import close_table, is_window, open_table, window_bytes
from incroos.lang import PhysAddr, VirtAddr, kernel, load64, word

PER_MILLE: Final = 1000


@kernel
def can_collect(k: Kernel) -> bool:
    """Whether this configuration has what is counted."""
    return k.config.space == MODERN_SPACE


@kernel
def collect(k: Kernel) -> Statistics:
    """Count everything, and leave it in the Kernel struct."""
    found = k.statistics
    found.nr_collected += 1
    found.ram = count_ram(k, 0, PHYSICAL_END)
    found.managed = pmm.nr_total_frames(k)
    found.free = pmm.nr_free_frames(k)
    found.tables = k.frames.nr_tables
    found.kept = k.blocks.nr_reserved_frames
    found.pages = found.managed - found.free - found.kept - (found.tables - count_early_tables(k))
    nr_low = zone_of(k, LOW).nr_total_frames
    found.reserved_low = count_ram(k, 0, BOOT_MAP_END) - nr_low
    found.reserved_metadata = count_ram(k, BOOT_MAP_END, PHYSICAL_END) - (found.managed - nr_low)
    count_blocks(k)
    count_mapped(k)
    return found


@kernel
def count_ram(k: Kernel, start: word, end: word) -> word:
    """Frames of RAM in [start, end)."""
    nr_frames = 0
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        if region.kind == RAM:
            nr_frames += max(0, min(region.end, end) - max(region.start, start)) >> PAGE_SHIFT
    return nr_frames


@kernel
def count_early_tables(k: Kernel) -> word:
    """Page tables that were made before the metadata: they are among the frames reserved below 2 MiB."""
    nr_tables = 0
    for pa in range(0, BOOT_MAP_END, PAGE_BYTES):
        if all_ram.is_early_table(k, PhysAddr(pa)):
            nr_tables += 1
    return nr_tables


@kernel
def zone_of(k: Kernel, number: word) -> Zone:
    """The metadata of a zone."""
    return k.blocks.zones[number]


@kernel
def count_blocks(k: Kernel) -> None:
    """The zones, and what follows from them: largest block, fragmentation, splits and merges."""
    found = k.statistics
    found.largest_free_order = -1
    found.splits = 0
    found.merges = 0
    for number in range(NR_ZONES):
        zone = zone_of(k, number)
        found.splits += zone.config.frames.nr_splits(zone)
        found.merges += zone.config.frames.nr_merges(zone)
        count_zone(k, zone, found.zones[number])
    count_fragmentation(k)


@kernel
def count_zone(k: Kernel, zone: Zone, found: ZoneStatistics) -> None:
    """The figures of a zone, and whether it has the largest free block so far."""
    found.total = zone.nr_total_frames
    found.free = zones.nr_free_frames(zone)
    if hot_list.nr_blocks(zone.huge) != 0:
        k.statistics.largest_free_order = max(k.statistics.largest_free_order, HUGE_ORDER)
    for order in range(NR_ORDERS):
        nr_blocks = zone.config.frames.nr_free_blocks(zone, order)
        found.free_blocks[order] = nr_blocks
        if nr_blocks != 0:
            k.statistics.largest_free_order = max(k.statistics.largest_free_order, order)


@kernel
def count_fragmentation(k: Kernel) -> None:
    """For each order, how much of what is free is of no use to who asks for it, per mille.

    The unusable free space index of M. Gorman and A. Whitcroft, "The What, The Why and the Where To of
    Anti-Fragmentation", Ottawa Linux Symposium 2006. Frames on hot lists of single frames count as scattered.
    """
    found = k.statistics
    nr_usable = 0
    for order in range(NR_ORDERS - 1, 0, -1):
        for number in range(NR_ZONES):
            nr_usable += found.zones[number].free_blocks[order] << order
            if order == HUGE_ORDER:
                nr_usable += hot_list.nr_blocks(zone_of(k, number).huge) << order
        found.fragmentation[order] = PER_MILLE * (found.free - nr_usable) // found.free if found.free != 0 else 0
    found.fragmentation[0] = 0


@kernel
def count_mapped(k: Kernel) -> None:
    """Pages of each size; what is mapped to reach tables does not count."""
    found = k.statistics
    for index in range(LARGEST_LEAF_LEVEL):
        found.mapped[index] = 0
    at = 0
    while at < nr_addresses(k.space):
        va = address_behind(k.space, at)
        if is_window(k.space, va, PAGE_BYTES):
            at += window_bytes(k.space, va)
        else:
            level, nr_entries, nr_pages = count_run(k, va)
            if nr_pages != 0:
                found.mapped[level - 1] += nr_pages
            at += nr_entries * page_bytes(level)


@kernel
def count_run(k: Kernel, va: VirtAddr) -> tuple[word, word, word]:
    """Look at entries in a row, from the one for va to the next that leads to a table: level, entries, pages."""
    _code, level, slot, _entry = walk(k, va)
    nr_entries = 0
    nr_pages = 0
    entries = open_table(k.space, slot, va, level)
    for index in range(NR_ENTRIES - index_in(va, level)):
        entry = load64(k.m, VirtAddr(entries + 8 * index))
        if is_present(entry):
            if not is_leaf(entry, level):
                break
            nr_pages += 1
        nr_entries += 1
    close_table(k.space, level)
    return level, nr_entries, nr_pages
