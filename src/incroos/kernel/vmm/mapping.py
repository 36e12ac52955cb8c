"""Mapping: fresh frames for ranges of addresses, and back.

    map_fresh          page by page; any part of the range can be given back by unmap_and_free
    map_fresh_whole    huge blocks where they fit, else frames in rows; given back whole, by unmap_and_free_whole,
                       which flushes once for all. Only in `modern`

Unit: the page. A call that is refused a frame gives back all that it took, tables included. Frames are free after the
flush. What is in the frames is not specified. Knows nothing of who owns the range.
"""

from typing import Final

from incroos.kernel import pmm
from incroos.kernel.arch.pte import HUGE_BYTES
from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import Kernel
from incroos.kernel.vmm.pages import get_physical, map_page, unmap_page
from incroos.kernel.vmm.ranges import map_range, unmap_range
from incroos.lang import PhysAddr, VirtAddr, kernel, word

NO_OWNER_WORD: Final = 0


# ------------------------------------------------------------------ page by page
@kernel
def map_fresh(k: Kernel, start: VirtAddr, end: VirtAddr, flags: word) -> word:
    """Map a frame at each page of [start, end); map_page's codes or NO_FRAME, and nothing changed."""
    va = start
    while va < end:
        code = map_fresh_page(k, va, flags)
        if code != OK:
            unmap_and_free(k, start, va)
            return code
        va = VirtAddr(va + PAGE_BYTES)
    return OK


@kernel
def map_fresh_page(k: Kernel, va: VirtAddr, flags: word) -> word:
    """Map a frame at va; frees it when the page is refused."""
    frame = pmm.take_frame(k)
    if frame < 0:
        return frame
    code = map_page(k, va, frame, flags)
    if code != OK:
        pmm.free_page(k, frame)
    return code


@kernel
def unmap_and_free(k: Kernel, start: VirtAddr, end: VirtAddr) -> None:
    """Unmap the pages of [start, end), which map_fresh mapped, and free their frames, the last page first."""
    va = end
    while va > start:
        va = VirtAddr(va - PAGE_BYTES)
        frame = unmap_page(k, va)
        code = pmm.free_page(k, PhysAddr(frame)) if frame >= 0 else frame
        if code != OK:
            panic(k, b'vmm: a page that is not as it was mapped: address, code', va, code, 0)


# ------------------------------------------------------------------ whole ranges
@kernel
def map_fresh_whole(k: Kernel, start: VirtAddr, end: VirtAddr, flags: word) -> word:
    """Map [start, end) to frames in rows, the longest that there are; NO_FRAME, and nothing changed."""
    at = start
    while at < end:
        first, nbytes = take_row(k, at, end - at)
        if nbytes != 0 and map_range(k, at, first, nbytes, flags) != OK:
            free_row(k, first, nbytes)
            nbytes = 0
        if nbytes == 0:
            unmap_and_free_whole(k, start, at)
            return NO_FRAME
        at = VirtAddr(at + nbytes)
    return OK


@kernel
def take_row(k: Kernel, va: VirtAddr, most: word) -> tuple[PhysAddr, word]:
    """Frames that lie in a row, for va on: the first, and how many bytes there are, to the next huge page at most.

    A huge block where va and `most` allow one, else single frames as long as the next one is the neighbour; or 0 bytes.
    """
    if va % HUGE_BYTES == 0 and most >= HUGE_BYTES:
        block = pmm.take_huge(k)
        if block >= 0:
            pmm.set_owner_word(k, block, NO_OWNER_WORD)
            return block, HUGE_BYTES
    first = pmm.take_frame(k)
    if first < 0:
        return first, 0
    nbytes = 0
    frame = first
    while frame == first + nbytes:
        pmm.set_owner_word(k, frame, NO_OWNER_WORD)
        nbytes += PAGE_BYTES
        if nbytes == most or (va + nbytes) % HUGE_BYTES == 0:
            return first, nbytes
        frame = pmm.take_frame(k)
    if frame < 0:
        free_row(k, first, nbytes)
        return frame, 0
    free_row(k, frame, PAGE_BYTES)
    return first, nbytes


@kernel
def free_row(k: Kernel, first: PhysAddr, nbytes: word) -> None:
    """Free what take_row gave, the last frame first: the next take_row finds them in rising order."""
    step = pmm.bytes_of_page(k, first)
    at = nbytes
    while at > 0:
        at -= step
        free_block(k, PhysAddr(first + at))


@kernel
def unmap_and_free_whole(k: Kernel, start: VirtAddr, end: VirtAddr) -> None:
    """Unmap [start, end), which map_fresh_whole mapped, and free the frames, a list through their owner words."""
    last = PhysAddr(0)
    at = start
    while at < end:
        pa = get_physical(k, at)
        if pa < 0:
            panic(k, b'vmm: a page of a range that is not as it was: address, code', at, pa, 0)
        pmm.set_owner_word(k, pa, last >> PAGE_SHIFT)
        last = pa
        at = VirtAddr(at + pmm.bytes_of_page(k, pa))
    code = unmap_range(k, start, end - start)
    if code != OK:
        panic(k, b'vmm: a range that is not as it was: address, code', start, code, 0)
    while last != 0:
        before = PhysAddr(pmm.owner_word(k, last) << PAGE_SHIFT)
        free_block(k, last)
        last = before


@kernel
def free_block(k: Kernel, pa: PhysAddr) -> None:
    """Free a frame or a huge block of a range."""
    code = pmm.free_block(k, pa)
    if code != OK:
        panic(k, b'vmm: memory of a range that pmm does not take back: address, code', pa, code, 0)
