"""Levels: how many tables lie on the way to a page, and which addresses they reach.

Four levels reach 48 bits of an address, five reach 57. A build for four knows it when it is compiled. A build for five
asks: its boot code turned them on where the processor has them, and long mode keeps what it begins with. Written from:
Intel SDM volume 3, "Paging Modes and Control Bits", and "5-Level Paging and 5-Level EPT" (white paper).
"""

from incroos.kernel.arch.pte import INDEX_BITS
from incroos.kernel.arch.x86 import CR4_LA57
from incroos.kernel.config import FOUR_LEVELS
from incroos.kernel.layout import PAGE_SHIFT
from incroos.kernel.state import Space, kernel_of
from incroos.lang import VirtAddr, kernel, read_cr4, word


@kernel
def init(space: Space) -> None:
    """Find out how many levels are in use."""
    space.root_level = FOUR_LEVELS
    if space.config.levels > FOUR_LEVELS and read_cr4(space.m) & CR4_LA57 != 0:
        space.root_level = FOUR_LEVELS + 1


@kernel
def root_level(space: Space) -> word:
    """The level of the root table."""
    return space.root_level if space.config.levels > FOUR_LEVELS else FOUR_LEVELS


@kernel
def canonical_end(space: Space) -> word:
    """The end of the lower half of the addresses; the upper half begins with its negative."""
    return 1 << (PAGE_SHIFT + INDEX_BITS * root_level(space) - 1)


@kernel
def is_canonical(space: Space, va: VirtAddr) -> bool:
    """Whether the bits that no level uses repeat the highest one that is used."""
    end = canonical_end(space)
    return -end <= va < end


@kernel
def nr_addresses(space: Space) -> word:
    """How many canonical addresses there are."""
    return 2 * canonical_end(space)


@kernel
def address_behind(space: Space, nr_before: word) -> VirtAddr:
    """The canonical address that has so many before it, where the lower half comes first."""
    return VirtAddr(nr_before if nr_before < canonical_end(space) else nr_before - nr_addresses(space))


# ------------------------------------------------------------------ whose half
@kernel
def is_own(space: Space) -> bool:
    """Whether the space is the kernel's own, which alone knows the tables of the upper half."""
    return space.addr == kernel_of(space).space.addr


@kernel
def is_foreign(space: Space, va: VirtAddr) -> bool:
    """Whether the address is of the upper half, and the space is not the kernel's own."""
    return va < 0 and not is_own(space)
