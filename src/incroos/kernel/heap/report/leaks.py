"""Leaks: which blocks somebody took since a moment and has not given back, and who.

Unit: the block. In builds whose blocks have tags (hardening FULL, or config.call_sites): a tag has the number of its
block, from the start of the heap on, so a moment is a number and costs nothing to keep. Elsewhere there is nothing to
tell. Objects of caches have no tag, and are counted by their cache.

A block that krealloc leaves where it is keeps its number; one that moves has a new one.
"""

from typing import Final

from incroos.kernel.heap.harden import tag
from incroos.kernel.heap.harden.tag import Tag
from incroos.kernel.heap.report import walk
from incroos.kernel.heap.report_text import put_decimal, put_hex, put_text
from incroos.kernel.heap.secret import is_tagged
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, kernel, word

NO_SNAPSHOT: Final = 0  # before the first block


@kernel
def can_tell(k: Kernel) -> bool:
    """Whether this build knows when and by whom a block was asked for."""
    return is_tagged(k)


@kernel
def snapshot(k: Kernel) -> word:
    """This moment: the number of the block that was given last."""
    return k.hardening.nr_given


@kernel
def find_next(k: Kernel, cursor: VirtAddr, since: word) -> tuple[VirtAddr, Tag]:
    """The next block that somebody has and that was given after a snapshot: the cursor behind it, and its tag.

    The first cursor is walk.START. A tag at address 0 says that there is none.
    """
    start, nbytes, kind, state = walk.find_next(k, cursor)
    while kind != walk.END:
        if state == walk.USED:
            of = Tag(k.m, walk.tag_of(k, start, nbytes, kind))
            if of.addr != 0 and of.number > since:
                return VirtAddr(start + nbytes), of
        start, nbytes, kind, state = walk.find_next(k, VirtAddr(start + nbytes))
    return cursor, Tag(k.m, VirtAddr(0))


@kernel
def count(k: Kernel, since: word) -> tuple[word, word]:
    """How many such blocks there are, and how many bytes were asked for in them."""
    nr_blocks = 0
    nbytes = 0
    cursor, of = find_next(k, walk.START, since)
    while of.addr != 0:
        nr_blocks += 1
        nbytes += tag.nbytes_of(of)
        cursor, of = find_next(k, cursor, since)
    return nr_blocks, nbytes


@kernel
def put_report(k: Kernel, since: word) -> None:
    """Put a line for each such block on the console, and how many there are."""
    cursor, of = find_next(k, walk.START, since)
    while of.addr != 0:
        put_hex(k, tag.payload_of(k, of))
        put_text(k, b': ')
        put_decimal(k, tag.nbytes_of(of))
        put_text(k, b' bytes, number ')
        put_decimal(k, of.number)
        if of.site != 0:
            put_text(k, b', asked for at ')
            put_hex(k, of.site)
        put_text(k, b'\n')
        cursor, of = find_next(k, cursor, since)
    nr_blocks, nbytes = count(k, since)
    put_decimal(k, nr_blocks)
    put_text(k, b' blocks, ')
    put_decimal(k, nbytes)
    put_text(k, b' bytes\n')
