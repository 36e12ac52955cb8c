"""Ranges: which addresses are the heap's.

Unit: the byte. In a kernel the configuration says it, in a process the place of the heap: config.pages knows.
"""

from typing import Final

from incroos.kernel.state import Heap
from incroos.lang import VirtAddr, kernel, word

CHUNKS: Final = 0
SLABS: Final = 1
RECORDS: Final = 2  # of the slabs' pages

MAX_FIRST_FIT_BYTES: Final = (1 << 32) - (1 << 12)  # of a range of first fit, whose headers have 32 bits for bytes


@kernel
def chunks_start(heap: Heap) -> VirtAddr:
    """Where chunks begin, or all of a heap that has one range."""
    start, _ = heap.config.pages.range_of(heap, CHUNKS)
    return start


@kernel
def chunks_bytes(heap: Heap) -> word:
    """How many bytes they may grow to."""
    _, nbytes = heap.config.pages.range_of(heap, CHUNKS)
    return nbytes


@kernel
def first_fit_start(heap: Heap) -> VirtAddr:
    """Where the chunks of first fit begin."""
    return chunks_start(heap) if heap.config.pages.HAS_FIXED_RANGES else heap.first_fit.start


@kernel
def first_fit_bytes(heap: Heap) -> word:
    """How many bytes they may grow to."""
    return min(chunks_bytes(heap), MAX_FIRST_FIT_BYTES)


@kernel
def map_fresh(heap: Heap, start: VirtAddr, end: VirtAddr, limit: VirtAddr) -> word:
    """Let there be pages at [start, end) of a range that ends at the limit; a code, and nothing changed, if not."""
    return heap.config.pages.map_fresh(heap, start, end, limit)
