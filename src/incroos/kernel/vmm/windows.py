"""Windows: how the kernel reaches a page-table entry, named by its physical address.

Through the window that the configuration names: the identity map, since tables lie in the boot code's tables, the boot
pool or the zone, all of them mapped at their own address; or the direct map of all RAM.
"""

from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, VirtAddr, kernel, load64, store64, word


@kernel
def load_entry(k: Kernel, slot: PhysAddr) -> word:
    """The entry at slot."""
    return load64(k.m, VirtAddr(k.config.frame_window + slot))


@kernel
def store_entry(k: Kernel, slot: PhysAddr, entry: word) -> None:
    """Write the entry at slot, in one store. The TLB is the caller's duty."""
    store64(k.m, VirtAddr(k.config.frame_window + slot), entry)
