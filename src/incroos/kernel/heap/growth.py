"""Growth of the heap: gives frames to addresses before a chunk reaches them, or changes nothing.

Unit: the page. Knows nothing of chunks. Never by a page fault, so that running out of frames is a code and not a fault.
"""

from incroos.kernel import vmm
from incroos.kernel.codes import NO_ADDRESSES, OK
from incroos.kernel.config import HOSTED_SPACE
from incroos.kernel.heap import counters, pages
from incroos.kernel.heap.ranges import first_fit_bytes, first_fit_start
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, cold, kernel, word


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
        return vmm.map_fresh(k, begin, end, vmm.DATA)
