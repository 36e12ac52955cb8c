"""Entries: the bits of a page-table entry.

    63 62   59 58   52 51                              12 11  9 8 7 6 5  4   3   2 1 0
    NX  free    free   frame                              free  G S D A PCD PWT  U W P
                       ...... 12: PAT of a large leaf, and zeros up to its own size

Unit: the entry, a word. Knows nothing of where an entry is kept. Levels count from the root, 4 or 5, to 1, whose
entries are always leaves; S says that an entry of level 3 (1 GiB) or 2 (2 MiB) is a leaf, and in a leaf of level 1 the
same bit is PAT. Written from: Intel SDM volume 3, "4-Level Paging"; AMD APM volume 2, "Long-Mode Page Translation".
"""

from typing import Final

from incroos.kernel.layout import PAGE_SHIFT
from incroos.lang import PhysAddr, VirtAddr, kernel, word

PRESENT: Final = 1 << 0
WRITABLE: Final = 1 << 1
USER: Final = 1 << 2
WRITE_THROUGH: Final = 1 << 3
CACHE_DISABLE: Final = 1 << 4
ACCESSED: Final = 1 << 5
DIRTY: Final = 1 << 6
HUGE: Final = 1 << 7  # levels 3 and 2: a leaf
PAT: Final = 1 << 7  # level 1: the third bit of the memory type
GLOBAL: Final = 1 << 8
FREE_LOW: Final = 0b111 << 9  # the processor ignores these
PAT_LARGE: Final = 1 << 12  # leaves of levels 3 and 2
FREE_HIGH: Final = 0x7FF << 52  # ignored too (59 to 62 as long as protection keys are off)
NX: Final = -1 << 63

ADDRESS: Final = (1 << 52) - (1 << 12)
SMALL_LEAF_FLAGS: Final = ~ADDRESS
LARGE_LEAF_FLAGS: Final = SMALL_LEAF_FLAGS | PAT_LARGE
TABLE_FLAGS: Final = PRESENT | WRITABLE | USER  # of an upper entry: it allows all, so that the leaf decides
PHYSICAL_END: Final = 1 << 52
DATA: Final = PRESENT | WRITABLE | NX  # flags of memory of the kernel that is no code

LARGEST_LEAF_LEVEL: Final = 3
INDEX_BITS: Final = 9
NR_ENTRIES: Final = 1 << INDEX_BITS
HUGE_LEVEL: Final = 2
HUGE_BYTES: Final = 1 << (PAGE_SHIFT + INDEX_BITS)  # of a leaf of that level


@kernel
def is_present(entry: word) -> bool:
    """Whether the processor uses the entry."""
    return entry & PRESENT != 0


@kernel
def is_leaf(entry: word, level: word) -> bool:
    """Whether a present entry maps memory, and does not name a table. Above level 3 the bit HUGE is reserved."""
    return level == 1 or (entry & HUGE != 0 and level <= LARGEST_LEAF_LEVEL)


@kernel
def page_bytes(level: word) -> word:
    """Bytes that an entry of the level spans: 4 KiB, 2 MiB, 1 GiB, 512 GiB, 256 TiB."""
    return 1 << page_shift(level)


@kernel
def page_shift(level: word) -> word:
    """The binary logarithm of that."""
    return PAGE_SHIFT + INDEX_BITS * (level - 1)


@kernel
def index_in(va: VirtAddr, level: word) -> word:
    """Which entry of a table of the level the address goes through, 0 to 511."""
    return (va >> page_shift(level)) & (NR_ENTRIES - 1)


@kernel
def table_of(entry: word) -> PhysAddr:
    """The table that a present entry, no leaf, names."""
    return PhysAddr(entry & ADDRESS)


@kernel
def page_of(entry: word, level: word) -> PhysAddr:
    """The first address of the memory that a leaf maps."""
    return PhysAddr(entry & ADDRESS & -page_bytes(level))


@kernel
def leaf_flags(level: word) -> word:
    """The bits that may be flags in a leaf of the level."""
    return SMALL_LEAF_FLAGS if level == 1 else LARGE_LEAF_FLAGS


@kernel
def are_flags_good(flags: word, level: word) -> bool:
    """Whether flags make a present leaf of the level and leave its address alone."""
    return flags & PRESENT != 0 and flags & ~leaf_flags(level) == 0


@kernel
def flags_in(flags: word, level: word) -> word:
    """Flags of a page of level 1 as a leaf of the level has them: the memory type's third bit moves."""
    return flags if level == 1 or flags & PAT == 0 else flags ^ (PAT | PAT_LARGE)


@kernel
def flags_of(leaf: word, level: word) -> word:
    """The flags of a leaf of the level, as a page of level 1 would have them."""
    if level == 1:
        return leaf & SMALL_LEAF_FLAGS
    return leaf & SMALL_LEAF_FLAGS & ~HUGE if leaf & PAT_LARGE == 0 else leaf & SMALL_LEAF_FLAGS | PAT


@kernel
def make_leaf(pa: PhysAddr, flags: word, level: word) -> word:
    """The leaf of the level that maps pa, a multiple of its size, with good flags."""
    return pa | flags if level == 1 else pa | flags | HUGE
