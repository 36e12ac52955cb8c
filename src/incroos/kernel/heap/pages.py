"""Frames for ranges of the heap: mapped before anything reaches them, given back when nothing does.

Unit: the page. Knows nothing of chunks or slabs. Never by a page fault, so that running out of frames is a code and not
a fault.
"""

from incroos.kernel import pmm, vmm
from incroos.kernel.codes import NO_ADDRESSES, OK
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.panic import panic
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, VirtAddr, cold, kernel, word


@cold
@kernel
def map_fresh(k: Kernel, start: VirtAddr, end: VirtAddr, limit: VirtAddr) -> word:
    """Map frames at [start, end), writable and never executed; a code, and nothing changed, when one is refused."""
    if end > limit:
        return NO_ADDRESSES
    va = start
    while va < end:
        code = map_fresh_page(k, va)
        if code != OK:
            unmap_and_free(k, start, va)
            return code
        va = VirtAddr(va + PAGE_BYTES)
    return OK


@kernel
def map_fresh_page(k: Kernel, va: VirtAddr) -> word:
    """Map a frame at va; gives it back when a table for it is refused."""
    frame = pmm.take_frame(k)
    if frame < 0:
        return frame
    code = vmm.map_page(k, va, frame, vmm.PRESENT | vmm.WRITABLE | vmm.NX)
    if code != OK:
        pmm.free_page(k, frame)
    return code


@cold
@kernel
def unmap_and_free(k: Kernel, start: VirtAddr, end: VirtAddr) -> None:
    """Give back the frames of [start, end), the last page first; unmap_page flushes before the frame is free."""
    va = end
    while va > start:
        va = VirtAddr(va - PAGE_BYTES)
        frame = vmm.unmap_page(k, va)
        code = frame
        if frame >= 0:
            code = pmm.free_page(k, PhysAddr(frame))
        if code != OK:
            panic(k, b'heap: a page that is not as it was: address, code', va, code, 0)
