"""kmalloc and its kin: the kernel's own heap, by the names that its users call.

Unit: the byte. Each function that takes or gives a block has a sister that ends in `_at` and takes the call site as
well. What each of them does: front.py, caches.py, lifecycle.py, which have the same for any heap.
"""

from incroos.kernel.heap import caches, front, lifecycle
from incroos.kernel.heap.front import NOBODY
from incroos.kernel.state import Kernel, ObjectCache
from incroos.lang import VirtAddr, kernel, word


@kernel
def init(k: Kernel) -> None:
    """Begin with an empty heap that owns addresses and no frame."""
    lifecycle.init(k.heap, k.addr)


# ------------------------------------------------------------------ without a call site
@kernel
def kmalloc(k: Kernel, nbytes: word) -> VirtAddr:
    """Give nbytes bytes at an address that is a multiple of 16; their content is not specified.

    0 when nbytes is not positive (2**63 and more arrive as negative words) or there is no room or no frame for it; then
    nothing has changed.
    """
    return front.alloc(k.heap, nbytes, NOBODY)


@kernel
def kfree(k: Kernel, ptr: VirtAddr) -> word:
    """Take back what was given; 0 is nobody's and does nothing. BAD_FREE, and nothing changed, for all else.

    With hardening FULL all else is a panic with a report.
    """
    return front.free(k.heap, ptr, NOBODY)


@kernel
def kzalloc(k: Kernel, nbytes: word) -> VirtAddr:
    """As kmalloc, all bytes 0."""
    return front.alloc_zeroed(k.heap, nbytes, NOBODY)


@kernel
def kcalloc(k: Kernel, nr_items: word, item_bytes: word) -> VirtAddr:
    """Room for so many items, all bytes 0; 0 as in kmalloc, also where their bytes are more than a word holds."""
    return front.alloc_items(k.heap, nr_items, item_bytes, NOBODY)


@kernel
def kmemalign(k: Kernel, alignment: word, nbytes: word) -> VirtAddr:
    """As kmalloc, at a multiple of the alignment; 0 also when that is no power of two.

    First fit has no alignment beyond 16.
    """
    return front.alloc_aligned(k.heap, alignment, nbytes, NOBODY)


@kernel
def krealloc(k: Kernel, ptr: VirtAddr, nbytes: word) -> VirtAddr:
    """Let what was given have nbytes bytes, where it is or elsewhere with its content and its alignment.

    0 when that cannot be, or nothing was given at ptr; then nothing has changed. As kmalloc when ptr is 0, as kfree
    when nbytes is 0. With hardening FULL a ptr at which nothing was given is a panic with a report.
    """
    return front.reallocate(k.heap, ptr, nbytes, NOBODY)


# ------------------------------------------------------------------ from a call site
@kernel
def kmalloc_at(k: Kernel, nbytes: word, site: word) -> VirtAddr:
    """kmalloc."""
    return front.alloc(k.heap, nbytes, site)


@kernel
def kfree_at(k: Kernel, ptr: VirtAddr, site: word) -> word:
    """kfree."""
    return front.free(k.heap, ptr, site)


@kernel
def kzalloc_at(k: Kernel, nbytes: word, site: word) -> VirtAddr:
    """kzalloc."""
    return front.alloc_zeroed(k.heap, nbytes, site)


@kernel
def kcalloc_at(k: Kernel, nr_items: word, item_bytes: word, site: word) -> VirtAddr:
    """kcalloc."""
    return front.alloc_items(k.heap, nr_items, item_bytes, site)


@kernel
def kmemalign_at(k: Kernel, alignment: word, nbytes: word, site: word) -> VirtAddr:
    """kmemalign."""
    return front.alloc_aligned(k.heap, alignment, nbytes, site)


@kernel
def krealloc_at(k: Kernel, ptr: VirtAddr, nbytes: word, site: word) -> VirtAddr:
    """krealloc."""
    return front.reallocate(k.heap, ptr, nbytes, site)


# ------------------------------------------------------------------ caches
@kernel
def cache_create(
    k: Kernel, name: bytes, object_bytes: word, alignment: word, template: VirtAddr, constructor: VirtAddr
) -> ObjectCache:
    """A cache of objects of 1 to MAX_OBJECT_BYTES bytes, at multiples of a power of two up to a page.

    Fresh objects are copies of what template points to now, unless that is 0; then a C function constructor(object,
    bytes) gets them, unless that is 0. A name keeps its first NR_NAME_BYTES bytes.
    At address 0, and nothing changed, for other sizes and alignments, without frames, in heaps without slabs, and for
    a constructor where config.constructors is not set.
    """
    return caches.create(k.heap, name, object_bytes, alignment, template, constructor)


@kernel
def cache_destroy(k: Kernel, cache: ObjectCache) -> word:
    """End a cache and give its pages back. CACHE_IN_USE while somebody has an object; BAD_FREE when it is no cache."""
    return caches.destroy(k.heap, cache)


@kernel
def cache_alloc(k: Kernel, cache: ObjectCache) -> VirtAddr:
    """An object; 0, and nothing changed, without frames for a slab. The cache must be one that there is."""
    return caches.alloc(k.heap, cache)


@kernel
def cache_free(k: Kernel, cache: ObjectCache, ptr: VirtAddr) -> word:
    """Take back an object of this cache; 0 is nobody's and does nothing. BAD_FREE, and nothing changed, for all else.

    An object that was constructed has to be as it was then.
    """
    return caches.free(k.heap, cache, ptr)


@kernel
def cache_keep(k: Kernel, cache: ObjectCache, nr_slabs: word) -> word:
    """Let a cache keep up to so many slabs without used objects for later, and give back those beyond; BAD_FREE."""
    return caches.keep(k.heap, cache, nr_slabs)


@kernel
def cache_shrink(k: Kernel, cache: ObjectCache) -> word:
    """Give back the pages of all slabs without used objects; how many bytes, or BAD_FREE when it is no cache."""
    return caches.shrink_cache(k.heap, cache)


# ------------------------------------------------------------------ what is there
@kernel
def kmalloc_usable_size(k: Kernel, ptr: VirtAddr) -> word:
    """How many bytes there are at what was given, at least those asked for; 0 for every other pointer.

    Just those asked for where blocks have tags.
    """
    return front.usable_bytes(k.heap, ptr)


@kernel
def owns(k: Kernel, ptr: VirtAddr) -> bool:
    """Whether an address lies in the heap's ranges."""
    return k.heap.config.objects.owns(k.heap, ptr)


@kernel
def used_bytes(k: Kernel) -> word:
    """Bytes that are handed out, headers, tags and rounding included; blocks in quarantine are nobody's."""
    return lifecycle.used_bytes(k.heap)


@kernel
def committed_bytes(k: Kernel) -> word:
    """Bytes of the pages that have frames; those that vmalloc serves are among its own."""
    return k.heap.config.objects.committed_bytes(k.heap)


@kernel
def free_bytes(k: Kernel) -> word:
    """Bytes that can be had before the range must grow, with frames or without; used_bytes is not among them."""
    return k.heap.config.objects.free_bytes(k.heap)


@kernel
def record_bytes(k: Kernel) -> word:
    """Bytes of the records of slabs' pages: of the most pages that there ever were, which shrink does not give back."""
    area = k.heap.slabs.area
    return area.records_end - area.records


@kernel
def shrink(k: Kernel) -> word:
    """Empty the quarantine; give back frames that nothing lies in; how many bytes. First fit keeps them."""
    return lifecycle.shrink(k.heap)


@kernel
def check(k: Kernel) -> word:
    """0, or the number of the first invariant that does not hold: of the design, or of what is beside it.

    Of CACHE as 40 + n, of TAG as 60 + n, of QUARANTINE as 70 + n, FIGURES as 80.
    """
    return lifecycle.check(k.heap)


@kernel
def find_damage(k: Kernel) -> VirtAddr:
    """The address of the first byte of a tag, red zone or freed block that is not as it should be; 0."""
    return lifecycle.find_damage(k.heap)
