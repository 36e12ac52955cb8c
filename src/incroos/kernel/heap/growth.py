"""Growth of the heap: gives frames to addresses before a chunk reaches them, or changes nothing.

Unit: the page. Knows nothing of chunks. Never by a page fault, so that running out of frames is a code and not a fault.
"""

from incroos.kernel import pmm, vmm
from incroos.kernel.codes import NO_ADDRESSES, OK
from incroos.kernel.config import HOSTED_SPACE
from incroos.kernel.heap import counters, pages
from incroos.kernel.heap.ranges import first_fit_bytes, first_fit_start
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, VirtAddr, cold, kernel, word


@cold
@kernel
def commit(k: Kernel, until: VirtAddr) -> word:
    """Map frames up to the page that holds the byte before until; a code, and nothing changed, when one is refused."""
    heap = k.heap
    begin = heap.committed_end
    end = VirtAddr((until + PAGE_BYTES - 1) & -PAGE_BYTES)
    if end - first_fit_start(k) > first_fit_bytes(k):
        return NO_ADDRESSES
    code = get_pages(k, begin, end)
    if code == OK:
        heap.committed_end = end
        heap.end = VirtAddr(max(heap.end, end))
        if k.config.counters != 0 and k.config.space != HOSTED_SPACE:
            counters.note_committed(k, end - begin)
    return code


@kernel
def get_pages(k: Kernel, begin: VirtAddr, end: VirtAddr) -> word:
    """Let pages be at [begin, end); a code, and nothing changed, when that cannot be."""
    if k.config.space == HOSTED_SPACE:
        return pages.map_fresh(k, begin, end, end)
    else:
        return commit_pages(k, begin, end)


@kernel
def commit_pages(k: Kernel, begin: VirtAddr, end: VirtAddr) -> word:
    """Map frames at [begin, end); a code, and nothing changed, when one is refused."""
    va = begin
    while va < end:
        code = commit_page(k, va)
        if code != OK:
            decommit(k, begin, va)
            return code
        va = VirtAddr(va + PAGE_BYTES)
    return OK


@kernel
def commit_page(k: Kernel, va: VirtAddr) -> word:
    """Map a fresh frame at va, writable and never executed; gives the frame back when a table for it is refused."""
    frame = pmm.alloc_page(k)
    if frame < 0:
        return frame
    code = vmm.map_page(k, va, frame, vmm.PRESENT | vmm.WRITABLE | vmm.NX)
    if code != OK:
        pmm.free_page(k, frame)
    return code


@kernel
def decommit(k: Kernel, begin: VirtAddr, end: VirtAddr) -> None:
    """Undo commit_page for [begin, end), the last page first; unmap_page flushes before the frame is free."""
    va = end
    while va > begin:
        va = VirtAddr(va - PAGE_BYTES)
        pmm.free_page(k, PhysAddr(vmm.unmap_page(k, va)))
