"""What is right for a design of a heap that can do no more than it must: the defaults of HeapDesign (designs.py).

A design imports what it does not define itself, or, with `from incroos.kernel.heap.defaults import *` above its own
functions, all of it.
"""

from typing import Final

from incroos.kernel.codes import NO_FRAME
from incroos.kernel.heap import ranges
from incroos.kernel.state import Heap
from incroos.lang import VirtAddr, kernel, word

__all__ = [
    'HAS_CHUNKS',
    'HAS_FIGURES',
    'HAS_FIRST_FIT',
    'HAS_SLABS',
    'HAS_WHOLE_PAGES',
    'NEEDS_MODERN_SPACE',
    'alignment_of',
    'alloc_aligned',
    'bring_large',
    'committed_bytes',
    'cost_of',
    'fits_in_place',
    'free_bytes',
    'grow_large',
    'owns',
    'shrink',
    'unused_from',
]

HAS_SLABS: Final = False
HAS_CHUNKS: Final = False
HAS_WHOLE_PAGES: Final = False
HAS_FIRST_FIT: Final = False
HAS_FIGURES: Final = False
NEEDS_MODERN_SPACE: Final = False

NOWHERE: Final = (1 << 63) - 1  # an address behind all others


@kernel
def alloc_aligned(heap: Heap, alignment: word, nbytes: word) -> VirtAddr:
    """0: no alignment beyond 16."""
    return VirtAddr(0)


@kernel
def alignment_of(heap: Heap, ptr: VirtAddr) -> word:
    """1: nobody asked for an alignment."""
    return 1


@kernel
def fits_in_place(heap: Heap, ptr: VirtAddr, have: word, nbytes: word) -> bool:
    """Whether the bytes that are there are enough."""
    return nbytes <= have


@kernel
def grow_large(heap: Heap, ptr: VirtAddr, have: word, nbytes: word, alignment: word) -> VirtAddr:
    """0: what moves is copied."""
    return VirtAddr(0)


@kernel
def bring_large(heap: Heap, owner: Heap, ptr: VirtAddr, have: word, nbytes: word) -> tuple[VirtAddr, word]:
    """0: what moves is copied."""
    return VirtAddr(0), NO_FRAME


@kernel
def cost_of(heap: Heap, ptr: VirtAddr, usable: word) -> word:
    """The usable bytes: used_bytes counts nothing else."""
    return usable


@kernel
def owns(heap: Heap, ptr: VirtAddr) -> bool:
    """Whether an address lies in the first range."""
    start, nbytes = heap.config.pages.range_of(heap, ranges.CHUNKS)
    return start <= ptr < start + nbytes


@kernel
def committed_bytes(heap: Heap) -> word:
    """0: not counted."""
    return 0


@kernel
def free_bytes(heap: Heap) -> word:
    """0: not known."""
    return 0


@kernel
def unused_from(heap: Heap) -> VirtAddr:
    """Behind all addresses: it is not known."""
    return VirtAddr(NOWHERE)


@kernel
def shrink(heap: Heap) -> word:
    """0: frames are kept."""
    return 0
