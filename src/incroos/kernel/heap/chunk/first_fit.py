"""First-fit heap: hands out chunks of one range of addresses, takes them back, joins free neighbours at once.

Unit: the byte. Pages are not given back. Serves one user at a time: there is no lock.

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
from incroos.kernel.config import FULL, NO_HARDENING
from incroos.kernel.heap.block import ALIGNMENT, POISON_FREED, POISON_FRESH
from incroos.kernel.heap.chunk.first_fit_header import BYTES_MASK, HEAD_MASK, sealed
from incroos.kernel.heap.chunk.header import FIRST_CHUNK, HEADER_BYTES, MIN_CHUNK_BYTES, PREVIOUS_USED, USED
from incroos.kernel.heap.defaults import alignment_of as alignment_of
from incroos.kernel.heap.defaults import alloc_aligned as alloc_aligned
from incroos.kernel.heap.defaults import bring_large as bring_large
from incroos.kernel.heap.defaults import fits_in_place as fits_in_place
from incroos.kernel.heap.defaults import grow_large as grow_large
from incroos.kernel.heap.defaults import shrink as shrink
from incroos.kernel.heap.defaults import unused_from as unused_from
from incroos.kernel.heap.ranges import chunks_start, first_fit_bytes, first_fit_start, map_fresh
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Chunk, FirstFitState, Heap
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

STATE_BYTES: Final = FirstFitState.SIZE
HAS_SLABS: Final = False
HAS_CHUNKS: Final = True
HAS_WHOLE_PAGES: Final = False
HAS_FIRST_FIT: Final = True
HAS_FIGURES: Final = False
NEEDS_MODERN_SPACE: Final = False

EDGE_BYTES: Final = 16  # of the range, in no chunk: 8 before the first, 8 behind the last


@kernel
def init(heap: Heap) -> None:
    """Begin with an empty heap that owns addresses and no frame."""
    state = heap.first_fit
    if not heap.config.pages.HAS_FIXED_RANGES:
        state.start = chunks_start(heap)
    state.top = VirtAddr(first_fit_start(heap) + FIRST_CHUNK)
    state.committed_end = first_fit_start(heap)
    state.end = VirtAddr(first_fit_start(heap) + heap.config.heap_initial_bytes)
    state.used_bytes = 0
    queue = state.queue
    queue.header = BYTES_MASK  # claims to fit every request, so that a search needs one comparison a step
    queue.next = queue.addr
    queue.previous = queue.addr


@kernel
def alloc(heap: Heap, nbytes: word) -> VirtAddr:
    """Give nbytes bytes at an address that is a multiple of 16; their content is not specified.

    0 when nbytes is not positive (2**63 and more arrive as negative words) or there is no room or no frame for it; then
    nothing has changed.
    """
    if nbytes <= 0 or nbytes > first_fit_bytes(heap):
        return VirtAddr(0)
    chunk_bytes = max(MIN_CHUNK_BYTES, (nbytes + HEADER_BYTES + ALIGNMENT - 1) & -ALIGNMENT)
    free = find_free(heap, chunk_bytes)
    if free != heap.first_fit.queue.addr:
        chunk = take(heap, Chunk(heap.m, free), chunk_bytes)
    else:
        chunk = carve(heap, chunk_bytes)
        if chunk == 0:
            return chunk
    poison(heap, Chunk(heap.m, chunk), chunk_bytes, POISON_FRESH)
    return VirtAddr(chunk + HEADER_BYTES)


@kernel
def free(heap: Heap, ptr: VirtAddr) -> word:
    """Take back what alloc gave and join it with its free neighbours; 0 is nobody's and does nothing.

    BAD_FREE, and nothing changed, for every other address that is not the payload of a used chunk (how sure that is:
    first_fit_header.py). Reads no address without a frame. The time does not depend on how many chunks there are.
    """
    if ptr == 0:
        return OK
    state = heap.first_fit
    if ptr & (ALIGNMENT - 1) != 0 or ptr <= first_fit_start(heap) + FIRST_CHUNK or ptr > state.top:
        return BAD_FREE
    chunk = Chunk(heap.m, VirtAddr(ptr - HEADER_BYTES))
    head = chunk.header & HEAD_MASK
    if head & USED == 0 or chunk.header != sealed(heap, chunk.addr, head):
        return BAD_FREE
    state.used_bytes -= head & BYTES_MASK
    poison(heap, chunk, head & BYTES_MASK, POISON_FREED)
    end = VirtAddr(chunk.addr + (head & BYTES_MASK))
    if end == state.top:
        join_top(heap, chunk, head)
    else:
        join_neighbours(heap, chunk, head, absorb_next(heap, end))
    return OK


@kernel
def usable_bytes(heap: Heap, ptr: VirtAddr) -> word:
    """How many bytes there are at the payload of a used chunk; 0 for every other address."""
    if ptr & (ALIGNMENT - 1) != 0 or ptr <= first_fit_start(heap) + FIRST_CHUNK or ptr > heap.first_fit.top:
        return 0
    chunk = Chunk(heap.m, VirtAddr(ptr - HEADER_BYTES))
    head = chunk.header & HEAD_MASK
    if head & USED == 0 or chunk.header != sealed(heap, chunk.addr, head):
        return 0
    return (head & BYTES_MASK) - HEADER_BYTES


@kernel
def used_bytes(heap: Heap) -> word:
    """Bytes of the chunks that are handed out, headers and rounding included."""
    return heap.first_fit.used_bytes


@kernel
def free_bytes(heap: Heap) -> word:
    """Bytes that chunks can take before the range must grow, with frames or without; used_bytes is not among them."""
    return heap.first_fit.end - first_fit_start(heap) - EDGE_BYTES - heap.first_fit.used_bytes


@kernel
def cost_of(heap: Heap, ptr: VirtAddr, usable: word) -> word:
    """How much of used_bytes is for what was given at ptr, where there are so many usable bytes."""
    return usable + HEADER_BYTES


@kernel
def owns(heap: Heap, ptr: VirtAddr) -> bool:
    """Whether an address lies in the range."""
    return first_fit_start(heap) <= ptr < first_fit_start(heap) + first_fit_bytes(heap)


@kernel
def committed_bytes(heap: Heap) -> word:
    """Bytes of the pages that have frames."""
    return heap.first_fit.committed_end - first_fit_start(heap)


# ------------------------------------------------------------------ headers
@kernel
def checked_head(heap: Heap, chunk: Chunk) -> word:
    """Bytes and flags of a chunk that must be there; panics when its header is not sealed: something wrote over it."""
    head = chunk.header & HEAD_MASK
    if heap.config.hardening != NO_HARDENING and chunk.header != sealed(heap, chunk.addr, head):
        heap.config.damage.end_with(
            heap,
            b'the header of a chunk is overwritten',
            chunk.addr,
            chunk.header,
            VirtAddr(chunk.addr + HEADER_BYTES),
        )
    return head


@kernel
def write_free(heap: Heap, chunk: Chunk, nbytes: word) -> None:
    """Make the chunk a free one of so many bytes behind a used one; its links stay."""
    chunk.header = sealed(heap, chunk.addr, nbytes | PREVIOUS_USED)
    store64(chunk.m, VirtAddr(chunk.addr + nbytes - 8), nbytes)


# ------------------------------------------------------------------ taking
@kernel
def find_free(heap: Heap, nbytes: word) -> VirtAddr:
    """The first chunk on the list with so many bytes; the list's head, which claims to fit, when there is none."""
    chunk = heap.first_fit.queue
    while True:
        chunk = following(heap, chunk)
        if chunk.header & BYTES_MASK >= nbytes:
            return chunk.addr


@kernel
def following(heap: Heap, chunk: Chunk) -> Chunk:
    """The next chunk on the list, which must point back; so a walk comes round to the list's head."""
    behind = chunk_on_list(heap, chunk, chunk.next)
    if heap.config.hardening != NO_HARDENING and behind.previous != chunk.addr:
        report_link(heap, chunk, behind.addr)
    return behind


@kernel
def chunk_on_list(heap: Heap, chunk: Chunk, link: VirtAddr) -> Chunk:
    """What a link of a chunk on the list leads to: the list's head, or where a free chunk can be; panics otherwise."""
    if heap.config.hardening != NO_HARDENING and link != heap.first_fit.queue.addr and not can_be_free(heap, link):
        report_link(heap, chunk, link)
    return Chunk(heap.m, link)


@kernel
def can_be_free(heap: Heap, addr: VirtAddr) -> bool:
    """Whether a free chunk can be at an address, as far as the address tells; behind it there is a used one."""
    return (
        addr & (ALIGNMENT - 1) == FIRST_CHUNK
        and first_fit_start(heap) < addr <= heap.first_fit.top - 2 * MIN_CHUNK_BYTES
    )


@cold
@kernel
def report_link(heap: Heap, chunk: Chunk, link: VirtAddr) -> None:
    """Panic: something wrote over a link of this free chunk, or of one that it leads to."""
    heap.config.damage.end_with(
        heap, b'a link of a free chunk is overwritten', chunk.addr, link, VirtAddr(chunk.addr + HEADER_BYTES)
    )


@kernel
def take(heap: Heap, chunk: Chunk, nbytes: word) -> VirtAddr:
    """Hand out the high end of a free chunk, or all of it when what is left would be too small for a chunk."""
    free_bytes_before = checked_head(heap, chunk) & BYTES_MASK
    rest = free_bytes_before - nbytes
    behind = Chunk(heap.m, VirtAddr(chunk.addr + free_bytes_before))
    behind.header = sealed(heap, behind.addr, checked_head(heap, behind) | PREVIOUS_USED)
    if rest < MIN_CHUNK_BYTES:
        remove(heap, chunk)
        chunk.header = sealed(heap, chunk.addr, free_bytes_before | USED | PREVIOUS_USED)
        heap.first_fit.used_bytes += free_bytes_before
        return chunk.addr
    write_free(heap, chunk, rest)
    used = Chunk(heap.m, VirtAddr(chunk.addr + rest))
    used.header = sealed(heap, used.addr, nbytes | USED)
    heap.first_fit.used_bytes += nbytes
    return used.addr


@kernel
def carve(heap: Heap, nbytes: word) -> VirtAddr:
    """Hand out a new chunk at top, committing frames for it first; 0 when there are no addresses or no frames."""
    state = heap.first_fit
    chunk = Chunk(heap.m, state.top)
    end = VirtAddr(chunk.addr + nbytes)
    if end > state.committed_end and grow(heap, end) != OK:
        return VirtAddr(0)
    chunk.header = sealed(heap, chunk.addr, nbytes | USED | PREVIOUS_USED)
    state.top = end
    state.used_bytes += nbytes
    return chunk.addr


@cold
@kernel
def grow(heap: Heap, until: VirtAddr) -> word:
    """Map frames up to the page that holds the byte before until; a code, and nothing changed, when one is refused."""
    state = heap.first_fit
    end = VirtAddr((until + PAGE_BYTES - 1) & -PAGE_BYTES)
    limit = VirtAddr(first_fit_start(heap) + first_fit_bytes(heap))
    code = map_fresh(heap, state.committed_end, end, limit)
    if code == OK:
        state.committed_end = end
        state.end = VirtAddr(max(state.end, end))
    return code


# ------------------------------------------------------------------ giving back
@kernel
def join_top(heap: Heap, chunk: Chunk, head: word) -> None:
    """Let the last chunk, and a free one before it, become addresses without a chunk; they keep their frames."""
    start = chunk
    if head & PREVIOUS_USED == 0:
        start = chunk_before(heap, chunk)
        remove(heap, start)
        start.header = 0
    chunk.header = 0
    heap.first_fit.top = start.addr


@kernel
def absorb_next(heap: Heap, end: VirtAddr) -> word:
    """Tell the chunk at end that the one before it is free; if it is free too, end it and say how many bytes it had."""
    behind = Chunk(heap.m, end)
    head = checked_head(heap, behind)
    if head & USED != 0:
        behind.header = sealed(heap, end, head & ~PREVIOUS_USED)
        return 0
    remove(heap, behind)
    behind.header = 0
    return head & BYTES_MASK


@kernel
def join_neighbours(heap: Heap, chunk: Chunk, head: word, bytes_behind: word) -> None:
    """Make the chunk and what it absorbed part of the free chunk before it, or else the last on the list."""
    nbytes = (head & BYTES_MASK) + bytes_behind
    if head & PREVIOUS_USED == 0:
        before = chunk_before(heap, chunk)
        chunk.header = 0
        write_free(heap, before, chunk.addr - before.addr + nbytes)
    else:
        write_free(heap, chunk, nbytes)
        append(heap.first_fit.queue, chunk)


@kernel
def chunk_before(heap: Heap, chunk: Chunk) -> Chunk:
    """The free chunk in front of this one, found by its boundary tag; panics when something wrote over that."""
    nbytes = load64(heap.m, VirtAddr(chunk.addr - 8))
    if heap.config.hardening != NO_HARDENING and not is_free_before(heap, chunk, nbytes):
        at = VirtAddr(chunk.addr - 8)
        heap.config.damage.end_with(heap, b'the boundary tag of a free chunk is overwritten', at, nbytes, at)
    return Chunk(heap.m, VirtAddr(sub_wrap(chunk.addr, nbytes)))


@kernel
def is_free_before(heap: Heap, chunk: Chunk, nbytes: word) -> bool:
    """Whether the chunk of so many bytes, which may be any number, in front of another is a free one."""
    if nbytes & (ALIGNMENT - 1) != 0 or not MIN_CHUNK_BYTES <= nbytes < chunk.addr - first_fit_start(heap):
        return False
    before = Chunk(heap.m, VirtAddr(chunk.addr - nbytes))
    return before.header == sealed(heap, before.addr, nbytes | PREVIOUS_USED)


@kernel
def poison(heap: Heap, chunk: Chunk, nbytes: word, byte: word) -> None:
    """Fill the payload of a chunk of so many bytes, in the builds that look for uses before and after its time."""
    if heap.config.poison != 0 and heap.config.hardening != FULL:
        fill(heap.m, VirtAddr(chunk.addr + HEADER_BYTES), byte, nbytes - HEADER_BYTES)


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
def remove(heap: Heap, chunk: Chunk) -> None:
    """Take a free chunk off the list; panics where the links do not agree."""
    behind = following(heap, chunk)
    previous = chunk_on_list(heap, chunk, chunk.previous)
    if heap.config.hardening != NO_HARDENING and previous.next != chunk.addr:
        report_link(heap, chunk, previous.addr)
    behind.previous = previous.addr
    previous.next = behind.addr


# ------------------------------------------------------------------ the checker
@kernel
def check(heap: Heap) -> word:
    """0, or the number of the first invariant that does not hold; reads no address that has no frame."""
    broken = check_range(heap)
    if broken == 0:
        broken = check_chunks(heap)
    if broken == 0:
        broken = check_list(heap)
    return broken


@kernel
def check_range(heap: Heap) -> word:
    """HEAP-1 and HEAP-8."""
    state = heap.first_fit
    limit = first_fit_start(heap) + first_fit_bytes(heap)
    if state.top < first_fit_start(heap) + FIRST_CHUNK or state.end > limit or state.committed_end > state.end:
        return 1
    if state.top > state.committed_end and state.top != first_fit_start(heap) + FIRST_CHUNK:
        return 1
    if state.top & (ALIGNMENT - 1) != 8 or (state.committed_end | state.end) & (PAGE_BYTES - 1) != 0:
        return 1
    if not heap.config.pages.are_as(heap, first_fit_start(heap), state.committed_end, True):
        return 8
    behind = VirtAddr(min(state.committed_end + PAGE_BYTES, limit))
    return 0 if heap.config.pages.are_as(heap, state.committed_end, behind, False) else 8


@kernel
def check_chunks(heap: Heap) -> word:
    """HEAP-2 to HEAP-5 and HEAP-7, in one walk over all chunks."""
    top = heap.first_fit.top
    chunk = Chunk(heap.m, VirtAddr(first_fit_start(heap) + FIRST_CHUNK))
    previous_used = PREVIOUS_USED
    used = 0
    while chunk.addr < top:
        head = chunk.header & HEAD_MASK
        nbytes = head & BYTES_MASK
        if chunk.header != sealed(heap, chunk.addr, head) or nbytes < MIN_CHUNK_BYTES or nbytes > top - chunk.addr:
            return 2
        if head & PREVIOUS_USED != previous_used:
            return 3
        if head & USED != 0:
            used += nbytes
        elif previous_used == 0:
            return 4
        elif load64(heap.m, VirtAddr(chunk.addr + nbytes - 8)) != nbytes:
            return 5
        previous_used = (head & USED) * PREVIOUS_USED
        chunk = Chunk(heap.m, VirtAddr(chunk.addr + nbytes))
    if previous_used == 0:
        return 3
    return 0 if used == heap.first_fit.used_bytes else 7


@kernel
def check_list(heap: Heap) -> word:
    """HEAP-6, once HEAP-2 is known: as many steps as there are free chunks, each onto one, lead round the list.

    Links that agree in both directions make the steps one ring, so no chunk comes twice.
    """
    queue = heap.first_fit.queue
    chunk = queue
    for _ in range(count_free_chunks(heap)):
        following = chunk.next
        if (
            following & (ALIGNMENT - 1) != 8
            or following < first_fit_start(heap) + FIRST_CHUNK
            or following >= heap.first_fit.top
        ):
            return 6
        previous = chunk.addr
        chunk = Chunk(heap.m, following)
        head = chunk.header & HEAD_MASK
        if chunk.header != sealed(heap, following, head) or head & USED != 0 or chunk.previous != previous:
            return 6
    return 0 if chunk.next == queue.addr and queue.previous == chunk.addr else 6


@kernel
def count_free_chunks(heap: Heap) -> word:
    """How many chunks below top are free."""
    count = 0
    chunk = Chunk(heap.m, VirtAddr(first_fit_start(heap) + FIRST_CHUNK))
    while chunk.addr < heap.first_fit.top:
        head = chunk.header
        count += 1 - (head & USED)
        chunk = Chunk(heap.m, VirtAddr(chunk.addr + (head & BYTES_MASK)))
    return count
