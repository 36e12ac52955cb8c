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
from incroos.kernel.state import Space, kernel_of
from incroos.kernel.vmm.pages import get_physical_in, map_in, unmap_in
from incroos.kernel.vmm.ranges import map_range_in, unmap_range_in
from incroos.lang import PhysAddr, VirtAddr, kernel, word

NO_OWNER_WORD: Final = 0


# ------------------------------------------------------------------ page by page
@kernel
def map_fresh_in(space: Space, start: VirtAddr, end: VirtAddr, flags: word) -> word:
    """Map a frame at each page of [start, end); map_page's codes or NO_FRAME, and nothing changed."""
    va = start
    while va < end:
        code = map_fresh_page(space, va, flags)
        if code != OK:
            unmap_and_free_in(space, start, va)
            return code
        va = VirtAddr(va + PAGE_BYTES)
    return OK


@kernel
def map_fresh_page(space: Space, va: VirtAddr, flags: word) -> word:
    """Map a frame at va; frees it when the page is refused."""
    frame = pmm.take_frame(kernel_of(space))
    if frame < 0:
        return frame
    code = map_in(space, va, frame, flags)
    if code != OK:
        pmm.free_page(kernel_of(space), frame)
    return code


@kernel
def unmap_and_free_in(space: Space, start: VirtAddr, end: VirtAddr) -> None:
    """Unmap the pages of [start, end), which map_fresh mapped, and free their frames, the last page first."""
    va = end
    while va > start:
        va = VirtAddr(va - PAGE_BYTES)
        frame = unmap_in(space, va)
        code = pmm.free_page(kernel_of(space), PhysAddr(frame)) if frame >= 0 else frame
        if code != OK:
            panic(kernel_of(space), b'vmm: a page that is not as it was mapped: address, code', va, code, 0)


# ------------------------------------------------------------------ whole ranges
@kernel
def map_fresh_whole(space: Space, start: VirtAddr, end: VirtAddr, flags: word) -> word:
    """Map [start, end) to frames in rows, the longest that there are; NO_FRAME, and nothing changed."""
    at = start
    while at < end:
        first, nbytes = take_row(space, at, end - at)
        if nbytes != 0 and map_range_in(space, at, first, nbytes, flags) != OK:
            free_row(space, first, nbytes)
            nbytes = 0
        if nbytes == 0:
            unmap_and_free_whole(space, start, at)
            return NO_FRAME
        at = VirtAddr(at + nbytes)
    return OK


@kernel
def take_row(space: Space, va: VirtAddr, most: word) -> tuple[PhysAddr, word]:
    """Frames that lie in a row, for va on: the first, and how many bytes there are, to the next huge page at most.

    A huge block where va and `most` allow one, else single frames as long as the next one is the neighbour; or 0 bytes.
    """
    if va % HUGE_BYTES == 0 and most >= HUGE_BYTES:
        block = pmm.take_huge(kernel_of(space))
        if block >= 0:
            pmm.set_owner_word(kernel_of(space), block, NO_OWNER_WORD)
            return block, HUGE_BYTES
    first = pmm.take_frame(kernel_of(space))
    if first < 0:
        return first, 0
    nbytes = 0
    frame = first
    while frame == first + nbytes:
        pmm.set_owner_word(kernel_of(space), frame, NO_OWNER_WORD)
        nbytes += PAGE_BYTES
        if nbytes == most or (va + nbytes) % HUGE_BYTES == 0:
            return first, nbytes
        frame = pmm.take_frame(kernel_of(space))
    if frame < 0:
        free_row(space, first, nbytes)
        return frame, 0
    free_row(space, frame, PAGE_BYTES)
    return first, nbytes


@kernel
def free_row(space: Space, first: PhysAddr, nbytes: word) -> None:
    """Free what take_row gave, the last frame first: the next take_row finds them in rising order."""
    step = pmm.bytes_of_page(kernel_of(space), first)
    at = nbytes
    while at > 0:
        at -= step
        free_block(space, PhysAddr(first + at))


@kernel
def unmap_and_free_whole(space: Space, start: VirtAddr, end: VirtAddr) -> None:
    """Unmap [start, end), which map_fresh_whole mapped, and free the frames, a list through their owner words."""
    last = PhysAddr(0)
    at = start
    while at < end:
        pa = get_physical_in(space, at)
        if pa < 0:
            panic(kernel_of(space), b'vmm: a page of a range that is not as it was: address, code', at, pa, 0)
        pmm.set_owner_word(kernel_of(space), pa, last >> PAGE_SHIFT)
        last = pa
        at = VirtAddr(at + pmm.bytes_of_page(kernel_of(space), pa))
    code = unmap_range_in(space, start, end - start)
    if code != OK:
        panic(kernel_of(space), b'vmm: a range that is not as it was: address, code', start, code, 0)
    while last != 0:
        before = PhysAddr(pmm.owner_word(kernel_of(space), last) << PAGE_SHIFT)
        pmm.set_owner_word(kernel_of(space), last, 0)  # the next owner may look for one
        free_block(space, last)
        last = before


@kernel
def free_block(space: Space, pa: PhysAddr) -> None:
    """Free a frame or a huge block of a range."""
    code = pmm.free_block(kernel_of(space), pa)
    if code != OK:
        panic(kernel_of(space), b'vmm: memory of a range that pmm does not take back: address, code', pa, code, 0)
