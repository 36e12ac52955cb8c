"""What is right for pages that can do no more than they must: the defaults of HeapPages (designs.py).

Whoever has the pages of a heap imports from here what it does not define itself.
"""

from typing import Final

from incroos.kernel.codes import BAD_FREE, NO_FRAME, NOT_MAPPED, OK
from incroos.kernel.heap import ranges
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Heap
from incroos.lang import VirtAddr, kernel, word

HAS_LARGE_RANGES: Final = False
HAS_HOLES: Final = False
CAN_MOVE: Final = False
HAS_ZEROS: Final = False
PIECE_BYTES: Final = PAGE_BYTES


@kernel
def range_of(heap: Heap, which: word) -> tuple[VirtAddr, word]:
    """The configuration has them."""
    if which == ranges.CHUNKS:
        return VirtAddr(heap.config.heap), heap.config.heap_max_bytes
    if which == ranges.SLABS:
        return VirtAddr(heap.config.slabs), heap.config.heap_max_bytes
    return VirtAddr(heap.config.slab_records), heap.config.heap_max_bytes


@kernel
def map_ahead(heap: Heap, start: VirtAddr, end: VirtAddr, limit: VirtAddr, used_bytes: word) -> VirtAddr:
    """Nothing more than is wanted: frames are dear, and an entry in a page table is not."""
    return end if heap.config.pages.map_fresh(heap, start, end, limit) == OK else start


@kernel
def empty(heap: Heap, start: VirtAddr, end: VirtAddr) -> word:
    """NOT_MAPPED: what is given back is unmapped."""
    return NOT_MAPPED


@kernel
def renew(heap: Heap, start: VirtAddr, end: VirtAddr) -> word:
    """NOT_MAPPED: no page is in need of it."""
    return NOT_MAPPED


@kernel
def move(heap: Heap, start: VirtAddr, end: VirtAddr, to: VirtAddr, to_end: VirtAddr) -> word:
    """NO_FRAME: it is not done."""
    return NO_FRAME


@kernel
def are_as(heap: Heap, start: VirtAddr, end: VirtAddr, wanted: bool) -> bool:
    """True: it is not known here."""
    return True


@kernel
def take_large(heap: Heap, nbytes: word) -> VirtAddr:
    """0: there are none."""
    return VirtAddr(0)


@kernel
def give_large(heap: Heap, ptr: VirtAddr) -> word:
    """BAD_FREE: there are none."""
    return BAD_FREE


@kernel
def large_bytes(heap: Heap, ptr: VirtAddr) -> word:
    """0: there are none."""
    return 0
