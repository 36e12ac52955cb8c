"""The processor's part in paging: which memory types a page can name, and whether global pages count.

A leaf's bits PAT, CACHE_DISABLE and WRITE_THROUGH are an index into eight types that a register holds. The first four
stay what they are at reset; one of the others becomes write-combining, which no page can have had before. Written from:
Intel SDM volume 3, "Page Attribute Table (PAT)" and "Global Pages".
"""

from typing import Final

from incroos.kernel.arch.pte import CACHE_DISABLE, PAT, WRITE_THROUGH
from incroos.kernel.arch.x86 import CPUID_FEATURES, CR4_PGE, HAS_GLOBAL_PAGES, HAS_PAT, MSR_PAT
from incroos.kernel.state import Kernel
from incroos.lang import cpuid, kernel, read_cr4, read_msr, word, write_cr4, write_msr

# Flags of pages, in the form of level 1 (entries.flags_in turns them for others).
WRITE_BACK: Final = 0  # memory
UNCACHED: Final = CACHE_DISABLE | WRITE_THROUGH  # registers of devices
WRITE_COMBINING: Final = PAT  # framebuffers; write-back where there is no PAT
MEMORY_TYPE: Final = PAT | CACHE_DISABLE | WRITE_THROUGH  # all of these bits

COMBINING_SHIFT: Final = 8 * 4  # index 4: PAT alone
TYPE_MASK: Final = 0xFF
COMBINING: Final = 1  # the register's number for write-combining


@kernel
def init(k: Kernel) -> None:
    """Offer write-combining pages and global pages, where the processor has them."""
    _a, _b, _c, features = cpuid(k.m, CPUID_FEATURES, 0)
    if features & HAS_PAT != 0:
        types = read_msr(k.m, MSR_PAT) & ~(TYPE_MASK << COMBINING_SHIFT)
        write_msr(k.m, MSR_PAT, types | COMBINING << COMBINING_SHIFT)
    if features & HAS_GLOBAL_PAGES != 0:
        write_cr4(k.m, read_cr4(k.m) | CR4_PGE)  # which flushes all


@kernel
def with_type(flags: word, memory_type: word) -> word:
    """Flags of a page with another memory type: WRITE_BACK, UNCACHED or WRITE_COMBINING."""
    return (flags & ~MEMORY_TYPE) | memory_type
