"""Designs of a heap: what each of the heap's functions is in the one that the configuration names.

Unit: the byte. Knows nothing of what is built on top of these functions; front.py is that. Slabs alone and chunks alone
are size classes that have only the one or the other.
"""

from incroos.kernel.config import FIRST_FIT
from incroos.kernel.heap import counters, size_classes
from incroos.kernel.heap.chunk import first_fit
from incroos.kernel.heap.chunk.header import HEADER_BYTES
from incroos.kernel.heap.ranges import first_fit_bytes, first_fit_start
from incroos.kernel.state import ChunkState, HeapState, Kernel, SlabState
from incroos.lang import VirtAddr, fill, kernel, word


@kernel
def init(k: Kernel) -> None:
    """Begin with an empty heap that owns addresses and no frame."""
    if k.config.heap_design != FIRST_FIT:
        fill(k.m, k.heap.addr, 0, HeapState.SIZE)
        size_classes.init(k)
    else:
        fill(k.m, k.chunks.addr, 0, ChunkState.SIZE)
        fill(k.m, k.slabs.addr, 0, SlabState.SIZE)
        first_fit.init(k)


@kernel
def alloc(k: Kernel, nbytes: word) -> VirtAddr:
    """Give nbytes bytes at an address that is a multiple of 16; 0 when that cannot be, and nothing has changed."""
    if k.config.heap_design != FIRST_FIT:
        return size_classes.alloc(k, nbytes)
    return first_fit.alloc(k, nbytes)


@kernel
def alloc_aligned(k: Kernel, alignment: word, nbytes: word) -> VirtAddr:
    """As alloc, at a multiple of the alignment, a power of two above 16; first fit has none of these."""
    if k.config.heap_design != FIRST_FIT:
        return size_classes.alloc_aligned(k, alignment, nbytes)
    return VirtAddr(0)


@kernel
def free(k: Kernel, ptr: VirtAddr) -> word:
    """Take back what was given; 0 is nobody's and does nothing. BAD_FREE, and nothing changed, for all else."""
    if k.config.heap_design != FIRST_FIT:
        return size_classes.free(k, ptr)
    return first_fit.free(k, ptr)


@kernel
def usable_bytes(k: Kernel, ptr: VirtAddr) -> word:
    """How many bytes there are at what was given, at least those asked for; 0 for every other pointer."""
    if k.config.heap_design != FIRST_FIT:
        return size_classes.usable_bytes(k, ptr)
    return first_fit.usable_bytes(k, ptr)


@kernel
def cost_of(k: Kernel, ptr: VirtAddr, usable: word) -> word:
    """How much of used_bytes is for what was given at ptr, of so many usable bytes, in builds with tags."""
    if k.config.heap_design != FIRST_FIT and not size_classes.is_of_chunks(k, ptr):
        return usable
    return usable + HEADER_BYTES


@kernel
def fits_in_place(k: Kernel, ptr: VirtAddr, have: word, nbytes: word) -> bool:
    """Whether nbytes bytes can be had at ptr, where there are so many bytes."""
    if k.config.heap_design == FIRST_FIT:
        return nbytes <= have
    fits = size_classes.fits_in_place(k, ptr, have, nbytes)
    if k.config.counters != 0:
        counters.note_used(k)
    return fits


@kernel
def alignment_of(k: Kernel, ptr: VirtAddr) -> word:
    """The alignment with which what was given was asked for, where no tag tells it; 1 without one."""
    if k.config.heap_design != FIRST_FIT:
        return size_classes.alignment_of(k, ptr)
    return 1


@kernel
def owns(k: Kernel, ptr: VirtAddr) -> bool:
    """Whether an address lies in the heap's ranges."""
    if k.config.heap_design != FIRST_FIT:
        return size_classes.owns(k, ptr)
    return first_fit_start(k) <= ptr < first_fit_start(k) + first_fit_bytes(k)


@kernel
def used_bytes(k: Kernel) -> word:
    """Bytes that are handed out, headers and rounding included."""
    if k.config.heap_design != FIRST_FIT:
        return size_classes.used_bytes(k)
    return first_fit.used_bytes(k)


@kernel
def committed_bytes(k: Kernel) -> word:
    """Bytes of the pages that have frames; those that vmalloc serves are among its own."""
    if k.config.heap_design != FIRST_FIT:
        return size_classes.committed_bytes(k)
    return k.heap.committed_end - first_fit_start(k)


@kernel
def free_bytes(k: Kernel) -> word:
    """Bytes that can be had before the range must grow, with frames or without; used_bytes is not among them."""
    if k.config.heap_design != FIRST_FIT:
        return size_classes.free_bytes(k)
    return first_fit.free_bytes(k)


@kernel
def shrink(k: Kernel) -> word:
    """Give back frames that nothing lies in; how many bytes. First fit keeps them."""
    if k.config.heap_design != FIRST_FIT:
        return size_classes.shrink(k)
    return 0


@kernel
def check(k: Kernel) -> word:
    """0, or the number of the first invariant that does not hold."""
    if k.config.heap_design != FIRST_FIT:
        return size_classes.check(k)
    return first_fit.check(k)
