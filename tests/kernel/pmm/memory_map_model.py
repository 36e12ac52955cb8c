"""Models of the memory map that are too simple to be wrong, and a firmware's list in a guest's memory.

Kinds have names here, in the order in which they win; which number of the firmware means which is written down anew.
"""

import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from incroos.kernel.state import Kernel
from incroos.machine.strict import SimulatedMachine
from incroos.run.harness import DirectDriver, Driver
from incroos.run.simulated import MAGIC

FRAME: Final = 4096
END: Final = 1 << 52
BOOT_END: Final = 0x20_0000

ORDER: Final = (
    *('nothing', 'RAM', 'hole', 'ACPI tables', 'unaccepted', 'persistent'),
    *('ACPI NVS', 'UEFI runtime', 'reserved', 'unusable'),
)
MEANING: Final = {
    1: 'RAM',
    3: 'ACPI tables',
    4: 'ACPI NVS',
    5: 'unusable',
    7: 'persistent',
    8: 'unaccepted',
    12: 'persistent',
    0xF000_0000: 'UEFI runtime',
}
NUMBERS: Final = (*MEANING, 0, 2, 6, 9, 13, 0x7FFF_FFFF, 0xF000_0001, 0xFFFF_FFFF)

Entry = tuple[int, int, int]  # start, bytes, number
Region = tuple[int, int, str]  # start, end, kind

AT: Final = 0x9_0000  # in the boot pool, the end of which nobody needs in a kernel that has just started
INFO_BYTES: Final = 56


def rank_of(number: int) -> int:
    """How restrictive what a number of the firmware means is."""
    return ORDER.index(MEANING.get(number, 'reserved'))


def end_of(entry: Entry) -> int:
    """Where an entry ends; what is behind the last frame does not count."""
    return min(entry[0] + entry[1], END)


# ------------------------------------------------------------------ byte by byte, for a small address space
def painted(entries: Iterable[Entry], nr_frames: int) -> list[Region]:
    """The regions of the first frames: bytes are painted, the most restrictive kind last."""
    space = bytearray(nr_frames * FRAME)
    for entry in sorted(entries, key=lambda entry: rank_of(entry[2])):
        start, end = min(entry[0], len(space)), min(end_of(entry), len(space))
        space[start:end] = bytes([rank_of(entry[2])]) * (end - start)
    kinds = space.replace(bytes([ORDER.index('nothing')]), bytes([ORDER.index('hole')]))
    frames = [ORDER[max(kinds[at : at + FRAME])] for at in range(0, len(space), FRAME)]
    return joined((index * FRAME, (index + 1) * FRAME, kind) for index, kind in enumerate(frames))


# ------------------------------------------------------------------ only where something changes, for all addresses
def compressed(entries: Sequence[Entry]) -> list[Region]:
    """The regions of the whole address space."""
    edges = sorted({0, END, *(edge for entry in entries for edge in (min(entry[0], END), end_of(entry)))})
    cuts = sorted({cut for edge in edges for cut in (edge // FRAME * FRAME, -(-edge // FRAME) * FRAME)})
    return joined((start, end, kind_of_frame(entries, edges, start)) for start, end in pairwise(cuts))


def kind_of_frame(entries: Sequence[Entry], edges: Sequence[int], start: int) -> str:
    """The most restrictive kind of the bytes in the frame at start."""
    inside = [start, *(edge for edge in edges if start < edge < start + FRAME)]
    return ORDER[max(rank_of_byte(entries, byte) for byte in inside)]


def rank_of_byte(entries: Sequence[Entry], byte: int) -> int:
    """The most restrictive kind of all entries that hold a byte."""
    ranks = [rank_of(entry[2]) for entry in entries if entry[0] <= byte < end_of(entry)]
    return max(ranks, default=ORDER.index('hole'))


def joined(pieces: Iterable[Region]) -> list[Region]:
    """Neighbours of one kind as one region, holes left out."""
    regions: list[Region] = []
    for start, end, kind in pieces:
        if regions and regions[-1][1] == start and regions[-1][2] == kind:
            regions[-1] = (regions[-1][0], end, kind)
        elif kind != 'hole':
            regions.append((start, end, kind))
    return regions


def best(regions: Sequence[Region], nr_regions: int) -> list[Region]:
    """Those for which there is room: RAM first, of it what the kernel boots in; then the largest, then the lowest."""

    def worth(region: Region) -> tuple[bool, bool, int, int]:
        start, end, kind = region
        return (kind == 'RAM' and start < BOOT_END, kind == 'RAM', end - start, -start)

    return sorted(sorted(regions, key=worth, reverse=True)[:nr_regions])


def frames_by_kind(regions: Iterable[Region]) -> dict[str, int]:
    """How many frames there are of each kind."""
    counts = dict.fromkeys(ORDER, 0)
    for start, end, kind in regions:
        counts[kind] += (end - start) // FRAME
    return {kind: count for kind, count in counts.items() if count}


# ------------------------------------------------------------------ in a guest
def list_of(entries: Sequence[Entry], address: int, magic: int = MAGIC, version: int = 1) -> bytes:
    """PVH's start information, and behind it the memory map, at an address."""
    info = (magic, version, 0, 0, 0, 0, 0, address + INFO_BYTES, len(entries), 0)
    return struct.pack('<IIIIQQQQII', *info) + b''.join(struct.pack('<QQII', *entry, 0) for entry in entries)


def read_in(driver: Driver, entries: Sequence[Entry]) -> int:
    """Have a kernel read a list; what its checker says."""
    content = list_of(entries, AT)
    if isinstance(driver, DirectDriver):
        assert isinstance(driver.k.m, SimulatedMachine)
        driver.k.m.poke(AT, content)
    else:
        driver.ram.bytes[AT : AT + len(content)] = content
    return driver.call('read_memory_map', AT)


def regions_of(k: Kernel) -> list[Region]:
    """The regions that a kernel has."""
    regions = [k.memory_map.regions[index] for index in range(k.memory_map.nr_regions)]
    return [(region.start, region.end, ORDER[region.kind]) for region in regions]


def counts_of(k: Kernel, name: str) -> dict[str, int]:
    """One of the kernel's counts by kind, of those that are not 0."""
    counts = getattr(k.memory_map, name)
    return {kind: counts[index] for index, kind in enumerate(ORDER) if counts[index]}
