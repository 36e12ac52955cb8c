"""The checker of the caches: their list, their slabs, and whose the slabs are.

Unit: the object. Changes nothing, and reads no address that has no frame. slab/check.py has looked at the records.
"""

from typing import Final

from incroos.kernel.codes import OK
from incroos.kernel.heap import caches
from incroos.kernel.heap.size_classes import SLAB_INVARIANTS
from incroos.kernel.heap.slab import check as slab_check
from incroos.kernel.heap.slab import pages as slab_pages
from incroos.kernel.heap.slab import slab
from incroos.kernel.layout import PAGE_SHIFT
from incroos.kernel.state import NR_CLASSES, Cache, Heap, ObjectCache
from incroos.lang import VirtAddr, kernel, word

# CACHE-1  the list has nr_caches caches, which are the objects in use of the cache of caches, and links agree
# CACHE-2  a slab's cache is one of these, the cache of caches, or a size class
# CACHE-3  kfree takes back no object of a cache
# SLAB-n   for the slabs of each, as 20 + n

CACHE_INVARIANTS: Final = 40


@kernel
def check(heap: Heap) -> word:
    """0, or the number of the first invariant that does not hold, of CACHE as 40 + n."""
    code = check_cache(heap, heap.caches.own)
    if code != OK:
        return code
    code = check_list(heap)
    at = heap.caches.first
    while at != 0 and code == OK:
        cache = ObjectCache(heap.m, at)
        code = check_cache(heap, cache)
        at = cache.next
    return check_owners(heap) if code == OK else code


@kernel
def check_list(heap: Heap) -> word:
    """CACHE-1."""
    nr_used, _full, _partial, _unused = caches.usage(heap, heap.caches.own.slabs)
    previous = VirtAddr(0)
    at = heap.caches.first
    for _ in range(heap.caches.nr_caches):
        cache = ObjectCache(heap.m, at)
        if not caches.is_cache(heap, cache) or cache.previous != previous:
            return CACHE_INVARIANTS + 1
        previous = at
        at = cache.next
    return OK if at == 0 and nr_used == heap.caches.nr_caches else CACHE_INVARIANTS + 1


@kernel
def check_cache(heap: Heap, cache: ObjectCache) -> word:
    """CACHE-3, and the SLAB invariants of a cache's lists and counts."""
    code = slab_check.check_cache(heap, cache.slabs)
    if code != OK:
        return SLAB_INVARIANTS + code
    return OK if cache.slabs.nr_open == 0 else CACHE_INVARIANTS + 3


@kernel
def check_owners(heap: Heap) -> word:
    """CACHE-2."""
    at = heap.slabs.area.start
    while at < heap.slabs.area.top:
        record, _ = slab_pages.locate(heap, at)
        if record.state != slab.NOTHING and not is_owner(heap, record.cache):
            return CACHE_INVARIANTS + 2
        at = VirtAddr(at + (slab_pages.length_of(heap, record) << PAGE_SHIFT))
    return OK


@kernel
def is_owner(heap: Heap, cache: VirtAddr) -> bool:
    """Whether slabs can be of this cache."""
    classes = heap.slabs.caches[0].addr
    if classes <= cache < classes + NR_CLASSES * Cache.SIZE:
        return (cache - classes) % Cache.SIZE == 0
    return cache == heap.caches.own.addr or caches.is_cache(heap, ObjectCache(heap.m, cache))
