"""The memory map: which addresses are RAM, and what the others are."""

from typing import Annotated, Final

from incroos.lang import Array, PhysAddr, Struct, u64

NR_KINDS: Final = 10  # pmm/memory_kinds.py has them
MAX_REGIONS: Final = 256  # firmware in the field tells up to some 150; a region takes 24 bytes


class Region(Struct):
    """[start, end), whole frames of one kind."""

    start: PhysAddr
    end: PhysAddr
    kind: u64


class MemoryMap(Struct):
    """What the address space holds: regions of all kinds in rising order. Owner: pmm.memory_map."""

    nr_regions: u64
    module_start: PhysAddr  # what the loader handed over and the kernel keeps: reserved, and yet in the direct map
    module_end: PhysAddr
    nr_frames: Annotated[Array[u64], NR_KINDS]  # by kind, those that no region has included
    nr_left_out: Annotated[Array[u64], NR_KINDS]  # in regions for which there was no room
    regions: Annotated[Array[Region], MAX_REGIONS]
