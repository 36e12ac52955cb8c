"""Chunks of another size or alignment: growing and shrinking where they are, and payloads on a boundary.

Unit: the byte. A part of best_fit.py, which has the range and its words. Moves a payload only by its pages, if it is a
large one of a process; else the caller does, where this says that it cannot stay.
"""

from typing import Final

from incroos.kernel.codes import NO_FRAME, NOT_MAPPED, OK
from incroos.kernel.heap.block import MAX_BYTES
from incroos.kernel.heap.chunk import best_fit
from incroos.kernel.heap.chunk.best_fit import first_page, has_frames, in_use, leave, release, renew, take
from incroos.kernel.heap.chunk.header import (
    ALIGNED,
    BYTES_MASK,
    HEADER_BYTES,
    MIN_CHUNK_BYTES,
    MOVED,
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
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Heap, SizedChunk
from incroos.lang import VirtAddr, cold, copy, count_trailing_zeros, kernel, shl_wrap, word

KEPT: Final = PREVIOUS_USED | ALIGNED | MOVED  # flags, when a chunk changes its size
LEAST_MOVED: Final = 1 << 19  # bytes of a payload that is moved by its pages
MOVED_SHIFT: Final = 10  # and this part of what is in use, one in 1,024: a process may have some 65,000 mappings


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
    if heap.config.pages.CAN_MOVE and head & MOVED != 0 and not renew(heap, chunk_at(heap, chunk.addr + wanted), rest):
        return
    write_used(heap, chunk, wanted, head & KEPT)
    heap.chunks.used_bytes -= rest
    release(heap, chunk_at(heap, chunk.addr + wanted), rest | USED | PREVIOUS_USED)


@kernel
def alloc_aligned(heap: Heap, alignment: word, nbytes: word) -> VirtAddr:
    """Give nbytes bytes, more than 0, at a multiple of the alignment, a power of two above 16; 0 as in alloc.

    The note of the alignment is among the bytes.
    """
    chunk = take_at(heap, alignment, 0, nbytes)
    if chunk.addr == 0:
        return VirtAddr(0)
    head = checked_head(heap, chunk)
    write_used(heap, chunk, head & BYTES_MASK, head & KEPT | ALIGNED)
    write_note(heap, chunk, count_trailing_zeros(alignment))
    return VirtAddr(chunk.addr + HEADER_BYTES)


@kernel
def take_at(heap: Heap, alignment: word, offset: word, nbytes: word) -> SizedChunk:
    """A used chunk whose payload has nbytes bytes, so far behind a multiple of the alignment; at address 0 as alloc."""
    if nbytes > MAX_BYTES or alignment > MAX_BYTES:
        return chunk_at(heap, 0)
    wanted = chunk_bytes_for(nbytes)
    start = take(heap, wanted + alignment + MIN_CHUNK_BYTES)
    if start == 0:
        return chunk_at(heap, 0)
    payload = ((start + HEADER_BYTES - offset + alignment - 1) & -alignment) + offset
    lead = payload - HEADER_BYTES - start
    if 0 < lead < MIN_CHUNK_BYTES:
        lead += alignment
    chunk = chunk_at(heap, start)
    if lead > 0:
        chunk = cut_lead(heap, chunk, lead)
    cut_off(heap, chunk, wanted)
    return chunk


@kernel
def cut_lead(heap: Heap, chunk: SizedChunk, lead: word) -> SizedChunk:
    """Take back the first bytes of a used chunk; what is left of it."""
    head = checked_head(heap, chunk)
    rest = chunk_at(heap, chunk.addr + lead)
    write_used(heap, rest, (head & BYTES_MASK) - lead, PREVIOUS_USED)
    heap.chunks.used_bytes -= lead
    release(heap, chunk, lead | USED | head & PREVIOUS_USED)
    return rest


# ------------------------------------------------------------------ by pages
@kernel
def is_large(heap: Heap, have: word) -> bool:
    """Whether a payload of so many bytes is moved by its pages."""
    return heap.config.pages.CAN_MOVE and have >= LEAST_MOVED and have >= in_use(heap) >> MOVED_SHIFT


@kernel
def is_moved(heap: Heap, ptr: VirtAddr) -> bool:
    """Whether a payload of a used chunk was. It can only be moved again if its pages are still one mapping."""
    return checked_head(heap, chunk_at(heap, ptr - HEADER_BYTES)) & MOVED != 0


@cold
@kernel
def move(heap: Heap, owner: Heap, ptr: VirtAddr, nbytes: word, alignment: word) -> tuple[VirtAddr, word]:
    """Move the large payload of a used chunk of some heap to one of this heap for nbytes bytes, which are more.

    Both are equally far behind the start of a page, and have the alignment and that of the note. What is beside the
    whole pages is copied. The payload, or 0 if nothing has changed; and OK if the caller may free the chunk. Else its
    pages are lost, and it stays a used one: nothing is ever put there.
    """
    old = chunk_at(heap, ptr - HEADER_BYTES)
    shift = checked_shift(owner, old)
    end = VirtAddr(old.addr + bytes_of(old))
    new = take_at(heap, max(max(PAGE_BYTES, alignment), shl_wrap(1, shift)), ptr & (PAGE_BYTES - 1), nbytes)
    if new.addr == 0:
        return VirtAddr(0), NO_FRAME
    distance = new.addr - old.addr
    first = first_page(old)
    last = VirtAddr(end & -PAGE_BYTES)
    behind = VirtAddr(new.addr + bytes_of(new) & -PAGE_BYTES)
    code = heap.config.pages.move(heap, first, last, VirtAddr(first + distance), behind)
    target = VirtAddr(ptr + distance)
    if code == OK or code == NOT_MAPPED:
        copy(heap.m, target, ptr, first - ptr)
        copy(heap.m, VirtAddr(last + distance), last, end - last)
        head = checked_head(heap, new)
        write_used(heap, new, head & BYTES_MASK, head & KEPT | old.header & ALIGNED | MOVED)
        write_note(heap, new, shift)
        return target, code
    if code == NO_FRAME:
        best_fit.free(heap, target)
    return VirtAddr(0), code


@kernel
def free_moved(heap: Heap, ptr: VirtAddr) -> None:
    """Take back a chunk whose payload was moved away: fresh pages are there already."""
    old = chunk_at(heap, ptr - HEADER_BYTES)
    write_used(heap, old, bytes_of(old), checked_head(heap, old) & KEPT & ~MOVED)
    best_fit.free(heap, ptr)


@kernel
def alignment_of(heap: Heap, ptr: VirtAddr) -> word:
    """The alignment that was asked for, of the payload of a used chunk; 1 for none."""
    return shl_wrap(1, checked_shift(heap, chunk_at(heap, ptr - HEADER_BYTES)))
