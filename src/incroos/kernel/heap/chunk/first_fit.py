"""First-fit heap: hands out chunks of one range of addresses, takes them back, joins free neighbours at once.

Unit: the byte. Frames come from growth.py and are not given back. Serves one user at a time: there is no lock.

The range, from first_fit_start() to at most first_fit_bytes() behind it (ranges.py):
```
start    first chunk                      top               committed_end        end                limit
  | 8 unused | chunk | chunk | ... | chunk | frames, no chunk | addresses only | not yet in use |
```
What a chunk looks like: first_fit_header.py. A request costs eight bytes of header and what rounds it up to a multiple
of 16; the smallest chunk has 32 bytes.

First fit, splitting from the high end, boundary tags and the free list with two links: D. E. Knuth, The Art of Computer
Programming, volume 1, section 2.5, algorithms A and C. The flag of the chunk before, which lets the boundary tag of a
used chunk be payload, and the top: D. Lea, "A Memory Allocator". The list is a queue: docs/adr/0101-first-fit-queue.md.
"""

from typing import Final

from incroos.kernel.codes import BAD_FREE, OK
from incroos.kernel.config import FULL, HOSTED_SPACE, NO_HARDENING
from incroos.kernel.heap import pages
from incroos.kernel.heap.chunk.first_fit_header import (
    ALIGNMENT,
    BYTES_MASK,
    FIRST_CHUNK,
    HEAD_MASK,
    HEADER_BYTES,
    MIN_CHUNK_BYTES,
    PREVIOUS_USED,
    USED,
    sealed,
)
from incroos.kernel.heap.growth import commit
from incroos.kernel.heap.ranges import chunks_start, first_fit_bytes, first_fit_start
from incroos.kernel.heap.report.damage import end_with
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Chunk, Kernel
from incroos.lang import VirtAddr, cold, fill, kernel, load64, store64, sub_wrap, word

# HEAP-1  start + 8 <= top <= committed_end <= end <= limit, except that top may be start + 8 before there are frames;
#         top is 8 modulo 16, both ends are page-aligned
# HEAP-2  from the first chunk to top chunk follows chunk; each header is sealed, each has at least 32 bytes
# HEAP-3  PREVIOUS_USED tells the chunk before; the first chunk has it, and the chunk before top is used
# HEAP-4  of two neighbours at least one is used
# HEAP-5  the last word of a free chunk is its bytes
# HEAP-6  the list holds the free chunks, each once, and its links agree in both directions
# HEAP-7  used_bytes == sum of the bytes of used chunks
# HEAP-8  each page of [start, committed_end) is mapped, the page at committed_end is not

EDGE_BYTES: Final = 16  # of the range, in no chunk: 8 before the first, 8 behind the last

POISON_FREED: Final = 0xDD  # payloads, in builds with config.poison and without tags: of chunks that ended
POISON_FRESH: Final = 0xCD  # of chunks that begin


@kernel
def init(k: Kernel) -> None:
    """Begin with an empty heap that owns addresses and no frame."""
    heap = k.heap
    heap.start = chunks_start(k) if k.config.space == HOSTED_SPACE else VirtAddr(0)
    heap.top = VirtAddr(first_fit_start(k) + FIRST_CHUNK)
    heap.committed_end = first_fit_start(k)
    heap.end = VirtAddr(first_fit_start(k) + k.config.heap_initial_bytes)
    heap.used_bytes = 0
    queue = heap.queue
    queue.header = BYTES_MASK  # claims to fit every request, so that a search needs one comparison a step
    queue.next = queue.addr
    queue.previous = queue.addr


@kernel
def alloc(k: Kernel, nbytes: word) -> VirtAddr:
    """Give nbytes bytes at an address that is a multiple of 16; their content is not specified.

    0 when nbytes is not positive (2**63 and more arrive as negative words) or there is no room or no frame for it; then
    nothing has changed.
    """
    if nbytes <= 0 or nbytes > first_fit_bytes(k):
        return VirtAddr(0)
    chunk_bytes = max(MIN_CHUNK_BYTES, (nbytes + HEADER_BYTES + ALIGNMENT - 1) & -ALIGNMENT)
    free = find_free(k, chunk_bytes)
    if free != k.heap.queue.addr:
        chunk = take(k, Chunk(k.m, free), chunk_bytes)
    else:
        chunk = carve(k, chunk_bytes)
        if chunk == 0:
            return chunk
    poison(k, Chunk(k.m, chunk), chunk_bytes, POISON_FRESH)
    return VirtAddr(chunk + HEADER_BYTES)


@kernel
def free(k: Kernel, ptr: VirtAddr) -> word:
    """Take back what alloc gave and join it with its free neighbours; 0 is nobody's and does nothing.

    BAD_FREE, and nothing changed, for every other address that is not the payload of a used chunk (how sure that is:
    first_fit_header.py). Reads no address without a frame. The time does not depend on how many chunks there are.
    """
    if ptr == 0:
        return OK
    heap = k.heap
    if ptr & (ALIGNMENT - 1) != 0 or ptr <= first_fit_start(k) + FIRST_CHUNK or ptr > heap.top:
        return BAD_FREE
    chunk = Chunk(k.m, VirtAddr(ptr - HEADER_BYTES))
    head = chunk.header & HEAD_MASK
    if head & USED == 0 or chunk.header != sealed(k, chunk.addr, head):
        return BAD_FREE
    heap.used_bytes -= head & BYTES_MASK
    poison(k, chunk, head & BYTES_MASK, POISON_FREED)
    end = VirtAddr(chunk.addr + (head & BYTES_MASK))
    if end == heap.top:
        join_top(k, chunk, head)
    else:
        join_neighbours(k, chunk, head, absorb_next(k, end))
    return OK


@kernel
def usable_bytes(k: Kernel, ptr: VirtAddr) -> word:
    """How many bytes there are at the payload of a used chunk; 0 for every other address."""
    if ptr & (ALIGNMENT - 1) != 0 or ptr <= first_fit_start(k) + FIRST_CHUNK or ptr > k.heap.top:
        return 0
    chunk = Chunk(k.m, VirtAddr(ptr - HEADER_BYTES))
    head = chunk.header & HEAD_MASK
    if head & USED == 0 or chunk.header != sealed(k, chunk.addr, head):
        return 0
    return (head & BYTES_MASK) - HEADER_BYTES


@kernel
def used_bytes(k: Kernel) -> word:
    """Bytes of the chunks that are handed out, headers and rounding included."""
    return k.heap.used_bytes


@kernel
def free_bytes(k: Kernel) -> word:
    """Bytes that chunks can take before the range must grow, with frames or without; used_bytes is not among them."""
    return k.heap.end - first_fit_start(k) - EDGE_BYTES - k.heap.used_bytes


# ------------------------------------------------------------------ headers
@kernel
def checked_head(k: Kernel, chunk: Chunk) -> word:
    """Bytes and flags of a chunk that must be there; panics when its header is not sealed: something wrote over it."""
    head = chunk.header & HEAD_MASK
    if k.config.hardening != NO_HARDENING and chunk.header != sealed(k, chunk.addr, head):
        end_with(
            k,
            b'the header of a chunk is overwritten',
            chunk.addr,
            chunk.header,
            VirtAddr(chunk.addr + HEADER_BYTES),
        )
    return head


@kernel
def write_free(k: Kernel, chunk: Chunk, nbytes: word) -> None:
    """Make the chunk a free one of so many bytes behind a used one; its links stay."""
    chunk.header = sealed(k, chunk.addr, nbytes | PREVIOUS_USED)
    store64(chunk.m, VirtAddr(chunk.addr + nbytes - 8), nbytes)


# ------------------------------------------------------------------ taking
@kernel
def find_free(k: Kernel, nbytes: word) -> VirtAddr:
    """The first chunk on the list with so many bytes; the list's head, which claims to fit, when there is none."""
    chunk = k.heap.queue
    while True:
        chunk = following(k, chunk)
        if chunk.header & BYTES_MASK >= nbytes:
            return chunk.addr


@kernel
def following(k: Kernel, chunk: Chunk) -> Chunk:
    """The next chunk on the list, which must point back; so a walk comes round to the list's head."""
    behind = chunk_on_list(k, chunk, chunk.next)
    if k.config.hardening != NO_HARDENING and behind.previous != chunk.addr:
        report_link(k, chunk, behind.addr)
    return behind


@kernel
def chunk_on_list(k: Kernel, chunk: Chunk, link: VirtAddr) -> Chunk:
    """What a link of a chunk on the list leads to: the list's head, or where a free chunk can be; panics otherwise."""
    if k.config.hardening != NO_HARDENING and link != k.heap.queue.addr and not can_be_free(k, link):
        report_link(k, chunk, link)
    return Chunk(k.m, link)


@kernel
def can_be_free(k: Kernel, addr: VirtAddr) -> bool:
    """Whether a free chunk can be at an address, as far as the address tells; behind it there is a used one."""
    return addr & (ALIGNMENT - 1) == FIRST_CHUNK and first_fit_start(k) < addr <= k.heap.top - 2 * MIN_CHUNK_BYTES


@cold
@kernel
def report_link(k: Kernel, chunk: Chunk, link: VirtAddr) -> None:
    """Panic: something wrote over a link of this free chunk, or of one that it leads to."""
    end_with(k, b'a link of a free chunk is overwritten', chunk.addr, link, VirtAddr(chunk.addr + HEADER_BYTES))


@kernel
def take(k: Kernel, chunk: Chunk, nbytes: word) -> VirtAddr:
    """Hand out the high end of a free chunk, or all of it when what is left would be too small for a chunk."""
    free_bytes_before = checked_head(k, chunk) & BYTES_MASK
    rest = free_bytes_before - nbytes
    behind = Chunk(k.m, VirtAddr(chunk.addr + free_bytes_before))
    behind.header = sealed(k, behind.addr, checked_head(k, behind) | PREVIOUS_USED)
    if rest < MIN_CHUNK_BYTES:
        remove(k, chunk)
        chunk.header = sealed(k, chunk.addr, free_bytes_before | USED | PREVIOUS_USED)
        k.heap.used_bytes += free_bytes_before
        return chunk.addr
    write_free(k, chunk, rest)
    used = Chunk(k.m, VirtAddr(chunk.addr + rest))
    used.header = sealed(k, used.addr, nbytes | USED)
    k.heap.used_bytes += nbytes
    return used.addr


@kernel
def carve(k: Kernel, nbytes: word) -> VirtAddr:
    """Hand out a new chunk at top, committing frames for it first; 0 when there are no addresses or no frames."""
    heap = k.heap
    chunk = Chunk(k.m, heap.top)
    end = VirtAddr(chunk.addr + nbytes)
    if end > heap.committed_end and commit(k, end) != OK:
        return VirtAddr(0)
    chunk.header = sealed(k, chunk.addr, nbytes | USED | PREVIOUS_USED)
    heap.top = end
    heap.used_bytes += nbytes
    return chunk.addr


# ------------------------------------------------------------------ giving back
@kernel
def join_top(k: Kernel, chunk: Chunk, head: word) -> None:
    """Let the last chunk, and a free one before it, become addresses without a chunk; they keep their frames."""
    start = chunk
    if head & PREVIOUS_USED == 0:
        start = chunk_before(k, chunk)
        remove(k, start)
        start.header = 0
    chunk.header = 0
    k.heap.top = start.addr


@kernel
def absorb_next(k: Kernel, end: VirtAddr) -> word:
    """Tell the chunk at end that the one before it is free; if it is free too, end it and say how many bytes it had."""
    behind = Chunk(k.m, end)
    head = checked_head(k, behind)
    if head & USED != 0:
        behind.header = sealed(k, end, head & ~PREVIOUS_USED)
        return 0
    remove(k, behind)
    behind.header = 0
    return head & BYTES_MASK


@kernel
def join_neighbours(k: Kernel, chunk: Chunk, head: word, bytes_behind: word) -> None:
    """Make the chunk and what it absorbed part of the free chunk before it, or else the last on the list."""
    nbytes = (head & BYTES_MASK) + bytes_behind
    if head & PREVIOUS_USED == 0:
        before = chunk_before(k, chunk)
        chunk.header = 0
        write_free(k, before, chunk.addr - before.addr + nbytes)
    else:
        write_free(k, chunk, nbytes)
        append(k.heap.queue, chunk)


@kernel
def chunk_before(k: Kernel, chunk: Chunk) -> Chunk:
    """The free chunk in front of this one, found by its boundary tag; panics when something wrote over that."""
    nbytes = load64(k.m, VirtAddr(chunk.addr - 8))
    if k.config.hardening != NO_HARDENING and not is_free_before(k, chunk, nbytes):
        at = VirtAddr(chunk.addr - 8)
        end_with(k, b'the boundary tag of a free chunk is overwritten', at, nbytes, at)
    return Chunk(k.m, VirtAddr(sub_wrap(chunk.addr, nbytes)))


@kernel
def is_free_before(k: Kernel, chunk: Chunk, nbytes: word) -> bool:
    """Whether the chunk of so many bytes, which may be any number, in front of another is a free one."""
    if nbytes & (ALIGNMENT - 1) != 0 or not MIN_CHUNK_BYTES <= nbytes < chunk.addr - first_fit_start(k):
        return False
    before = Chunk(k.m, VirtAddr(chunk.addr - nbytes))
    return before.header == sealed(k, before.addr, nbytes | PREVIOUS_USED)


@kernel
def poison(k: Kernel, chunk: Chunk, nbytes: word, byte: word) -> None:
    """Fill the payload of a chunk of so many bytes, in the builds that look for uses before and after its time."""
    if k.config.poison != 0 and k.config.hardening != FULL:
        fill(k.m, VirtAddr(chunk.addr + HEADER_BYTES), byte, nbytes - HEADER_BYTES)


# ------------------------------------------------------------------ the list: a ring through a chunk in the state
@kernel
def append(queue: Chunk, chunk: Chunk) -> None:
    """Put a free chunk at the end of the list."""
    last = Chunk(queue.m, queue.previous)
    chunk.next = queue.addr
    chunk.previous = last.addr
    last.next = chunk.addr
    queue.previous = chunk.addr


@kernel
def remove(k: Kernel, chunk: Chunk) -> None:
    """Take a free chunk off the list; panics where the links do not agree."""
    behind = following(k, chunk)
    previous = chunk_on_list(k, chunk, chunk.previous)
    if k.config.hardening != NO_HARDENING and previous.next != chunk.addr:
        report_link(k, chunk, previous.addr)
    behind.previous = previous.addr
    previous.next = behind.addr


# ------------------------------------------------------------------ the checker
@kernel
def check(k: Kernel) -> word:
    """0, or the number of the first invariant that does not hold; reads no address that has no frame."""
    broken = check_range(k)
    if broken == 0:
        broken = check_chunks(k)
    if broken == 0:
        broken = check_list(k)
    return broken


@kernel
def check_range(k: Kernel) -> word:
    """HEAP-1 and HEAP-8."""
    heap = k.heap
    limit = first_fit_start(k) + first_fit_bytes(k)
    if heap.top < first_fit_start(k) + FIRST_CHUNK or heap.end > limit or heap.committed_end > heap.end:
        return 1
    if heap.top > heap.committed_end and heap.top != first_fit_start(k) + FIRST_CHUNK:
        return 1
    if heap.top & (ALIGNMENT - 1) != 8 or (heap.committed_end | heap.end) & (PAGE_BYTES - 1) != 0:
        return 1
    if not pages.are_as(k, first_fit_start(k), heap.committed_end, True):
        return 8
    behind = VirtAddr(min(heap.committed_end + PAGE_BYTES, limit))
    return 0 if pages.are_as(k, heap.committed_end, behind, False) else 8


@kernel
def check_chunks(k: Kernel) -> word:
    """HEAP-2 to HEAP-5 and HEAP-7, in one walk over all chunks."""
    top = k.heap.top
    chunk = Chunk(k.m, VirtAddr(first_fit_start(k) + FIRST_CHUNK))
    previous_used = PREVIOUS_USED
    used = 0
    while chunk.addr < top:
        head = chunk.header & HEAD_MASK
        nbytes = head & BYTES_MASK
        if chunk.header != sealed(k, chunk.addr, head) or nbytes < MIN_CHUNK_BYTES or nbytes > top - chunk.addr:
            return 2
        if head & PREVIOUS_USED != previous_used:
            return 3
        if head & USED != 0:
            used += nbytes
        elif previous_used == 0:
            return 4
        elif load64(k.m, VirtAddr(chunk.addr + nbytes - 8)) != nbytes:
            return 5
        previous_used = (head & USED) * PREVIOUS_USED
        chunk = Chunk(k.m, VirtAddr(chunk.addr + nbytes))
    if previous_used == 0:
        return 3
    return 0 if used == k.heap.used_bytes else 7


@kernel
def check_list(k: Kernel) -> word:
    """HEAP-6, once HEAP-2 is known: as many steps as there are free chunks, each onto one, lead round the list.

    Links that agree in both directions make the steps one ring, so no chunk comes twice.
    """
    queue = k.heap.queue
    chunk = queue
    for _ in range(count_free_chunks(k)):
        following = chunk.next
        if following & (ALIGNMENT - 1) != 8 or following < first_fit_start(k) + FIRST_CHUNK or following >= k.heap.top:
            return 6
        previous = chunk.addr
        chunk = Chunk(k.m, following)
        head = chunk.header & HEAD_MASK
        if chunk.header != sealed(k, following, head) or head & USED != 0 or chunk.previous != previous:
            return 6
    return 0 if chunk.next == queue.addr and queue.previous == chunk.addr else 6


@kernel
def count_free_chunks(k: Kernel) -> word:
    """How many chunks below top are free."""
    count = 0
    chunk = Chunk(k.m, VirtAddr(first_fit_start(k) + FIRST_CHUNK))
    while chunk.addr < k.heap.top:
        head = chunk.header
        count += 1 - (head & USED)
        chunk = Chunk(k.m, VirtAddr(chunk.addr + (head & BYTES_MASK)))
    return count
