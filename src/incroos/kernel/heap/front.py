"""The heap's functions, whatever its design: kmalloc and what is built on it.

Unit: the byte. designs.py has the design that the configuration names; harden/tagged.py is between where a build tells
who asked for a block. Each function that takes or gives a block has a sister that ends in `_at` and takes the call site
as well: an address of code, or whatever word a user tells his callers apart by.
"""

from typing import Final

from incroos.kernel.heap import counters, designs, secret
from incroos.kernel.heap.harden import tagged
from incroos.kernel.heap.size_classes import ALIGNMENT
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, copy, fill, kernel, word

MAX_BYTES: Final = 1 << 38  # of a request
NOBODY: Final = 0  # a call site that is not told


# ------------------------------------------------------------------ without a call site
@kernel
def kmalloc(k: Kernel, nbytes: word) -> VirtAddr:
    """Give nbytes bytes at an address that is a multiple of 16; their content is not specified.

    0 when nbytes is not positive (2**63 and more arrive as negative words) or there is no room or no frame for it; then
    nothing has changed.
    """
    return kmalloc_at(k, nbytes, NOBODY)


@kernel
def kfree(k: Kernel, ptr: VirtAddr) -> word:
    """Take back what was given; 0 is nobody's and does nothing. BAD_FREE, and nothing changed, for all else.

    With hardening FULL all else is a panic with a report.
    """
    return kfree_at(k, ptr, NOBODY)


@kernel
def kzalloc(k: Kernel, nbytes: word) -> VirtAddr:
    """As kmalloc, all bytes 0."""
    return kzalloc_at(k, nbytes, NOBODY)


@kernel
def kcalloc(k: Kernel, nr_items: word, item_bytes: word) -> VirtAddr:
    """Room for so many items, all bytes 0; 0 as in kmalloc, also where their bytes are more than a word holds."""
    return kcalloc_at(k, nr_items, item_bytes, NOBODY)


@kernel
def kmemalign(k: Kernel, alignment: word, nbytes: word) -> VirtAddr:
    """As kmalloc, at a multiple of the alignment; 0 also when that is no power of two.

    First fit has no alignment beyond 16.
    """
    return kmemalign_at(k, alignment, nbytes, NOBODY)


@kernel
def krealloc(k: Kernel, ptr: VirtAddr, nbytes: word) -> VirtAddr:
    """Let what was given have nbytes bytes, where it is or elsewhere with its content and the alignment asked for.

    0 when that cannot be, or nothing was given at ptr; then nothing has changed. As kmalloc when ptr is 0, as kfree
    when nbytes is 0. With hardening FULL a ptr at which nothing was given is a panic with a report.
    """
    return krealloc_at(k, ptr, nbytes, NOBODY)


# ------------------------------------------------------------------ the same from a call site
@kernel
def kmalloc_at(k: Kernel, nbytes: word, site: word) -> VirtAddr:
    """kmalloc."""
    ptr = tagged.alloc(k, nbytes, site) if secret.is_tagged(k) else designs.alloc(k, nbytes)
    if k.config.counters != 0:
        counters.note_asked(k, nbytes, ptr)
    return ptr


@kernel
def kfree_at(k: Kernel, ptr: VirtAddr, site: word) -> word:
    """kfree."""
    if secret.is_tagged(k):
        return tagged.free(k, ptr, site)
    return designs.free(k, ptr)


@kernel
def kzalloc_at(k: Kernel, nbytes: word, site: word) -> VirtAddr:
    """kzalloc."""
    ptr = kmalloc_at(k, nbytes, site)
    if ptr != 0:
        fill(k.m, ptr, 0, nbytes)
    return ptr


@kernel
def kcalloc_at(k: Kernel, nr_items: word, item_bytes: word, site: word) -> VirtAddr:
    """kcalloc."""
    if nr_items <= 0 or item_bytes <= 0 or nr_items > MAX_BYTES // item_bytes:
        return VirtAddr(0)
    return kzalloc_at(k, nr_items * item_bytes, site)


@kernel
def kmemalign_at(k: Kernel, alignment: word, nbytes: word, site: word) -> VirtAddr:
    """kmemalign."""
    if alignment <= 0 or alignment & (alignment - 1) != 0:
        return VirtAddr(0)
    if alignment <= ALIGNMENT:
        return kmalloc_at(k, nbytes, site)
    if secret.is_tagged(k):
        ptr = tagged.alloc_aligned(k, alignment, nbytes, site)
    else:
        ptr = designs.alloc_aligned(k, alignment, nbytes)
    if k.config.counters != 0:
        counters.note_asked(k, nbytes, ptr)
    return ptr


@kernel
def krealloc_at(k: Kernel, ptr: VirtAddr, nbytes: word, site: word) -> VirtAddr:
    """krealloc."""
    if ptr == 0:
        return kmalloc_at(k, nbytes, site)
    if nbytes == 0:
        kfree_at(k, ptr, site)
        return VirtAddr(0)
    if secret.is_tagged(k):
        new = tagged.reallocate(k, ptr, nbytes, site)
        if k.config.counters != 0 and new != ptr:
            counters.note_asked(k, nbytes, new)
        return new
    have = designs.usable_bytes(k, ptr)
    if have == 0 or nbytes < 0:
        return VirtAddr(0)
    if designs.fits_in_place(k, ptr, have, nbytes):
        return ptr
    new = kmemalign(k, alignment_of(k, ptr), nbytes)
    if new != 0:
        copy(k.m, new, ptr, min(have, nbytes))
        designs.free(k, ptr)
    return new


@kernel
def alignment_of(k: Kernel, ptr: VirtAddr) -> word:
    """The alignment that was asked for, which a payload must keep when it moves."""
    if secret.is_tagged(k):
        return tagged.alignment_of(k, ptr)
    return designs.alignment_of(k, ptr)


# ------------------------------------------------------------------ what is there
@kernel
def kmalloc_usable_size(k: Kernel, ptr: VirtAddr) -> word:
    """How many bytes there are at what was given, at least those asked for; 0 for every other pointer.

    Just those asked for where blocks have tags.
    """
    if secret.is_tagged(k):
        return tagged.usable_bytes(k, ptr)
    return designs.usable_bytes(k, ptr)
