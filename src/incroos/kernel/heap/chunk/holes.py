"""Holes: the pages that lie wholly inside free chunks. In a process they go back, and are there again when touched.

Unit: the byte. A part of best_fit.py, which has the range. Header, links and last word of a free chunk stay.

All holes are made when less than a quarter is used of what was used at most since they were made last. So free chunks
keep about three times the pages in use at most, and where use varies by less, nothing is done.
"""

from typing import Final

from incroos.kernel.codes import OK
from incroos.kernel.heap.chunk.header import BYTES_MASK, FIRST_CHUNK, HEADER_BYTES, USED, chunk_at
from incroos.kernel.heap.chunk.verified import checked_head
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Heap, SizedChunk, host_of
from incroos.lang import VirtAddr, cold, kernel, word

IDLE_FACTOR: Final = 3  # so many times what is used may be idle, beyond MOST_IDLE
MOST_IDLE: Final = 8 << 20


@kernel
def note_peak(heap: Heap) -> None:
    """Remember what was used at most; to be called before a chunk ends."""
    if heap.chunks.used_bytes > host_of(heap).peak_bytes:
        host_of(heap).peak_bytes = heap.chunks.used_bytes


@kernel
def make_if_too_idle(heap: Heap) -> None:
    """Make all holes where much more was used than is now; to be called after a chunk ended."""
    used_bytes = heap.chunks.used_bytes
    if host_of(heap).peak_bytes - used_bytes > MOST_IDLE + IDLE_FACTOR * used_bytes:
        make_all(heap)


@cold
@kernel
def make_all(heap: Heap) -> word:
    """Give back the pages inside all free chunks; how many bytes of addresses that are, some of them without pages."""
    if not heap.config.pages.HAS_HOLES:
        return 0
    nbytes = 0
    at = VirtAddr(heap.chunks.start + FIRST_CHUNK)
    while at < heap.chunks.top:
        chunk = chunk_at(heap, at)
        head = checked_head(heap, chunk)
        if head & USED == 0:
            nbytes += make(heap, at, head & BYTES_MASK)
        at = VirtAddr(at + (head & BYTES_MASK))
    host_of(heap).peak_bytes = heap.chunks.used_bytes
    return nbytes


@kernel
def make(heap: Heap, chunk: VirtAddr, nbytes: word) -> word:
    """Give back the pages that lie wholly in a free chunk, or in what was a chunk, of so many bytes; their bytes."""
    start = VirtAddr((chunk + SizedChunk.SIZE + PAGE_BYTES - 1) & -PAGE_BYTES)
    end = VirtAddr((chunk + nbytes - HEADER_BYTES) & -PAGE_BYTES)
    if end <= start or heap.config.pages.empty(heap, start, end) != OK:
        return 0
    return end - start
