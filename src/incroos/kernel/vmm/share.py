"""Sharing: what fork does to page tables. The pages of a range are seen in another space, too, and both borrow them.

Unit: the table of level 1. Leaves are copied table by table, each pair of tables open once. What could be written
cannot be any more; the flush is the caller's, one for all (share_in says whether it needs one). A leaf that is borrowed
already is only read. A table of the other space that is new is not cleared first: all of it is written. Large pages
are split first: so a write copies 4 KiB later.
"""

from typing import Final

from incroos.kernel import pmm
from incroos.kernel.arch.pte import ADDRESS, NR_ENTRIES, PRESENT, TABLE_FLAGS, WRITABLE
from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import Space, kernel_of
from incroos.kernel.vmm.large import split_all_in
from incroos.kernel.vmm.runs import BYTES, ROUND, trim_run
from incroos.kernel.vmm.sparse import BORROWED, UNCOUNTED, find_run, page_offset
from incroos.kernel.vmm.tables import (
    build_branch,
    free_table,
    is_known,
    known_slot,
    link,
    record_of,
    slot_in,
    walk_and_know,
)
from incroos.kernel.vmm.windows import close_loose, close_table, open_loose, open_table
from incroos.lang import PhysAddr, VirtAddr, apart, fill, inlined, kernel, load64, store64, word

KIND: Final = PRESENT | WRITABLE | BORROWED | UNCOUNTED


@kernel
def share_in(space: Space, other: Space, start: VirtAddr, end: VirtAddr) -> tuple[word, word, word]:
    """Let the other space have all pages of [start, end) that are there, none of which it has.

    OK or NO_FRAME, and what came before that is shared; how many counted pages the other space has now; whether any
    page can be written no more, and must be flushed.
    """
    nr_counted = 0
    lost = 0
    if space.nr_large != 0:
        split_all_in(space, start, end)
    at, slot, behind = find_run(space, start, end)
    while at < end:
        entries = open_table(space, slot, at, 1)
        low, high = trim_run(space, entries, (behind - at) >> PAGE_SHIFT)
        close_table(space, 1)
        if low < high:
            first = VirtAddr(at + page_offset(low - entries))
            place, is_fresh = table_for(other, first)
            if place == 0:
                return NO_FRAME, nr_counted, lost
            source = PhysAddr(slot + (low - entries))
            counted, bits = share_table(space, first, source, (high - low) // BYTES, place, is_fresh)
            nr_counted += counted
            lost |= bits
        at, slot, behind = find_run(space, behind, end)
    return OK, nr_counted, lost


@kernel
def table_for(space: Space, va: VirtAddr) -> tuple[PhysAddr, bool]:
    """Where the entry of level 1 for va is, in a table that is made if there is none: 0 without frames.

    A fresh one, if it was not zeroed, has in it what its frame had before.
    """
    if is_known(space, va, 1, 0):
        return known_slot(space, va), False
    _code, level, slot, _entry = walk_and_know(space, va)
    if level == 1:
        return slot, False
    k = kernel_of(space)
    is_zeroed = pmm.has_zeroed(k)
    table = pmm.take_zeroed_table(k, 1) if is_zeroed else pmm.take_table(k, 1)
    if table < 0:
        return PhysAddr(0), False
    space.nr_tables += 1
    branch = build_branch(space, va, table | TABLE_FLAGS, 2, level)
    if branch == 0:
        free_table(space, table)
        return PhysAddr(0), False
    link(space, slot, va, level, branch)
    return slot_in(table, va, 1), not is_zeroed


@kernel
def share_table(
    space: Space, va: VirtAddr, source: PhysAddr, nr_entries: word, place: PhysAddr, is_fresh: bool
) -> tuple[word, word]:
    """Copy entries from va on to a table of the other space: how many count, and whether any lost a right."""
    entries = open_table(space, source, va, 1)
    to = open_loose(space, place)
    if is_fresh:
        begin = to & -PAGE_BYTES
        behind = to + nr_entries * BYTES
        fill(space.m, VirtAddr(begin), 0, to - begin)
        fill(space.m, VirtAddr(behind), 0, begin + NR_ENTRIES * BYTES - behind)
    nr_there, nr_counted, lost = share_run(space, entries, VirtAddr(entries + nr_entries * BYTES), to - entries)
    close_loose(space)
    close_table(space, 1)
    record_of(space, place).nr_entries += nr_there
    return nr_counted, lost


@apart
@kernel
def share_run(space: Space, start: VirtAddr, end: VirtAddr, distance: word) -> tuple[word, word, word]:
    """Copy the entries in [start, end), each to so far behind it: how many are there, how many count, what was lost.

    Four in a round: most often all are there, and all borrowed already or none.
    """
    records = kernel_of(space).blocks.database.records
    nr_counted = 0
    nr_uncounted = 0
    some = 0
    at = start
    while at + (ROUND - 1) * BYTES < end:
        first = load64(space.m, at)
        second = load64(space.m, VirtAddr(at + BYTES))
        third = load64(space.m, VirtAddr(at + 2 * BYTES))
        fourth = load64(space.m, VirtAddr(at + 3 * BYTES))
        common = first & second & third & fourth
        any_of = first | second | third | fourth
        is_mixed = (common ^ any_of) & KIND != 0
        if not is_mixed and common & (PRESENT | BORROWED) == PRESENT:
            some |= common
            change = BORROWED - (common & WRITABLE)
            share_fresh(space, records, at, distance, first + change)
            share_fresh(space, records, VirtAddr(at + BYTES), distance, second + change)
            share_fresh(space, records, VirtAddr(at + 2 * BYTES), distance, third + change)
            share_fresh(space, records, VirtAddr(at + 3 * BYTES), distance, fourth + change)
            nr_counted += ROUND
        elif not is_mixed and common & (BORROWED | UNCOUNTED) == BORROWED:
            share_borrowed(space, records, VirtAddr(at + distance), first)
            share_borrowed(space, records, VirtAddr(at + distance + BYTES), second)
            share_borrowed(space, records, VirtAddr(at + distance + 2 * BYTES), third)
            share_borrowed(space, records, VirtAddr(at + distance + 3 * BYTES), fourth)
            nr_counted += ROUND
        else:
            for offset in range(0, ROUND * BYTES, BYTES):
                counted, uncounted, bits = share_any(space, records, VirtAddr(at + offset), distance)
                nr_counted += counted
                nr_uncounted += uncounted
                some |= bits
        at = VirtAddr(at + ROUND * BYTES)
    while at < end:
        counted, uncounted, bits = share_any(space, records, at, distance)
        nr_counted += counted
        nr_uncounted += uncounted
        some |= bits
        at = VirtAddr(at + BYTES)
    return nr_counted + nr_uncounted, nr_counted, some & WRITABLE


@inlined
@kernel
def share_fresh(space: Space, records: VirtAddr, at: VirtAddr, distance: word, leaf: word) -> None:
    """Write a leaf in the place of one that was not borrowed yet, and for the other space."""
    store64(space.m, at, leaf)
    share_borrowed(space, records, VirtAddr(at + distance), leaf)


@inlined
@kernel
def share_borrowed(space: Space, records: VirtAddr, to: VirtAddr, leaf: word) -> None:
    """Write the leaf of one more space that borrows a frame."""
    store64(space.m, to, leaf)
    pmm.add_another_mapping(space.m, records, PhysAddr(leaf & ADDRESS))


@kernel
def share_any(space: Space, records: VirtAddr, at: VirtAddr, distance: word) -> tuple[word, word, word]:
    """Copy an entry, whatever it is: whether it counts, whether it is there and does not, and the bits that it had."""
    entry = load64(space.m, at)
    if entry & (PRESENT | BORROWED) == PRESENT:
        share_fresh(space, records, at, distance, entry & ~WRITABLE | BORROWED)
        return 1, 0, entry
    if entry & UNCOUNTED != 0 or entry == 0:
        store64(space.m, VirtAddr(at + distance), entry)
        return 0, 0 + (entry != 0), 0
    share_borrowed(space, records, VirtAddr(at + distance), entry)
    return 1, 0, 0
