"""The memory map: which parts of the address space are RAM, as the firmware told.

Unit: the frame; regions are whole frames. Knows nothing of who uses them. The firmware's list may be unsorted, may
overlap and may cut frames in two, and what is not RAM wins over what is. Kept are at most MAX_REGIONS pieces; RAM of
more pieces than that is left alone, so a strange map costs memory and never safety.
The list itself is start_info.py's.
"""

from typing import Final

from incroos.kernel.codes import OK
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.panic import panic
from incroos.kernel.start_info import MAGIC, StartInfo, StartInfoEntry, entry_of, info_of, is_in_reach
from incroos.kernel.state import MAX_REGIONS, Kernel, MemoryMap
from incroos.lang import PhysAddr, kernel, word

# MAP-1  nr_regions <= MAX_REGIONS
# MAP-2  0 <= start < end <= PHYSICAL_END of each region, both multiples of a frame
# MAP-3  each region ends before the next one starts: rising, and two that touch are one

PHYSICAL_END: Final = 1 << 52  # what a page-table entry can name
HAS_MEMORY_MAP: Final = 1  # the version from which on the start information has one
TYPE_RAM: Final = 1


@kernel
def read(k: Kernel, start_info: PhysAddr) -> None:
    """Take the RAM regions of the start information over into the Kernel struct.

    Panics when the start information is not there, has no memory map, or lies where the boot code maps nothing:
    without a memory map there is no kernel.
    """
    info = info_of(k, start_info)
    if not is_in_reach(start_info, StartInfo.SIZE):
        panic(k, b'memory map: start information out of reach', start_info, 0, 0)
    if info.magic != MAGIC:
        panic(k, b'memory map: wrong magic number: address, found, wanted', start_info, info.magic, MAGIC)
    if info.version < HAS_MEMORY_MAP or info.nr_entries == 0:
        panic(k, b'memory map: none: version, entries', info.version, 0, 0)
    if not is_in_reach(info.memory_map, info.nr_entries * StartInfoEntry.SIZE):
        panic(k, b'memory map: out of reach: address, entries', info.memory_map, info.nr_entries, 0)
    k.memory_map.nr_regions = 0
    for index in range(info.nr_entries):
        add_if_ram(k.memory_map, entry_of(k, info, index))
    for index in range(info.nr_entries):
        cut_if_not_ram(k.memory_map, entry_of(k, info, index))


@kernel
def add_if_ram(regions: MemoryMap, entry: StartInfoEntry) -> None:
    """Add the whole frames inside an entry that is RAM."""
    if entry.kind != TYPE_RAM:
        return
    start = (clipped_start(entry) + PAGE_BYTES - 1) & -PAGE_BYTES
    end = clipped_end(entry) & -PAGE_BYTES
    if start < end:
        add(regions, PhysAddr(start), PhysAddr(end))


@kernel
def cut_if_not_ram(regions: MemoryMap, entry: StartInfoEntry) -> None:
    """Cut out each frame that an entry of another type touches; an empty one touches none."""
    if entry.kind == TYPE_RAM or entry.nbytes == 0:
        return
    start = clipped_start(entry) & -PAGE_BYTES
    end = (clipped_end(entry) + PAGE_BYTES - 1) & -PAGE_BYTES
    if start < end:
        cut(regions, PhysAddr(start), PhysAddr(end))


@kernel
def clipped_start(entry: StartInfoEntry) -> word:
    """Where the entry starts; PHYSICAL_END if it is beyond (a negative word is an address of 2**63 or more)."""
    return entry.start if 0 <= entry.start < PHYSICAL_END else PHYSICAL_END


@kernel
def clipped_end(entry: StartInfoEntry) -> word:
    """Where the entry ends, PHYSICAL_END at the latest; an end behind 2**64 counts as beyond."""
    start = clipped_start(entry)
    return start + entry.nbytes if 0 <= entry.nbytes <= PHYSICAL_END - start else PHYSICAL_END


@kernel
def add(regions: MemoryMap, start: PhysAddr, end: PhysAddr) -> None:
    """Add [start, end), joined with all regions that it overlaps or touches."""
    index = 0
    while index < regions.nr_regions:
        region = regions.regions[index]
        if region.start <= end and start <= region.end:
            start = PhysAddr(min(start, region.start))
            end = PhysAddr(max(end, region.end))
            remove(regions, index)
        else:
            index += 1
    insert(regions, start, end)


@kernel
def cut(regions: MemoryMap, start: PhysAddr, end: PhysAddr) -> None:
    """Take [start, end) out of the regions."""
    index = 0
    while index < regions.nr_regions:
        region = regions.regions[index]
        region_start = region.start
        region_end = region.end
        if region_end <= start or end <= region_start:
            index += 1
            continue
        remove(regions, index)
        if region_start < start:
            insert(regions, region_start, start)
            index += 1
        if end < region_end:
            insert(regions, end, region_end)
            index += 1


@kernel
def insert(regions: MemoryMap, start: PhysAddr, end: PhysAddr) -> None:
    """Put [start, end), which touches no region, where it belongs; drop it when there is no room."""
    if regions.nr_regions == MAX_REGIONS:
        return
    at = regions.nr_regions
    while at > 0 and regions.regions[at - 1].start > start:
        regions.regions[at].start = regions.regions[at - 1].start
        regions.regions[at].end = regions.regions[at - 1].end
        at -= 1
    regions.regions[at].start = start
    regions.regions[at].end = end
    regions.nr_regions += 1


@kernel
def remove(regions: MemoryMap, index: word) -> None:
    """Take out the region at index; those behind move up."""
    regions.nr_regions -= 1
    for at in range(index, regions.nr_regions):
        regions.regions[at].start = regions.regions[at + 1].start
        regions.regions[at].end = regions.regions[at + 1].end


@kernel
def check(regions: MemoryMap) -> word:
    """0, or the number of the first MAP invariant that does not hold."""
    if regions.nr_regions > MAX_REGIONS:
        return 1
    behind = -1
    for index in range(regions.nr_regions):
        region = regions.regions[index]
        if not 0 <= region.start < region.end <= PHYSICAL_END or (region.start | region.end) % PAGE_BYTES != 0:
            return 2
        if region.start <= behind:
            return 3
        behind = region.end
    return OK
