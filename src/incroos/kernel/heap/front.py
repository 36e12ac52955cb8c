"""The heap's functions, whatever its design: kmalloc and what is built on it.

Unit: the byte. designs.py has the design that the configuration names.
"""

from typing import Final

from incroos.kernel.heap import designs
from incroos.kernel.heap.size_classes import ALIGNMENT
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, copy, fill, kernel, word

MAX_BYTES: Final = 1 << 38  # of a request


@kernel
def kmalloc(k: Kernel, nbytes: word) -> VirtAddr:
    """Give nbytes bytes at an address that is a multiple of 16; their content is not specified.

    0 when nbytes is not positive (2**63 and more arrive as negative words) or there is no room or no frame for it; then
    nothing has changed.
    """
    return designs.alloc(k, nbytes)


@kernel
def kfree(k: Kernel, ptr: VirtAddr) -> word:
    """Take back what was given; 0 is nobody's and does nothing. BAD_FREE, and nothing changed, for all else."""
    return designs.free(k, ptr)


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
    if alignment <= ALIGNMENT:
        return kmalloc(k, nbytes)
    return designs.alloc_aligned(k, alignment, nbytes)


@kernel
def kmalloc_usable_size(k: Kernel, ptr: VirtAddr) -> word:
    """How many bytes there are at what was given, at least those asked for; 0 for every other pointer."""
    return designs.usable_bytes(k, ptr)


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
    if designs.fits_in_place(k, ptr, have, nbytes):
        return ptr
    new = kmemalign(k, alignment_of(k, ptr), nbytes)
    if new != 0:
        copy(k.m, new, ptr, min(have, nbytes))
        kfree(k, ptr)
    return new


@kernel
def alignment_of(k: Kernel, ptr: VirtAddr) -> word:
    """The alignment that a payload must keep when it moves."""
    return ptr & -ptr if designs.is_aligned(k, ptr) else 1
