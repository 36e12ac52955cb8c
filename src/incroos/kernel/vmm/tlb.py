"""TLB: forgetting translations that an entry no longer gives.

Flushing follows each change of a present entry and comes before the memory that it named is used for anything else.
Changes of many pages are flushed one by one as long as a budget lasts, and with everything else when it does not.
Flushes are the present address space's; what others know of the upper half ends with a generation of tags (pcid.py).
Written from: Intel SDM volume 3, "Invalidation of TLBs and Paging-Structure Caches".
"""

from typing import Final

from incroos.kernel.arch.pte import GLOBAL, page_bytes
from incroos.kernel.arch.x86 import CR4_PGE
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, invlpg, kernel, read_cr3, read_cr4, word, write_cr3, write_cr4

SOMEWHERE_SHARED: Final = VirtAddr(-1)
FLUSH_ALL: Final = -1  # a budget that is used up: all must be flushed in the end


@kernel
def flush_page(k: Kernel, va: VirtAddr) -> None:
    """Forget the page of va, of whatever size, and all cached upper entries, in this address space."""
    invlpg(k.m, va)
    if k.config.counters != 0:
        k.counters.flushes += 1


@kernel
def flush_shared(k: Kernel, va: VirtAddr) -> None:
    """Forget the page of va, whose translation is another now or none, in all address spaces that have it."""
    flush_page(k, va)
    forget_elsewhere(k, va)


@kernel
def forget_elsewhere(k: Kernel, va: VirtAddr) -> None:
    """Have other address spaces begin anew when they are used again, if va is of the half that all of them share."""
    if k.config.nr_pcids > 0 and va < 0:
        k.pcids.generation += 1


@kernel
def flush_run(k: Kernel, va: VirtAddr, nr_pages: word, level: word, budget: word) -> word:
    """Forget pages of the level in a row if the budget has so many; what is left of it, or FLUSH_ALL."""
    if budget < nr_pages:
        return FLUSH_ALL
    for index in range(nr_pages):
        invlpg(k.m, VirtAddr(va + index * page_bytes(level)))
    forget_elsewhere(k, va)
    if k.config.counters != 0:
        k.counters.flushes += nr_pages
    return budget - nr_pages


@kernel
def finish_flush(k: Kernel, budget: word, bits: word) -> None:
    """Forget all if the budget is used up; `bits` are those of the entries: a global one needs more."""
    if budget < 0:
        flush_all(k, bits)


@kernel
def flush_all(k: Kernel, bits: word) -> None:
    """Forget all pages; global ones only if `bits` has GLOBAL."""
    forget_elsewhere(k, SOMEWHERE_SHARED)
    cr4 = read_cr4(k.m)
    if bits & GLOBAL != 0 and cr4 & CR4_PGE != 0:
        write_cr4(k.m, cr4 ^ CR4_PGE)
        write_cr4(k.m, cr4)
    else:
        write_cr3(k.m, read_cr3(k.m))
