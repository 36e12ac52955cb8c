"""kmalloc in front: small requests to slabs of their size class, larger ones to chunks, the largest to vmalloc.

Unit: the byte. Knows nothing of frames. Serves one user at a time: there is no lock.

    1 to 1,024         slab       32 classes: 16 bytes apart up to 256, then 32, then 64; no header
    to 4,096           slab       16 classes, 128 bytes apart up to 2,048, then 256; where config.slab_bytes says so,
                                  only those that many ask for: few objects would not fill the slabs of a class
    to 1 MiB           chunk      16 bytes apart; header of 8 bytes
    more               vmalloc    whole pages, with a guard behind; in configurations that have it, else chunks

Of the two designs in one, a configuration can have the one alone: CHUNKS has chunks for small requests too,
SLABS_AND_PAGES has whole pages for all that slabs have not.

An address says by the range where it lies which of them has it. Every one of them tells what was handed out from what
was not, so that kfree refuses each other pointer with BAD_FREE, and nothing changes.
"""

from typing import Final

from incroos.kernel import vmm
from incroos.kernel.codes import BAD_FREE, OK
from incroos.kernel.config import CHUNKS, FULL, HOSTED_SPACE, MODERN_SPACE, SLABS_AND_PAGES
from incroos.kernel.heap import counters, ranges
from incroos.kernel.heap.chunk import best_fit, resize
from incroos.kernel.heap.chunk import check as chunks_check
from incroos.kernel.heap.chunk.header import ALIGNED, HEADER_BYTES, bytes_with_note, chunk_at, room_in
from incroos.kernel.heap.slab import check as slab_check
from incroos.kernel.heap.slab import pages as slab_pages
from incroos.kernel.heap.slab import slab
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import NR_CLASSES, Cache, Kernel
from incroos.lang import VirtAddr, fill, kernel, sub_wrap, unsigned_less, word

SMALL_BYTES: Final = 1024
NR_COLD: Final = 4000  # requests for a class above SMALL_BYTES, until it has slabs
LARGE_BYTES: Final = 1 << 20
ALIGNMENT: Final = 16

SLAB_INVARIANTS: Final = 20

POISON_FREED: Final = 0xDD  # payloads, in builds with config.poison and without tags: that came back
POISON_FRESH: Final = 0xCD  # that are handed out


@kernel
def init(k: Kernel) -> None:
    """Begin with an empty heap that owns addresses and no frame."""
    best_fit.init(k, ranges.chunks_start(k), ranges.chunks_bytes(k))
    slab_pages.init(k, ranges.records_start(k), ranges.slabs_start(k), ranges.slabs_bytes(k))
    k.slabs.nr_large = 0
    k.slabs.large_bytes = 0
    k.slabs.used_bytes = 0
    k.slabs.mark = 0
    last = 0
    for number in range(NR_CLASSES):
        nbytes = class_bytes(number)
        slab.init_cache(k.slabs.caches[number], nbytes, ALIGNMENT)
        if k.config.space == HOSTED_SPACE:
            k.slabs.caches[number].max_empty = 0  # another class may need the pages more, and they are spare
        for index in range(last + 1, nbytes // ALIGNMENT + 1):
            k.slabs.class_of[index] = number
        last = nbytes // ALIGNMENT
    k.slabs.class_of[0] = 0


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
def alloc(k: Kernel, nbytes: word) -> VirtAddr:
    """Give nbytes bytes at an address that is a multiple of 16; their content is not specified.

    0 when nbytes is not positive (2**63 and more arrive as negative words) or there is no room or no frame for it; then
    nothing has changed.
    """
    if not is_small(k, nbytes):
        return alloc_large(k, nbytes)
    cache = cache_for(k, nbytes)
    if is_cold(k, cache):
        return alloc_large(k, nbytes)
    ptr = slab.take(k, cache)
    poison(k, ptr, nbytes, POISON_FRESH)
    return ptr


@kernel
def is_small(k: Kernel, nbytes: word) -> bool:
    """Whether slabs serve a request; nbytes may be anything."""
    return k.config.heap_design != CHUNKS and unsigned_less(sub_wrap(nbytes, 1), k.config.slab_bytes)


@kernel
def is_cold(k: Kernel, cache: Cache) -> bool:
    """Whether chunks serve the requests of a class, since so few came that slabs of its own do not pay. Counts them."""
    if k.config.slab_bytes <= SMALL_BYTES or cache.object_bytes <= SMALL_BYTES or cache.nr_cold == NR_COLD:
        return False
    cache.nr_cold += 1
    return True


@kernel
def cache_for(k: Kernel, nbytes: word) -> Cache:
    """The cache of the class for a small request."""
    return k.slabs.caches[k.slabs.class_of[(nbytes + ALIGNMENT - 1) >> 4]]


@kernel
def alloc_large(k: Kernel, nbytes: word) -> VirtAddr:
    """What alloc gives for requests that are not small."""
    if nbytes <= 0:
        return VirtAddr(0)
    used_before = counters.used_bytes(k)
    ptr = alloc_pages(k, nbytes) if is_large(k, nbytes) else best_fit.alloc(k, nbytes)
    if k.config.counters != 0:
        counters.note_large(k, nbytes, ptr, used_before)
    poison(k, ptr, nbytes, POISON_FRESH)
    return ptr


@kernel
def is_large(k: Kernel, nbytes: word) -> bool:
    """Whether a request that is not small gets pages of its own."""
    return nbytes > LARGE_BYTES or k.config.heap_design == SLABS_AND_PAGES


@kernel
def alloc_pages(k: Kernel, nbytes: word) -> VirtAddr:
    """What alloc gives for the largest requests."""
    if k.config.space == MODERN_SPACE:
        ptr = vmm.vmalloc_for_heap(k, nbytes)
        if ptr != 0:
            k.slabs.nr_large += 1
            k.slabs.large_bytes += usable_bytes(k, ptr)
        return ptr
    else:
        return best_fit.alloc(k, payload_for(k, nbytes))


@kernel
def payload_for(k: Kernel, nbytes: word) -> word:
    """What a chunk has room for that serves such a request: so many bytes, or what makes its length whole pages."""
    if k.config.heap_design != SLABS_AND_PAGES:
        return nbytes
    return ((min(nbytes, best_fit.MAX_BYTES + 1) + HEADER_BYTES + PAGE_BYTES - 1) & -PAGE_BYTES) - HEADER_BYTES


@kernel
def aligned_payload_for(k: Kernel, nbytes: word) -> word:
    """The same for a request with an alignment."""
    return payload_for(k, bytes_with_note(k, min(nbytes, best_fit.MAX_BYTES + 1)))


@kernel
def alloc_aligned(k: Kernel, alignment: word, nbytes: word) -> VirtAddr:
    """Give nbytes bytes at a multiple of the alignment, a power of two above ALIGNMENT; 0 as in alloc."""
    if nbytes <= 0:
        return VirtAddr(0)
    used_before = counters.used_bytes(k)
    ptr = resize.alloc_aligned(k, alignment, aligned_payload_for(k, nbytes))
    if k.config.counters != 0:
        counters.note_large(k, nbytes, ptr, used_before)
    poison(k, ptr, nbytes, POISON_FRESH)
    return ptr


# ------------------------------------------------------------------ free
@kernel
def free(k: Kernel, ptr: VirtAddr) -> word:
    """Take back what was given; 0 is nobody's and does nothing. BAD_FREE, and nothing changed, for all else."""
    if is_of_slabs(k, ptr):
        if k.config.poison != 0:
            poison(k, ptr, usable_bytes(k, ptr), POISON_FREED)
        return slab.put(k, ptr)
    return free_large(k, ptr)


@kernel
def free_large(k: Kernel, ptr: VirtAddr) -> word:
    """Take back what is no slab's."""
    if ptr == 0:
        return OK
    if k.config.poison != 0:
        poison(k, ptr, usable_bytes(k, ptr), POISON_FREED)
    code = best_fit.free(k, ptr) if is_of_chunks(k, ptr) else free_pages(k, ptr)
    if k.config.counters != 0 and code == OK:
        counters.note_large_free(k)
    return code


@kernel
def free_pages(k: Kernel, ptr: VirtAddr) -> word:
    """Take back what is neither a slab's nor a chunk."""
    if k.config.space == MODERN_SPACE:
        nbytes = usable_bytes(k, ptr)
        code = vmm.vfree_of_heap(k, ptr)
        if code == OK:
            k.slabs.nr_large -= 1
            k.slabs.large_bytes -= nbytes
        return code
    else:
        return BAD_FREE


@kernel
def usable_bytes(k: Kernel, ptr: VirtAddr) -> word:
    """How many bytes there are at what was given, at least those asked for; 0 for every other pointer."""
    if is_of_slabs(k, ptr):
        return slab.usable_bytes(k, ptr)
    if is_of_chunks(k, ptr):
        return max(room_in(k, best_fit.used_head(k, ptr)), 0)
    return bytes_of_pages(k, ptr)


@kernel
def bytes_of_pages(k: Kernel, ptr: VirtAddr) -> word:
    """How many bytes there are in pages that were handed out whole."""
    if k.config.space == MODERN_SPACE:
        return vmm.heap_pages_from(k, ptr) * PAGE_BYTES
    else:
        return 0


@kernel
def is_of_slabs(k: Kernel, ptr: VirtAddr) -> bool:
    """Whether an address lies in a page that is or was a slab's."""
    return k.config.heap_design != CHUNKS and slab_pages.has(k, ptr)


@kernel
def is_of_chunks(k: Kernel, ptr: VirtAddr) -> bool:
    """Whether an address lies in the range of the chunks."""
    if k.config.space == HOSTED_SPACE:
        return k.chunks.start <= ptr < k.chunks.top
    return unsigned_less(sub_wrap(ptr, k.config.heap), k.config.heap_max_bytes)


@kernel
def owns(k: Kernel, ptr: VirtAddr) -> bool:
    """Whether an address lies in a slab, or in the range of the chunks."""
    return is_of_slabs(k, ptr) or is_of_chunks(k, ptr)


@kernel
def poison(k: Kernel, ptr: VirtAddr, nbytes: word, byte: word) -> None:
    """Fill a payload, in the builds that look for uses before and after its time."""
    if k.config.poison != 0 and k.config.hardening != FULL and ptr != 0:
        fill(k.m, ptr, byte, nbytes)


# ------------------------------------------------------------------ realloc
@kernel
def fits_in_place(k: Kernel, ptr: VirtAddr, have: word, nbytes: word) -> bool:
    """Whether nbytes bytes can be had at ptr without waste; a chunk is made to fit."""
    if is_of_slabs(k, ptr):
        return is_small(k, nbytes) and cache_for(k, nbytes).object_bytes == have
    if is_of_chunks(k, ptr):
        if is_aligned(k, ptr):
            return resize.resize(k, ptr, aligned_payload_for(k, nbytes))
        is_none_of_slabs = k.config.heap_design == CHUNKS or nbytes > SMALL_BYTES
        return is_none_of_slabs and resize.resize(k, ptr, payload_for(k, nbytes))
    return have - PAGE_BYTES < nbytes <= have


@kernel
def is_aligned(k: Kernel, ptr: VirtAddr) -> bool:
    """Whether what was given was asked for with an alignment: only chunks are, and they say so."""
    return not is_of_slabs(k, ptr) and is_of_chunks(k, ptr) and chunk_at(k, ptr - HEADER_BYTES).header & ALIGNED != 0


@kernel
def alignment_of(k: Kernel, ptr: VirtAddr) -> word:
    """The alignment with which what was given was asked for, where no tag tells it; 1 without one."""
    return resize.alignment_of(k, ptr) if is_aligned(k, ptr) else 1


# ------------------------------------------------------------------ counts and the check
@kernel
def used_bytes(k: Kernel) -> word:
    """Bytes that are handed out, rounding and headers included. Looks at the record of every slab."""
    total = k.chunks.used_bytes + k.slabs.large_bytes
    at = k.slabs.area.start
    while at < k.slabs.area.top:
        record, _ = slab_pages.locate(k, at)
        if record.state != slab.NOTHING:
            cache = Cache(k.m, record.cache)
            total += slab.nr_used(k, cache, record) * cache.object_bytes
        at = VirtAddr(at + slab_pages.length_of(k, record) * PAGE_BYTES)
    return total


@kernel
def committed_bytes(k: Kernel) -> word:
    """Bytes of the pages that have frames, those of records among them and those of vmalloc not."""
    area = k.slabs.area
    records = area.records_end - area.records
    return k.chunks.committed_end - k.chunks.start + records + area.nr_mapped * PAGE_BYTES


@kernel
def free_bytes(k: Kernel) -> word:
    """Bytes of the chunks' range that none has, with frames or without."""
    return k.chunks.end - k.chunks.start - k.chunks.used_bytes


@kernel
def shrink(k: Kernel) -> word:
    """Give back the frames that nothing lies in; how many bytes of them."""
    nr_mapped = k.slabs.area.nr_mapped
    for number in range(NR_CLASSES):
        slab.shrink(k, k.slabs.caches[number])
    slab_pages.release_spare(k)
    return (nr_mapped - k.slabs.area.nr_mapped) * PAGE_BYTES + best_fit.trim(k, 0)


@kernel
def check(k: Kernel) -> word:
    """0, or the number of the first invariant that does not hold: of CHUNKS and BIN, or of SLAB as 20 + n."""
    code = chunks_check.check(k)
    if code != OK:
        return code
    code = slab_check.check_area(k)
    if code == OK:
        code = slab_check.check_records(k)
    for number in range(NR_CLASSES):
        if code == OK:
            code = slab_check.check_cache(k, k.slabs.caches[number])
    return SLAB_INVARIANTS + code if code != OK else OK
