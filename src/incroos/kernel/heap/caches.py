"""Caches of objects: slabs that hold objects of one kind, under a name, for who asks for many of them.

Unit: the object. The slabs are slab/slab.py's, and so is the way from a pointer to its bit. Knows nothing of size
classes, but for the copy of a template, which is a block of kmalloc.

    heap.caches    own     the cache whose objects are the caches
                first   a list of all the others
    cache       slabs of its own: no object of kmalloc lies among its objects, and none of another cache

An object is constructed once, when its slab is made: it becomes a copy of the cache's template, and is handed to the
cache's constructor, a C function, in builds that run beside C. Who gives an object back leaves it as it was
constructed, so that who takes it next has that for nothing (J. Bonwick, "The Slab Allocator", 1994). Builds that poison
freed memory leave such objects alone: docs/adr/0425-constructed-by-a-template.md. There is no destructor: slabs go as
they are.

Full slabs are on no list, and all metadata of a slab is off it, those of small objects too (slab/slab.py).
"""

from typing import Final

from incroos.kernel.codes import BAD_FREE, CACHE_IN_USE, OK
from incroos.kernel.config import FULL
from incroos.kernel.heap import front
from incroos.kernel.heap.block import POISON_FREED, POISON_FRESH
from incroos.kernel.heap.slab import magazine, slab
from incroos.kernel.heap.slab import pages as slab_pages
from incroos.kernel.heap.slab.slab import MAX_SLAB_PAGES
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import NR_NAME_BYTES, Cache, Heap, ObjectCache, SlabRecord
from incroos.lang import VirtAddr, call4, cold, copy, fill, kernel, load64, word

MAX_OBJECT_BYTES: Final = MAX_SLAB_PAGES * PAGE_BYTES
OWN_ALIGNMENT: Final = 64  # of the caches: what a request needs of one lies in one line of the processor's cache


@kernel
def init(heap: Heap) -> None:
    """Begin without caches."""
    heap.caches.first = VirtAddr(0)
    heap.caches.nr_caches = 0
    begin(heap.caches.own, ObjectCache.SIZE, OWN_ALIGNMENT)
    put_name(heap.caches.own, b'caches')


@kernel
def can_have_caches(heap: Heap) -> bool:
    """Whether the heap of this configuration has slabs."""
    return heap.config.objects.HAS_SLABS


# ------------------------------------------------------------------ making and ending
@kernel
def create(
    heap: Heap, name: bytes, object_bytes: word, alignment: word, template: VirtAddr, constructor: VirtAddr
) -> ObjectCache:
    """A cache of objects of 1 to MAX_OBJECT_BYTES bytes, at multiples of a power of two up to a page.

    Fresh objects are copies of what template points to now, unless that is 0; then a C function constructor(object,
    bytes) gets them, unless that is 0. A name keeps its first NR_NAME_BYTES bytes.
    At address 0, and nothing changed, for other sizes and alignments, without frames, in heaps without slabs, and for
    a constructor where config.constructors is not set.
    """
    nothing = ObjectCache(heap.m, VirtAddr(0))
    if not can_have_caches(heap) or not 0 < object_bytes <= MAX_OBJECT_BYTES:
        return nothing
    if not 0 < alignment <= PAGE_BYTES or alignment & (alignment - 1) != 0:
        return nothing
    if constructor != 0 and heap.config.constructors == 0:
        return nothing
    cache = ObjectCache(heap.m, alloc(heap, heap.caches.own))
    if cache.addr == 0:
        return nothing
    copied = VirtAddr(0)
    if template != 0:
        copied = front.alloc(heap, object_bytes, front.NOBODY)  # last, since it is counted for good
        if copied == 0:
            free(heap, heap.caches.own, cache.addr)
            return nothing
        copy(heap.m, copied, template, object_bytes)
    begin(cache, object_bytes, alignment)
    put_name(cache, name)
    cache.template = copied
    cache.constructor = constructor
    insert(heap, cache)
    return cache


@kernel
def begin(cache: ObjectCache, object_bytes: word, alignment: word) -> None:
    """Let a cache have no slabs, name or template."""
    slab.init_cache(cache.slabs, object_bytes, alignment)
    cache.slabs.nr_open = 0
    cache.asked_bytes = object_bytes
    cache.alignment = alignment
    cache.template = VirtAddr(0)
    cache.constructor = VirtAddr(0)
    cache.next = VirtAddr(0)
    cache.previous = VirtAddr(0)
    for index in range(NR_NAME_BYTES):
        cache.name[index] = 0


@kernel
def put_name(cache: ObjectCache, name: bytes) -> None:
    """Name a cache that has no name."""
    for index in range(min(len(name), NR_NAME_BYTES)):
        cache.name[index] = name[index]


@kernel
def insert(heap: Heap, cache: ObjectCache) -> None:
    """Put a cache in front of the list."""
    cache.next = heap.caches.first
    if cache.next != 0:
        ObjectCache(heap.m, cache.next).previous = cache.addr
    heap.caches.first = cache.addr
    heap.caches.nr_caches += 1


@kernel
def remove(heap: Heap, cache: ObjectCache) -> None:
    """Take a cache off the list."""
    if cache.next != 0:
        ObjectCache(heap.m, cache.next).previous = cache.previous
    if cache.previous != 0:
        ObjectCache(heap.m, cache.previous).next = cache.next
    else:
        heap.caches.first = cache.next
    heap.caches.nr_caches -= 1


@kernel
def destroy(heap: Heap, cache: ObjectCache) -> word:
    """End a cache and give its pages back. CACHE_IN_USE while somebody has an object; BAD_FREE when it is no cache."""
    if not is_cache(heap, cache):
        return BAD_FREE
    if has_used_objects(heap, cache.slabs):
        return CACHE_IN_USE
    slab.shrink(heap, cache.slabs)
    remove(heap, cache)
    front.free(heap, cache.template, front.NOBODY)
    return free(heap, heap.caches.own, cache.addr)


@kernel
def is_cache(heap: Heap, cache: ObjectCache) -> bool:
    """Whether create gave it and destroy did not take it."""
    return is_object(heap, heap.caches.own, cache.addr)


@kernel
def has_used_objects(heap: Heap, cache: Cache) -> bool:
    """Whether somebody has an object of a cache."""
    nr_unused = cache.nr_empty
    if cache.current != 0 and slab.is_empty(cache, SlabRecord(heap.m, cache.current)):
        nr_unused += 1
    return nr_unused != cache.nr_slabs


# ------------------------------------------------------------------ objects
@kernel
def alloc(heap: Heap, cache: ObjectCache) -> VirtAddr:
    """An object; 0, and nothing changed, without frames for a slab. The cache must be one that there is."""
    is_there = magazine.has_any(heap, cache.slabs) or load64(heap.m, cache.slabs.word) != 0
    ptr = slab.take(heap, cache.slabs) if is_there else take_slowly(heap, cache)
    if ptr != 0 and is_poisoning(heap, cache):
        fill(heap.m, ptr, POISON_FRESH, cache.asked_bytes)
    return ptr


@cold
@kernel
def take_slowly(heap: Heap, cache: ObjectCache) -> VirtAddr:
    """An object when magazine and current word have none; constructs those of a slab that is made for it."""
    slabs = cache.slabs
    if slabs.partial == 0 and slabs.empty == 0 and not slab.find_word(heap, slabs):
        record = slab.make(heap, slabs)
        if record.addr == 0:
            return VirtAddr(0)
        if is_constructing(heap, cache):
            construct(heap, cache, slab.first_object(heap, record))
        slab.push(heap, slabs, record, slab.EMPTY)
    return slab.take_slowly(heap, slabs)


@kernel
def is_constructing(heap: Heap, cache: ObjectCache) -> bool:
    """Whether fresh objects get a content, which they keep while nobody has them."""
    return cache.template != 0 or (heap.config.constructors != 0 and cache.constructor != 0)


@kernel
def is_poisoning(heap: Heap, cache: ObjectCache) -> bool:
    """Whether objects are filled when they are handed out and when they come back: not those that keep a content."""
    return (heap.config.poison != 0 or heap.config.hardening == FULL) and not is_constructing(heap, cache)


@kernel
def construct(heap: Heap, cache: ObjectCache, first: VirtAddr) -> None:
    """Construct the objects of a fresh slab, the first of which lies there."""
    ptr = first
    for _ in range(cache.slabs.nr_objects):
        if cache.template != 0:
            copy(heap.m, ptr, cache.template, cache.asked_bytes)
        if heap.config.constructors != 0:
            call_constructor(heap, cache, ptr)
        ptr = VirtAddr(ptr + cache.slabs.object_bytes)


@kernel
def call_constructor(heap: Heap, cache: ObjectCache, ptr: VirtAddr) -> None:
    """Hand an object to the cache's C function, if it has one."""
    if cache.constructor != 0:
        call4(heap.m, cache.constructor, ptr, cache.asked_bytes, 0, 0)


@kernel
def free(heap: Heap, cache: ObjectCache, ptr: VirtAddr) -> word:
    """Take back an object of this cache; 0 is nobody's and does nothing. BAD_FREE, and nothing changed, for all else.

    An object that was constructed has to be as it was then.
    """
    if not slab_pages.has(heap, ptr):
        return OK if ptr == 0 else BAD_FREE
    record, distance, number = slab.find(heap, ptr)
    if record.state == slab.NOTHING or record.cache != cache.addr:
        return BAD_FREE
    if is_poisoning(heap, cache) and is_object(heap, cache, ptr):
        fill(heap.m, ptr, POISON_FREED, cache.asked_bytes)
    return slab.put_object(heap, cache.slabs, record, ptr, distance, number, cache.slabs.nr_objects)


@kernel
def is_object(heap: Heap, cache: ObjectCache, ptr: VirtAddr) -> bool:
    """Whether ptr is an object of this cache that somebody has."""
    if not slab_pages.has(heap, ptr):
        return False
    record, distance, number = slab.find(heap, ptr)
    is_its = record.state != slab.NOTHING and record.cache == cache.addr
    return is_its and slab.is_used(cache.slabs, record, distance, number, cache.slabs.nr_objects)


# ------------------------------------------------------------------ pages that nobody needs
@kernel
def keep(heap: Heap, cache: ObjectCache, nr_slabs: word) -> word:
    """Let a cache keep up to so many slabs without used objects for later, and give back those beyond; BAD_FREE."""
    if not is_cache(heap, cache):
        return BAD_FREE
    cache.slabs.max_empty = max(nr_slabs, 0)
    while cache.slabs.nr_empty > cache.slabs.max_empty:
        give_back_empty(heap, cache.slabs)
    return OK


@kernel
def give_back_empty(heap: Heap, slabs: Cache) -> None:
    """Give back the pages of a slab on the list of empty ones."""
    record = SlabRecord(heap.m, slabs.empty)
    slab.pull(heap, slabs, record)
    slab.unmake(heap, slabs, record)


@kernel
def shrink_cache(heap: Heap, cache: ObjectCache) -> word:
    """Give back the pages of all slabs without used objects; how many bytes, or BAD_FREE when it is no cache."""
    if not is_cache(heap, cache):
        return BAD_FREE
    return slab.shrink(heap, cache.slabs) << PAGE_SHIFT


@kernel
def shrink(heap: Heap) -> word:
    """shrink_cache of all caches."""
    nbytes = 0
    at = heap.caches.first
    while at != 0:
        cache = ObjectCache(heap.m, at)
        nbytes += shrink_cache(heap, cache)
        at = cache.next
    return nbytes + (slab.shrink(heap, heap.caches.own.slabs) << PAGE_SHIFT)


# ------------------------------------------------------------------ counts
@kernel
def usage(heap: Heap, cache: Cache) -> tuple[word, word, word, word]:
    """Objects that somebody has, and slabs of which all objects, some, and none are somebody's.

    Looks at slabs that have both kinds, not at full ones.
    """
    nr_full = cache.nr_slabs - cache.nr_empty
    nr_partial = 0
    nr_unused = cache.nr_empty
    nr_objects = 0
    if cache.current != 0:
        nr_objects = slab.nr_used(heap, cache, SlabRecord(heap.m, cache.current))
        nr_full -= nr_objects != cache.nr_objects
        nr_partial += 0 < nr_objects < cache.nr_objects
        nr_unused += nr_objects == 0
        nr_objects %= cache.nr_objects  # a full one is counted with the others
    for index in range(magazine.nr_rounds(cache)):
        record = magazine.record_of(cache.rounds[index])
        if record.state == slab.FULL and magazine.nr_of(cache, record, index) == 0:  # each such slab once
            nr_objects += slab.nr_used(heap, cache, record)
            nr_partial += 1
            nr_full -= 1
    at = cache.partial
    while at != 0:
        record = SlabRecord(heap.m, at)
        nr_objects += slab.nr_used(heap, cache, record)
        nr_partial += 1
        nr_full -= 1
        at = record.next
    return nr_objects + nr_full * cache.nr_objects, nr_full, nr_partial, nr_unused


@kernel
def lost_bytes(cache: ObjectCache) -> tuple[word, word]:
    """How many bytes of a slab no object has: for rounding objects up, and at the slab's ends."""
    slabs = cache.slabs
    rounding = slabs.nr_objects * (slabs.object_bytes - cache.asked_bytes)
    return rounding, (slabs.nr_pages << PAGE_SHIFT) - slabs.nr_objects * slabs.object_bytes
