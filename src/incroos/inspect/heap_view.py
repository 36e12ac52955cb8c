"""A guest's heap as the host sees it: its blocks, their call sites, and the blocks allocated since a snapshot.

The kernel's own walk (kernel/heap/report/walk.py) goes over the guest's RAM, or over a dump of it. The guest must not
be in the middle of a call of the heap.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from incroos.kernel.heap.harden import tag
from incroos.kernel.heap.report import leaks, walk
from incroos.kernel.state import Heap, Tag
from incroos.lang import VirtAddr

from .address_space import kernel_in
from .ram import RamMachine

KINDS: Final = {
    walk.OBJECT: 'object',
    walk.CACHE_OBJECT: 'object of a cache',
    walk.CHUNK: 'chunk',
    walk.PAGES: 'pages',
    walk.RANGE: 'range of vmalloc',
    walk.EDGE: 'edge',
    walk.TOP: 'top',
    walk.RECORDS: 'records',
    walk.RUN: 'pages without a slab',
}
STATES: Final = {
    walk.FREE: 'free',
    walk.USED: 'used',
    walk.WAITING: 'in quarantine',
    walk.NO_BLOCK: 'no block',
    walk.NO_FRAMES: 'no frames',
}


@dataclass(frozen=True)
class Block:
    """One step of a walk: an address, bytes, and what is there."""

    start: int
    nbytes: int
    kind: str
    state: str


@dataclass(frozen=True)
class LiveBlock:
    """A block in use: its address, the bytes that were asked for, the call site, and the block's number."""

    ptr: int
    nbytes: int
    site: int  # 0 when he did not say
    number: int


def blocks_of(ram: RamMachine) -> Iterator[Block]:
    """All blocks of the heap, and the ranges between them, by address."""
    heap = kernel_in(ram).heap
    start, nbytes, kind, state = walk.find_next(heap, walk.START)
    while kind != walk.END:
        yield Block(start, nbytes, KINDS[kind], STATES[state])
        start, nbytes, kind, state = walk.find_next(heap, VirtAddr(start + nbytes))


def live_blocks(ram: RamMachine, since: int = leaks.NO_SNAPSHOT) -> list[LiveBlock]:
    """The blocks that were allocated after a snapshot and not freed, in the order of allocation.

    Raises ValueError if blocks have no tags.
    """
    heap = kernel_in(ram).heap
    if not leaks.can_tell(heap):
        raise ValueError('blocks of this build have no tags: build it with call_sites=1 in its configuration')
    return sorted(tagged_blocks(heap, since), key=lambda block: block.number)


def tagged_blocks(heap: Heap, since: int) -> Iterator[LiveBlock]:
    """The blocks that were allocated after a snapshot and not freed, by address."""
    cursor, of = leaks.find_next(heap, walk.START, since)
    while of.addr != 0:
        yield live_block(heap, of)
        cursor, of = leaks.find_next(heap, cursor, since)


def live_block(heap: Heap, of: Tag) -> LiveBlock:
    """The block that a tag describes."""
    return LiveBlock(tag.payload_of(heap, of), tag.nbytes_of(of), of.site, of.number)


def snapshot(ram: RamMachine) -> int:
    """A snapshot of the present moment, for live_blocks."""
    return leaks.snapshot(kernel_in(ram).heap)


def by_site(blocks: list[LiveBlock]) -> dict[int, tuple[int, int]]:
    """The number of blocks and bytes of each call site, the one with most bytes first."""
    totals: defaultdict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for block in blocks:
        nr_blocks, nbytes = totals[block.site]
        totals[block.site] = nr_blocks + 1, nbytes + block.nbytes
    return dict(sorted(totals.items(), key=lambda item: (-item[1][1], item[0])))
