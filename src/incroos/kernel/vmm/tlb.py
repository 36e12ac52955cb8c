"""TLB: forgetting translations that an entry no longer gives.

Flushing follows each change of a present entry and comes before the memory that it named is used for anything else.
Written from: Intel SDM volume 3, "Invalidation of TLBs and Paging-Structure Caches".
"""

from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, invlpg, kernel


@kernel
def flush_page(k: Kernel, va: VirtAddr) -> None:
    """Forget the page of va, of whatever size, and all cached upper entries of this address space."""
    invlpg(k.m, va)
