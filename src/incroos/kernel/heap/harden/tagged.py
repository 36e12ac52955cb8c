"""Tagged blocks: between kmalloc and the design below, where a build tells who asked for a block (secret.is_tagged).

Unit: the byte. What a block looks like: tag.py. With hardening FULL a kfree verifies the block and sends it to
quarantine, and a wrong pointer ends in a panic that says what lies there; in the lower levels it is BAD_FREE, as ever.
"""

from typing import Final

from incroos.kernel.codes import BAD_FREE, OK
from incroos.kernel.config import FULL
from incroos.kernel.heap.block import POISON_FRESH
from incroos.kernel.heap.harden import quarantine, tag
from incroos.kernel.heap.harden.tag import (
    MAX_SHIFT,
    about_of,
    behind_bytes,
    distance_at,
    lead_bytes,
    nbytes_of,
    payload_of,
    shift_of,
    tag_of,
)
from incroos.kernel.heap.harden.verify import require_whole
from incroos.kernel.state import Heap, Tag
from incroos.lang import VirtAddr, cold, copy, count_trailing_zeros, fill, kernel, shl_wrap, sub_wrap, word

MAX_BYTES: Final = 1 << 37  # of a request and of an alignment; the sum of both must fit a tag
MIN_SHIFT: Final = 4  # every payload is a multiple of 16


# ------------------------------------------------------------------ alloc
@kernel
def alloc(heap: Heap, nbytes: word, site: word) -> VirtAddr:
    """As the design's, tagged, with fresh poison in FULL. What is in quarantine leaves before this answers 0."""
    return alloc_shifted(heap, MIN_SHIFT, nbytes, site)


@kernel
def alloc_aligned(heap: Heap, alignment: word, nbytes: word, site: word) -> VirtAddr:
    """The same at a multiple of the alignment, a power of two."""
    if alignment > MAX_BYTES:
        return VirtAddr(0)
    return alloc_shifted(heap, max(count_trailing_zeros(alignment), MIN_SHIFT), nbytes, site)


@kernel
def alloc_shifted(heap: Heap, shift: word, nbytes: word, site: word) -> VirtAddr:
    """The same at a multiple of 2**shift."""
    payload = alloc_unfilled(heap, shift, nbytes, site)
    if heap.config.hardening == FULL and payload != 0:
        fill(heap.m, payload, POISON_FRESH, nbytes)
    return payload


@kernel
def alloc_unfilled(heap: Heap, shift: word, nbytes: word, site: word) -> VirtAddr:
    """The same without fresh poison: the caller writes all bytes."""
    if nbytes <= 0 or nbytes > MAX_BYTES:
        return VirtAddr(0)
    total = lead_bytes(heap, shift) + nbytes + behind_bytes(heap)
    base = take(heap, shift, total)
    if base == 0 and quarantine.drain(heap):
        base = take(heap, shift, total)
    if base == 0:
        return base
    heap.hardening.nr_given += 1
    about = about_of(nbytes, shift)
    return tag.write(heap, base, heap.config.objects.usable_bytes(heap, base), about, site, heap.hardening.nr_given)


@kernel
def take(heap: Heap, shift: word, nbytes: word) -> VirtAddr:
    """A block of the design."""
    if shift == MIN_SHIFT:
        return heap.config.objects.alloc(heap, nbytes)
    return heap.config.objects.alloc_aligned(heap, shl_wrap(1, shift), nbytes)


# ------------------------------------------------------------------ free
@kernel
def free(heap: Heap, ptr: VirtAddr, site: word) -> word:
    """Take back what alloc gave; 0 is nobody's and does nothing."""
    if ptr == 0:
        return OK
    base, of = find(heap, ptr, site)
    if base == 0:
        return BAD_FREE
    room = heap.config.objects.usable_bytes(heap, base)
    require_whole(heap, of, VirtAddr(base + room))
    if heap.config.hardening == FULL:
        tag.write_freed(heap, of, site)
        quarantine.put(heap, of, base, room)
        return OK
    of.seal = 0
    return heap.config.objects.free(heap, base)


@kernel
def find(heap: Heap, ptr: VirtAddr, site: word) -> tuple[VirtAddr, Tag]:
    """Base and tag of the block with this payload that somebody has; base 0 when none has it, in FULL a panic."""
    base = find_base(heap, ptr)
    of = tag_of(heap, ptr)
    if heap.config.hardening == FULL:
        if base == 0:
            heap.config.damage.end_with_call(heap, b'kfree or krealloc of an address that is no block', ptr, site)
        if tag.is_freed(of) and tag.is_sealed(heap, of):
            heap.config.damage.end_with_call(heap, b'kfree or krealloc of a block that was freed', ptr, site)
    return base, of


@kernel
def find_base(heap: Heap, ptr: VirtAddr) -> VirtAddr:
    """Where the design's block begins that has this payload; 0 when there is none. Reads nothing but used blocks."""
    if ptr & 15 != 0:
        return VirtAddr(0)
    base = VirtAddr(sub_wrap(ptr, lead_bytes(heap, MIN_SHIFT)))
    if heap.config.objects.usable_bytes(heap, base) != 0:
        return base if distance_at(heap, base) == 0 else VirtAddr(0)
    return find_aligned_base(heap, ptr)


@cold
@kernel
def find_aligned_base(heap: Heap, ptr: VirtAddr) -> VirtAddr:
    """The same where the user asked for an alignment: tried are all of which the payload is a multiple."""
    for shift in range(MIN_SHIFT + 1, min(count_trailing_zeros(ptr), MAX_SHIFT) + 1):
        base = VirtAddr(sub_wrap(ptr, lead_bytes(heap, shift)))
        if heap.config.objects.usable_bytes(heap, base) != 0 and distance_at(heap, base) == shift:
            return base
    return VirtAddr(0)


# ------------------------------------------------------------------ size
@kernel
def usable_bytes(heap: Heap, ptr: VirtAddr) -> word:
    """The bytes that were asked for; 0 for every pointer that is not a user's block."""
    if find_base(heap, ptr) == 0:
        return 0
    of = tag_of(heap, ptr)
    return 0 if tag.is_freed(of) or not tag.is_sealed(heap, of) else nbytes_of(of)


@kernel
def alignment_of(heap: Heap, ptr: VirtAddr) -> word:
    """The alignment that was asked for, 16 at least; 1 for every pointer that is not a user's block."""
    return shl_wrap(1, shift_of(tag_of(heap, ptr))) if usable_bytes(heap, ptr) != 0 else 1


@kernel
def reallocate(heap: Heap, ptr: VirtAddr, nbytes: word, site: word) -> VirtAddr:
    """Let a block have nbytes bytes, more than 0; as krealloc. Where it stays, its number does, and the site is new."""
    base, of = find(heap, ptr, site)
    if base == 0 or nbytes < 0 or nbytes > MAX_BYTES:
        return VirtAddr(0)
    room = heap.config.objects.usable_bytes(heap, base)
    require_whole(heap, of, VirtAddr(base + room))
    have = nbytes_of(of)
    shift = shift_of(of)
    wanted = lead_bytes(heap, shift) + nbytes + behind_bytes(heap)
    moved = heap.config.objects.grow_large(heap, base, room, wanted, shl_wrap(1, shift))
    if moved != 0 and moved != base:
        heap.hardening.nr_given += 1
        of = Tag(heap.m, VirtAddr(of.addr + moved - base))
        of.number = heap.hardening.nr_given
        change_size(heap, of, moved, nbytes, site)
        return VirtAddr(ptr + moved - base)
    if heap.config.objects.fits_in_place(heap, base, room, wanted):
        change_size(heap, of, base, nbytes, site)
        return ptr
    new = alloc_shifted(heap, shift, nbytes, site)
    if new != 0:
        copy(heap.m, new, ptr, min(have, nbytes))
        free(heap, ptr, site)
    return new


@kernel
def change_size(heap: Heap, of: Tag, base: VirtAddr, nbytes: word, site: word) -> None:
    """Let a block have another size where it is; its design has made the room."""
    have = nbytes_of(of)
    payload = payload_of(heap, of)
    tag.write(heap, base, heap.config.objects.usable_bytes(heap, base), about_of(nbytes, shift_of(of)), site, of.number)
    if heap.config.hardening == FULL and nbytes > have:
        fill(heap.m, VirtAddr(payload + have), POISON_FRESH, nbytes - have)


# ------------------------------------------------------------------ blocks that change hands without a free
@kernel
def room_at(heap: Heap, ptr: VirtAddr) -> word:
    """The most bytes that the block with this payload can have where it is; 0 when nobody has it."""
    if usable_bytes(heap, ptr) == 0:
        return 0
    base = find_base(heap, ptr)
    end = base + heap.config.objects.usable_bytes(heap, base)
    return end - behind_bytes(heap) - ptr


@kernel
def reuse(heap: Heap, ptr: VirtAddr, nbytes: word, site: word) -> None:
    """Let a block with room for so many bytes be another user's. It is verified as in free; its number stays."""
    base, of = find(heap, ptr, site)
    require_whole(heap, of, VirtAddr(base + heap.config.objects.usable_bytes(heap, base)))
    change_size(heap, of, base, nbytes, site)
    if heap.config.hardening == FULL:
        fill(heap.m, ptr, POISON_FRESH, nbytes)
