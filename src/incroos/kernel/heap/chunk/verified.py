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
from incroos.kernel.heap.chunk.header import (
    ALIGNMENT,
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
from incroos.kernel.heap.report.damage import end_with
from incroos.kernel.state import Kernel, SizedChunk
from incroos.lang import VirtAddr, cold, kernel, load64, sub_wrap, unsigned_less, word

MAX_DEPTH: Final = 64  # of a trie: it has no more levels than a size has bits


# ------------------------------------------------------------------ headers and boundary tags
@kernel
def checked_head(k: Kernel, chunk: SizedChunk) -> word:
    """Bytes and flags of a chunk that must be there; panics when its header is not sealed: something wrote over it."""
    head = chunk.header & HEAD_MASK
    if k.config.hardening != NO_HARDENING and chunk.header != sealed(k, chunk.addr, head):
        report_header(k, chunk)
    return head


@kernel
def checked_shift(k: Kernel, chunk: SizedChunk) -> word:
    """The binary logarithm of the alignment that a used chunk has a note of, 0 without a note.

    Panics when something wrote over the note. Without hardening it is believed, as far as the payload has so much.
    """
    if not has_note(k, checked_head(k, chunk)):
        return 0
    shift = read_note(chunk)
    if k.config.hardening != NO_HARDENING and not LEAST_SHIFT <= shift <= greatest_shift(chunk):
        report_note(k, chunk, shift)
    return min(shift, greatest_shift(chunk))


@kernel
def chunk_before(k: Kernel, chunk: SizedChunk) -> SizedChunk:
    """The free chunk in front of this one, found by its boundary tag; panics when something wrote over that."""
    nbytes = load64(k.m, VirtAddr(chunk.addr - 8))
    before = chunk_at(k, sub_wrap(chunk.addr, nbytes))
    if k.config.hardening != NO_HARDENING and not is_free_before(k, chunk, nbytes):
        report_boundary_tag(k, chunk)
    return before


@kernel
def is_free_before(k: Kernel, chunk: SizedChunk, nbytes: word) -> bool:
    """Whether the chunk of so many bytes, which may be any number, in front of another is a free one."""
    if nbytes & (ALIGNMENT - 1) != 0 or not MIN_CHUNK_BYTES <= nbytes <= chunk.addr - k.chunks.start - FIRST_CHUNK:
        return False
    before = chunk_at(k, chunk.addr - nbytes)
    return before.header == sealed(k, before.addr, nbytes | PREVIOUS_USED)


# ------------------------------------------------------------------ links
@kernel
def masked(k: Kernel, chunk: SizedChunk, link: VirtAddr) -> VirtAddr:
    """A link as it is stored in a chunk; or the link that is stored so."""
    if k.config.hardening == NO_HARDENING:
        return link
    return VirtAddr(link ^ k.hardening.secret ^ chunk.addr)


@kernel
def linked(k: Kernel, chunk: SizedChunk, link: VirtAddr) -> SizedChunk:
    """The chunk that a link of another one leads to; panics when none can be there."""
    distance = sub_wrap(link, k.chunks.start)
    if k.config.hardening != NO_HARDENING and not unsigned_less(distance, k.chunks.reach_bytes):
        report_link(k, chunk, link)
    return chunk_at(k, link)


@kernel
def require_end(k: Kernel, node: SizedChunk, depth: word) -> None:
    """Panic when a walk down a trie came so deep that links must lead in a circle."""
    if k.config.hardening != NO_HARDENING and depth > MAX_DEPTH:
        report_link(k, node, VirtAddr(0))


@kernel
def require_link(k: Kernel, chunk: SizedChunk, stored: VirtAddr, wanted: VirtAddr) -> None:
    """Panic unless the link that is stored in a chunk is the one that must be there."""
    if k.config.hardening != NO_HARDENING and masked(k, chunk, stored) != wanted:
        report_link(k, chunk, masked(k, chunk, stored))


# ------------------------------------------------------------------ reports
@cold
@kernel
def report_header(k: Kernel, chunk: SizedChunk) -> None:
    """Panic: something wrote over this header."""
    end_with(k, b'the header of a chunk is overwritten', chunk.addr, chunk.header, payload_of(chunk))


@cold
@kernel
def report_boundary_tag(k: Kernel, chunk: SizedChunk) -> None:
    """Panic: something wrote over the end of the free chunk before this one, or over its header."""
    at = VirtAddr(chunk.addr - 8)
    end_with(k, b'the boundary tag of a free chunk is overwritten', at, load64(k.m, at), at)


@cold
@kernel
def report_note(k: Kernel, chunk: SizedChunk, shift: word) -> None:
    """Panic: something wrote over the last byte of this used chunk."""
    end_with(k, b'the note of an alignment is overwritten', place_of_note(chunk), shift, payload_of(chunk))


@cold
@kernel
def report_link(k: Kernel, chunk: SizedChunk, link: VirtAddr) -> None:
    """Panic: something wrote over a link of this free chunk, or of one that it leads to."""
    end_with(k, b'a link of a free chunk is overwritten', chunk.addr, link, payload_of(chunk))


@kernel
def payload_of(chunk: SizedChunk) -> VirtAddr:
    """Where the payload of a chunk begins."""
    return VirtAddr(chunk.addr + HEADER_BYTES)
