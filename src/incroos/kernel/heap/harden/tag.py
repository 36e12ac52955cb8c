"""Tags: what stands in front of each block of a user, in builds that tell who asked for it.

Unit: the byte. A block of the design below holds a block of the user's; `base` is the address of the one, `payload` of
the other, `room` what the design says that there is at base:
```
 base                    +--------------------------------------------------------------------------+
   (only for alignments) | distance, 8 bytes | filled up to a multiple of the alignment             |
   tag                   | seal | bytes asked for, alignment, state | call site | number            |  32 bytes
   red zone in front     | RED ...                       while freed: site of the kfree, RED ...    |  16, in FULL
 payload                 +--------------------------------------------------------------------------+
   bytes asked for       | the user's            while freed: POISON_FREED ...                      |
   red zone behind       | RED ...                                                                  |  16 at least,
 base + room             +--------------------------------------------------------------------------+    in FULL
```
The seal is a hash of the tag, its address and the heap's secret: a tag that was overwritten, moved or made up is not
taken for one. The number counts the blocks from the start of the heap on, so that a deterministic run can be stopped at
the very call that gave this block. Knows nothing of when blocks are checked, nor what is said about a broken one.
"""

from typing import Final

from incroos.kernel.config import FULL
from incroos.kernel.state import Heap, Tag
from incroos.lang import (
    VirtAddr,
    fill,
    kernel,
    load8,
    load64,
    mul_wrap,
    shl_wrap,
    shr_logical,
    store64,
    sub_wrap,
    word,
)

# TAG-1  the tag of each block that is a user's or in quarantine is sealed, and its bytes fit into the room
# TAG-2  the red zone in front of each payload has the byte RED everywhere, but for the word that tells who freed it
# TAG-3  so has the red zone behind it
# TAG-4  the payload of each block in quarantine has the byte POISON_FREED everywhere

TAG_BYTES: Final = 32
RED_ZONE_BYTES: Final = 16
MAX_SHIFT: Final = 38  # of an alignment

RED: Final = 0xBB

NBYTES_MASK: Final = (1 << 40) - 1  # of `about`
SHIFT_AT: Final = 40  # the binary logarithm of the alignment
SHIFT_MASK: Final = 0xFF
FREED: Final = 1 << 48  # the block came back, and is in quarantine
MULTIPLIER: Final = -0x61C8_8646_80B5_83EB  # 2**64 divided by the golden ratio: Knuth, volume 3, section 6.4


# ------------------------------------------------------------------ where things are
@kernel
def front_bytes(heap: Heap) -> word:
    """From a tag to its payload."""
    return TAG_BYTES + RED_ZONE_BYTES if heap.config.hardening == FULL else TAG_BYTES


@kernel
def behind_bytes(heap: Heap) -> word:
    """The least that a payload needs behind it."""
    return RED_ZONE_BYTES if heap.config.hardening == FULL else 0


@kernel
def lead_bytes(heap: Heap, shift: word) -> word:
    """From a base to the payload, for an alignment of 2**shift, 16 at least."""
    front = front_bytes(heap)
    alignment = shl_wrap(1, shift)
    return (front + alignment - 1) & -alignment


@kernel
def tag_of(heap: Heap, payload: VirtAddr) -> Tag:
    """The tag of a payload."""
    return Tag(heap.m, VirtAddr(sub_wrap(payload, front_bytes(heap))))


@kernel
def payload_of(heap: Heap, tag: Tag) -> VirtAddr:
    """The payload of a tag."""
    return VirtAddr(tag.addr + front_bytes(heap))


@kernel
def base_of(heap: Heap, tag: Tag) -> VirtAddr:
    """Where the block below begins; the tag must be sealed."""
    return VirtAddr(payload_of(heap, tag) - lead_bytes(heap, shift_of(tag)))


@kernel
def tag_in(heap: Heap, base: VirtAddr, room: word) -> Tag:
    """The tag of a block that the design below says is used; whether it is sealed is another question."""
    shift = distance_at(heap, base)
    if shift != 0 and lead_bytes(heap, shift) + behind_bytes(heap) <= room:
        return tag_of(heap, VirtAddr(base + lead_bytes(heap, shift)))
    return Tag(heap.m, base)


@kernel
def distance_at(heap: Heap, base: VirtAddr) -> word:
    """The binary logarithm of the alignment, where the tag is not right at the base; 0 elsewhere."""
    shift = load64(heap.m, base) ^ heap.hardening.secret ^ base
    return shift if 4 < shift <= MAX_SHIFT else 0


# ------------------------------------------------------------------ what a tag says
@kernel
def nbytes_of(tag: Tag) -> word:
    """The bytes that the user asked for."""
    return tag.about & NBYTES_MASK


@kernel
def shift_of(tag: Tag) -> word:
    """The binary logarithm of the alignment that the user asked for, 4 at least."""
    return tag.about >> SHIFT_AT & SHIFT_MASK


@kernel
def about_of(nbytes: word, shift: word) -> word:
    """What the tag of a block says that somebody has."""
    return nbytes | shift << SHIFT_AT


@kernel
def is_freed(tag: Tag) -> bool:
    """Whether the block is in quarantine."""
    return tag.about & FREED != 0


@kernel
def freed_from(heap: Heap, tag: Tag) -> word:
    """The site of the kfree of a block that is in quarantine; 0 when it did not say."""
    return load64(heap.m, VirtAddr(tag.addr + TAG_BYTES))


# ------------------------------------------------------------------ seals
@kernel
def seal_for(heap: Heap, tag: Tag) -> word:
    """The seal that belongs there for what the tag says."""
    seal = mixed(heap.hardening.secret ^ tag.addr, tag.about)
    seal = mixed(seal, tag.site)
    seal = mixed(seal, tag.number)
    return mixed(seal, freed_from(heap, tag)) if is_freed(tag) else seal


@kernel
def mixed(seal: word, value: word) -> word:
    """One round of the hash."""
    product = mul_wrap(seal ^ value, MULTIPLIER)
    return product ^ shr_logical(product, 29)


@kernel
def is_sealed(heap: Heap, tag: Tag) -> bool:
    """Whether it is a tag that was made here and that nobody wrote over."""
    return tag.seal == seal_for(heap, tag)


# ------------------------------------------------------------------ writing
@kernel
def write(heap: Heap, base: VirtAddr, room: word, about: word, site: word, number: word) -> VirtAddr:
    """Tag a block of the design below for a user, with its red zones; the payload, which stays as it is."""
    shift = about >> SHIFT_AT
    nbytes = about & NBYTES_MASK
    payload = VirtAddr(base + lead_bytes(heap, shift))
    tag = tag_of(heap, payload)
    if tag.addr != base:
        fill(heap.m, base, RED, tag.addr - base)
        store64(heap.m, base, heap.hardening.secret ^ base ^ shift)
    tag.about = about
    tag.site = site
    tag.number = number
    tag.seal = seal_for(heap, tag)
    if heap.config.hardening == FULL:
        fill(heap.m, VirtAddr(payload - RED_ZONE_BYTES), RED, RED_ZONE_BYTES)
        fill(heap.m, VirtAddr(payload + nbytes), RED, base + room - payload - nbytes)
    return payload


@kernel
def write_freed(heap: Heap, tag: Tag, site: word) -> None:
    """Note that a block came back, and who gave it back."""
    tag.about = tag.about | FREED
    store64(heap.m, VirtAddr(tag.addr + TAG_BYTES), site)
    tag.seal = seal_for(heap, tag)


@kernel
def find_other(heap: Heap, start: VirtAddr, end: VirtAddr, byte: word) -> VirtAddr:
    """The first address of [start, end) with another byte; end when there is none."""
    at = start
    pattern = mul_wrap(byte, 0x0101_0101_0101_0101)
    while at < end and at & 7 != 0 and load8(heap.m, at) == byte:
        at = VirtAddr(at + 1)
    while at & 7 == 0 and at + 8 <= end and load64(heap.m, at) == pattern:
        at = VirtAddr(at + 8)
    while at < end and load8(heap.m, at) == byte:
        at = VirtAddr(at + 1)
    return at
