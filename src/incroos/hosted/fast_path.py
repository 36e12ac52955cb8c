"""The two ways that nearly all calls go: a small request to the slab that is current, a small block back to its slab.

Unit: the object. Only shorter than the other ways, and to the same end: who cannot go here goes there. A caller that
compiles these two into itself has a request of some twenty instructions and a free of some thirty, without a call.
"""

from incroos.kernel.heap import size_classes
from incroos.kernel.heap.secret import is_tagged
from incroos.kernel.heap.slab import magazine, slab
from incroos.kernel.heap.slab import pages as slab_pages
from incroos.kernel.state import Heap
from incroos.lang import VirtAddr, kernel, load64, word


@kernel
def is_there(heap: Heap) -> bool:
    """Whether the configuration has these ways: slabs without magazines, and nothing to be done to a block."""
    has_tasks = is_tagged(heap) or heap.config.poison != 0 or heap.config.counters != 0
    return heap.config.objects.HAS_SLABS and not has_tasks and not magazine.are_used(heap)


@kernel
def bits_for(heap: Heap, nbytes: word) -> word:
    """The free objects of the current word for a request, which may be anything; 0: there is no such way for it."""
    if not is_there(heap) or not size_classes.is_small(heap, nbytes):
        return 0
    return load64(heap.m, size_classes.cache_for(heap, nbytes).word)


@kernel
def take(heap: Heap, nbytes: word, bits: word) -> VirtAddr:
    """An object for a request. PRE bits are what bits_for gave for it just now, and not 0."""
    return slab.take_lowest(heap, size_classes.cache_for(heap, nbytes), bits)


@kernel
def has(heap: Heap, ptr: VirtAddr) -> bool:
    """Whether a block goes back this way."""
    return is_there(heap) and slab_pages.has(heap, ptr)


@kernel
def put(heap: Heap, ptr: VirtAddr) -> word:
    """As kfree. PRE has(heap, ptr)."""
    return slab.put(heap, ptr)
