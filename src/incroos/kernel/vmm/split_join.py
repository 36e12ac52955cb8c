"""Sizes: one large page becomes 512 smaller ones, and 512 equal ones become a large one. What is mapped stays the same.

Splitting flushes nothing: a TLB that has the large page still says the truth, and forgets it when a page in it is
flushed for a change. Joining needs a flush of all 512 pages before the table is freed, which is the caller's: a page
that stayed in the TLB would outlive a later change of the large one. Accessed and dirty: each small page inherits those
of the large one; the large one has those that any of the small ones had. One processor: nobody sets them meanwhile.
"""

from typing import Final

from incroos.kernel.arch.pte import (
    LARGEST_LEAF_LEVEL,
    NR_ENTRIES,
    TABLE_FLAGS,
    flags_in,
    flags_of,
    index_in,
    is_leaf,
    is_present,
    make_leaf,
    page_bytes,
    page_of,
    table_of,
)
from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.state import Space
from incroos.kernel.vmm.pages import SEEN
from incroos.kernel.vmm.runs import survey_run, write_run
from incroos.kernel.vmm.tables import find_slot, free_parked, park_table, record_of, walk
from incroos.kernel.vmm.tlb import FLUSH_ALL, finish_flush
from incroos.kernel.vmm.windows import (
    alloc_table,
    close_loose,
    close_table,
    load_linked,
    open_loose,
    open_table,
    store_linked,
)
from incroos.lang import PhysAddr, VirtAddr, cpuid, kernel, load64, word

EXTENDED_FEATURES: Final = 0x8000_0001
GIANT_PAGES: Final = 1 << 26  # in register D


@kernel
def has_giant_pages(space: Space) -> bool:
    """Whether the processor has pages of 1 GiB. Slow: a hypervisor answers."""
    _a, _b, _c, features = cpuid(space.m, EXTENDED_FEATURES, 0)
    return features & GIANT_PAGES != 0


# ------------------------------------------------------------------ split
@kernel
def split_edges(space: Space, va: VirtAddr, end: VirtAddr, flags: word) -> word:
    """Split the pages that [va, end) cuts, so that pages begin at va and at end: OK, or NO_FRAME and nothing is split.

    Not those that have the flags already: nobody wants to change them.
    """
    code, nr_splits = split_at(space, va, flags)
    if code == OK:
        code, _nr_splits = split_at(space, end, flags)
        if code != OK:
            undo_splits(space, va, nr_splits)
    return code


@kernel
def split_at(space: Space, at: VirtAddr, flags: word) -> tuple[word, word]:
    """Split the page that has `at` inside until one begins there: OK and how often; NO_FRAME and 0."""
    nr_splits = 0
    while True:
        found, level, slot, entry = walk(space, at)
        if found != OK or at & (page_bytes(level) - 1) == 0 or flags_of(entry & ~SEEN, level) == flags & ~SEEN:
            return OK, nr_splits
        if not split_page(space, slot, at, level):
            undo_splits(space, at, nr_splits)
            return NO_FRAME, 0
        nr_splits += 1


@kernel
def split_page(space: Space, slot: PhysAddr, va: VirtAddr, level: word) -> bool:
    """Put a table of equal pages in the place of a large page; False when there is no frame for it."""
    table = alloc_table(space, level - 1)
    if table < 0:
        return False
    entry = load_linked(space, slot, va, level)  # after alloc_table, which may have written through this very page
    leaf = make_leaf(page_of(entry, level), flags_in(flags_of(entry, level), level - 1), level - 1)
    entries = open_loose(space, table)
    write_run(space, entries, NR_ENTRIES, leaf, page_bytes(level - 1))
    close_loose(space)
    record_of(space, table).nr_entries = NR_ENTRIES
    space.nr_tables += 1
    store_linked(space, slot, va, level, table | TABLE_FLAGS)
    return True


@kernel
def undo_splits(space: Space, va: VirtAddr, nr_splits: word) -> None:
    """Join again what split_at split so often, the smallest first."""
    _code, level, _slot, entry = walk(space, va)
    parked = PhysAddr(0)
    for above in range(level + 1, level + 1 + nr_splits):
        parked = join_page(space, va, above, parked)
    if nr_splits > 0:
        finish_flush(space, FLUSH_ALL, entry)
    free_parked(space, parked)


# ------------------------------------------------------------------ join
@kernel
def join_pages(space: Space, va: VirtAddr, end: VirtAddr) -> PhysAddr:
    """Join what can be joined in and round [va, end), the smaller pages first: the tables that are to be freed."""
    parked = PhysAddr(0)
    for level in range(2, LARGEST_LEAF_LEVEL + 1):
        at = VirtAddr(va & -page_bytes(level))
        while at < end:
            parked = join_page(space, at, level, parked)
            at = behind(space, at, level)
    return parked


@kernel
def behind(space: Space, va: VirtAddr, level: word) -> VirtAddr:
    """Where the next table might be that can be joined to a page of the level: not among leaves of that size."""
    code, found_level, slot, _entry = walk(space, va)
    step = page_bytes(max(found_level, level))
    nr_leaves = 1
    if code == OK and found_level >= level:
        most = NR_ENTRIES - index_in(va, found_level)
        nr_leaves, _bits = survey_run(space, open_table(space, slot, va, found_level), most, found_level)
        close_table(space, found_level)
    return VirtAddr((va & -step) + nr_leaves * step)


@kernel
def join_page(space: Space, va: VirtAddr, level: word, parked: PhysAddr) -> PhysAddr:
    """Put a leaf of the level in the place of the table below for va, if all its pages are equal; parks the table."""
    slot = find_slot(space, va, level)
    entry = load_linked(space, slot, va, level) if slot != 0 else 0
    if not is_present(entry) or is_leaf(entry, level) or record_of(space, table_of(entry)).nr_entries != NR_ENTRIES:
        return parked
    table = table_of(entry)
    leaf = joined_leaf(space, table, level)
    if leaf == 0 or (level == LARGEST_LEAF_LEVEL and not has_giant_pages(space)):
        return parked
    store_linked(space, slot, va, level, leaf)
    return park_table(space, va, level - 1, table, parked)


@kernel
def joined_leaf(space: Space, table: PhysAddr, level: word) -> word:
    """The leaf of the level that maps what the 512 entries of the table map, if one can; 0."""
    entries = open_loose(space, table)
    first = load64(space.m, entries)
    step = page_bytes(level - 1)
    seen = 0
    can_join = is_present(first) and is_leaf(first, level - 1) and page_of(first, level - 1) % page_bytes(level) == 0
    index = NR_ENTRIES - 1  # backwards: the last one tells most strangers at once
    while can_join and index >= 0:
        entry = load64(space.m, VirtAddr(entries + 8 * index))
        can_join = entry & ~SEEN == (first & ~SEEN) + index * step
        seen |= entry & SEEN
        index -= 1
    close_loose(space)
    if not can_join:
        return 0
    return make_leaf(page_of(first, level - 1), flags_in(flags_of(first, level - 1), level) | seen, level)
