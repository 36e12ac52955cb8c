"""The heap's functions, by the design that the configuration has: first fit, or size classes.

Unit: the byte. What does not depend on the design is written here, on top of the rest.
"""

from typing import Final

from incroos.kernel.config import SIZE_CLASSES
from incroos.kernel.heap import first_fit, size_classes
from incroos.kernel.state import ChunkState, HeapState, Kernel, SlabState
from incroos.lang import VirtAddr, copy, fill, kernel, word

MAX_BYTES: Final = 1 << 38  # of a request


@kernel
def init(k: Kernel) -> None:
    """Begin with an empty heap that owns addresses and no frame."""
    if k.config.heap_design == SIZE_CLASSES:
        fill(k.m, k.heap.addr, 0, HeapState.SIZE)
        size_classes.init(k)
    else:
        fill(k.m, k.chunks.addr, 0, ChunkState.SIZE)
        fill(k.m, k.slabs.addr, 0, SlabState.SIZE)
        first_fit.init(k)


@kernel
def kmalloc(k: Kernel, nbytes: word) -> VirtAddr:
    """Give nbytes bytes at an address that is a multiple of 16; their content is not specified.

    0 when nbytes is not positive (2**63 and more arrive as negative words) or there is no room or no frame for it; then
    nothing has changed.
    """
    if k.config.heap_design == SIZE_CLASSES:
        return size_classes.alloc(k, nbytes)
    return first_fit.alloc(k, nbytes)


@kernel
def kfree(k: Kernel, ptr: VirtAddr) -> word:
    """Take back what was given; 0 is nobody's and does nothing. BAD_FREE, and nothing changed, for all else."""
    if k.config.heap_design == SIZE_CLASSES:
        return size_classes.free(k, ptr)
    return first_fit.free(k, ptr)


@kernel
def kzalloc(k: Kernel, nbytes: word) -> VirtAddr:
    """As kmalloc, all bytes 0."""
    ptr = kmalloc(k, nbytes)
    if ptr != 0:
        fill(k.m, ptr, 0, nbytes)
    return ptr


@kernel
def kcalloc(k: Kernel, nr_items: word, item_bytes: word) -> VirtAddr:
    """Room for so many items, all bytes 0; 0 as in kmalloc, also where their bytes are more than a word holds."""
    if nr_items <= 0 or item_bytes <= 0 or nr_items > MAX_BYTES // item_bytes:
        return VirtAddr(0)
    return kzalloc(k, nr_items * item_bytes)


@kernel
def kmemalign(k: Kernel, alignment: word, nbytes: word) -> VirtAddr:
    """As kmalloc, at a multiple of the alignment; 0 also when that is no power of two.

    First fit has no alignment beyond 16.
    """
    if alignment <= 0 or alignment & (alignment - 1) != 0:
        return VirtAddr(0)
    if alignment <= size_classes.ALIGNMENT:
        return kmalloc(k, nbytes)
    if k.config.heap_design == SIZE_CLASSES:
        return size_classes.alloc_aligned(k, alignment, nbytes)
    return VirtAddr(0)


@kernel
def kmalloc_usable_size(k: Kernel, ptr: VirtAddr) -> word:
    """How many bytes there are at what was given, at least those asked for; 0 for every other pointer."""
    if k.config.heap_design == SIZE_CLASSES:
        return size_classes.usable_bytes(k, ptr)
    return first_fit.usable_bytes(k, ptr)


@kernel
def krealloc(k: Kernel, ptr: VirtAddr, nbytes: word) -> VirtAddr:
    """Let what was given have nbytes bytes, where it is or elsewhere with its content and its alignment.

    0 when that cannot be, or nothing was given at ptr; then nothing has changed. As kmalloc when ptr is 0, as kfree
    when nbytes is 0.
    """
    if ptr == 0:
        return kmalloc(k, nbytes)
    if nbytes == 0:
        kfree(k, ptr)
        return VirtAddr(0)
    have = kmalloc_usable_size(k, ptr)
    if have == 0 or nbytes < 0:
        return VirtAddr(0)
    if fits_in_place(k, ptr, have, nbytes):
        return ptr
    new = kmemalign(k, alignment_of(k, ptr), nbytes)
    if new != 0:
        copy(k.m, new, ptr, min(have, nbytes))
        kfree(k, ptr)
    return new


@kernel
def fits_in_place(k: Kernel, ptr: VirtAddr, have: word, nbytes: word) -> bool:
    """Whether nbytes bytes can be had at ptr, where there are so many bytes."""
    if k.config.heap_design == SIZE_CLASSES:
        return size_classes.fits_in_place(k, ptr, have, nbytes)
    return nbytes <= have


@kernel
def alignment_of(k: Kernel, ptr: VirtAddr) -> word:
    """The alignment that a payload must keep when it moves."""
    if k.config.heap_design == SIZE_CLASSES and size_classes.is_aligned(k, ptr):
        return ptr & -ptr
    return 1


@kernel
def owns(k: Kernel, ptr: VirtAddr) -> bool:
    """Whether an address lies in the heap's ranges."""
    if k.config.heap_design == SIZE_CLASSES:
        return size_classes.owns(k, ptr)
    return k.config.heap <= ptr < k.config.heap + k.config.heap_max_bytes


@kernel
def used_bytes(k: Kernel) -> word:
    """Bytes that are handed out, headers and rounding included."""
    if k.config.heap_design == SIZE_CLASSES:
        return size_classes.used_bytes(k)
    return first_fit.used_bytes(k)


@kernel
def committed_bytes(k: Kernel) -> word:
    """Bytes of the pages that have frames; those that vmalloc serves are among its own."""
    if k.config.heap_design == SIZE_CLASSES:
        return size_classes.committed_bytes(k)
    return k.heap.committed_end - k.config.heap


@kernel
def free_bytes(k: Kernel) -> word:
    """Bytes that can be had before the range must grow, with frames or without; used_bytes is not among them."""
    if k.config.heap_design == SIZE_CLASSES:
        return size_classes.free_bytes(k)
    return first_fit.free_bytes(k)


@kernel
def shrink(k: Kernel) -> word:
    """Give back frames that nothing lies in; how many bytes. First fit keeps them."""
    if k.config.heap_design == SIZE_CLASSES:
        return size_classes.shrink(k)
    return 0


@kernel
def check(k: Kernel) -> word:
    """0, or the number of the first invariant that does not hold."""
    if k.config.heap_design == SIZE_CLASSES:
        return size_classes.check(k)
    return first_fit.check(k)
