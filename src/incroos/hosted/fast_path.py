"""The two ways that nearly all calls go: a small request to the slab that is current, a small block back to its slab.

Unit: the object. Only shorter than the other ways, and to the same end: who cannot go here goes there. A caller that
compiles these two into itself has a request of some twenty instructions and a free of some thirty, without a call.
"""

from incroos.kernel.config import CHUNKS, FIRST_FIT, FULL
from incroos.kernel.heap import size_classes
from incroos.kernel.heap.slab import magazine, slab
from incroos.kernel.heap.slab import pages as slab_pages
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, kernel, load64, word


@kernel
def is_there(k: Kernel) -> bool:
    """Whether the configuration has these ways: slabs without magazines, and nothing to be done to a block."""
    has_slabs = k.config.heap_design != FIRST_FIT and k.config.heap_design != CHUNKS
    has_tasks = k.config.hardening == FULL or k.config.call_sites != 0 or k.config.poison != 0 or k.config.counters != 0
    return has_slabs and not has_tasks and not magazine.are_used(k)


@kernel
def bits_for(k: Kernel, nbytes: word) -> word:
    """The free objects of the current word for a request, which may be anything; 0: there is no such way for it."""
    if not is_there(k) or not size_classes.is_small(k, nbytes):
        return 0
    return load64(k.m, size_classes.cache_for(k, nbytes).word)


@kernel
def take(k: Kernel, nbytes: word, bits: word) -> VirtAddr:
    """An object for a request. PRE bits are what bits_for gave for it just now, and not 0."""
    return slab.take_lowest(k, size_classes.cache_for(k, nbytes), bits)


@kernel
def has(k: Kernel, ptr: VirtAddr) -> bool:
    """Whether a block goes back this way."""
    return is_there(k) and slab_pages.has(k, ptr)


@kernel
def put(k: Kernel, ptr: VirtAddr) -> word:
    """As kfree. PRE has(k, ptr)."""
    return slab.put(k, ptr)
