"""Neighbours: which block of the designs an address lies in, and which ones are before and behind it.

Unit: the byte. For reports of damage: reads nothing that it has not checked, and walks all chunks, which is slow. A
block is named by the address that its design gave; chunks and objects that nobody has are blocks here, too.
"""

from typing import Final

from incroos.kernel.heap.block import ALIGNMENT
from incroos.kernel.heap.chunk import first_fit_header
from incroos.kernel.heap.chunk import header as chunks
from incroos.kernel.heap.chunk.header import HEADER_BYTES, MIN_CHUNK_BYTES, USED
from incroos.kernel.heap.ranges import first_fit_start
from incroos.kernel.heap.slab import pages as slab_pages
from incroos.kernel.state import Cache, Heap
from incroos.lang import VirtAddr, kernel, load64, shr_logical, word

NONE: Final = VirtAddr(0)
UNKNOWN: Final = VirtAddr(-1)  # behind a header that was written over


@kernel
def around(heap: Heap, addr: VirtAddr) -> tuple[VirtAddr, VirtAddr, VirtAddr]:
    """The block before the one that has an address, that one, and the one behind it. Each may be NONE or UNKNOWN."""
    if is_of_chunks(heap, addr):
        return around_chunk(heap, addr)
    if heap.config.objects.HAS_SLABS and slab_pages.has(heap, addr):
        return around_object(heap, addr)
    return NONE, NONE, NONE


# ------------------------------------------------------------------ chunks
@kernel
def is_of_chunks(heap: Heap, addr: VirtAddr) -> bool:
    """Whether an address lies between the first chunk and the top."""
    return heap.config.objects.HAS_CHUNKS and first_chunk(heap) <= addr < top_of(heap)


@kernel
def first_chunk(heap: Heap) -> VirtAddr:
    """Where the first chunk is, if there is one."""
    start = first_fit_start(heap) if heap.config.objects.HAS_FIRST_FIT else heap.chunks.start
    return VirtAddr(start + chunks.FIRST_CHUNK)


@kernel
def top_of(heap: Heap) -> VirtAddr:
    """The end of the last chunk."""
    return heap.first_fit.top if heap.config.objects.HAS_FIRST_FIT else heap.chunks.top


@kernel
def bytes_at(heap: Heap, chunk: VirtAddr) -> word:
    """The bytes of the chunk at an address; 0 when its header says no good."""
    header = load64(heap.m, chunk)
    if heap.config.objects.HAS_FIRST_FIT:
        head = header & first_fit_header.HEAD_MASK
        wanted = first_fit_header.sealed(heap, chunk, head)
    else:
        head = header & chunks.HEAD_MASK
        wanted = chunks.sealed(heap, chunk, head)
    nbytes = head & -ALIGNMENT
    return nbytes if header == wanted and MIN_CHUNK_BYTES <= nbytes <= top_of(heap) - chunk else 0


@kernel
def around_chunk(heap: Heap, addr: VirtAddr) -> tuple[VirtAddr, VirtAddr, VirtAddr]:
    """Of an address between the first chunk and the top. All is UNKNOWN behind the first bad header."""
    before = NONE
    at = first_chunk(heap)
    while True:
        nbytes = bytes_at(heap, at)
        end = VirtAddr(at + nbytes)
        if nbytes == 0 and at <= addr < at + HEADER_BYTES + ALIGNMENT:
            return before, VirtAddr(at + HEADER_BYTES), UNKNOWN
        if nbytes == 0:
            return VirtAddr(at + HEADER_BYTES), UNKNOWN, UNKNOWN
        if addr < end:
            behind = VirtAddr(end + HEADER_BYTES) if end < top_of(heap) else NONE
            return before, VirtAddr(at + HEADER_BYTES), behind
        before = VirtAddr(at + HEADER_BYTES)
        at = end


# ------------------------------------------------------------------ objects
@kernel
def around_object(heap: Heap, addr: VirtAddr) -> tuple[VirtAddr, VirtAddr, VirtAddr]:
    """Of an address in the pages of slabs."""
    record, distance = slab_pages.locate(heap, addr)
    if record.state == 0 or distance < record.colour:
        return NONE, NONE, NONE
    cache = Cache(heap.m, record.cache)
    number = (distance - record.colour) // cache.object_bytes
    if number >= cache.nr_objects:
        return NONE, NONE, NONE
    at = VirtAddr(slab_pages.address_of(heap, record) + record.colour + number * cache.object_bytes)
    before = VirtAddr(at - cache.object_bytes) if number > 0 else NONE
    behind = VirtAddr(at + cache.object_bytes) if number + 1 < cache.nr_objects else NONE
    return before, at, behind


# ------------------------------------------------------------------ what is known of one
@kernel
def room_of(heap: Heap, base: VirtAddr) -> word:
    """How many bytes there are at a block; 0 when that is not known."""
    if is_of_chunks(heap, base):
        chunk = VirtAddr(base - HEADER_BYTES)
        return max(chunks.room_in(heap, bytes_at(heap, chunk) | load64(heap.m, chunk) & chunks.ALIGNED), 0)
    if heap.config.objects.HAS_SLABS and slab_pages.has(heap, base):
        record, _ = slab_pages.locate(heap, base)
        return Cache(heap.m, record.cache).object_bytes
    return 0


@kernel
def is_used(heap: Heap, base: VirtAddr) -> bool:
    """Whether the design says that somebody has the block."""
    if is_of_chunks(heap, base):
        return load64(heap.m, VirtAddr(base - HEADER_BYTES)) & USED != 0
    record, distance = slab_pages.locate(heap, base)
    number = (distance - record.colour) // Cache(heap.m, record.cache).object_bytes
    return shr_logical(record.free[number >> 6], number & 63) & 1 == 0
