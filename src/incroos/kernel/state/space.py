"""The address space: its tables, what walks remember, its tags, and the ranges of vmalloc."""

from typing import Annotated, Final

from incroos.lang import Array, PhysAddr, Struct, VirtAddr, u64

NR_KNOWN: Final = 8  # tables of level 1 to which walks came


class KnownTable(Struct):
    """A table of level 1 to which somebody walked. Owner: vmm.tables."""

    start: VirtAddr  # the first address about which it decides; tables.NOWHERE: there is no such table
    entry: u64  # that names it, with no more rights than all entries above it are known to grant


class PageState(Struct):
    """Owner: vmm."""

    root: PhysAddr  # the table of the highest level, CR3 without its flags
    root_level: u64  # 4 or 5
    nr_tables: u64  # tables taken from pmm and not given back
    known: Annotated[Array[KnownTable], NR_KNOWN]


class PcidState(Struct):
    """Owner: vmm.pcid."""

    generation: u64  # of the tags that are good, from 1 on
    next: u64  # the PCID that is handed out next


class VmallocState(Struct):
    """Owner: vmm.vmalloc."""

    next: VirtAddr  # where the search for a gap begins
    nr_ranges: u64
    nr_pages: u64  # in them, guards not counted
