"""Chunks: what the dlmalloc-style heap cuts its range into, and how the header of one is sealed.

Unit: the byte. Knows nothing of bins, nor of where memory comes from. A chunk's address is 8 modulo 16, so that its
payload's is 0 modulo 16:
```
 chunk          +---------------------------------------------------------------+
   header       | tag, 24 bits | chunk's bytes, flags in the low four bits, 40  |
 payload        +---------------------------------+-----------------------------+
   used: the caller's bytes                       | free: next of its size      |
   (to the end of the chunk, or to the note       |       previous of its size  |
    in its last byte)                             |       from 1,024 bytes on:  |
                                                  |       left, right, parent   |
                                                  |       what was there before |
                                                  |       bytes, boundary tag   |
 next chunk     +---------------------------------+-----------------------------+
```
The tag is a hash of the chunk's address, bytes and flags with the heap's secret, and the header of a chunk that ends is
erased. So kfree takes only payloads of used chunks. One flag is not in the tag, PREVIOUS_USED: it changes with the
chunk before. Without hardening the tag is 0, and what is read is believed.

The note is the binary logarithm of the alignment that the caller asked for, where that is more than 16: his address may
be a multiple of more (docs/adr/0404-an-aligned-chunk-ends-with-a-note.md). Where blocks have tags, they tell it, and
there is no note.

Boundary tags: D. E. Knuth, The Art of Computer Programming, volume 1, section 2.5, algorithm C. The flag of the chunk
before, which lets the boundary tag of a used chunk be payload: D. Lea, "A Memory Allocator".
"""

from typing import Final

from incroos.kernel.config import NO_HARDENING
from incroos.kernel.heap.block import ALIGNMENT
from incroos.kernel.heap.secret import is_tagged
from incroos.kernel.state import Heap, SizedChunk
from incroos.lang import (
    VirtAddr,
    add_wrap,
    count_trailing_zeros,
    kernel,
    load8,
    mul_wrap,
    shl_wrap,
    store8,
    store64,
    word,
)

HEADER_BYTES: Final = 8
MIN_CHUNK_BYTES: Final = 32  # header, two links, boundary tag
FIRST_CHUNK: Final = 8  # behind the start of a range
NOTE_BYTES: Final = 1
LEAST_SHIFT: Final = 5  # in a note

USED: Final = 1  # flags in a header
PREVIOUS_USED: Final = 2
ALIGNED: Final = 4  # the user asked for an alignment, which a payload that moves must keep: there is a note of it
MOVED: Final = 8  # in a process: its whole pages came from elsewhere, and must be renewed when it ends
HEAD_MASK: Final = (1 << 40) - 1  # bytes and flags
BYTES_MASK: Final = HEAD_MASK & -ALIGNMENT
# 1, so that the low part of a product is the other factor; above it digits of the golden ratio, which spread what they
# multiply: Knuth, volume 3, section 6.4.
SEAL: Final = -0x61C8_86FF_FFFF_FFFF


@kernel
def sealed(heap: Heap, chunk: VirtAddr, head: word) -> word:
    """The header that belongs at this address for these bytes and flags."""
    if heap.config.hardening == NO_HARDENING:
        return head
    place = shl_wrap(chunk ^ heap.hardening.secret, 40)
    return add_wrap(mul_wrap(head & ~PREVIOUS_USED, SEAL), add_wrap(place, head & PREVIOUS_USED))


@kernel
def chunk_at(heap: Heap, addr: word) -> SizedChunk:
    """The chunk at an address."""
    return SizedChunk(heap.m, VirtAddr(addr))


@kernel
def chunk_bytes_for(nbytes: word) -> word:
    """How large a chunk must be for a payload of so many bytes."""
    return max(MIN_CHUNK_BYTES, (nbytes + HEADER_BYTES + ALIGNMENT - 1) & -ALIGNMENT)


@kernel
def bytes_of(chunk: SizedChunk) -> word:
    """The chunk's bytes, header included."""
    return chunk.header & BYTES_MASK


@kernel
def room_in(heap: Heap, head: word) -> word:
    """The caller's bytes in a used chunk with these bytes and flags."""
    room = (head & BYTES_MASK) - HEADER_BYTES
    return room - NOTE_BYTES if has_note(heap, head) else room


@kernel
def is_sealed(heap: Heap, chunk: SizedChunk) -> bool:
    """Whether the chunk's header is one."""
    return chunk.header == sealed(heap, chunk.addr, chunk.header & HEAD_MASK)


@kernel
def write_used(heap: Heap, chunk: SizedChunk, nbytes: word, flags: word) -> None:
    """Make the chunk a used one of so many bytes, with these other flags."""
    chunk.header = sealed(heap, chunk.addr, nbytes | USED | flags)


@kernel
def write_free(heap: Heap, chunk: SizedChunk, nbytes: word) -> None:
    """Make the chunk a free one of so many bytes behind a used one; its links stay."""
    chunk.header = sealed(heap, chunk.addr, nbytes | PREVIOUS_USED)
    store64(chunk.m, VirtAddr(chunk.addr + nbytes - 8), nbytes)


@kernel
def note_previous_used(heap: Heap, addr: VirtAddr) -> None:
    """Tell the chunk at an address that the one before it is used."""
    chunk = chunk_at(heap, addr)
    chunk.header = chunk.header | PREVIOUS_USED


@kernel
def note_previous_free(heap: Heap, addr: VirtAddr) -> None:
    """Tell the chunk at an address that the one before it is free."""
    chunk = chunk_at(heap, addr)
    chunk.header = chunk.header & ~PREVIOUS_USED


# ------------------------------------------------------------------ the note of an alignment
@kernel
def has_note(heap: Heap, head: word) -> bool:
    """Whether a used chunk with these flags ends with a note."""
    return head & ALIGNED != 0 and not is_tagged(heap)


@kernel
def bytes_with_note(heap: Heap, nbytes: word) -> word:
    """What a payload with an alignment needs for so many bytes of the caller's."""
    return nbytes if is_tagged(heap) else nbytes + NOTE_BYTES


@kernel
def place_of_note(chunk: SizedChunk) -> VirtAddr:
    """Where the note of a used chunk is that has one."""
    return VirtAddr(chunk.addr + bytes_of(chunk) - NOTE_BYTES)


@kernel
def read_note(chunk: SizedChunk) -> word:
    """The note of a used chunk that has one; whether it is right is another question."""
    return load8(chunk.m, place_of_note(chunk))


@kernel
def write_note(heap: Heap, chunk: SizedChunk, shift: word) -> None:
    """Note an alignment of 2**shift at the end of a used chunk, if notes are made of it."""
    if has_note(heap, chunk.header):
        store8(chunk.m, place_of_note(chunk), shift)


@kernel
def greatest_shift(chunk: SizedChunk) -> word:
    """The binary logarithm of the greatest alignment that the payload has, asked for or not."""
    return count_trailing_zeros(chunk.addr + HEADER_BYTES)
