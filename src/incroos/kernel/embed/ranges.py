"""Ranges: the addresses that the library has for itself. The surrounding kernel maps and unmaps nothing there.

    classic    boot pool and zone, at their own addresses      the heap
    modern     the direct map      from the first of the ranges that config.py lists as STARTS to MODERN_END

Unit: the byte. The header has them as INCRO_..._START and INCRO_..._END; run/library_constants.py takes them from the
configuration once more, and a test compares. The kernel may ask what is mapped there.
"""

from typing import Final

from incroos.kernel.config import CLASSIC_SPACE
from incroos.kernel.layout import (
    DIRECT_MAP_END,
    DIRECT_MAP_START,
    MODERN_END,
    POOL_END,
    POOL_START,
    ZONE_END,
    ZONE_START,
)
from incroos.kernel.state import Kernel
from incroos.kernel.vmm.levels import is_canonical
from incroos.lang import VirtAddr, cold, kernel, word

LOWER_HALF: Final = 0  # where it starts, above the upper one: addresses have a sign


@kernel
def may_be_own(k: Kernel, va: VirtAddr) -> bool:
    """Whether something that begins at va may have an address that is the library's. One compare."""
    return va < (heap_end(k) if k.config.space == CLASSIC_SPACE else LOWER_HALF)


@kernel
def is_own(k: Kernel, va: VirtAddr, nbytes: word) -> bool:
    """Whether an address of [va, va + nbytes) is the library's; never for va that is not canonical."""
    return may_be_own(k, va) and is_in_one(k, va, nbytes)


@cold
@kernel
def is_in_one(k: Kernel, va: VirtAddr, nbytes: word) -> bool:
    """The same for what may be."""
    if not is_canonical(k.space, va):
        return False
    if k.config.space == CLASSIC_SPACE:
        return (
            touches(va, nbytes, POOL_START, POOL_END)
            or touches(va, nbytes, ZONE_START, ZONE_END)
            or touches(va, nbytes, k.config.heap, heap_end(k))
        )
    return touches(va, nbytes, DIRECT_MAP_START, DIRECT_MAP_END) or touches(va, nbytes, lowest_start(k), MODERN_END)


@kernel
def touches(va: VirtAddr, nbytes: word, start: word, end: word) -> bool:
    """Whether [va, va + nbytes) and [start, end) have an address in common. No sum, which might be no word."""
    return nbytes > 0 and va < end and start - va < nbytes


@kernel
def heap_end(k: Kernel) -> word:
    """Where the heap of `classic` ends."""
    return k.config.heap + k.config.heap_max_bytes


@kernel
def lowest_start(k: Kernel) -> word:
    """Where the first of the ranges of `modern` starts, the direct map left out."""
    frames = min(k.config.frame_records, k.config.frame_metadata)
    return min(frames, min(k.config.vmalloc, min(k.config.heap, min(k.config.slab_records, k.config.slabs))))
