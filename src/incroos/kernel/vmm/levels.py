"""Levels: how many tables lie on the way to a page, and which addresses they reach.

Four levels reach 48 bits of an address, five reach 57. A build for four knows it when it is compiled. A build for five
asks: its boot code turned them on where the processor has them, and long mode keeps what it begins with. Written from:
Intel SDM volume 3, "Paging Modes and Control Bits", and "5-Level Paging and 5-Level EPT" (white paper).
"""

from incroos.kernel.arch.pte import INDEX_BITS
from incroos.kernel.arch.x86 import CR4_LA57
from incroos.kernel.config import FOUR_LEVELS
from incroos.kernel.layout import PAGE_SHIFT
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, kernel, read_cr4, word


@kernel
def init(k: Kernel) -> None:
    """Find out how many levels are in use."""
    k.pages.root_level = FOUR_LEVELS
    if k.config.levels > FOUR_LEVELS and read_cr4(k.m) & CR4_LA57 != 0:
        k.pages.root_level = FOUR_LEVELS + 1


@kernel
def root_level(k: Kernel) -> word:
    """The level of the root table."""
    return k.pages.root_level if k.config.levels > FOUR_LEVELS else FOUR_LEVELS


@kernel
def canonical_end(k: Kernel) -> word:
    """The end of the lower half of the addresses; the upper half begins with its negative."""
    return 1 << (PAGE_SHIFT + INDEX_BITS * root_level(k) - 1)


@kernel
def is_canonical(k: Kernel, va: VirtAddr) -> bool:
    """Whether the bits that no level uses repeat the highest one that is used."""
    end = canonical_end(k)
    return -end <= va < end


@kernel
def nr_addresses(k: Kernel) -> word:
    """How many canonical addresses there are."""
    return 2 * canonical_end(k)


@kernel
def address_behind(k: Kernel, nr_before: word) -> VirtAddr:
    """The canonical address that has so many before it, where the lower half comes first."""
    return VirtAddr(nr_before if nr_before < canonical_end(k) else nr_before - nr_addresses(k))
