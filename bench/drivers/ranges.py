"""Pages in a row with one call: the memory lies so that no larger page fits. It is never read, so it need not exist."""

from typing import Final

from bench.drivers.pages import FLAGS, PAGES
from bench.drivers.plan import Plan
from incroos.kernel import vmm
from incroos.kernel.layout import PAGE_BYTES, ZONE_START
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, VirtAddr, kernel, word

MEMORY: Final = ZONE_START + PAGE_BYTES
HUGE_BYTES: Final = 1 << 21
OTHER_FLAGS: Final = vmm.PRESENT | vmm.NX


@kernel
def ranges_map(k: Kernel, plan: Plan, n: word) -> word:
    """Map n pages in a row."""
    return vmm.map_range(k, VirtAddr(PAGES), PhysAddr(MEMORY), n * PAGE_BYTES, FLAGS)


@kernel
def ranges_protect(k: Kernel, plan: Plan, n: word) -> word:
    """Make them read-only."""
    return vmm.protect_range(k, VirtAddr(PAGES), n * PAGE_BYTES, OTHER_FLAGS)


@kernel
def ranges_unmap(k: Kernel, plan: Plan, n: word) -> word:
    """Unmap them."""
    return vmm.unmap_range(k, VirtAddr(PAGES), n * PAGE_BYTES)


@kernel
def ranges_map_huge(k: Kernel, plan: Plan, n: word) -> word:
    """Map n pages of 2 MiB in a row."""
    return vmm.map_range(k, VirtAddr(PAGES), PhysAddr(HUGE_BYTES), n * HUGE_BYTES, FLAGS)


@kernel
def ranges_protect_huge(k: Kernel, plan: Plan, n: word) -> word:
    """Make them read-only."""
    return vmm.protect_range(k, VirtAddr(PAGES), n * HUGE_BYTES, OTHER_FLAGS)


@kernel
def ranges_unmap_huge(k: Kernel, plan: Plan, n: word) -> word:
    """Unmap them."""
    return vmm.unmap_range(k, VirtAddr(PAGES), n * HUGE_BYTES)
