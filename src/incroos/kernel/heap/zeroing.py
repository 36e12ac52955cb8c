"""Zeroing a block that was just handed out: pages that are zeros already are not touched.

Unit: the byte. Fresh pages of a process are zeros, and so are pages that it gave back. A large block whose pages were
used before gives them back, since nobody knows how much of it the user will touch; where the system refuses that, they
are filled, as is all else.
"""

from typing import Final

from incroos.kernel.codes import OK
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Heap
from incroos.lang import VirtAddr, fill, kernel, word

LEAST_EMPTIED: Final = 1 << 20  # bytes of used pages; fewer are filled faster than they come back


@kernel
def zero(heap: Heap, ptr: VirtAddr, nbytes: word, unused_from: VirtAddr) -> None:
    """Let a block read as zeros. unused_from is what the design said before the block was handed out."""
    end = VirtAddr(max(min(ptr + nbytes, unused_from), ptr))
    if heap.config.pages.HAS_HOLES and heap.config.pages.HAS_ZEROS and end - ptr >= LEAST_EMPTIED:
        first = VirtAddr((ptr + PAGE_BYTES - 1) & -PAGE_BYTES)
        last = VirtAddr(end & -PAGE_BYTES)
        if heap.config.pages.empty(heap, first, last) == OK:
            fill(heap.m, ptr, 0, first - ptr)
            fill(heap.m, last, 0, end - last)
            return
    fill(heap.m, ptr, 0, end - ptr)
