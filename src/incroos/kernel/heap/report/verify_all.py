"""The checker of the tags: a walk over all blocks that somebody has or that are in quarantine.

Unit: the block. Changes nothing. Not seen are blocks with pages of their own from vmalloc, whose metadata does not tell
them from ranges that others have: those are verified when they come back.
"""

from incroos.kernel.codes import OK
from incroos.kernel.heap.chunk.header import HEADER_BYTES
from incroos.kernel.heap.harden import tag
from incroos.kernel.heap.harden.verify import find_damage
from incroos.kernel.heap.report import locate
from incroos.kernel.heap.slab import pages as slab_pages
from incroos.kernel.heap.slab import slab
from incroos.kernel.layout import PAGE_SHIFT
from incroos.kernel.state import NR_CLASSES, Cache, Heap, SlabRecord
from incroos.lang import VirtAddr, kernel, word


@kernel
def find(heap: Heap) -> tuple[word, VirtAddr]:
    """The first TAG invariant that does not hold, and where; OK. The design's own invariants must hold."""
    code = OK
    at = VirtAddr(0)
    if heap.config.objects.HAS_CHUNKS:
        code, at = find_in_chunks(heap)
    if code == OK and heap.config.objects.HAS_SLABS:
        return find_in_slabs(heap)
    return code, at


@kernel
def find_in_chunks(heap: Heap) -> tuple[word, VirtAddr]:
    """The same among chunks."""
    chunk = locate.first_chunk(heap)
    top = locate.top_of(heap)
    while chunk < top:
        end = VirtAddr(chunk + locate.bytes_at(heap, chunk))
        base = VirtAddr(chunk + HEADER_BYTES)
        if locate.is_used(heap, base):
            code, at = find_damage(heap, tag.tag_in(heap, base, end - base), end)
            if code != OK:
                return code, at
        chunk = end
    return OK, top


@kernel
def find_in_slabs(heap: Heap) -> tuple[word, VirtAddr]:
    """The same among the objects of the size classes; those of a cache of somebody's own have no tags."""
    first_class = heap.slabs.caches[0].addr
    start = heap.slabs.area.start
    while start < heap.slabs.area.top:
        record, _ = slab_pages.locate(heap, start)
        if record.state != slab.NOTHING and 0 <= record.cache - first_class < NR_CLASSES * Cache.SIZE:
            code, at = find_in_slab(heap, record)
            if code != OK:
                return code, at
        start = VirtAddr(start + (slab_pages.length_of(heap, record) << PAGE_SHIFT))
    return OK, start


@kernel
def find_in_slab(heap: Heap, record: SlabRecord) -> tuple[word, VirtAddr]:
    """The same in one slab."""
    cache = Cache(heap.m, record.cache)
    for number in range(cache.nr_objects):
        base = VirtAddr(slab.first_object(heap, record) + number * cache.object_bytes)
        if locate.is_used(heap, base):
            code, at = find_damage(
                heap, tag.tag_in(heap, base, cache.object_bytes), VirtAddr(base + cache.object_bytes)
            )
            if code != OK:
                return code, at
    return OK, VirtAddr(record.addr)
