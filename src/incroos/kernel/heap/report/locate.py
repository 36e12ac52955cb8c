"""Neighbours: which block of the designs an address lies in, and which ones are before and behind it.

Unit: the byte. For reports of damage: reads nothing that it has not checked, and walks all chunks, which is slow. A
block is named by the address that its design gave; chunks and objects that nobody has are blocks here, too.
"""

from typing import Final

from incroos.kernel.config import FIRST_FIT
from incroos.kernel.heap.chunk import first_fit_header
from incroos.kernel.heap.chunk import header as chunks
from incroos.kernel.heap.chunk.header import HEADER_BYTES, MIN_CHUNK_BYTES, USED
from incroos.kernel.heap.ranges import first_fit_start
from incroos.kernel.heap.slab import pages as slab_pages
from incroos.kernel.state import Cache, Kernel
from incroos.lang import VirtAddr, kernel, load64, shr_logical, word

NONE: Final = VirtAddr(0)
UNKNOWN: Final = VirtAddr(-1)  # behind a header that was written over


@kernel
def around(k: Kernel, addr: VirtAddr) -> tuple[VirtAddr, VirtAddr, VirtAddr]:
    """The block before the one that has an address, that one, and the one behind it. Each may be NONE or UNKNOWN."""
    if is_of_chunks(k, addr):
        return around_chunk(k, addr)
    if k.config.heap_design != FIRST_FIT and slab_pages.has(k, addr):
        return around_object(k, addr)
    return NONE, NONE, NONE


# ------------------------------------------------------------------ chunks
@kernel
def is_of_chunks(k: Kernel, addr: VirtAddr) -> bool:
    """Whether an address lies between the first chunk and the top."""
    return first_chunk(k) <= addr < top_of(k)


@kernel
def first_chunk(k: Kernel) -> VirtAddr:
    """Where the first chunk is, if there is one."""
    start = first_fit_start(k) if k.config.heap_design == FIRST_FIT else k.chunks.start
    return VirtAddr(start + chunks.FIRST_CHUNK)


@kernel
def top_of(k: Kernel) -> VirtAddr:
    """The end of the last chunk."""
    return k.heap.top if k.config.heap_design == FIRST_FIT else k.chunks.top


@kernel
def bytes_at(k: Kernel, chunk: VirtAddr) -> word:
    """The bytes of the chunk at an address; 0 when its header says no good."""
    header = load64(k.m, chunk)
    if k.config.heap_design == FIRST_FIT:
        head = header & first_fit_header.HEAD_MASK
        wanted = first_fit_header.sealed(k, chunk, head)
    else:
        head = header & chunks.HEAD_MASK
        wanted = chunks.sealed(k, chunk, head)
    nbytes = head & -chunks.ALIGNMENT
    return nbytes if header == wanted and MIN_CHUNK_BYTES <= nbytes <= top_of(k) - chunk else 0


@kernel
def around_chunk(k: Kernel, addr: VirtAddr) -> tuple[VirtAddr, VirtAddr, VirtAddr]:
    """Of an address between the first chunk and the top. All is UNKNOWN behind the first bad header."""
    before = NONE
    at = first_chunk(k)
    while True:
        nbytes = bytes_at(k, at)
        end = VirtAddr(at + nbytes)
        if nbytes == 0 and at <= addr < at + HEADER_BYTES + chunks.ALIGNMENT:
            return before, VirtAddr(at + HEADER_BYTES), UNKNOWN
        if nbytes == 0:
            return VirtAddr(at + HEADER_BYTES), UNKNOWN, UNKNOWN
        if addr < end:
            behind = VirtAddr(end + HEADER_BYTES) if end < top_of(k) else NONE
            return before, VirtAddr(at + HEADER_BYTES), behind
        before = VirtAddr(at + HEADER_BYTES)
        at = end


# ------------------------------------------------------------------ objects
@kernel
def around_object(k: Kernel, addr: VirtAddr) -> tuple[VirtAddr, VirtAddr, VirtAddr]:
    """Of an address in the pages of slabs."""
    record, distance = slab_pages.locate(k, addr)
    if record.state == 0 or distance < record.colour:
        return NONE, NONE, NONE
    cache = Cache(k.m, record.cache)
    number = (distance - record.colour) // cache.object_bytes
    if number >= cache.nr_objects:
        return NONE, NONE, NONE
    at = VirtAddr(slab_pages.address_of(k, record) + record.colour + number * cache.object_bytes)
    before = VirtAddr(at - cache.object_bytes) if number > 0 else NONE
    behind = VirtAddr(at + cache.object_bytes) if number + 1 < cache.nr_objects else NONE
    return before, at, behind


# ------------------------------------------------------------------ what is known of one
@kernel
def room_of(k: Kernel, base: VirtAddr) -> word:
    """How many bytes there are at a block; 0 when that is not known."""
    if is_of_chunks(k, base):
        chunk = VirtAddr(base - HEADER_BYTES)
        return max(chunks.room_in(k, bytes_at(k, chunk) | load64(k.m, chunk) & chunks.ALIGNED), 0)
    if k.config.heap_design != FIRST_FIT and slab_pages.has(k, base):
        record, _ = slab_pages.locate(k, base)
        return Cache(k.m, record.cache).object_bytes
    return 0


@kernel
def is_used(k: Kernel, base: VirtAddr) -> bool:
    """Whether the design says that somebody has the block."""
    if is_of_chunks(k, base):
        return load64(k.m, VirtAddr(base - HEADER_BYTES)) & USED != 0
    record, distance = slab_pages.locate(k, base)
    number = (distance - record.colour) // Cache(k.m, record.cache).object_bytes
    return shr_logical(record.free[number >> 6], number & 63) & 1 == 0
