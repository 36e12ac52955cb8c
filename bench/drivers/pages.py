"""Loops over pages. Which frame a page gets does not matter, because these tables are never walked."""

from typing import Final

from bench.drivers.plan import Plan, draw
from bench.drivers.start import start
from incroos.kernel import vmm
from incroos.kernel.layout import PAGE_BYTES, ZONE_START
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, VirtAddr, kernel, word

PAGES: Final = 0x1_0000_0000
FLAGS: Final = vmm.PRESENT | vmm.WRITABLE | vmm.NX


@kernel
def pages_setup(k: Kernel, plan: Plan, n: word) -> word:
    """Nothing is mapped."""
    start(k)
    return k.space.nr_tables


@kernel
def pages_map(k: Kernel, plan: Plan, n: word) -> word:
    """Map n pages in a row; their tables are made on the way."""
    code = 0
    for index in range(n):
        at = index * PAGE_BYTES
        code |= vmm.map_page(k, VirtAddr(PAGES + at), PhysAddr(ZONE_START + at), FLAGS)
    return code


@kernel
def pages_translate(k: Kernel, plan: Plan, n: word) -> word:
    """Translate an address in each of n pages in a row."""
    total = 0
    for index in range(n):
        total += vmm.get_physical(k, VirtAddr(PAGES + index * PAGE_BYTES + 123))
    return total


@kernel
def pages_random_setup(k: Kernel, plan: Plan, n: word) -> word:
    """The same, with a plan for n pages."""
    start(k)
    draw(plan, n)
    return k.space.nr_tables


@kernel
def pages_translate_random(k: Kernel, plan: Plan, n: word) -> word:
    """Translate an address in each of n pages, as the plan has them."""
    total = 0
    for index in range(n):
        total += vmm.get_physical(k, VirtAddr(PAGES + plan.order[index] * PAGE_BYTES + 123))
    return total


@kernel
def pages_unmap(k: Kernel, plan: Plan, n: word) -> word:
    """Unmap n pages in a row; their tables are given back on the way."""
    total = 0
    for index in range(n):
        total += vmm.unmap_page(k, VirtAddr(PAGES + index * PAGE_BYTES))
    return total
