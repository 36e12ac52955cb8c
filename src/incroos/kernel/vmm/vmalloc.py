"""vmalloc: ranges of addresses with frames from anywhere, mapped in a row, for what need not be contiguous in memory.

    VMALLOC  | range | guard | range      | guard |     ...                                        | VMALLOC_END
                                                        ^ next: where the search for a gap begins

Unit: the page. The page tables are the books: what is mapped is a range's, and the first frame of a range has the
number of its pages as its note in the frame database. Behind each range a page stays unmapped. Only in config `modern`.
Knows nothing of small requests, which are the heap's.
"""

from incroos.kernel import pmm
from incroos.kernel.codes import BAD_FREE, OK
from incroos.kernel.config import MODERN_SPACE
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT, VMALLOC, VMALLOC_BYTES, VMALLOC_END
from incroos.kernel.panic import panic
from incroos.kernel.state import Kernel
from incroos.kernel.vmm.entries import NX, PRESENT, WRITABLE, page_bytes
from incroos.kernel.vmm.pages import get_physical, map_page, unmap_page
from incroos.kernel.vmm.tables import walk
from incroos.lang import PhysAddr, VirtAddr, kernel, word

# VMALLOC-1  what is mapped in [VMALLOC, VMALLOC_END) is ranges: as many pages in a row as the first one's note says
# VMALLOC-2  nr_ranges and nr_pages are the counts of these


@kernel
def init(k: Kernel) -> None:
    """No range is anybody's."""
    k.vmalloc.next = VirtAddr(VMALLOC)
    k.vmalloc.nr_ranges = 0
    k.vmalloc.nr_pages = 0


@kernel
def vmalloc(k: Kernel, nbytes: word) -> VirtAddr:
    """Addresses for nbytes bytes, from the start of a page on, writable and never executed; content not specified.

    0, and nothing changed, when nbytes is not positive, or there are no addresses or frames.
    """
    if k.config.space != MODERN_SPACE or nbytes <= 0 or nbytes > VMALLOC_BYTES:
        return VirtAddr(0)
    nr_pages = (nbytes + PAGE_BYTES - 1) >> PAGE_SHIFT
    start = find_gap(k, nr_pages)
    if start == 0:
        return start
    for index in range(nr_pages):
        if map_fresh(k, VirtAddr(start + (index << PAGE_SHIFT)), nr_pages if index == 0 else 0) != OK:
            unmap_pages(k, start, index)
            return VirtAddr(0)
    k.vmalloc.next = VirtAddr(start + (nr_pages + 1 << PAGE_SHIFT))
    k.vmalloc.nr_ranges += 1
    k.vmalloc.nr_pages += nr_pages
    return start


@kernel
def vfree(k: Kernel, va: VirtAddr) -> word:
    """Take back what vmalloc gave; 0 is nobody's and does nothing. BAD_FREE, and nothing changed, for all else."""
    if va == 0:
        return OK
    nr_pages = pages_from(k, va)
    if nr_pages == 0:
        return BAD_FREE
    unmap_pages(k, va, nr_pages)
    k.vmalloc.nr_ranges -= 1
    k.vmalloc.nr_pages -= nr_pages
    return OK


@kernel
def pages_from(k: Kernel, va: VirtAddr) -> word:
    """How many pages the range has that starts at va; 0 when none does."""
    if k.config.space != MODERN_SPACE or not VMALLOC <= va < VMALLOC_END or va % PAGE_BYTES != 0:
        return 0
    pa = get_physical(k, va)
    return pmm.note_of_page(k, pa) if pa >= 0 and pmm.is_page(k, pa) else 0


@kernel
def map_fresh(k: Kernel, va: VirtAddr, note: word) -> word:
    """Map a frame with a note at va; gives it back when a table for it is refused."""
    frame = pmm.take_frame(k)
    if frame < 0:
        return frame
    code = map_page(k, va, frame, PRESENT | WRITABLE | NX)
    if code != OK:
        pmm.free_page(k, frame)
        return code
    pmm.set_note_of_page(k, frame, note)
    return OK


@kernel
def unmap_pages(k: Kernel, start: VirtAddr, nr_pages: word) -> None:
    """Unmap the first pages of a range, the last of them first, and free their frames."""
    for index in range(nr_pages - 1, -1, -1):
        frame = unmap_page(k, VirtAddr(start + (index << PAGE_SHIFT)))
        code = frame
        if frame >= 0:
            code = pmm.free_page(k, PhysAddr(frame))
        if code != OK:
            panic(k, b'vmm: a page of a range that is not as it was: address, code', start, code, index)


# ------------------------------------------------------------------ gaps
@kernel
def find_gap(k: Kernel, nr_pages: word) -> VirtAddr:
    """Where so many pages and a guard are not mapped, behind another guard; 0 where there is no such place."""
    start = find_gap_from(k, k.vmalloc.next, nr_pages)
    return start if start != 0 else find_gap_from(k, VirtAddr(VMALLOC), nr_pages)


@kernel
def find_gap_from(k: Kernel, begin: VirtAddr, nr_pages: word) -> VirtAddr:
    """The first such place from begin on. A table that is missing is passed in one step."""
    wanted = nr_pages + 1 << PAGE_SHIFT
    start = begin
    at = begin
    while at - start < wanted:
        if start + wanted > VMALLOC_END:
            return VirtAddr(0)
        code, level, _slot, _entry = walk(k, at)
        at = VirtAddr((at & -page_bytes(level)) + page_bytes(level))
        if code == OK:
            at = VirtAddr(at + PAGE_BYTES)
            start = at
    return start


# ------------------------------------------------------------------ the check
@kernel
def check(k: Kernel) -> word:
    """0, or the number of the first VMALLOC invariant that does not hold."""
    nr_ranges = 0
    nr_pages = 0
    at = VirtAddr(VMALLOC)
    while at < VMALLOC_END and k.config.space == MODERN_SPACE:
        code, level, _slot, _entry = walk(k, at)
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
    while at < VMALLOC_END and get_physical(k, at) >= 0:
        at = VirtAddr(at + PAGE_BYTES)
    return (at - start) >> PAGE_SHIFT
