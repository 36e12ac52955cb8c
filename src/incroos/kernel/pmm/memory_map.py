"""The memory map: what each part of the address space is, made from what the firmware told.

Unit: the frame. Knows nothing of who uses which. The firmware's list may be in any order, may overlap, and may cut
frames in two. Byte by byte, the most restrictive kind that any entry gives has it (memory_kinds.py); a frame is what
the most restrictive of its bytes is, and RAM only if all of them are:

    the firmware's list        RAM......|             |..RAM.......         a frame is four characters wide
                                  |reserved..|
    regions                |RAM.|reserved....|    |...RAM.|

The regions are in rising order and do not overlap. There is room for MAX_REGIONS of them; of more than that those are
left out that are worth least, what is no RAM before what is. What is in no region nobody uses, so a strange map costs
memory and never safety. The framebuffer that the console uses is no RAM, whatever the list says.
"""

from typing import Final

from incroos.kernel.arch.pte import PHYSICAL_END
from incroos.kernel.arch.pvh import MAGIC, StartInfo, StartInfoEntry, entry_of, info_of, is_in_reach
from incroos.kernel.codes import OK
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import BOOT_MAP_END, PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.pmm.memory_kinds import HOLE, RAM, RESERVED, kind_of_e820
from incroos.kernel.state import MAX_REGIONS, NR_KINDS, Kernel, MemoryMap, Region
from incroos.lang import PhysAddr, VirtAddr, fill, kernel, word

# MAP-1  nr_regions <= MAX_REGIONS
# MAP-2  0 <= start < end <= PHYSICAL_END of each region, both multiples of a frame
# MAP-3  each region starts where the one before it ends, and is of another kind, or starts behind it
# MAP-4  each region is of a kind that regions can be of
# MAP-5  nr_frames of each kind == the frames in its regions + nr_left_out of it

HAS_MEMORY_MAP: Final = 1  # the version from which on the start information has one
NOTHING: Final = 0  # less than any kind

# What a region is worth, beyond its frames.
WORTH_OF_RAM: Final = 1 << 41
WORTH_OF_BOOT_RAM: Final = 1 << 42  # image, boot pool


@kernel
def read(k: Kernel, start_info: PhysAddr) -> None:
    """Make the memory map of the Kernel struct from the start information."""
    info = find_list(k, start_info)
    read_list(k, entry_of(k, info, 0).addr, info.nr_entries)


@kernel
def read_list(k: Kernel, entries: VirtAddr, nr_entries: word) -> None:
    """Make the memory map of the Kernel struct from the firmware's list.

    Takes as long as there are pairs of entries, of which the boot code hands over 1,024 at most.
    """
    fill(k.m, k.memory_map.addr, 0, MemoryMap.SIZE)
    start = 0
    kind, end = find_frames(k, entries, nr_entries, start)
    while end < PHYSICAL_END:
        next_kind, next_end = find_frames(k, entries, nr_entries, end)
        if next_kind != kind:
            add(k.memory_map, kind, PhysAddr(start), PhysAddr(end))
            start = end
            kind = next_kind
        end = next_end
    add(k.memory_map, kind, PhysAddr(start), PhysAddr(end))


# ------------------------------------------------------------------ the firmware's list
@kernel
def find_list(k: Kernel, start_info: PhysAddr) -> StartInfo:
    """The start information, which names the list.

    Panics when it is not there, has no memory map, or lies where the boot code maps nothing: without a memory map there
    is no kernel.
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
    return info


@kernel
def find_frames(k: Kernel, entries: VirtAddr, nr_entries: word, start: word) -> tuple[word, word]:
    """The kind of the frame at start, and an end up to which all frames are of this kind."""
    kind, end = find_bytes(k, entries, nr_entries, start)
    if end - start >= PAGE_BYTES:
        return kind, end & -PAGE_BYTES
    while end < start + PAGE_BYTES:
        next_kind, next_end = find_bytes(k, entries, nr_entries, end)
        kind = max(kind, next_kind)
        end = next_end
    return kind, start + PAGE_BYTES


@kernel
def find_bytes(k: Kernel, entries: VirtAddr, nr_entries: word, start: word) -> tuple[word, word]:
    """The kind of the byte at start, and an end up to which all bytes are of this kind."""
    kind = NOTHING
    end = PHYSICAL_END
    for index in range(nr_entries):
        entry = StartInfoEntry(k.m, VirtAddr(entries + index * StartInfoEntry.SIZE))
        entry_start = clipped_start(entry)
        entry_end = clipped_end(entry)
        if entry_start > start:
            end = min(end, entry_start)
        elif entry_end > start:
            end = min(end, entry_end)
            kind = max(kind, kind_of_e820(entry.number))
    if k.screen.framebuffer > start:
        end = min(end, k.screen.framebuffer)
    elif k.screen.framebuffer != 0 and k.screen.framebuffer + k.screen.nbytes > start:
        end = min(end, k.screen.framebuffer + k.screen.nbytes)
        kind = kind if kind != RAM else RESERVED
    return kind if kind != NOTHING else HOLE, end


@kernel
def clipped_start(entry: StartInfoEntry) -> word:
    """Where the entry starts; PHYSICAL_END if it is beyond (a negative word is an address of 2**63 or more)."""
    start = entry.start
    return start if 0 <= start < PHYSICAL_END else PHYSICAL_END


@kernel
def clipped_end(entry: StartInfoEntry) -> word:
    """Where the entry ends, PHYSICAL_END at the latest; an end behind 2**64 counts as beyond."""
    start = clipped_start(entry)
    nbytes = entry.nbytes
    return start + nbytes if 0 <= nbytes <= PHYSICAL_END - start else PHYSICAL_END


# ------------------------------------------------------------------ the regions
@kernel
def add(regions: MemoryMap, kind: word, start: PhysAddr, end: PhysAddr) -> None:
    """Add [start, end), behind all regions; leave out what is worth least where there is no room."""
    if kind == HOLE:
        return
    nr_frames = (end - start) >> PAGE_SHIFT
    regions.nr_frames[kind] += nr_frames
    if regions.nr_regions == MAX_REGIONS:
        least = find_least(regions)
        if worth_of(kind, start, end) <= worth_of_region(regions.regions[least]):
            regions.nr_left_out[kind] += nr_frames
            return
        leave_out(regions, least)
    region = regions.regions[regions.nr_regions]
    region.start = start
    region.end = end
    region.kind = kind
    regions.nr_regions += 1


@kernel
def find_least(regions: MemoryMap) -> word:
    """The index of the region that is worth least, the last of them."""
    least = 0
    for index in range(1, regions.nr_regions):
        if worth_of_region(regions.regions[index]) <= worth_of_region(regions.regions[least]):
            least = index
    return least


@kernel
def worth_of_region(region: Region) -> word:
    """What a region is worth."""
    return worth_of(region.kind, region.start, region.end)


@kernel
def worth_of(kind: word, start: PhysAddr, end: PhysAddr) -> word:
    """What [start, end) is worth: RAM more than the knowledge of what is none, that of the boot most, large more."""
    worth = (end - start) >> PAGE_SHIFT
    if kind == RAM:
        worth += WORTH_OF_BOOT_RAM if start < BOOT_MAP_END else WORTH_OF_RAM
    return worth


@kernel
def leave_out(regions: MemoryMap, index: word) -> None:
    """Take out the region at index; those behind move up."""
    region = regions.regions[index]
    regions.nr_left_out[region.kind] += (region.end - region.start) >> PAGE_SHIFT
    regions.nr_regions -= 1
    for at in range(index, regions.nr_regions):
        behind = regions.regions[at + 1]
        regions.regions[at].start = behind.start
        regions.regions[at].end = behind.end
        regions.regions[at].kind = behind.kind


@kernel
def check(regions: MemoryMap) -> word:
    """0, or the number of the first MAP invariant that does not hold."""
    if not 0 <= regions.nr_regions <= MAX_REGIONS:
        return 1
    end = -1
    kind = NOTHING
    for index in range(regions.nr_regions):
        region = regions.regions[index]
        if not 0 <= region.start < region.end <= PHYSICAL_END or (region.start | region.end) % PAGE_BYTES != 0:
            return 2
        if region.start < end or (region.start == end and region.kind == kind):
            return 3
        if not RAM <= region.kind < NR_KINDS or region.kind == HOLE:
            return 4
        end = region.end
        kind = region.kind
    for counted in range(NR_KINDS):
        if regions.nr_frames[counted] != count_frames(regions, counted) + regions.nr_left_out[counted]:
            return 5
    return OK


@kernel
def count_frames(regions: MemoryMap, kind: word) -> word:
    """The frames in the regions of a kind."""
    nr_frames = 0
    for index in range(regions.nr_regions):
        region = regions.regions[index]
        if region.kind == kind:
            nr_frames += (region.end - region.start) >> PAGE_SHIFT
    return nr_frames
