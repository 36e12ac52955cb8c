"""The checker of the tags: a walk over all blocks that somebody has or that are in quarantine.

Unit: the block. Changes nothing. Not seen are blocks with pages of their own from vmalloc, whose metadata does not tell
them from ranges that others have: those are verified when they come back.
"""

from incroos.kernel.codes import OK
from incroos.kernel.config import FIRST_FIT
from incroos.kernel.heap.chunk.header import HEADER_BYTES
from incroos.kernel.heap.harden import tag
from incroos.kernel.heap.harden.verify import find_damage
from incroos.kernel.heap.report import locate
from incroos.kernel.heap.slab import pages as slab_pages
from incroos.kernel.heap.slab import slab
from incroos.kernel.layout import PAGE_SHIFT
from incroos.kernel.state import NR_CLASSES, Cache, Kernel, SlabRecord
from incroos.lang import VirtAddr, kernel, word


@kernel
def find(k: Kernel) -> tuple[word, VirtAddr]:
    """The first TAG invariant that does not hold, and where; OK. The design's own invariants must hold."""
    code, at = find_in_chunks(k)
    if code == OK and k.config.heap_design != FIRST_FIT:
        return find_in_slabs(k)
    return code, at


@kernel
def find_in_chunks(k: Kernel) -> tuple[word, VirtAddr]:
    """The same among chunks."""
    chunk = locate.first_chunk(k)
    top = locate.top_of(k)
    while chunk < top:
        end = VirtAddr(chunk + locate.bytes_at(k, chunk))
        base = VirtAddr(chunk + HEADER_BYTES)
        if locate.is_used(k, base):
            code, at = find_damage(k, tag.tag_in(k, base, end - base), end)
            if code != OK:
                return code, at
        chunk = end
    return OK, top


@kernel
def find_in_slabs(k: Kernel) -> tuple[word, VirtAddr]:
    """The same among the objects of the size classes; those of a cache of somebody's own have no tags."""
    first_class = k.slabs.caches[0].addr
    start = k.slabs.area.start
    while start < k.slabs.area.top:
        record, _ = slab_pages.locate(k, start)
        if record.state != slab.NOTHING and 0 <= record.cache - first_class < NR_CLASSES * Cache.SIZE:
            code, at = find_in_slab(k, record)
            if code != OK:
                return code, at
        start = VirtAddr(start + (slab_pages.length_of(k, record) << PAGE_SHIFT))
    return OK, start


@kernel
def find_in_slab(k: Kernel, record: SlabRecord) -> tuple[word, VirtAddr]:
    """The same in one slab."""
    cache = Cache(k.m, record.cache)
    for number in range(cache.nr_objects):
        base = VirtAddr(slab.first_object(k, record) + number * cache.object_bytes)
        if locate.is_used(k, base):
            code, at = find_damage(k, tag.tag_in(k, base, cache.object_bytes), VirtAddr(base + cache.object_bytes))
            if code != OK:
                return code, at
    return OK, VirtAddr(record.addr)
