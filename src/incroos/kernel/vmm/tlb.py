"""TLB: forgetting translations that an entry no longer gives.

Flushing follows each change of a present entry and comes before the memory that it named is used for anything else.
Changes of many pages are flushed one by one as long as a budget lasts, and with everything else when it does not. What
another Space than the changed one has remembered of the upper half, which all share, ends with a generation of tags;
what a Space remembers that is not loaded is forgotten under its tag (pcid.py).
Written from: Intel SDM volume 3, "Invalidation of TLBs and Paging-Structure Caches".
"""

from typing import Final

from incroos.kernel.arch.pte import GLOBAL, page_bytes
from incroos.kernel.arch.x86 import CR4_PGE
from incroos.kernel.cpu import is_loaded
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Space, kernel_of
from incroos.kernel.vmm import pcid
from incroos.kernel.vmm.levels import is_own
from incroos.lang import VirtAddr, invlpg, kernel, read_cr3, read_cr4, word, write_cr3, write_cr4

FLUSH_ALL: Final = -1  # a budget that is used up: all must be flushed in the end


@kernel
def flush_page(space: Space, va: VirtAddr) -> None:
    """Forget the page of va, of whatever size, and all cached upper entries, in the space that is loaded.

    A global page is forgotten in all spaces.
    """
    invlpg(space.m, va)
    if space.config.counters != 0:
        kernel_of(space).counters.flushes += 1


@kernel
def flush_shared(space: Space, va: VirtAddr) -> None:
    """Forget the page of va, whose translation is another now or none, in all spaces that have it."""
    flush_page(space, va)
    if va < 0:
        forget_elsewhere(space)
    elif not is_loaded(space):
        pcid.flush_page_of(space, va)


@kernel
def forget_elsewhere(space: Space) -> None:
    """Have spaces that are not loaded begin anew when they are used again: the half that all share has changed."""
    if space.config.nr_pcids > 0:
        kernel_of(space).pcids.generation += 1


@kernel
def flush_run(space: Space, va: VirtAddr, nr_pages: word, level: word, budget: word) -> word:
    """Forget pages of the level in a row if the budget has so many; what is left of it, or FLUSH_ALL."""
    if budget < nr_pages:
        return FLUSH_ALL
    for index in range(nr_pages):
        invlpg(space.m, VirtAddr(va + index * page_bytes(level)))
    if va < 0:
        forget_elsewhere(space)
    elif not is_loaded(space):
        pcid.flush_space(space)
    if space.config.counters != 0:
        kernel_of(space).counters.flushes += nr_pages
    return budget - nr_pages


@kernel
def flush_span(space: Space, start: VirtAddr, end: VirtAddr) -> None:
    """Forget the pages of [start, end), of level 1 and in the lower half: one by one if they are few, else all."""
    if not is_loaded(space):
        pcid.flush_space(space)
    elif end - start > space.config.flush_threshold * PAGE_BYTES:
        flush_all(space, 0)
    else:
        for at in range(start, end, PAGE_BYTES):
            flush_page(space, VirtAddr(at))


@kernel
def finish_flush(space: Space, budget: word, bits: word) -> None:
    """Forget all if the budget is used up; `bits` are those of the entries: a global one needs more."""
    if budget < 0:
        flush_all(space, bits)


@kernel
def flush_all(space: Space, bits: word) -> None:
    """Forget all pages of the space; global ones only if `bits` has GLOBAL.

    In the kernel's own that may be pages of the upper half, which all spaces have.
    """
    cr4 = read_cr4(space.m)
    if bits & GLOBAL != 0 and cr4 & CR4_PGE != 0:
        write_cr4(space.m, cr4 ^ CR4_PGE)
        write_cr4(space.m, cr4)
    elif is_own(space) or is_loaded(space):
        write_cr3(space.m, read_cr3(space.m))
    if is_own(space):
        forget_elsewhere(space)
    elif not is_loaded(space):
        pcid.flush_space(space)
