"""Sparse ranges: of the pages of [start, end) some are there and others are not, as in what programs map.

Unit: the page of level 1. Knows no ranges of a space's owner, and nothing of rights but the bits of entries. Of the
bits that the processor ignores, leaves have these:

    BORROWED    others may have the frame, too: the leaf is never writable, whatever flags it is given
    UNCOUNTED   and BORROWED: the frame of zeros, of which mappings are not counted
    HELD        the frame is shared memory's: others have it, too, and write to it

Of all frames but the one of zeros the mappings are counted here, as long as the leaf is there (pmm.add_mapping).

    put         a page that was not there; its tables are made. No flush: nobody remembers what was not present
    exchange    another frame for a page that is there
    reuse       the same frame, which nobody else has any more: not borrowed, so that it can be written
    clear       all pages of a range; their frames come back as a list through their owner words, when all is flushed
    protect     other flags for all pages of a range
    share       all pages of a range in another space, too: share.py

Where a leaf of level 2 is in the place of 512 (large.py), all this is as if these were there.

Tables are walked once, run by run; what has no table is skipped in steps as large as the table that is missing would
reach. A call flushes once: page by page if all that it changed lies within config.flush_threshold pages, else all.
"""

from typing import Final

from incroos.kernel import pmm
from incroos.kernel.arch.pte import (
    ACCESSED,
    ADDRESS,
    HUGE,
    NX,
    PRESENT,
    USER,
    WRITABLE,
    page_bytes,
    table_of,
)
from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import Space, kernel_of
from incroos.kernel.vmm import large
from incroos.kernel.vmm.levels import root_level
from incroos.kernel.vmm.pages import SEEN
from incroos.kernel.vmm.runs import BYTES, ROUND, trim_run
from incroos.kernel.vmm.tables import (
    build_branch,
    find_cut,
    free_emptied,
    is_known,
    known_slot,
    link,
    park_branch,
    record_of,
    slot_in,
    unlink,
    walk,
    walk_and_know,
)
from incroos.kernel.vmm.tlb import flush_shared, flush_span
from incroos.kernel.vmm.windows import close_table, load_linked, open_table, store_linked
from incroos.lang import PhysAddr, VirtAddr, apart, cold, inlined, kernel, load64, store64, word

UNCOUNTED: Final = 1 << 9
BORROWED: Final = 1 << 10
HELD: Final = 1 << 11
NO_FRAMES: Final = PhysAddr(0)  # an empty list: frame 0 is nobody's
KEPT: Final = ADDRESS | SEEN | UNCOUNTED | BORROWED | HELD
RIGHTS: Final = PRESENT | WRITABLE | USER | NX  # of a leaf; all else of it is kept
ALIKE: Final = RIGHTS | BORROWED
BORROWED_TO_WRITABLE: Final = 9  # how far the one bit lies from the other


# ------------------------------------------------------------------ one page
@kernel
def leaf_in(space: Space, va: VirtAddr) -> word:
    """The entry of level 1 for va, an address of the lower half; 0 where there is none."""
    if is_known(space, va, 1, 0):
        return load_linked(space, known_slot(space, va), va, 1)
    return find_leaf(space, va)


@kernel
def known_leaf_in(space: Space, va: VirtAddr) -> word:
    """The same if the table is known; 0 also if it is not."""
    return load_linked(space, known_slot(space, va), va, 1) if is_known(space, va, 1, 0) else 0


@cold
@kernel
def find_leaf(space: Space, va: VirtAddr) -> word:
    """The same when the table is not known."""
    code, level, _slot, entry = walk_and_know(space, va)
    if level == 2 and code == OK:
        return large.small_leaf(entry, va)
    return entry if level == 1 else 0


@kernel
def put_in(space: Space, va: VirtAddr, leaf: word) -> word:
    """Write the leaf of the page at va, which is not there: OK, or NO_FRAME for a table. Counts the mapping."""
    if is_known(space, va, 1, 0):
        link(space, known_slot(space, va), va, 1, leaf)
    elif put_by_walk(space, va, leaf) != OK:
        return NO_FRAME
    if leaf & UNCOUNTED == 0:
        pmm.add_mapping(kernel_of(space), PhysAddr(leaf & ADDRESS))
    return OK


@cold
@kernel
def put_by_walk(space: Space, va: VirtAddr, leaf: word) -> word:
    """The same when the table is not known, without the count."""
    _code, level, slot, _entry = walk_and_know(space, va)
    branch = build_branch(space, va, leaf, 1, level)
    if branch == 0:
        return NO_FRAME
    link(space, slot, va, level, branch)
    return OK


@kernel
def slot_of_leaf(space: Space, va: VirtAddr) -> PhysAddr:
    """Where the entry of level 1 for va is. PRE it has a table."""
    if is_known(space, va, 1, 0):
        return known_slot(space, va)
    _code, _level, slot, _entry = walk_and_know(space, va)
    return slot


@kernel
def exchange_in(space: Space, va: VirtAddr, leaf: word) -> None:
    """Write a leaf with another frame for the page at va, which is there; flush, and count the mappings.

    PRE others map the frame that was there, if it is counted: it must not become free here.
    """
    slot = slot_of_leaf(space, va)
    before = load_linked(space, slot, va, 1)
    store_linked(space, slot, va, 1, leaf)
    flush_shared(space, va)
    pmm.add_mapping(kernel_of(space), PhysAddr(leaf & ADDRESS))
    if before & UNCOUNTED == 0:
        pmm.drop_mapping(kernel_of(space), PhysAddr(before & ADDRESS))


@kernel
def reuse_in(space: Space, va: VirtAddr, flags: word) -> None:
    """Let the page at va, which is there, be no borrowed one any more, and have these flags."""
    slot = slot_of_leaf(space, va)
    entry = load_linked(space, slot, va, 1)
    store_linked(space, slot, va, 1, (entry & (KEPT & ~BORROWED)) | flags)
    flush_shared(space, va)


@kernel
def part_in(space: Space, other: Space, va: VirtAddr, leaf: word) -> None:
    """Write the other space a leaf with a frame of its own for the page at va, which both borrow.

    If nobody else has the frame that both had, it is not borrowed any more. PRE the other space was not loaded since it
    borrowed the page: nothing of it is to be flushed.
    """
    slot = slot_of_leaf(other, va)
    before = load_linked(other, slot, va, 1)
    store_linked(other, slot, va, 1, leaf)
    pmm.add_mapping(kernel_of(space), PhysAddr(leaf & ADDRESS))
    if pmm.drop_mapping(kernel_of(space), PhysAddr(before & ADDRESS)) == 1:
        reuse_in(space, va, leaf & RIGHTS)


@kernel
def mark_in(space: Space, va: VirtAddr, seen: word) -> None:
    """Set accessed, and perhaps dirty, in the leaf of a page that is there, and accessed above, as processors do."""
    slot = slot_in(space.root, va, root_level(space))
    for level in range(root_level(space), 1, -1):
        entry = load_linked(space, slot, va, level)
        if entry & HUGE != 0:
            store_linked(space, slot, va, level, entry | seen)
            return
        store_linked(space, slot, va, level, entry | ACCESSED)
        slot = slot_in(table_of(entry), va, level - 1)
    store_linked(space, slot, va, 1, load_linked(space, slot, va, 1) | seen)


# ------------------------------------------------------------------ runs
@inlined
@kernel
def find_run(space: Space, start: VirtAddr, end: VirtAddr) -> tuple[VirtAddr, PhysAddr, VirtAddr]:
    """The first addresses from start on that have a table of level 1: from, the slot for it, to; from is end: none."""
    if start < end and is_known(space, start, 1, 0):
        return start, known_slot(space, start), VirtAddr(min(end, (start & -page_bytes(2)) + page_bytes(2)))
    return find_run_by_walks(space, start, end)


@apart
@kernel
def find_run_by_walks(space: Space, start: VirtAddr, end: VirtAddr) -> tuple[VirtAddr, PhysAddr, VirtAddr]:
    """The same when the first table is not known."""
    at = start
    while at < end:
        _code, level, slot, _entry = walk_and_know(space, at)
        if level == 1:
            return at, slot, VirtAddr(min(end, (at & -page_bytes(2)) + page_bytes(2)))
        at = VirtAddr(min(end, (at & -page_bytes(level)) + page_bytes(level)))
    return end, PhysAddr(0), end


@kernel
def next_leaf_in(space: Space, start: VirtAddr, end: VirtAddr) -> tuple[VirtAddr, word]:
    """The first page of [start, end) that is there, and its entry; end, 0 where none is."""
    if space.nr_large != 0:
        return next_leaf_by_walks(space, start, end)
    at = start
    while at < end:
        at, slot, behind = find_run(space, at, end)
        while at < behind:
            entry = load_linked(space, slot, at, 1)
            if entry & PRESENT != 0:
                return at, entry
            slot = PhysAddr(slot + 8)
            at = VirtAddr(at + PAGE_BYTES)
    return end, 0


@cold
@kernel
def next_leaf_by_walks(space: Space, start: VirtAddr, end: VirtAddr) -> tuple[VirtAddr, word]:
    """The same where some pages may be large."""
    at = start
    while at < end:
        code, level, _slot, _entry = walk(space, at)
        if code == OK:
            return at, leaf_in(space, at)
        at = VirtAddr(min(end, (at & -page_bytes(level)) + page_bytes(level)))
    return end, 0


@kernel
def clear_in(space: Space, start: VirtAddr, end: VirtAddr) -> tuple[PhysAddr, word]:
    """Clear all pages of [start, end), flush, and free the tables that are empty then.

    The counted frames that nothing leads to any more, as a list (next_of), and how many counted pages went.
    """
    frames = NO_FRAMES
    nr_counted = 0
    if space.nr_large != 0:
        frames, nr_counted = large.clear_large_in(space, start, end)
    parked = NO_FRAMES
    first = end
    last = start
    at, slot, behind = find_run(space, start, end)
    while at < end:
        entries = open_table(space, slot, at, 1)
        low, high = trim_run(space, entries, (behind - at) >> PAGE_SHIFT)
        nr_cleared, nr_frames, frames = clear_run(space, low, high, frames)
        close_table(space, 1)
        if nr_cleared != 0:
            nr_counted += nr_frames
            first = VirtAddr(min(first, at + page_offset(low - entries)))
            last = VirtAddr(at + page_offset(high - entries))
            parked = count_cleared(space, at, slot, nr_cleared, parked)
        at, slot, behind = find_run(space, behind, end)
    if first < last:
        flush_span(space, first, last)
    free_emptied(space, parked)
    return frames, nr_counted


@kernel
def page_offset(entry_offset: word) -> word:
    """What a distance between entries of a table of level 1 means in pages, in bytes."""
    return entry_offset // BYTES << PAGE_SHIFT


@apart
@kernel
def clear_run(space: Space, start: VirtAddr, end: VirtAddr, list_before: PhysAddr) -> tuple[word, word, PhysAddr]:
    """Clear the entries in [start, end): how many there were, how many counted, and the list."""
    k = kernel_of(space)
    records = k.blocks.database.records
    frames = list_before
    nr_cleared = 0
    nr_counted = 0
    at = start
    while at < end:
        entry = load64(space.m, at)
        store64(space.m, at, 0)
        nr_cleared += entry != 0
        if entry != 0 and entry & UNCOUNTED == 0:
            nr_counted += 1
            frame = PhysAddr(entry & ADDRESS)
            if pmm.drop_mapping_to(k, records, frame, frames):
                frames = frame
        at = VirtAddr(at + BYTES)
    return nr_cleared, nr_counted, frames


@kernel
def count_cleared(space: Space, va: VirtAddr, slot: PhysAddr, nr_cleared: word, parked: PhysAddr) -> PhysAddr:
    """A table has so many entries less; if it is empty it is cut off and parked, unless the space keeps its tables."""
    record = record_of(space, slot)
    if record.nr_entries == nr_cleared and space.keeps_tables == 0:
        return cut_table(space, va, slot, parked)
    record.nr_entries -= nr_cleared
    return parked


@kernel
def cut_table(space: Space, va: VirtAddr, slot: PhysAddr, parked: PhysAddr) -> PhysAddr:
    """Cut off a table of level 1 that is empty, and those above it that this empties, and park them."""
    record_of(space, slot).nr_entries = 1  # as a branch to one leaf, with which it goes
    cut_level, cut_slot = find_cut(space, va, 1)
    branch = unlink(space, cut_slot, va, cut_level)
    return park_branch(space, va, branch, 1, cut_level, parked)


@kernel
def next_of(space: Space, frame: PhysAddr) -> PhysAddr:
    """The frame behind one on a list of clear_in; it is on none from now on."""
    following = PhysAddr(pmm.owner_word(kernel_of(space), frame) << PAGE_SHIFT)
    pmm.set_owner_word(kernel_of(space), frame, 0)
    return following


@kernel
def protect_sparse_in(space: Space, start: VirtAddr, end: VirtAddr, flags: word) -> None:
    """Give all pages of [start, end) that are there these flags, and accessed and dirty. Flushes if a right is lost."""
    if space.nr_large != 0:
        large.protect_large_in(space, start, end, flags)
    first = end
    last = start
    lost = 0
    at, slot, behind = find_run(space, start, end)
    while at < end:
        entries = open_table(space, slot, at, 1)
        low, high = trim_run(space, entries, (behind - at) >> PAGE_SHIFT)
        lost |= protect_run(space, low, high, flags)
        close_table(space, 1)
        if low < high:
            first = VirtAddr(min(first, at + page_offset(low - entries)))
            last = VirtAddr(at + page_offset(high - entries))
        at, slot, behind = find_run(space, behind, end)
    if lost != 0:
        flush_span(space, first, last)


@kernel
def protect_run(space: Space, start: VirtAddr, end: VirtAddr, flags: word) -> word:
    """The same for the entries in [start, end): bits of the rights that any of them has lost.

    Four in a round: most often all are there with the same rights, and nobody else has their frames.
    """
    some = 0
    common = -1
    at = start
    while at + (ROUND - 1) * BYTES < end:
        first = load64(space.m, at)
        second = load64(space.m, VirtAddr(at + BYTES))
        third = load64(space.m, VirtAddr(at + 2 * BYTES))
        fourth = load64(space.m, VirtAddr(at + 3 * BYTES))
        all_have = first & second & third & fourth
        any_has = first | second | third | fourth
        if (all_have ^ any_has) & ALIKE == 0 and all_have & (PRESENT | BORROWED) == PRESENT:
            change = flags ^ (all_have & RIGHTS)
            store64(space.m, at, first ^ change)
            store64(space.m, VirtAddr(at + BYTES), second ^ change)
            store64(space.m, VirtAddr(at + 2 * BYTES), third ^ change)
            store64(space.m, VirtAddr(at + 3 * BYTES), fourth ^ change)
            some |= any_has
            common &= all_have
        elif any_has != 0:
            for offset in range(0, ROUND * BYTES, BYTES):
                entry = protect_one(space, VirtAddr(at + offset), flags)
                some |= entry
                common &= entry if entry != 0 else -1
        at = VirtAddr(at + ROUND * BYTES)
    while at < end:
        entry = protect_one(space, at, flags)
        some |= entry
        common &= entry if entry != 0 else -1
        at = VirtAddr(at + BYTES)
    return (some & ~flags & (WRITABLE | USER)) | (flags & ~common & NX)


@kernel
def protect_one(space: Space, at: VirtAddr, flags: word) -> word:
    """The same for an entry, which may be 0: what it was."""
    entry = load64(space.m, at)
    if entry != 0:
        store64(space.m, at, changed(entry, flags))
    return entry


@inlined
@kernel
def changed(entry: word, flags: word) -> word:
    """The entry of a page with other flags: not writable if the frame is borrowed."""
    return ((entry & KEPT) | flags) & ~((entry & BORROWED) >> BORROWED_TO_WRITABLE)
