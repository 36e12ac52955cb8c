"""What is read out of a chunk is checked before it is believed: its header, its boundary tag, its links.

Unit: the chunk. Whoever writes past the end of his memory meets these words first. A header must have its seal, a note
must be of an alignment that its payload has. A link
is stored masked with the heap's secret and its place, so that what somebody else wrote there leads outside of the heap;
it must lead to where a free chunk can be, and the chunk there must point back before anything is written. So a heap
that somebody wrote over ends in a panic with a report, and not in a write somewhere else. Without hardening links are
plain, and all is believed.

    in a free chunk     next ^ secret ^ address of the chunk      the same for previous, left, right, parent
"""

from typing import Final

from incroos.kernel.config import NO_HARDENING
from incroos.kernel.heap.block import ALIGNMENT
from incroos.kernel.heap.chunk.header import (
    FIRST_CHUNK,
    HEAD_MASK,
    HEADER_BYTES,
    LEAST_SHIFT,
    MIN_CHUNK_BYTES,
    PREVIOUS_USED,
    chunk_at,
    greatest_shift,
    has_note,
    place_of_note,
    read_note,
    sealed,
)
from incroos.kernel.state import Heap, SizedChunk
from incroos.lang import VirtAddr, cold, kernel, load64, sub_wrap, unsigned_less, word

MAX_DEPTH: Final = 64  # of a trie: it has no more levels than a size has bits


# ------------------------------------------------------------------ headers and boundary tags
@kernel
def checked_head(heap: Heap, chunk: SizedChunk) -> word:
    """Bytes and flags of a chunk that must be there; panics when its header is not sealed: something wrote over it."""
    head = chunk.header & HEAD_MASK
    if heap.config.hardening != NO_HARDENING and chunk.header != sealed(heap, chunk.addr, head):
        report_header(heap, chunk)
    return head


@kernel
def checked_shift(heap: Heap, chunk: SizedChunk) -> word:
    """The binary logarithm of the alignment that a used chunk has a note of, 0 without a note.

    Panics when something wrote over the note. Without hardening it is believed, as far as the payload has so much.
    """
    if not has_note(heap, checked_head(heap, chunk)):
        return 0
    shift = read_note(chunk)
    if heap.config.hardening != NO_HARDENING and not LEAST_SHIFT <= shift <= greatest_shift(chunk):
        report_note(heap, chunk, shift)
    return min(shift, greatest_shift(chunk))


@kernel
def chunk_before(heap: Heap, chunk: SizedChunk) -> SizedChunk:
    """The free chunk in front of this one, found by its boundary tag; panics when something wrote over that."""
    nbytes = load64(heap.m, VirtAddr(chunk.addr - 8))
    before = chunk_at(heap, sub_wrap(chunk.addr, nbytes))
    if heap.config.hardening != NO_HARDENING and not is_free_before(heap, chunk, nbytes):
        report_boundary_tag(heap, chunk)
    return before


@kernel
def is_free_before(heap: Heap, chunk: SizedChunk, nbytes: word) -> bool:
    """Whether the chunk of so many bytes, which may be any number, in front of another is a free one."""
    if nbytes & (ALIGNMENT - 1) != 0 or not MIN_CHUNK_BYTES <= nbytes <= chunk.addr - heap.chunks.start - FIRST_CHUNK:
        return False
    before = chunk_at(heap, chunk.addr - nbytes)
    return before.header == sealed(heap, before.addr, nbytes | PREVIOUS_USED)


# ------------------------------------------------------------------ links
@kernel
def masked(heap: Heap, chunk: SizedChunk, link: VirtAddr) -> VirtAddr:
    """A link as it is stored in a chunk; or the link that is stored so."""
    if heap.config.hardening == NO_HARDENING:
        return link
    return VirtAddr(link ^ heap.hardening.secret ^ chunk.addr)


@kernel
def linked(heap: Heap, chunk: SizedChunk, link: VirtAddr) -> SizedChunk:
    """The chunk that a link of another one leads to; panics when none can be there."""
    distance = sub_wrap(link, heap.chunks.start)
    if heap.config.hardening != NO_HARDENING and not unsigned_less(distance, heap.chunks.reach_bytes):
        report_link(heap, chunk, link)
    return chunk_at(heap, link)


@kernel
def require_end(heap: Heap, node: SizedChunk, depth: word) -> None:
    """Panic when a walk down a trie came so deep that links must lead in a circle."""
    if heap.config.hardening != NO_HARDENING and depth > MAX_DEPTH:
        report_link(heap, node, VirtAddr(0))


@kernel
def require_link(heap: Heap, chunk: SizedChunk, stored: VirtAddr, wanted: VirtAddr) -> None:
    """Panic unless the link that is stored in a chunk is the one that must be there."""
    if heap.config.hardening != NO_HARDENING and masked(heap, chunk, stored) != wanted:
        report_link(heap, chunk, masked(heap, chunk, stored))


# ------------------------------------------------------------------ reports
@cold
@kernel
def report_header(heap: Heap, chunk: SizedChunk) -> None:
    """Panic: something wrote over this header."""
    heap.config.damage.end_with(
        heap, b'the header of a chunk is overwritten', chunk.addr, chunk.header, payload_of(chunk)
    )


@cold
@kernel
def report_boundary_tag(heap: Heap, chunk: SizedChunk) -> None:
    """Panic: something wrote over the end of the free chunk before this one, or over its header."""
    at = VirtAddr(chunk.addr - 8)
    heap.config.damage.end_with(heap, b'the boundary tag of a free chunk is overwritten', at, load64(heap.m, at), at)


@cold
@kernel
def report_note(heap: Heap, chunk: SizedChunk, shift: word) -> None:
    """Panic: something wrote over the last byte of this used chunk."""
    heap.config.damage.end_with(
        heap, b'the note of an alignment is overwritten', place_of_note(chunk), shift, payload_of(chunk)
    )


@cold
@kernel
def report_link(heap: Heap, chunk: SizedChunk, link: VirtAddr) -> None:
    """Panic: something wrote over a link of this free chunk, or of one that it leads to."""
    heap.config.damage.end_with(heap, b'a link of a free chunk is overwritten', chunk.addr, link, payload_of(chunk))


@kernel
def payload_of(chunk: SizedChunk) -> VirtAddr:
    """Where the payload of a chunk begins."""
    return VirtAddr(chunk.addr + HEADER_BYTES)
