"""Leaks: which blocks somebody took since a moment and has not given back, and who.

Unit: the block. In builds whose blocks have tags (hardening FULL, or config.call_sites): a tag has the number of its
block, from the start of the heap on, so a moment is a number and costs nothing to keep. Elsewhere there is nothing to
tell. Objects of caches have no tag, and are counted by their cache.

A block that krealloc leaves where it is keeps its number; one that moves has a new one.
"""

from typing import Final

from incroos.kernel.heap.harden import tag
from incroos.kernel.heap.report import walk
from incroos.kernel.heap.secret import is_tagged
from incroos.kernel.state import Heap, Tag
from incroos.lang import VirtAddr, kernel, word

NO_SNAPSHOT: Final = 0  # before the first block


@kernel
def can_tell(heap: Heap) -> bool:
    """Whether this build knows when and by whom a block was asked for, and finds all blocks."""
    return is_tagged(heap) and (heap.config.objects.HAS_CHUNKS or heap.config.objects.HAS_SLABS)


@kernel
def snapshot(heap: Heap) -> word:
    """This moment: the number of the block that was given last."""
    return heap.hardening.nr_given


@kernel
def find_next(heap: Heap, cursor: VirtAddr, since: word) -> tuple[VirtAddr, Tag]:
    """The next block that somebody has and that was given after a snapshot: the cursor behind it, and its tag.

    The first cursor is walk.START. A tag at address 0 says that there is none.
    """
    start, nbytes, kind, state = walk.find_next(heap, cursor)
    while kind != walk.END:
        if state == walk.USED:
            of = Tag(heap.m, walk.tag_of(heap, start, nbytes, kind))
            if of.addr != 0 and of.number > since:
                return VirtAddr(start + nbytes), of
        start, nbytes, kind, state = walk.find_next(heap, VirtAddr(start + nbytes))
    return cursor, Tag(heap.m, VirtAddr(0))


@kernel
def count(heap: Heap, since: word) -> tuple[word, word]:
    """How many such blocks there are, and how many bytes were asked for in them."""
    nr_blocks = 0
    nbytes = 0
    cursor, of = find_next(heap, walk.START, since)
    while of.addr != 0:
        nr_blocks += 1
        nbytes += tag.nbytes_of(of)
        cursor, of = find_next(heap, cursor, since)
    return nr_blocks, nbytes


@kernel
def put_report(heap: Heap, since: word) -> None:
    """Put a line for each such block on the console, and how many there are."""
    cursor, of = find_next(heap, walk.START, since)
    while of.addr != 0:
        heap.config.text.put_hex(heap, tag.payload_of(heap, of))
        heap.config.text.put_text(heap, b': ')
        heap.config.text.put_decimal(heap, tag.nbytes_of(of))
        heap.config.text.put_text(heap, b' bytes, number ')
        heap.config.text.put_decimal(heap, of.number)
        if of.site != 0:
            heap.config.text.put_text(heap, b', asked for at ')
            heap.config.text.put_hex(heap, of.site)
        heap.config.text.put_text(heap, b'\n')
        cursor, of = find_next(heap, cursor, since)
    nr_blocks, nbytes = count(heap, since)
    heap.config.text.put_decimal(heap, nr_blocks)
    heap.config.text.put_text(heap, b' blocks, ')
    heap.config.text.put_decimal(heap, nbytes)
    heap.config.text.put_text(heap, b' bytes\n')
