"""Chunks of another size or alignment: growing and shrinking where they are, and payloads on a boundary.

Unit: the byte. A part of best_fit.py, which has the range and its words. Never moves a payload: who calls does, where
this says that it cannot.
"""

from typing import Final

from incroos.kernel.heap.block import MAX_BYTES
from incroos.kernel.heap.chunk.best_fit import has_frames, leave, release, take
from incroos.kernel.heap.chunk.header import (
    ALIGNED,
    BYTES_MASK,
    HEADER_BYTES,
    MIN_CHUNK_BYTES,
    PREVIOUS_USED,
    USED,
    bytes_of,
    chunk_at,
    chunk_bytes_for,
    note_previous_used,
    write_note,
    write_used,
)
from incroos.kernel.heap.chunk.verified import checked_head, checked_shift
from incroos.kernel.state import Heap, SizedChunk
from incroos.lang import VirtAddr, count_trailing_zeros, kernel, shl_wrap, word

KEPT: Final = PREVIOUS_USED | ALIGNED  # flags, when a chunk changes its size


@kernel
def resize(heap: Heap, ptr: VirtAddr, nbytes: word) -> bool:
    """Give a used chunk with this payload room for nbytes bytes, more than 0, where it is; False if that cannot be.

    The note of its alignment is among the bytes.
    """
    if nbytes > MAX_BYTES:
        return False
    chunk = chunk_at(heap, ptr - HEADER_BYTES)
    shift = checked_shift(heap, chunk)
    wanted = chunk_bytes_for(nbytes)
    if wanted > bytes_of(chunk) and not extend(heap, chunk, wanted):
        return False
    cut_off(heap, chunk, wanted)
    write_note(heap, chunk, shift)
    return True


@kernel
def extend(heap: Heap, chunk: SizedChunk, wanted: word) -> bool:
    """Let a used chunk take what is free behind it; False, and nothing changed, where that is not enough."""
    chunks = heap.chunks
    head = checked_head(heap, chunk)
    have = head & BYTES_MASK
    end = VirtAddr(chunk.addr + have)
    if end == chunks.top:
        if not has_frames(heap, VirtAddr(chunk.addr + wanted)):
            return False
        chunks.top = VirtAddr(chunk.addr + wanted)
        more = wanted - have
    else:
        following = chunk_at(heap, end)
        head_behind = checked_head(heap, following)
        more = head_behind & BYTES_MASK
        if head_behind & USED != 0 or have + more < wanted:
            return False
        leave(heap, following, more)
        following.header = 0
        note_previous_used(heap, VirtAddr(end + more))
    write_used(heap, chunk, have + more, head & KEPT)
    chunks.used_bytes += more
    return True


@kernel
def cut_off(heap: Heap, chunk: SizedChunk, wanted: word) -> None:
    """Take back what a used chunk has beyond so many bytes, if that makes a chunk."""
    head = checked_head(heap, chunk)
    rest = (head & BYTES_MASK) - wanted
    if rest < MIN_CHUNK_BYTES:
        return
    write_used(heap, chunk, wanted, head & KEPT)
    heap.chunks.used_bytes -= rest
    release(heap, chunk_at(heap, chunk.addr + wanted), rest | USED | PREVIOUS_USED)


@kernel
def alloc_aligned(heap: Heap, alignment: word, nbytes: word) -> VirtAddr:
    """Give nbytes bytes, more than 0, at a multiple of the alignment, a power of two above 16; 0 as in alloc.

    The note of the alignment is among the bytes.
    """
    if nbytes > MAX_BYTES or alignment > MAX_BYTES:
        return VirtAddr(0)
    wanted = chunk_bytes_for(nbytes)
    start = take(heap, wanted + alignment + MIN_CHUNK_BYTES)
    if start == 0:
        return start
    payload = (start + HEADER_BYTES + alignment - 1) & -alignment
    lead = payload - HEADER_BYTES - start
    if 0 < lead < MIN_CHUNK_BYTES:
        lead += alignment
    chunk = chunk_at(heap, start)
    if lead > 0:
        chunk = cut_lead(heap, chunk, lead)
    cut_off(heap, chunk, wanted)
    head = checked_head(heap, chunk)
    write_used(heap, chunk, head & BYTES_MASK, head & KEPT | ALIGNED)
    write_note(heap, chunk, count_trailing_zeros(alignment))
    return VirtAddr(chunk.addr + HEADER_BYTES)


@kernel
def cut_lead(heap: Heap, chunk: SizedChunk, lead: word) -> SizedChunk:
    """Take back the first bytes of a used chunk; what is left of it."""
    head = checked_head(heap, chunk)
    rest = chunk_at(heap, chunk.addr + lead)
    write_used(heap, rest, (head & BYTES_MASK) - lead, PREVIOUS_USED)
    heap.chunks.used_bytes -= lead
    release(heap, chunk, lead | USED | head & PREVIOUS_USED)
    return rest


@kernel
def alignment_of(heap: Heap, ptr: VirtAddr) -> word:
    """The alignment that was asked for, of the payload of a used chunk; 1 for none."""
    return shl_wrap(1, checked_shift(heap, chunk_at(heap, ptr - HEADER_BYTES)))
