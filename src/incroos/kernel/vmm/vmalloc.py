"""vmalloc: ranges of addresses with frames from anywhere, mapped in a row, for what need not be contiguous in memory.

    config.vmalloc  | range | guard | range      | guard |     ...                                 | end
                                                               ^ next: where the search for a gap begins

Unit: the page. The page tables are the metadata: what is mapped is a range's, and the first frame of a range has the
number of its pages as its owner word in the frame database, with a mark if kmalloc asked for it. Behind each range a
page stays unmapped. Ranges of 2 MiB and more begin at a multiple of that and have huge blocks in them as long as
there are any. Only in config `modern`. Knows nothing of small requests, which are the heap's.
"""

from typing import Final

from incroos.kernel import pmm
from incroos.kernel.arch.pte import DATA, HUGE_BYTES, page_bytes
from incroos.kernel.codes import BAD_FREE, OK
from incroos.kernel.config import MODERN_SPACE
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.pmm.all import modern as all_ram
from incroos.kernel.state import Kernel
from incroos.kernel.vmm.mapping import NO_OWNER_WORD, map_fresh_whole, unmap_and_free_whole
from incroos.kernel.vmm.pages import get_physical_in
from incroos.kernel.vmm.tables import walk
from incroos.lang import VirtAddr, kernel, word

# VMALLOC-1  what is mapped in [config.vmalloc, end) is ranges: the first one's owner word has their number
# VMALLOC-2  nr_ranges and nr_pages are the counts of these

HEAPS: Final = 1 << 31  # the mark in the owner word of a range that kmalloc asked for, and kfree alone takes back
MAX_PAGES: Final = HEAPS - 1
ROUNDING: Final = page_bytes(4)


@kernel
def init(k: Kernel) -> None:
    """No range is anybody's."""
    k.vmalloc.next = VirtAddr(k.config.vmalloc)
    k.vmalloc.end = end_of(k)
    k.vmalloc.nr_ranges = 0
    k.vmalloc.nr_pages = 0


@kernel
def end_of(k: Kernel) -> VirtAddr:
    """The end of the addresses: twice as many as there is RAM, so that gaps do no harm, in whole entries of a root."""
    most = (2 * all_ram.nr_frames(k) * PAGE_BYTES + ROUNDING - 1) & -ROUNDING
    return VirtAddr(k.config.vmalloc + min(k.config.vmalloc_max_bytes, most))


@kernel
def vmalloc(k: Kernel, nbytes: word) -> VirtAddr:
    """Addresses for nbytes bytes, from the start of a page on, writable and never executed; content not specified.

    0, and nothing changed, when nbytes is not positive, or there are no addresses or frames.
    """
    return take_range(k, nbytes, NO_OWNER_WORD)


@kernel
def vmalloc_for_heap(k: Kernel, nbytes: word) -> VirtAddr:
    """The same for kmalloc: vfree does not take it back."""
    return take_range(k, nbytes, HEAPS)


@kernel
def take_range(k: Kernel, nbytes: word, mark: word) -> VirtAddr:
    """The same, with a mark in the owner word."""
    most = min(k.config.vmalloc_max_bytes, MAX_PAGES << PAGE_SHIFT)
    if k.config.space != MODERN_SPACE or not 0 < nbytes <= most:
        return VirtAddr(0)
    nr_pages = (nbytes + PAGE_BYTES - 1) >> PAGE_SHIFT
    start = find_gap(k, nr_pages) if nr_pages <= pmm.nr_free_frames(k) else VirtAddr(0)
    if start == 0:
        return start
    end = VirtAddr(start + (nr_pages << PAGE_SHIFT))
    if map_fresh_whole(k.space, start, end, DATA) != OK:
        return VirtAddr(0)
    pmm.set_owner_word(k, get_physical_in(k.space, start), nr_pages | mark)
    k.vmalloc.next = VirtAddr(end + PAGE_BYTES)
    k.vmalloc.nr_ranges += 1
    k.vmalloc.nr_pages += nr_pages
    return start


@kernel
def vfree(k: Kernel, va: VirtAddr) -> word:
    """Take back what vmalloc gave; 0 is nobody's and does nothing. BAD_FREE, and nothing changed, for all else."""
    return give_range(k, va, NO_OWNER_WORD) if va != 0 else OK


@kernel
def vfree_of_heap(k: Kernel, va: VirtAddr) -> word:
    """Take back what vmalloc_for_heap gave. BAD_FREE, and nothing changed, for all else."""
    return give_range(k, va, HEAPS)


@kernel
def give_range(k: Kernel, va: VirtAddr, mark: word) -> word:
    """Take back a range whose owner word has this mark."""
    owner_word = owner_word_at(k, va)
    nr_pages = owner_word & MAX_PAGES
    if owner_word == NO_OWNER_WORD or owner_word != nr_pages | mark:
        return BAD_FREE
    unmap_and_free_whole(k.space, va, VirtAddr(va + (nr_pages << PAGE_SHIFT)))
    k.vmalloc.nr_ranges -= 1
    k.vmalloc.nr_pages -= nr_pages
    return OK


@kernel
def pages_from(k: Kernel, va: VirtAddr) -> word:
    """How many pages the range has that starts at va; 0 when none does."""
    return owner_word_at(k, va) & MAX_PAGES


@kernel
def heap_pages_from(k: Kernel, va: VirtAddr) -> word:
    """The same of a range that kmalloc asked for; 0 for all others."""
    owner_word = owner_word_at(k, va)
    return owner_word & MAX_PAGES if owner_word & HEAPS != 0 else 0


@kernel
def owner_word_at(k: Kernel, va: VirtAddr) -> word:
    """The owner word of the range that starts at va; NO_OWNER_WORD when none does."""
    if k.config.space != MODERN_SPACE or not k.config.vmalloc <= va < k.vmalloc.end or va % PAGE_BYTES != 0:
        return NO_OWNER_WORD
    pa = get_physical_in(k.space, va)
    return pmm.owner_word(k, pa) if pa >= 0 and pmm.is_page(k, pa) else NO_OWNER_WORD


# ------------------------------------------------------------------ gaps
@kernel
def find_gap(k: Kernel, nr_pages: word) -> VirtAddr:
    """Where so many pages and a guard are not mapped, behind another guard; 0 where there is no such place."""
    start = find_gap_from(k, k.vmalloc.next, nr_pages)
    return start if start != 0 else find_gap_from(k, VirtAddr(k.config.vmalloc), nr_pages)


@kernel
def find_gap_from(k: Kernel, begin: VirtAddr, nr_pages: word) -> VirtAddr:
    """The first such place from begin on. A table that is missing is passed in one step."""
    wanted = nr_pages + 1 << PAGE_SHIFT
    start = start_from(begin, nr_pages)
    at = start
    while at - start < wanted:
        if start + wanted > k.vmalloc.end:
            return VirtAddr(0)
        code, level, _slot, _entry = walk(k.space, at)
        at = VirtAddr((at & -page_bytes(level)) + page_bytes(level))
        if code == OK:
            start = start_from(VirtAddr(at + PAGE_BYTES), nr_pages)
            at = start
    return start


@kernel
def start_from(va: VirtAddr, nr_pages: word) -> VirtAddr:
    """The first address from va on at which a range of so many pages may start."""
    alignment = HUGE_BYTES if nr_pages << PAGE_SHIFT >= HUGE_BYTES else PAGE_BYTES
    return VirtAddr((va + alignment - 1) & -alignment)


# ------------------------------------------------------------------ the check
@kernel
def check(k: Kernel) -> word:
    """0, or the number of the first VMALLOC invariant that does not hold."""
    nr_ranges = 0
    nr_pages = 0
    at = VirtAddr(k.config.vmalloc)
    while at < k.vmalloc.end and k.config.space == MODERN_SPACE:
        code, level, _slot, _entry = walk(k.space, at)
        if code != OK:
            at = VirtAddr((at & -page_bytes(level)) + page_bytes(level))
            continue
        length = count_mapped(k, at)
        if pages_from(k, at) != length:
            return 1
        nr_ranges += 1
        nr_pages += length
        at = VirtAddr(at + (length << PAGE_SHIFT))
    return OK if nr_ranges == k.vmalloc.nr_ranges and nr_pages == k.vmalloc.nr_pages else 2


@kernel
def count_mapped(k: Kernel, start: VirtAddr) -> word:
    """How many pages in a row are mapped from start on."""
    at = start
    while at < k.vmalloc.end and get_physical_in(k.space, at) >= 0:
        at = VirtAddr(at + PAGE_BYTES)
    return (at - start) >> PAGE_SHIFT
