"""A heap's functions, whatever its design: alloc and what is built on it.

Unit: the byte. The design is the one that the configuration names; harden/tagged.py is between where a build tells who
asked for a block. `site` is the call site: an address of code, or whatever word a user tells his callers apart by;
NOBODY where it is not told. kmalloc.py has the names that the kernel's users call.
"""

from typing import Final

from incroos.kernel.heap import counters, secret, zeroing
from incroos.kernel.heap.block import ALIGNMENT, MAX_BYTES
from incroos.kernel.heap.defaults import NOWHERE
from incroos.kernel.heap.harden import tagged
from incroos.kernel.state import Heap
from incroos.lang import VirtAddr, copy, kernel, word

NOBODY: Final = 0  # a call site that is not told


@kernel
def alloc(heap: Heap, nbytes: word, site: word) -> VirtAddr:
    """Give nbytes bytes at an address that is a multiple of 16; their content is not specified.

    0 when nbytes is not positive (2**63 and more arrive as negative words) or there is no room or no frame for it; then
    nothing has changed.
    """
    ptr = tagged.alloc(heap, nbytes, site) if secret.is_tagged(heap) else heap.config.objects.alloc(heap, nbytes)
    if heap.config.counters != 0:
        counters.note_asked(heap, nbytes, ptr)
    return ptr


@kernel
def free(heap: Heap, ptr: VirtAddr, site: word) -> word:
    """Take back what was given; 0 is nobody's and does nothing. BAD_FREE, and nothing changed, for all else.

    With hardening FULL all else is a panic with a report.
    """
    if secret.is_tagged(heap):
        return tagged.free(heap, ptr, site)
    return heap.config.objects.free(heap, ptr)


@kernel
def alloc_zeroed(heap: Heap, nbytes: word, site: word) -> VirtAddr:
    """As alloc, all bytes 0."""
    unused_from = heap.config.objects.unused_from(heap)
    if secret.is_tagged(heap):
        ptr = tagged.alloc_unfilled(heap, tagged.MIN_SHIFT, nbytes, site)
    else:
        ptr = heap.config.objects.alloc(heap, nbytes)
        if heap.config.poison != 0:
            unused_from = VirtAddr(NOWHERE)
    if heap.config.counters != 0:
        counters.note_asked(heap, nbytes, ptr)
    if ptr != 0:
        zeroing.zero(heap, ptr, nbytes, unused_from)
    return ptr


@kernel
def alloc_items(heap: Heap, nr_items: word, item_bytes: word, site: word) -> VirtAddr:
    """Room for so many items, all bytes 0; 0 as in alloc, also where their bytes are more than a word holds."""
    if nr_items <= 0 or item_bytes <= 0 or nr_items > MAX_BYTES // item_bytes:
        return VirtAddr(0)
    return alloc_zeroed(heap, nr_items * item_bytes, site)


@kernel
def alloc_aligned(heap: Heap, alignment: word, nbytes: word, site: word) -> VirtAddr:
    """As alloc, at a multiple of the alignment; 0 also when that is no power of two, or more than the design has."""
    if alignment <= 0 or alignment & (alignment - 1) != 0:
        return VirtAddr(0)
    if alignment <= ALIGNMENT:
        return alloc(heap, nbytes, site)
    if secret.is_tagged(heap):
        ptr = tagged.alloc_aligned(heap, alignment, nbytes, site)
    else:
        ptr = heap.config.objects.alloc_aligned(heap, alignment, nbytes)
    if heap.config.counters != 0:
        counters.note_asked(heap, nbytes, ptr)
    return ptr


@kernel
def reallocate(heap: Heap, ptr: VirtAddr, nbytes: word, site: word) -> VirtAddr:
    """Let what was given have nbytes bytes, where it is or elsewhere with its content and its alignment.

    0 when that cannot be, or nothing was given at ptr; then nothing has changed. As alloc when ptr is 0, as free when
    nbytes is 0. With hardening FULL a ptr at which nothing was given is a panic with a report.
    """
    if ptr == 0:
        return alloc(heap, nbytes, site)
    if nbytes == 0:
        free(heap, ptr, site)
        return VirtAddr(0)
    if secret.is_tagged(heap):
        new = tagged.reallocate(heap, ptr, nbytes, site)
        if heap.config.counters != 0 and new != ptr and (new != 0 or tagged.usable_bytes(heap, ptr) != 0):
            counters.note_asked(heap, nbytes, new)
        return new
    have = heap.config.objects.usable_bytes(heap, ptr)
    if have == 0 or nbytes < 0:
        return VirtAddr(0)
    new = heap.config.objects.grow_large(heap, ptr, have, nbytes, ALIGNMENT)
    if new != 0:
        if heap.config.counters != 0 and new != ptr:
            counters.note_asked(heap, nbytes, new)
        return new
    if heap.config.objects.fits_in_place(heap, ptr, have, nbytes):
        return ptr
    new = alloc_aligned(heap, alignment_of(heap, ptr), nbytes, NOBODY)
    if new != 0:
        copy(heap.m, new, ptr, min(have, nbytes))
        heap.config.objects.free(heap, ptr)
    return new


@kernel
def alignment_of(heap: Heap, ptr: VirtAddr) -> word:
    """The alignment that was asked for, which a payload must keep when it moves."""
    if secret.is_tagged(heap):
        return tagged.alignment_of(heap, ptr)
    return heap.config.objects.alignment_of(heap, ptr)


@kernel
def usable_bytes(heap: Heap, ptr: VirtAddr) -> word:
    """How many bytes there are at what was given, at least those asked for; 0 for every other pointer.

    Just those asked for where blocks have tags.
    """
    if secret.is_tagged(heap):
        return tagged.usable_bytes(heap, ptr)
    return heap.config.objects.usable_bytes(heap, ptr)


# ------------------------------------------------------------------ blocks that change hands without a free
@kernel
def room_at(heap: Heap, ptr: VirtAddr) -> word:
    """The most bytes that a block can be reused for; 0 for every pointer that is not one."""
    if secret.is_tagged(heap):
        return tagged.room_at(heap, ptr)
    return heap.config.objects.usable_bytes(heap, ptr)


@kernel
def reuse(heap: Heap, ptr: VirtAddr, nbytes: word, site: word) -> None:
    """Let a block that its user is done with be another user's, with so many bytes. PRE room_at says that they fit.

    The metadata of the heap stay, but for what is at the block itself: another thread may work on them.
    """
    if secret.is_tagged(heap):
        tagged.reuse(heap, ptr, nbytes, site)
