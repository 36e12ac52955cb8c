"""Chunks by best fit, in the manner of Doug Lea's allocator: one range that is cut into chunks and grows at its end.

Unit: the byte. Pages come from config.pages. Serves one user at a time: there is no lock.

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
from incroos.kernel.heap.block import ALIGNMENT, MAX_BYTES
from incroos.kernel.heap.chunk import bins, holes
from incroos.kernel.heap.chunk.bins import FIRST_TREE_BYTES
from incroos.kernel.heap.chunk.header import (
    BYTES_MASK,
    FIRST_CHUNK,
    HEAD_MASK,
    HEADER_BYTES,
    MIN_CHUNK_BYTES,
    MOVED,
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
from incroos.kernel.state import Heap, SizedChunk
from incroos.lang import VirtAddr, cold, count_trailing_zeros, kernel, shr_logical, word

LEAST_RELEASE_FROM: Final = 1 << 17  # bytes of a free chunk, in a process, from which on its pages are given back
MOST_IDLE: Final = 1 << 19


@kernel
def init(heap: Heap, start: VirtAddr, max_bytes: word) -> None:
    """Begin without chunks in a range that has no frames yet; both page-aligned."""
    chunks = heap.chunks
    chunks.start = start
    chunks.top = VirtAddr(start + FIRST_CHUNK)
    chunks.committed_end = start
    chunks.used_end = start
    chunks.end = VirtAddr(start + max_bytes)
    chunks.reach_bytes = 0
    chunks.remainder = VirtAddr(0)
    chunks.remainder_bytes = 0
    chunks.used_bytes = 0
    chunks.release_from = LEAST_RELEASE_FROM
    bins.init(chunks.bins)


# ------------------------------------------------------------------ alloc
@kernel
def alloc(heap: Heap, nbytes: word) -> VirtAddr:
    """Give nbytes bytes, more than 0, at a multiple of 16; 0, and nothing changed, without room or frames for it."""
    if nbytes > MAX_BYTES:
        return VirtAddr(0)
    chunk = take(heap, chunk_bytes_for(nbytes))
    return VirtAddr(chunk + HEADER_BYTES) if chunk != 0 else chunk


@kernel
def take(heap: Heap, nbytes: word) -> VirtAddr:
    """A used chunk with at least so many bytes; 0."""
    chunks = heap.chunks
    if nbytes < FIRST_TREE_BYTES:
        suitable = shr_logical(chunks.bins.small_map, nbytes >> 4)
        if suitable & 3 != 0:  # of this size, or too little larger to be split
            size = nbytes + (count_trailing_zeros(suitable) << 4)
            return take_small(heap, chunk_at(heap, chunks.bins.small[size >> 4]), size)
        if nbytes <= chunks.remainder_bytes:
            return cut_remainder(heap, nbytes)
        found = bins.find_small(heap, nbytes)
        if found == 0:
            found = bins.find_large(heap, nbytes)
    else:
        found = bins.find_large(heap, nbytes)
        if nbytes <= chunks.remainder_bytes and (
            found == 0 or chunks.remainder_bytes < bytes_of(chunk_at(heap, found))
        ):
            return cut_remainder(heap, nbytes)
    if found != 0:
        return split(heap, chunk_at(heap, bins.mate_of(heap, found)), nbytes)
    return cut_top(heap, nbytes)


@kernel
def take_small(heap: Heap, chunk: SizedChunk, nbytes: word) -> VirtAddr:
    """Hand out the first chunk of the small bin for just so many bytes."""
    bins.remove_first(heap, chunk, nbytes >> 4)
    hand_out(heap, chunk, nbytes)
    return chunk.addr


@kernel
def hand_out(heap: Heap, chunk: SizedChunk, nbytes: word) -> None:
    """Make a free chunk that is in no bin a used one, whole."""
    write_used(heap, chunk, nbytes, PREVIOUS_USED)
    note_previous_used(heap, VirtAddr(chunk.addr + nbytes))
    heap.chunks.used_bytes += nbytes


@kernel
def split(heap: Heap, chunk: SizedChunk, nbytes: word) -> VirtAddr:
    """Hand out the low end of a free chunk in a bin; of a small request, what is left becomes the remainder."""
    size = checked_head(heap, chunk) & BYTES_MASK
    bins.remove(heap, chunk, size)
    rest = size - nbytes
    if rest < MIN_CHUNK_BYTES:
        hand_out(heap, chunk, size)
        return chunk.addr
    write_used(heap, chunk, nbytes, PREVIOUS_USED)
    heap.chunks.used_bytes += nbytes
    left = chunk_at(heap, chunk.addr + nbytes)
    write_free(heap, left, rest)
    if nbytes < FIRST_TREE_BYTES:
        replace_remainder(heap, left, rest)
    else:
        bins.insert(heap, left, rest)
    return chunk.addr


@kernel
def replace_remainder(heap: Heap, chunk: SizedChunk, nbytes: word) -> None:
    """Let a free chunk be the remainder; the one that was it goes into its bin."""
    chunks = heap.chunks
    if chunks.remainder != 0:
        bins.insert(heap, chunk_at(heap, chunks.remainder), chunks.remainder_bytes)
    chunks.remainder = chunk.addr
    chunks.remainder_bytes = nbytes


@kernel
def cut_remainder(heap: Heap, nbytes: word) -> VirtAddr:
    """Hand out the low end of the remainder, which has so many bytes."""
    chunks = heap.chunks
    chunk = chunk_at(heap, chunks.remainder)
    checked_head(heap, chunk)
    rest = chunks.remainder_bytes - nbytes
    if rest < MIN_CHUNK_BYTES:
        hand_out(heap, chunk, chunks.remainder_bytes)
        chunks.remainder = VirtAddr(0)
        chunks.remainder_bytes = 0
        return chunk.addr
    write_used(heap, chunk, nbytes, PREVIOUS_USED)
    chunks.used_bytes += nbytes
    chunks.remainder = VirtAddr(chunk.addr + nbytes)
    chunks.remainder_bytes = rest
    write_free(heap, chunk_at(heap, chunks.remainder), rest)
    return chunk.addr


@kernel
def cut_top(heap: Heap, nbytes: word) -> VirtAddr:
    """Hand out a new chunk at the top, with frames for it; 0 when there are no addresses or no frames."""
    chunks = heap.chunks
    chunk = chunk_at(heap, chunks.top)
    if not has_frames(heap, VirtAddr(chunk.addr + nbytes)):
        return VirtAddr(0)
    write_used(heap, chunk, nbytes, PREVIOUS_USED)
    chunks.top = VirtAddr(chunk.addr + nbytes)
    chunks.used_bytes += nbytes
    return chunk.addr


@kernel
def has_frames(heap: Heap, until: VirtAddr) -> bool:
    """Whether there are frames below an address at or behind the top, those included that are mapped now."""
    chunks = heap.chunks
    return until <= chunks.committed_end or grow(heap, until)


@cold
@kernel
def grow(heap: Heap, until: VirtAddr) -> bool:
    """Map frames up to the page that holds the byte before until; False, and nothing changed, when that fails."""
    chunks = heap.chunks
    before = chunks.committed_end
    end = VirtAddr((until + PAGE_BYTES - 1) & -PAGE_BYTES)
    note_frames(heap, heap.config.pages.map_ahead(heap, before, end, chunks.end, chunks.used_bytes))
    return chunks.committed_end != before


@kernel
def note_frames(heap: Heap, end: VirtAddr) -> None:
    """From now on addresses below that one have frames."""
    chunks = heap.chunks
    chunks.committed_end = end
    chunks.reach_bytes = max(end - chunks.start - SizedChunk.SIZE, 0)


# ------------------------------------------------------------------ free
@kernel
def free(heap: Heap, ptr: VirtAddr) -> word:
    """Take back what alloc gave and join it with its free neighbours.

    BAD_FREE, and nothing changed, for every other address that is not the payload of a used chunk. Reads no address
    without a frame.
    """
    head = used_head(heap, ptr)
    if head == 0:
        return BAD_FREE
    chunk = chunk_at(heap, ptr - HEADER_BYTES)
    if heap.config.pages.CAN_MOVE and head & MOVED != 0 and not renew(heap, chunk, head & BYTES_MASK):
        return OK  # and it stays a used chunk, in whose pages nothing is ever put
    if heap.config.pages.HAS_HOLES:
        holes.note_peak(heap)
    heap.chunks.used_bytes -= head & BYTES_MASK
    release(heap, chunk, head)
    if heap.config.pages.HAS_HOLES:
        holes.make_if_too_idle(heap)
    return OK


@cold
@kernel
def renew(heap: Heap, chunk: SizedChunk, nbytes: word) -> bool:
    """Let the whole pages in a chunk, or in a part of one, be as others are; False if they must not be used.

    A process that has reached its limit may map nothing, not even in the place of what is there. Then its pages are
    emptied: that is only done if all of them are there.
    """
    start = first_page(chunk)
    end = VirtAddr(chunk.addr + nbytes & -PAGE_BYTES)
    if end <= start or heap.config.pages.renew(heap, start, end) == OK:
        return True
    return heap.config.pages.empty(heap, start, end) == OK


@kernel
def first_page(chunk: SizedChunk) -> VirtAddr:
    """Where the first page begins that lies behind the header of a chunk."""
    return VirtAddr(chunk.addr + HEADER_BYTES + PAGE_BYTES - 1 & -PAGE_BYTES)


@kernel
def used_head(heap: Heap, ptr: VirtAddr) -> word:
    """Bytes and flags of the used chunk with this payload; 0 when it is none.

    Reads the header once: another thread of a process may ask while the owner changes PREVIOUS_USED.
    """
    chunks = heap.chunks
    if ptr & (ALIGNMENT - 1) != 0 or ptr <= chunks.start + FIRST_CHUNK or ptr > chunks.top:
        return 0
    chunk = chunk_at(heap, ptr - HEADER_BYTES)
    header = chunk.header
    head = header & HEAD_MASK
    if head & USED == 0 or header != sealed(heap, chunk.addr, head):
        return 0
    return head


@kernel
def release(heap: Heap, chunk: SizedChunk, head: word) -> None:
    """Let a used chunk, which is not counted any more, be free, with the free ones before and behind it."""
    chunks = heap.chunks
    start = chunk
    nbytes = head & BYTES_MASK
    end = VirtAddr(chunk.addr + nbytes)
    if head & PREVIOUS_USED == 0:
        start = chunk_before(heap, chunk)
        leave(heap, start, chunk.addr - start.addr)
        nbytes = end - start.addr
        chunk.header = 0
    if end == chunks.top:
        start.header = 0
        chunks.used_end = max(chunks.used_end, end)
        chunks.top = start.addr
        if chunks.committed_end - start.addr > most_spare(heap):
            trim(heap, most_kept(heap) >> 1)
            chunks.release_from = max(chunks.release_from, (head & BYTES_MASK) + 1)
        return
    following = chunk_at(heap, end)
    head_behind = checked_head(heap, following)
    if head_behind & USED == 0:
        leave(heap, following, head_behind & BYTES_MASK)
        nbytes += head_behind & BYTES_MASK
        following.header = 0
    else:
        note_previous_free(heap, end)
    write_free(heap, start, nbytes)
    bins.insert(heap, start, nbytes)
    if heap.config.pages.HAS_HOLES and head & BYTES_MASK >= least_released(heap):
        release_inside(heap, chunk.addr, head & BYTES_MASK)


@cold
@kernel
def release_inside(heap: Heap, chunk: VirtAddr, nbytes: word) -> None:
    """Give back the pages that lie wholly in what was a used chunk of so many bytes, in a process.

    From now on only larger chunks are worth it: who frees one as large again and again takes one as often.
    """
    holes.make(heap, chunk, nbytes)
    heap.chunks.release_from = nbytes + 1


@kernel
def most_spare(heap: Heap) -> word:
    """How many bytes behind the top keep their frames. When it is more, half of them do, so that few calls trim."""
    if heap.config.spare_bytes == 0:
        return MAX_BYTES
    return most_kept(heap) + least_released(heap)


@kernel
def most_kept(heap: Heap) -> word:
    """The same without the last chunk that ended, if that was a large one."""
    return max(heap.config.spare_bytes >> 2, in_use(heap) >> 3)


@kernel
def in_use(heap: Heap) -> word:
    """Bytes of the heap's used chunks and of its slabs' pages: what is idle is small as a part of it."""
    return heap.chunks.used_bytes + ((heap.slabs.area.nr_mapped - heap.slabs.area.nr_spare) << PAGE_SHIFT)


@kernel
def least_released(heap: Heap) -> word:
    """How large a chunk must be whose pages are given back when it ends; not much of what is in use stays idle."""
    return min(heap.chunks.release_from, max(MOST_IDLE, in_use(heap) >> 3))


@kernel
def leave(heap: Heap, chunk: SizedChunk, nbytes: word) -> None:
    """Take a free chunk of so many bytes out of its bin, or let there be no remainder."""
    chunks = heap.chunks
    if chunk.addr == chunks.remainder:
        chunks.remainder = VirtAddr(0)
        chunks.remainder_bytes = 0
    else:
        bins.remove(heap, chunk, nbytes)


@cold
@kernel
def trim(heap: Heap, keep_bytes: word) -> word:
    """Give back the frames behind the top but for so many bytes of them; how many bytes that were."""
    chunks = heap.chunks
    end = VirtAddr((chunks.top + max(keep_bytes, 0) + PAGE_BYTES - 1) & -PAGE_BYTES)
    if chunks.top == chunks.start + FIRST_CHUNK and keep_bytes <= 0:
        end = chunks.start
    if end >= chunks.committed_end:
        return 0
    nbytes = chunks.committed_end - end
    if heap.config.pages.unmap_and_free(heap, end, chunks.committed_end) != OK:
        return 0
    note_frames(heap, end)
    chunks.used_end = min(chunks.used_end, end)
    return nbytes


@kernel
def unused_from(heap: Heap) -> VirtAddr:
    """Addresses of the range from there on have not been used since they were mapped, as long as nothing is handed out.

    A chunk that is cut there only writes its header.
    """
    return max(heap.chunks.used_end, heap.chunks.top)
