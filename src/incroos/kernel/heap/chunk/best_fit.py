"""Chunks by best fit, in the manner of Doug Lea's allocator: one range that is cut into chunks and grows at its end.

Unit: the byte. Frames come from pages.py. Serves one user at a time: there is no lock.

    start                                                       top               committed_end         end
      | 8 unused | used | free | used | remainder | used | ... | frames, no chunk | addresses only        |

    bins        free chunks by size (bins.py); of two neighbours at least one is used
    remainder   what was left of the free chunk that was split last. It is in no bin: the next small request that has no
                chunk of its size is cut from it, so that requests in a row lie in a row
    top         what was never used, or is free at the end

A request gets, in this order: a chunk of just its size or 16 bytes more; a piece of the remainder, if it is small; of
all free chunks the smallest that fits; a piece of the top. D. Lea, "A Memory Allocator": best fit, designated victim,
wilderness preservation. Its text is our own.
"""

from typing import Final

from incroos.kernel.codes import BAD_FREE, OK
from incroos.kernel.config import HOSTED_SPACE
from incroos.kernel.heap import pages
from incroos.kernel.heap.chunk import bins
from incroos.kernel.heap.chunk.bins import FIRST_TREE_BYTES
from incroos.kernel.heap.chunk.header import (
    ALIGNMENT,
    BYTES_MASK,
    FIRST_CHUNK,
    HEAD_MASK,
    HEADER_BYTES,
    MIN_CHUNK_BYTES,
    PREVIOUS_USED,
    USED,
    bytes_of,
    chunk_at,
    chunk_bytes_for,
    note_previous_free,
    note_previous_used,
    sealed,
    write_free,
    write_used,
)
from incroos.kernel.heap.chunk.verified import checked_head, chunk_before
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import Kernel, SizedChunk
from incroos.lang import VirtAddr, cold, count_trailing_zeros, kernel, shr_logical, word

MAX_BYTES: Final = 1 << 38  # of a request; a header has room for more
LEAST_RELEASE_FROM: Final = 1 << 17  # bytes of a free chunk, in a process, from which on its pages are given back
MOST_IDLE: Final = 1 << 19


@kernel
def init(k: Kernel, start: VirtAddr, max_bytes: word) -> None:
    """Begin without chunks in a range that has no frames yet; both page-aligned."""
    chunks = k.chunks
    chunks.start = start
    chunks.top = VirtAddr(start + FIRST_CHUNK)
    chunks.committed_end = start
    chunks.end = VirtAddr(start + max_bytes)
    chunks.reach_bytes = 0
    chunks.remainder = VirtAddr(0)
    chunks.remainder_bytes = 0
    chunks.used_bytes = 0
    chunks.release_from = LEAST_RELEASE_FROM
    bins.init(chunks.bins)


# ------------------------------------------------------------------ alloc
@kernel
def alloc(k: Kernel, nbytes: word) -> VirtAddr:
    """Give nbytes bytes, more than 0, at a multiple of 16; 0, and nothing changed, without room or frames for it."""
    if nbytes > MAX_BYTES:
        return VirtAddr(0)
    chunk = take(k, chunk_bytes_for(nbytes))
    return VirtAddr(chunk + HEADER_BYTES) if chunk != 0 else chunk


@kernel
def take(k: Kernel, nbytes: word) -> VirtAddr:
    """A used chunk with at least so many bytes; 0."""
    chunks = k.chunks
    if nbytes < FIRST_TREE_BYTES:
        suitable = shr_logical(chunks.bins.small_map, nbytes >> 4)
        if suitable & 3 != 0:  # of this size, or too little larger to be split
            size = nbytes + (count_trailing_zeros(suitable) << 4)
            return take_small(k, chunk_at(k, chunks.bins.small[size >> 4]), size)
        if nbytes <= chunks.remainder_bytes:
            return cut_remainder(k, nbytes)
        found = bins.find_small(k, nbytes)
        if found == 0:
            found = bins.find_large(k, nbytes)
    else:
        found = bins.find_large(k, nbytes)
        if nbytes <= chunks.remainder_bytes and (found == 0 or chunks.remainder_bytes < bytes_of(chunk_at(k, found))):
            return cut_remainder(k, nbytes)
    if found != 0:
        return split(k, chunk_at(k, bins.mate_of(k, found)), nbytes)
    return cut_top(k, nbytes)


@kernel
def take_small(k: Kernel, chunk: SizedChunk, nbytes: word) -> VirtAddr:
    """Hand out the first chunk of the small bin for just so many bytes."""
    bins.remove_first(k, chunk, nbytes >> 4)
    hand_out(k, chunk, nbytes)
    return chunk.addr


@kernel
def hand_out(k: Kernel, chunk: SizedChunk, nbytes: word) -> None:
    """Make a free chunk that is in no bin a used one, whole."""
    write_used(k, chunk, nbytes, PREVIOUS_USED)
    note_previous_used(k, VirtAddr(chunk.addr + nbytes))
    k.chunks.used_bytes += nbytes


@kernel
def split(k: Kernel, chunk: SizedChunk, nbytes: word) -> VirtAddr:
    """Hand out the low end of a free chunk in a bin; of a small request, what is left becomes the remainder."""
    size = checked_head(k, chunk) & BYTES_MASK
    bins.remove(k, chunk, size)
    rest = size - nbytes
    if rest < MIN_CHUNK_BYTES:
        hand_out(k, chunk, size)
        return chunk.addr
    write_used(k, chunk, nbytes, PREVIOUS_USED)
    k.chunks.used_bytes += nbytes
    left = chunk_at(k, chunk.addr + nbytes)
    write_free(k, left, rest)
    if nbytes < FIRST_TREE_BYTES:
        replace_remainder(k, left, rest)
    else:
        bins.insert(k, left, rest)
    return chunk.addr


@kernel
def replace_remainder(k: Kernel, chunk: SizedChunk, nbytes: word) -> None:
    """Let a free chunk be the remainder; the one that was it goes into its bin."""
    chunks = k.chunks
    if chunks.remainder != 0:
        bins.insert(k, chunk_at(k, chunks.remainder), chunks.remainder_bytes)
    chunks.remainder = chunk.addr
    chunks.remainder_bytes = nbytes


@kernel
def cut_remainder(k: Kernel, nbytes: word) -> VirtAddr:
    """Hand out the low end of the remainder, which has so many bytes."""
    chunks = k.chunks
    chunk = chunk_at(k, chunks.remainder)
    checked_head(k, chunk)
    rest = chunks.remainder_bytes - nbytes
    if rest < MIN_CHUNK_BYTES:
        hand_out(k, chunk, chunks.remainder_bytes)
        chunks.remainder = VirtAddr(0)
        chunks.remainder_bytes = 0
        return chunk.addr
    write_used(k, chunk, nbytes, PREVIOUS_USED)
    chunks.used_bytes += nbytes
    chunks.remainder = VirtAddr(chunk.addr + nbytes)
    chunks.remainder_bytes = rest
    write_free(k, chunk_at(k, chunks.remainder), rest)
    return chunk.addr


@kernel
def cut_top(k: Kernel, nbytes: word) -> VirtAddr:
    """Hand out a new chunk at the top, with frames for it; 0 when there are no addresses or no frames."""
    chunks = k.chunks
    chunk = chunk_at(k, chunks.top)
    if not has_frames(k, VirtAddr(chunk.addr + nbytes)):
        return VirtAddr(0)
    write_used(k, chunk, nbytes, PREVIOUS_USED)
    chunks.top = VirtAddr(chunk.addr + nbytes)
    chunks.used_bytes += nbytes
    return chunk.addr


@kernel
def has_frames(k: Kernel, until: VirtAddr) -> bool:
    """Whether there are frames below an address at or behind the top, those included that are mapped now."""
    chunks = k.chunks
    return until <= chunks.committed_end or grow(k, until) == OK


@cold
@kernel
def grow(k: Kernel, until: VirtAddr) -> word:
    """Map frames up to the page that holds the byte before until; a code, and nothing changed, when that fails."""
    chunks = k.chunks
    end = VirtAddr((until + PAGE_BYTES - 1) & -PAGE_BYTES)
    code = pages.map_fresh(k, chunks.committed_end, end, chunks.end)
    if code == OK:
        note_frames(k, pages.get_ready(k, chunks.committed_end, end, chunks.end, chunks.used_bytes))
    return code


@kernel
def note_frames(k: Kernel, end: VirtAddr) -> None:
    """From now on addresses below that one have frames."""
    chunks = k.chunks
    chunks.committed_end = end
    chunks.reach_bytes = max(end - chunks.start - SizedChunk.SIZE, 0)


# ------------------------------------------------------------------ free
@kernel
def free(k: Kernel, ptr: VirtAddr) -> word:
    """Take back what alloc gave and join it with its free neighbours.

    BAD_FREE, and nothing changed, for every other address that is not the payload of a used chunk. Reads no address
    without a frame.
    """
    head = used_head(k, ptr)
    if head == 0:
        return BAD_FREE
    k.chunks.used_bytes -= head & BYTES_MASK
    release(k, chunk_at(k, ptr - HEADER_BYTES), head)
    return OK


@kernel
def used_head(k: Kernel, ptr: VirtAddr) -> word:
    """Bytes and flags of the used chunk with this payload; 0 when it is none.

    Reads the header once: another thread of a process may ask while the owner changes PREVIOUS_USED.
    """
    chunks = k.chunks
    if ptr & (ALIGNMENT - 1) != 0 or ptr <= chunks.start + FIRST_CHUNK or ptr > chunks.top:
        return 0
    chunk = chunk_at(k, ptr - HEADER_BYTES)
    header = chunk.header
    head = header & HEAD_MASK
    if head & USED == 0 or header != sealed(k, chunk.addr, head):
        return 0
    return head


@kernel
def release(k: Kernel, chunk: SizedChunk, head: word) -> None:
    """Let a used chunk, which is not counted any more, be free, with the free ones before and behind it."""
    chunks = k.chunks
    start = chunk
    nbytes = head & BYTES_MASK
    end = VirtAddr(chunk.addr + nbytes)
    if head & PREVIOUS_USED == 0:
        start = chunk_before(k, chunk)
        leave(k, start, chunk.addr - start.addr)
        nbytes = end - start.addr
        chunk.header = 0
    if end == chunks.top:
        start.header = 0
        chunks.top = start.addr
        if chunks.committed_end - start.addr > most_spare(k):
            trim(k, most_kept(k) >> 1)
            chunks.release_from = max(chunks.release_from, (head & BYTES_MASK) + 1)
        return
    following = chunk_at(k, end)
    head_behind = checked_head(k, following)
    if head_behind & USED == 0:
        leave(k, following, head_behind & BYTES_MASK)
        nbytes += head_behind & BYTES_MASK
        following.header = 0
    else:
        note_previous_free(k, end)
    write_free(k, start, nbytes)
    bins.insert(k, start, nbytes)
    if k.config.space == HOSTED_SPACE and head & BYTES_MASK >= least_released(k):
        release_inside(k, chunk.addr, head & BYTES_MASK)


@cold
@kernel
def release_inside(k: Kernel, chunk: VirtAddr, nbytes: word) -> None:
    """Give back the pages that lie wholly in what was a used chunk of so many bytes, in a process.

    From now on only larger chunks are worth it: who frees one as large again and again takes one as often.
    """
    start = VirtAddr((chunk + SizedChunk.SIZE + PAGE_BYTES - 1) & -PAGE_BYTES)
    pages.unmap_and_free(k, start, VirtAddr((chunk + nbytes - HEADER_BYTES) & -PAGE_BYTES))
    k.chunks.release_from = nbytes + 1


@kernel
def most_spare(k: Kernel) -> word:
    """How many bytes behind the top keep their frames. When it is more, half of them do, so that few calls trim."""
    if k.config.spare_bytes == 0:
        return MAX_BYTES
    return most_kept(k) + least_released(k)


@kernel
def most_kept(k: Kernel) -> word:
    """The same without the last chunk that ended, if that was a large one."""
    return max(k.config.spare_bytes >> 2, in_use(k) >> 3)


@kernel
def in_use(k: Kernel) -> word:
    """Bytes of the heap's used chunks and of its slabs' pages: what is idle is small as a part of it."""
    return k.chunks.used_bytes + ((k.slabs.area.nr_mapped - k.slabs.area.nr_spare) << PAGE_SHIFT)


@kernel
def least_released(k: Kernel) -> word:
    """How large a chunk must be whose pages are given back when it ends; not much of what is in use stays idle."""
    return min(k.chunks.release_from, max(MOST_IDLE, in_use(k) >> 3))


@kernel
def leave(k: Kernel, chunk: SizedChunk, nbytes: word) -> None:
    """Take a free chunk of so many bytes out of its bin, or let there be no remainder."""
    chunks = k.chunks
    if chunk.addr == chunks.remainder:
        chunks.remainder = VirtAddr(0)
        chunks.remainder_bytes = 0
    else:
        bins.remove(k, chunk, nbytes)


@cold
@kernel
def trim(k: Kernel, keep_bytes: word) -> word:
    """Give back the frames behind the top but for so many bytes of them; how many bytes that were."""
    chunks = k.chunks
    end = VirtAddr((chunks.top + max(keep_bytes, 0) + PAGE_BYTES - 1) & -PAGE_BYTES)
    if chunks.top == chunks.start + FIRST_CHUNK and keep_bytes <= 0:
        end = chunks.start
    if end >= chunks.committed_end:
        return 0
    nbytes = chunks.committed_end - end
    pages.unmap_and_free(k, end, chunks.committed_end)
    note_frames(k, end)
    return nbytes
