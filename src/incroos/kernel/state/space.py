"""Address spaces: a root table and what is known of the tree under it; their tags, and the ranges of vmalloc."""

from typing import Annotated, Final

from incroos.kernel.config import KernelConfig
from incroos.lang import Array, PhysAddr, Struct, VirtAddr, u64

NR_KNOWN: Final = 8  # tables of level 1 to which walks came


class KnownTable(Struct):
    """A table of level 1 to which somebody walked. Owner: vmm.tables."""

    start: VirtAddr  # the first address about which it decides; tables.NOWHERE: there is no such table
    entry: u64  # that names it, with rights that all entries above grant, and GLOBAL in the kernel's own space


class Space(Struct):
    """An address space: its lower half is its own, its upper half the kernel's. Owner: vmm.

    The kernel's own Space stands in the Kernel struct; tables of the upper half are known to it alone.
    """

    config: KernelConfig
    kernel: VirtAddr  # the Kernel struct, see kernel_of
    root: PhysAddr  # the table of the highest level, CR3 without its flags
    root_level: u64  # 4 or 5
    nr_tables: u64  # tables taken from pmm and not given back
    nr_large: u64  # pages of 2 MiB in the lower half that have a table in reserve, see vmm.large
    nr_shared: u64  # of the kernel's own: entries that its root has in the upper half, once they were counted
    keeps_tables: u64  # tables stay when they are empty: the space ends, and the next one begins with them
    tag: u64  # by which the TLB knows it, or 0; vmm.pcid has them
    known: Annotated[Array[KnownTable], NR_KNOWN]


class PcidState(Struct):
    """Owner: vmm.pcid."""

    generation: u64  # of the tags that are good, from 1 on
    next: u64  # the PCID that is handed out next


class VmallocState(Struct):
    """Owner: vmm.vmalloc."""

    next: VirtAddr  # where the search for a gap begins
    end: VirtAddr  # of the addresses
    nr_ranges: u64
    nr_pages: u64  # in them, guards not counted
