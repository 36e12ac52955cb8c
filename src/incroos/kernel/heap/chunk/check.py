"""The checker of the chunks: one walk over the range, compared with the bins.

Unit: the byte. Changes nothing, and reads no address that has no frame.
"""

from typing import Final

from incroos.kernel.codes import OK
from incroos.kernel.heap.block import ALIGNMENT
from incroos.kernel.heap.chunk import bins_check
from incroos.kernel.heap.chunk.header import (
    FIRST_CHUNK,
    LEAST_SHIFT,
    MIN_CHUNK_BYTES,
    PREVIOUS_USED,
    USED,
    bytes_of,
    chunk_at,
    greatest_shift,
    has_note,
    is_sealed,
    read_note,
)
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Heap
from incroos.lang import VirtAddr, kernel, load64, word

# CHUNKS-1  start + 8 <= top <= committed_end <= end, except that top may be start + 8 before there are frames; top is
#           8 modulo 16, both ends are page-aligned
# CHUNKS-2  from the first chunk to top chunk follows chunk; each header is sealed, each has at least 32 bytes
# CHUNKS-3  PREVIOUS_USED tells the chunk before; the first chunk has it, and the chunk before top is used
# CHUNKS-4  the last word of a free chunk is its bytes
# CHUNKS-5  used_bytes == sum of the bytes of used chunks
# CHUNKS-6  each free chunk is in a bin, once, or is the remainder; the remainder has remainder_bytes
# CHUNKS-7  each page of [start, committed_end) is mapped, the page at committed_end is not
# CHUNKS-8  a note is of an alignment above 16 that the payload has
# BIN-n     as in bins_check.py, as 10 + n
#
# Two free neighbours would break CHUNKS-3: the second one's flag says that the first is used.

BIN_INVARIANTS: Final = 10


@kernel
def check(heap: Heap) -> word:
    """0, or the number of the first invariant that does not hold."""
    code = check_range(heap)
    if code != OK:
        return code
    code, nr_free, used_bytes = walk_chunks(heap)
    if code != OK:
        return code
    if used_bytes != heap.chunks.used_bytes:
        return 5
    nr_binned = bins_check.count_chunks(heap)
    if nr_binned < 0:
        return BIN_INVARIANTS + bins_check.code_of(nr_binned)
    return check_remainder(heap, nr_free - nr_binned)


@kernel
def check_range(heap: Heap) -> word:
    """CHUNKS-1 and CHUNKS-7."""
    chunks = heap.chunks
    first = chunks.start + FIRST_CHUNK
    if chunks.top < first or chunks.committed_end > chunks.end:
        return 1
    if chunks.top > chunks.committed_end and chunks.top != first:
        return 1
    if chunks.top & (ALIGNMENT - 1) != FIRST_CHUNK or chunks.committed_end & (PAGE_BYTES - 1) != 0:
        return 1
    if not heap.config.pages.are_as(heap, chunks.start, chunks.committed_end, True):
        return 7
    behind = VirtAddr(min(chunks.committed_end + PAGE_BYTES, chunks.end))
    return OK if heap.config.pages.are_as(heap, chunks.committed_end, behind, False) else 7


@kernel
def walk_chunks(heap: Heap) -> tuple[word, word, word]:
    """CHUNKS-2 to CHUNKS-4 and CHUNKS-8: the code, how many chunks are free, and the bytes of those that are used."""
    top = heap.chunks.top
    nr_free = 0
    used_bytes = 0
    previous_used = PREVIOUS_USED
    at = VirtAddr(heap.chunks.start + FIRST_CHUNK)
    while at < top:
        chunk = chunk_at(heap, at)
        nbytes = bytes_of(chunk)
        if not is_sealed(heap, chunk) or nbytes < MIN_CHUNK_BYTES or nbytes > top - at:
            return 2, 0, 0
        if chunk.header & PREVIOUS_USED != previous_used:
            return 3, 0, 0
        at = VirtAddr(at + nbytes)
        previous_used = (chunk.header & USED) * PREVIOUS_USED
        if previous_used != 0:
            used_bytes += nbytes
            if has_note(heap, chunk.header) and not LEAST_SHIFT <= read_note(chunk) <= greatest_shift(chunk):
                return 8, 0, 0
        else:
            nr_free += 1
            if load64(heap.m, VirtAddr(at - 8)) != nbytes:
                return 4, 0, 0
    return OK if previous_used != 0 else 3, nr_free, used_bytes


@kernel
def check_remainder(heap: Heap, nr_not_binned: word) -> word:
    """CHUNKS-6, when so many free chunks are in no bin."""
    chunks = heap.chunks
    if chunks.remainder == 0:
        return OK if nr_not_binned == 0 and chunks.remainder_bytes == 0 else 6
    if nr_not_binned != 1 or not bins_check.is_free_chunk(heap, chunks.remainder):
        return 6
    return OK if bytes_of(chunk_at(heap, chunks.remainder)) == chunks.remainder_bytes else 6
