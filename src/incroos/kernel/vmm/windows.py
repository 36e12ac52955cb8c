"""Windows: how the kernel reaches a page-table entry, named by its physical address.

Here through the identity map: tables lie in the boot code's tables, the boot pool or the zone, and all of them are
mapped at their own address.
"""

from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, VirtAddr, kernel, load64, store64, word


@kernel
def load_entry(k: Kernel, slot: PhysAddr) -> word:
    """The entry at slot."""
    return load64(k.m, VirtAddr(slot))


@kernel
def store_entry(k: Kernel, slot: PhysAddr, entry: word) -> None:
    """Write the entry at slot, in one store. The TLB is the caller's duty."""
    store64(k.m, VirtAddr(slot), entry)
