"""kmalloc in front: small requests to slabs of their size class, larger ones to chunks, the largest to vmalloc.

Unit: the byte. Knows nothing of frames. Serves one user at a time: there is no lock.

    1 to 1,024         slab       32 classes: 16 bytes apart up to 256, then 32, then 64; no header
    to 4,096           slab       16 classes, 128 bytes apart up to 2,048, then 256; where config.slab_bytes says so,
                                  only those that many ask for: few objects would not fill the slabs of a class
    to 1 MiB           chunk      16 bytes apart; header of 8 bytes
    more               vmalloc    whole pages, with a guard behind; in configurations that have it, else chunks

Of the two designs in one, a configuration can have the one alone: chunks_alone.py has chunks for small requests too,
slabs_and_pages.py has whole pages for all that slabs have not. Both are this text with other constants.

An address says by the range where it lies which of them has it. Every one of them tells what was handed out from what
was not, so that kfree refuses each other pointer with BAD_FREE, and nothing changes.
"""

from typing import Final

from incroos.kernel.codes import BAD_FREE, NO_FRAME, OK
from incroos.kernel.config import FULL, HEAP_STATE_BYTES
from incroos.kernel.heap import counters, ranges
from incroos.kernel.heap.block import ALIGNMENT, MAX_BYTES, POISON_FREED, POISON_FRESH
from incroos.kernel.heap.chunk import best_fit, holes, resize
from incroos.kernel.heap.chunk import check as chunks_check
from incroos.kernel.heap.chunk.header import ALIGNED, BYTES_MASK, HEADER_BYTES, bytes_with_note, chunk_at, room_in
from incroos.kernel.heap.defaults import NOWHERE
from incroos.kernel.heap.secret import is_tagged
from incroos.kernel.heap.slab import check as slab_check
from incroos.kernel.heap.slab import pages as slab_pages
from incroos.kernel.heap.slab import slab
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import NR_CLASSES, Cache, Heap
from incroos.lang import VirtAddr, fill, kernel, sub_wrap, unsigned_less, word

STATE_BYTES: Final = HEAP_STATE_BYTES
HAS_SLABS: Final = True
HAS_CHUNKS: Final = True
HAS_WHOLE_PAGES: Final = False
HAS_FIRST_FIT: Final = False
HAS_FIGURES: Final = True
NEEDS_MODERN_SPACE: Final = True

SMALL_BYTES: Final = 1024
NR_COLD: Final = 4000  # requests for a class above SMALL_BYTES, until it has slabs
LARGE_BYTES: Final = 1 << 20

SLAB_INVARIANTS: Final = 20


@kernel
def init(heap: Heap) -> None:
    """Begin with an empty heap that owns addresses and no frame."""
    start, nbytes = heap.config.pages.range_of(heap, ranges.CHUNKS)
    best_fit.init(heap, start, nbytes)
    start, nbytes = heap.config.pages.range_of(heap, ranges.SLABS)
    records, _ = heap.config.pages.range_of(heap, ranges.RECORDS)
    slab_pages.init(heap, records, start, nbytes)
    heap.slabs.nr_large = 0
    heap.slabs.large_bytes = 0
    heap.slabs.used_bytes = 0
    heap.slabs.mark = 0
    last = 0
    for number in range(NR_CLASSES):
        nbytes = class_bytes(number)
        slab.init_cache(heap.slabs.caches[number], nbytes, ALIGNMENT)
        heap.slabs.caches[number].max_empty = heap.config.empty_slabs
        for index in range(last + 1, nbytes // ALIGNMENT + 1):
            heap.slabs.class_of[index] = number
        last = nbytes // ALIGNMENT
    heap.slabs.class_of[0] = 0


@kernel
def class_bytes(number: word) -> word:
    """The size of the objects of a class."""
    if number < 16:
        return (number + 1) * 16
    if number < 24:
        return 256 + (number - 15) * 32
    if number < 32:
        return 512 + (number - 23) * 64
    if number < 40:
        return 1024 + (number - 31) * 128
    return 2048 + (number - 39) * 256


# ------------------------------------------------------------------ alloc
@kernel
def alloc(heap: Heap, nbytes: word) -> VirtAddr:
    """Give nbytes bytes at an address that is a multiple of 16; their content is not specified.

    0 when nbytes is not positive (2**63 and more arrive as negative words) or there is no room or no frame for it; then
    nothing has changed.
    """
    if not is_small(heap, nbytes):
        return alloc_large(heap, nbytes)
    cache = cache_for(heap, nbytes)
    if is_cold(heap, cache):
        return alloc_large(heap, nbytes)
    ptr = slab.take(heap, cache)
    poison(heap, ptr, nbytes, POISON_FRESH)
    return ptr


@kernel
def is_small(heap: Heap, nbytes: word) -> bool:
    """Whether slabs serve a request; nbytes may be anything."""
    return heap.config.objects.HAS_SLABS and unsigned_less(sub_wrap(nbytes, 1), heap.config.slab_bytes)


@kernel
def is_cold(heap: Heap, cache: Cache) -> bool:
    """Whether chunks serve the requests of a class, since so few came that slabs of its own do not pay. Counts them."""
    if heap.config.slab_bytes <= SMALL_BYTES or cache.object_bytes <= SMALL_BYTES or cache.nr_cold == NR_COLD:
        return False
    cache.nr_cold += 1
    return True


@kernel
def cache_for(heap: Heap, nbytes: word) -> Cache:
    """The cache of the class for a small request."""
    return heap.slabs.caches[heap.slabs.class_of[(nbytes + ALIGNMENT - 1) >> 4]]


@kernel
def alloc_large(heap: Heap, nbytes: word) -> VirtAddr:
    """What alloc gives for requests that are not small."""
    if nbytes <= 0:
        return VirtAddr(0)
    used_before = counters.used_bytes(heap)
    ptr = alloc_pages(heap, nbytes) if is_large(heap, nbytes) else best_fit.alloc(heap, nbytes)
    if heap.config.counters != 0:
        counters.note_large(heap, nbytes, ptr, used_before)
    poison(heap, ptr, nbytes, POISON_FRESH)
    return ptr


@kernel
def is_large(heap: Heap, nbytes: word) -> bool:
    """Whether a request that is not small gets pages of its own."""
    return nbytes > LARGE_BYTES or heap.config.objects.HAS_WHOLE_PAGES


@kernel
def alloc_pages(heap: Heap, nbytes: word) -> VirtAddr:
    """What alloc gives for the largest requests."""
    if not heap.config.pages.HAS_LARGE_RANGES:
        return best_fit.alloc(heap, payload_for(heap, nbytes))
    ptr = heap.config.pages.take_large(heap, nbytes)
    if ptr != 0:
        heap.slabs.nr_large += 1
        heap.slabs.large_bytes += usable_bytes(heap, ptr)
    return ptr


@kernel
def payload_for(heap: Heap, nbytes: word) -> word:
    """What a chunk has room for that serves such a request: so many bytes, or what makes its length whole pages."""
    if not heap.config.objects.HAS_WHOLE_PAGES:
        return nbytes
    return ((min(nbytes, MAX_BYTES + 1) + HEADER_BYTES + PAGE_BYTES - 1) & -PAGE_BYTES) - HEADER_BYTES


@kernel
def aligned_payload_for(heap: Heap, nbytes: word) -> word:
    """The same for a request with an alignment."""
    return payload_for(heap, bytes_with_note(heap, min(nbytes, MAX_BYTES + 1)))


@kernel
def alloc_aligned(heap: Heap, alignment: word, nbytes: word) -> VirtAddr:
    """Give nbytes bytes at a multiple of the alignment, a power of two above ALIGNMENT; 0 as in alloc."""
    if nbytes <= 0:
        return VirtAddr(0)
    used_before = counters.used_bytes(heap)
    ptr = resize.alloc_aligned(heap, alignment, aligned_payload_for(heap, nbytes))
    if heap.config.counters != 0:
        counters.note_large(heap, nbytes, ptr, used_before)
    poison(heap, ptr, nbytes, POISON_FRESH)
    return ptr


# ------------------------------------------------------------------ free
@kernel
def free(heap: Heap, ptr: VirtAddr) -> word:
    """Take back what was given; 0 is nobody's and does nothing. BAD_FREE, and nothing changed, for all else."""
    if is_of_slabs(heap, ptr):
        if heap.config.poison != 0:
            poison(heap, ptr, usable_bytes(heap, ptr), POISON_FREED)
        return slab.put(heap, ptr)
    return free_large(heap, ptr)


@kernel
def free_large(heap: Heap, ptr: VirtAddr) -> word:
    """Take back what is no slab's."""
    if ptr == 0:
        return OK
    if heap.config.poison != 0:
        poison(heap, ptr, usable_bytes(heap, ptr), POISON_FREED)
    code = best_fit.free(heap, ptr) if is_of_chunks(heap, ptr) else free_pages(heap, ptr)
    if heap.config.counters != 0 and code == OK:
        counters.note_large_free(heap)
    return code


@kernel
def free_pages(heap: Heap, ptr: VirtAddr) -> word:
    """Take back what is neither a slab's nor a chunk."""
    if not heap.config.pages.HAS_LARGE_RANGES:
        return BAD_FREE
    nbytes = usable_bytes(heap, ptr)
    code = heap.config.pages.give_large(heap, ptr)
    if code == OK:
        heap.slabs.nr_large -= 1
        heap.slabs.large_bytes -= nbytes
    return code


@kernel
def usable_bytes(heap: Heap, ptr: VirtAddr) -> word:
    """How many bytes there are at what was given, at least those asked for; 0 for every other pointer."""
    if is_of_slabs(heap, ptr):
        return slab.usable_bytes(heap, ptr)
    if is_of_chunks(heap, ptr):
        return max(room_in(heap, best_fit.used_head(heap, ptr)), 0)
    return heap.config.pages.large_bytes(heap, ptr)


@kernel
def is_of_slabs(heap: Heap, ptr: VirtAddr) -> bool:
    """Whether an address lies in a page that is or was a slab's."""
    return heap.config.objects.HAS_SLABS and slab_pages.has(heap, ptr)


@kernel
def is_of_chunks(heap: Heap, ptr: VirtAddr) -> bool:
    """Whether an address lies in the range of the chunks."""
    if not heap.config.pages.HAS_FIXED_RANGES:
        return heap.chunks.start <= ptr < heap.chunks.top
    start, nbytes = heap.config.pages.range_of(heap, ranges.CHUNKS)
    return unsigned_less(sub_wrap(ptr, start), nbytes)


@kernel
def owns(heap: Heap, ptr: VirtAddr) -> bool:
    """Whether an address lies in a slab, or in the range of the chunks."""
    return is_of_slabs(heap, ptr) or is_of_chunks(heap, ptr)


@kernel
def poison(heap: Heap, ptr: VirtAddr, nbytes: word, byte: word) -> None:
    """Fill a payload, in the builds that look for uses before and after its time."""
    if heap.config.poison != 0 and heap.config.hardening != FULL and ptr != 0:
        fill(heap.m, ptr, byte, nbytes)


# ------------------------------------------------------------------ realloc
@kernel
def fits_in_place(heap: Heap, ptr: VirtAddr, have: word, nbytes: word) -> bool:
    """Whether nbytes bytes can be had at ptr without waste; a chunk is made to fit."""
    fits = can_stay(heap, ptr, have, nbytes)
    if heap.config.counters != 0:
        counters.note_used(heap)
    return fits


@kernel
def can_stay(heap: Heap, ptr: VirtAddr, have: word, nbytes: word) -> bool:
    """What fits_in_place answers."""
    if is_of_slabs(heap, ptr):
        return is_small(heap, nbytes) and cache_for(heap, nbytes).object_bytes == have
    if is_of_chunks(heap, ptr):
        if is_aligned(heap, ptr):
            return resize.resize(heap, ptr, aligned_payload_for(heap, nbytes))
        is_none_of_slabs = not heap.config.objects.HAS_SLABS or nbytes > SMALL_BYTES or not is_small(heap, nbytes)
        return is_none_of_slabs and resize.resize(heap, ptr, payload_for(heap, nbytes))
    return have - PAGE_BYTES < nbytes <= have


@kernel
def grow_large(heap: Heap, ptr: VirtAddr, have: word, nbytes: word, alignment: word) -> VirtAddr:
    """Give a large block in a chunk more room, and move its pages where it cannot stay; 0, and nothing changed, if not.

    One that was moved is moved again, though it might stay: if its pages become a part of two mappings it is copied.
    """
    if nbytes <= have or not resize.is_large(heap, have) or heap.config.poison != 0 or not is_of_chunks(heap, ptr):
        return VirtAddr(0)
    if not resize.is_moved(heap, ptr) and fits_in_place(heap, ptr, have, nbytes):
        return ptr
    used_before = counters.used_bytes(heap) - (best_fit.used_head(heap, ptr) & BYTES_MASK)
    room = aligned_payload_for(heap, nbytes) if is_aligned(heap, ptr) else payload_for(heap, nbytes)
    new, code = resize.move(heap, heap, ptr, room, alignment)
    if code == OK:
        resize.free_moved(heap, ptr)
    if heap.config.counters != 0 and new != 0:
        counters.note_large(heap, nbytes, new, used_before)
        counters.note_large_free(heap)
    return new


@kernel
def bring_large(heap: Heap, owner: Heap, ptr: VirtAddr, have: word, nbytes: word) -> tuple[VirtAddr, word]:
    """Give a large block of another heap more room in this one, and move its pages."""
    is_one = nbytes > have and resize.is_large(heap, have) and is_of_chunks(owner, ptr)
    if not is_one or heap.config.poison != 0 or is_tagged(heap):
        return VirtAddr(0), NO_FRAME
    used_before = counters.used_bytes(heap)
    room = aligned_payload_for(heap, nbytes) if is_aligned(owner, ptr) else payload_for(heap, nbytes)
    new, code = resize.move(heap, owner, ptr, room, ALIGNMENT)
    if heap.config.counters != 0:
        counters.note_large(heap, nbytes, new, used_before)
    return new, code


@kernel
def is_aligned(heap: Heap, ptr: VirtAddr) -> bool:
    """Whether what was given was asked for with an alignment: only chunks are, and they say so."""
    return (
        not is_of_slabs(heap, ptr)
        and is_of_chunks(heap, ptr)
        and chunk_at(heap, ptr - HEADER_BYTES).header & ALIGNED != 0
    )


@kernel
def alignment_of(heap: Heap, ptr: VirtAddr) -> word:
    """The alignment with which what was given was asked for, where no tag tells it; 1 without one."""
    return resize.alignment_of(heap, ptr) if is_aligned(heap, ptr) else 1


# ------------------------------------------------------------------ counts and the check
@kernel
def cost_of(heap: Heap, ptr: VirtAddr, usable: word) -> word:
    """How much of used_bytes is for what was given at ptr, of so many usable bytes, in builds with tags."""
    return usable + HEADER_BYTES if is_of_chunks(heap, ptr) else usable


@kernel
def used_bytes(heap: Heap) -> word:
    """Bytes that are handed out, rounding and headers included. Looks at the record of every slab."""
    total = heap.chunks.used_bytes + heap.slabs.large_bytes
    at = heap.slabs.area.start
    while at < heap.slabs.area.top:
        record, _ = slab_pages.locate(heap, at)
        if record.state != slab.NOTHING:
            cache = Cache(heap.m, record.cache)
            total += slab.nr_used(heap, cache, record) * cache.object_bytes
        at = VirtAddr(at + slab_pages.length_of(heap, record) * PAGE_BYTES)
    return total


@kernel
def committed_bytes(heap: Heap) -> word:
    """Bytes of the pages that have frames, those of records among them and those of vmalloc not."""
    area = heap.slabs.area
    records = area.records_end - area.records
    return heap.chunks.committed_end - heap.chunks.start + records + area.nr_mapped * PAGE_BYTES


@kernel
def free_bytes(heap: Heap) -> word:
    """Bytes of the chunks' range that none has, with frames or without."""
    return heap.chunks.end - heap.chunks.start - heap.chunks.used_bytes


@kernel
def unused_from(heap: Heap) -> VirtAddr:
    """Where chunks were never used; slabs lie elsewhere."""
    return best_fit.unused_from(heap) if heap.config.pages.HAS_ZEROS else VirtAddr(NOWHERE)


@kernel
def shrink(heap: Heap) -> word:
    """Give back the frames that nothing lies in; how many bytes of them."""
    nr_mapped = heap.slabs.area.nr_mapped
    for number in range(NR_CLASSES):
        slab.shrink(heap, heap.slabs.caches[number])
    slab_pages.release_spare(heap)
    nbytes = (nr_mapped - heap.slabs.area.nr_mapped) * PAGE_BYTES
    return nbytes + best_fit.trim(heap, 0) + holes.make_all(heap)


@kernel
def check(heap: Heap) -> word:
    """0, or the number of the first invariant that does not hold: of CHUNKS and BIN, or of SLAB as 20 + n."""
    code = chunks_check.check(heap)
    if code != OK:
        return code
    code = slab_check.check_area(heap)
    if code == OK:
        code = slab_check.check_records(heap)
    for number in range(NR_CLASSES):
        if code == OK:
            code = slab_check.check_cache(heap, heap.slabs.caches[number])
    return SLAB_INVARIANTS + code if code != OK else OK
