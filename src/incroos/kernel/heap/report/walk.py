"""A walk over the heap: every block of every design, used or free, and what is between blocks.

Unit: the block. Changes nothing: the kernel asks from block to block, and the host does the same over the RAM of a
guest or a dump of it. A visit is an address, bytes, a kind and a state; the next one begins at the end of the last:

    range      what it is cut into
    vmalloc    PAGES that are kmalloc's, a RANGE that somebody else has; what is not mapped is passed over
    chunks     EDGE | CHUNK | CHUNK | ... | TOP, up to the last page that has a frame
    records    RECORDS
    slabs      of each slab: EDGE | OBJECT | OBJECT | ... | EDGE; RUN where pages have no slab; spare ones have frames

All bytes of the ranges are visited once. Blocks are those of the designs: a chunk with its header, an object with what
rounds it up, a block of kmalloc with its tag. As long as a walk goes on, nobody may take or give anything.
"""

from typing import Final

from incroos.kernel import vmm
from incroos.kernel.arch.pte import page_bytes
from incroos.kernel.codes import OK
from incroos.kernel.config import FULL, MODERN_SPACE
from incroos.kernel.heap.chunk import header as chunks
from incroos.kernel.heap.harden import tag
from incroos.kernel.heap.ranges import first_fit_start
from incroos.kernel.heap.report import locate
from incroos.kernel.heap.secret import is_tagged
from incroos.kernel.heap.slab import pages as slab_pages
from incroos.kernel.heap.slab import slab
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import NR_CLASSES, Cache, Heap, SlabRecord, kernel_of_heap
from incroos.lang import VirtAddr, kernel, load64, shr_logical, word

START: Final = VirtAddr(-1 << 63)  # the cursor of the first visit; later ones are the ends of those before

# Kinds
END: Final = 0  # there is nothing more
OBJECT: Final = 1  # of a size class
CACHE_OBJECT: Final = 2  # of a cache that somebody made, or of the cache of caches
CHUNK: Final = 3
PAGES: Final = 4
EDGE: Final = 5
TOP: Final = 6
RECORDS: Final = 7
RUN: Final = 8
RANGE: Final = 9  # of vmalloc, and not kmalloc's

# States
FREE: Final = 0
USED: Final = 1
WAITING: Final = 2  # in quarantine: the design says used, and nobody has it
NO_BLOCK: Final = 3  # with frames
NO_FRAMES: Final = 4

NR_RANGES: Final = 4


@kernel
def find_next(heap: Heap, cursor: VirtAddr) -> tuple[VirtAddr, word, word, word]:
    """The first visit at or behind the cursor: address, bytes, kind and state; kind END when there is none."""
    at = cursor
    while True:
        number, start, end = range_behind(heap, at)
        if number < 0:
            return VirtAddr(0), 0, END, NO_BLOCK
        at = VirtAddr(max(at, start))
        start, nbytes, kind, state = visit(heap, number, at, end)
        if nbytes != 0:
            return start, nbytes, kind, state
        at = end


@kernel
def visited_bytes(heap: Heap, state: word) -> word:
    """How many bytes have a state."""
    total = 0
    start, nbytes, kind, found = find_next(heap, START)
    while kind != END:
        total += nbytes if found == state else 0
        start, nbytes, kind, found = find_next(heap, VirtAddr(start + nbytes))
    return total


@kernel
def range_behind(heap: Heap, at: VirtAddr) -> tuple[word, VirtAddr, VirtAddr]:
    """The lowest range that ends behind an address: its number, start and end; a negative number when none does."""
    found = -1
    found_start = VirtAddr(0)
    found_end = VirtAddr(0)
    for number in range(NR_RANGES):
        start, end = range_of(heap, number)
        if max(at, start) < end and (found < 0 or start < found_start):
            found = number
            found_start = start
            found_end = end
    return found, found_start, found_end


@kernel
def range_of(heap: Heap, number: word) -> tuple[VirtAddr, VirtAddr]:
    """Where a range starts and ends, as far as there are visits."""
    area = heap.slabs.area
    if number == 0 and heap.config.objects.HAS_SLABS:
        return area.start, area.top
    if number == 1 and heap.config.objects.HAS_SLABS:
        return area.records, area.records_end
    if number == 2 and heap.config.objects.HAS_CHUNKS:
        start = first_fit_start(heap) if heap.config.objects.HAS_FIRST_FIT else heap.chunks.start
        return start, heap.first_fit.committed_end if heap.config.objects.HAS_FIRST_FIT else heap.chunks.committed_end
    if number == 3 and heap.config.space == MODERN_SPACE:
        return VirtAddr(heap.config.vmalloc), kernel_of_heap(heap).vmalloc.end
    return VirtAddr(0), VirtAddr(0)


@kernel
def visit(heap: Heap, number: word, at: VirtAddr, end: VirtAddr) -> tuple[VirtAddr, word, word, word]:
    """The visit that begins at an address of a range; of vmalloc the next one, with 0 bytes when there is none."""
    if number == 0:
        nbytes, kind, state = visit_slab(heap, at)
        return at, nbytes, kind, state
    if number == 1:
        return at, end - at, RECORDS, NO_BLOCK
    if number == 2:
        nbytes, kind, state = visit_chunk(heap, at, end)
        return at, nbytes, kind, state
    return visit_pages(heap, at)


# ------------------------------------------------------------------ chunks
@kernel
def visit_chunk(heap: Heap, at: VirtAddr, end: VirtAddr) -> tuple[word, word, word]:
    """Bytes, kind and state of what begins at an address among chunks."""
    first = locate.first_chunk(heap)
    if at < first:
        return first - at, EDGE, NO_BLOCK
    if at >= locate.top_of(heap):
        return end - at, TOP, FREE
    nbytes = locate.bytes_at(heap, at)
    if nbytes == 0:  # something wrote over a header: where the next chunk is, nobody can tell
        return end - at, EDGE, NO_BLOCK
    is_used = load64(heap.m, at) & chunks.USED != 0
    state = used_state(heap, VirtAddr(at + chunks.HEADER_BYTES), nbytes - chunks.HEADER_BYTES) if is_used else FREE
    return nbytes, CHUNK, state


# ------------------------------------------------------------------ slabs
@kernel
def visit_slab(heap: Heap, at: VirtAddr) -> tuple[word, word, word]:
    """Bytes, kind and state of what begins at an address among slabs."""
    record, distance = slab_pages.locate(heap, at)
    if record.state == slab.NOTHING:
        state = NO_BLOCK if record.colour == slab_pages.SPARE else NO_FRAMES
        return (slab_pages.length_of(heap, record) << PAGE_SHIFT) - distance, RUN, state
    if distance < record.colour:
        return record.colour - distance, EDGE, NO_BLOCK
    cache = Cache(heap.m, record.cache)
    number = (distance - record.colour) // cache.object_bytes
    if number >= cache.nr_objects:
        return (cache.nr_pages << PAGE_SHIFT) - distance, EDGE, NO_BLOCK
    is_free = shr_logical(record.free[number >> 6], number & 63) & 1 != 0
    if not is_of_class(heap, record):
        return cache.object_bytes, CACHE_OBJECT, FREE if is_free else USED
    return cache.object_bytes, OBJECT, FREE if is_free else used_state(heap, at, cache.object_bytes)


@kernel
def is_of_class(heap: Heap, record: SlabRecord) -> bool:
    """Whether the objects of a slab are kmalloc's."""
    return 0 <= record.cache - heap.slabs.caches[0].addr < NR_CLASSES * Cache.SIZE


# ------------------------------------------------------------------ pages of vmalloc
@kernel
def visit_pages(heap: Heap, start: VirtAddr) -> tuple[VirtAddr, word, word, word]:
    """The next range of vmalloc. A table that is missing is passed in one step."""
    k = kernel_of_heap(heap)
    at = start
    while at < k.vmalloc.end:
        code, level, _slot, _entry = vmm.walk(k, at)
        if code == OK:
            nbytes = vmm.pages_from(k, at) * PAGE_BYTES
            if vmm.heap_pages_from(k, at) == 0:
                return at, nbytes, RANGE, USED
            return at, nbytes, PAGES, used_state(heap, at, nbytes)
        at = VirtAddr((at & -page_bytes(level)) + page_bytes(level))
    return at, 0, END, NO_BLOCK


# ------------------------------------------------------------------ what the user has of a block
@kernel
def used_state(heap: Heap, base: VirtAddr, room: word) -> word:
    """USED, or WAITING for a block in quarantine; base and room are what the design says of a used block."""
    if heap.config.hardening != FULL:
        return USED
    of = tag.tag_in(heap, base, room)
    return WAITING if tag.is_freed(of) and tag.is_sealed(heap, of) else USED


@kernel
def base_of(start: VirtAddr, kind: word) -> VirtAddr:
    """What the design gave, of a visited block."""
    return VirtAddr(start + chunks.HEADER_BYTES) if kind == CHUNK else start


@kernel
def tag_of(heap: Heap, start: VirtAddr, nbytes: word, kind: word) -> VirtAddr:
    """The tag of a used block that was visited, in builds that have tags; 0 when it has none."""
    if not is_tagged(heap) or kind == CACHE_OBJECT or kind == RANGE:
        return VirtAddr(0)
    base = base_of(start, kind)
    of = tag.tag_in(heap, base, start + nbytes - base)
    return of.addr if tag.is_sealed(heap, of) else VirtAddr(0)
