"""Large pages of programs: one leaf of level 2 in the place of a table of 512 leaves that name frames in a row.

    level 2     leaf, 2 MiB  ------------->  512 frames in a row, each a page's of its own, mapped once
                  |                            | the owner word of the first
                  | split                      v
                  +----------------------->  a table in reserve: of level 1, linked nowhere, without entries

Unit: the page of 2 MiB, in the lower half of a space that is not the kernel's own. Frames know nothing of it: what is
counted of them is as if the table were there. Such a page is never borrowed, held or uncounted. Who asks for a page of
4 KiB in it is told the leaf that it would have (small_leaf); who changes a part of it splits it first. That cannot fail
and needs nothing, since the table was had together with the page.

Splitting flushes nothing: a TLB that has the large page still says the truth, and forgets it when a page in it is
flushed for a change.
"""

from typing import Final

from incroos.kernel import pmm
from incroos.kernel.arch.pte import (
    ADDRESS,
    FREE_LOW,
    HUGE,
    HUGE_BYTES,
    HUGE_LEVEL,
    NR_ENTRIES,
    TABLE_FLAGS,
    flags_of,
    make_leaf,
    page_bytes,
    page_of,
)
from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import Space, kernel_of
from incroos.kernel.vmm.levels import canonical_end
from incroos.kernel.vmm.pages import SEEN
from incroos.kernel.vmm.runs import write_run
from incroos.kernel.vmm.tables import (
    build_branch,
    find_cut,
    free_emptied,
    free_table,
    link,
    park_branch,
    record_of,
    unlink,
    walk,
)
from incroos.kernel.vmm.tlb import flush_shared
from incroos.kernel.vmm.windows import close_loose, open_loose, store_linked
from incroos.lang import PhysAddr, VirtAddr, cold, kernel, word

OFFSET: Final = HUGE_BYTES - 1
KEPT: Final = ADDRESS | SEEN | HUGE  # of a leaf that gets other flags


# ------------------------------------------------------------------ what is there
@kernel
def small_leaf(entry: word, va: VirtAddr) -> word:
    """The leaf of level 1 that a split would give the page of va, from the large one."""
    return page_of(entry, HUGE_LEVEL) | va & OFFSET & -PAGE_BYTES | flags_of(entry, HUGE_LEVEL)


@kernel
def find_large(space: Space, start: VirtAddr, end: VirtAddr) -> tuple[VirtAddr, PhysAddr, word]:
    """The first large page that [start, end) has a part of: where it begins, slot and entry; end, 0, 0: none."""
    at = VirtAddr(start & -HUGE_BYTES)
    while at < end:
        code, level, slot, entry = walk(space, at)
        if code == OK and level == HUGE_LEVEL:
            return at, slot, entry
        step = page_bytes(max(level, HUGE_LEVEL))
        at = VirtAddr((at & -step) + step)
    return end, PhysAddr(0), 0


@cold
@kernel
def check_large_in(space: Space) -> word:
    """OK; 1 where a large page has no empty table in reserve, or has a mark, or not so many are there as counted."""
    nr_large = 0
    at, slot, entry = find_large(space, VirtAddr(0), VirtAddr(canonical_end(space)))
    while slot != 0:
        reserve = reserve_of(space, entry)
        if not pmm.is_table(kernel_of(space), reserve):
            return 1
        record = record_of(space, reserve)
        if record.level != 1 or record.nr_entries != 0 or entry & FREE_LOW != 0:
            return 1
        nr_large += 1
        at, slot, entry = find_large(space, VirtAddr(at + HUGE_BYTES), VirtAddr(canonical_end(space)))
    return OK if nr_large == space.nr_large else 1


@cold
@kernel
def is_large_in(space: Space, va: VirtAddr) -> bool:
    """Whether va lies in a large page."""
    code, level, _slot, _entry = walk(space, va)
    return code == OK and level == HUGE_LEVEL


@cold
@kernel
def behind_page_in(space: Space, va: VirtAddr) -> VirtAddr:
    """Where the page that is there at va ends, of whatever size."""
    nbytes = HUGE_BYTES if is_large_in(space, va) else PAGE_BYTES
    return VirtAddr((va & -nbytes) + nbytes)


@cold
@kernel
def nr_large_in(space: Space, start: VirtAddr, end: VirtAddr) -> word:
    """How many large pages [start, end) has a part of."""
    nr_large = 0
    at = start
    while space.nr_large != 0 and at < end:
        at, slot, _entry = find_large(space, at, end)
        nr_large += slot != 0
        at = VirtAddr(at + HUGE_BYTES)
    return nr_large


@kernel
def reserve_of(space: Space, entry: word) -> PhysAddr:
    """The table in reserve of a large page."""
    return PhysAddr(pmm.owner_word(kernel_of(space), page_of(entry, HUGE_LEVEL)) << PAGE_SHIFT)


# ------------------------------------------------------------------ put
@cold
@kernel
def can_be_large_in(space: Space, va: VirtAddr) -> bool:
    """Whether no page is there where a large one would be, from va on, a multiple of 2 MiB, nor a table with any."""
    code, level, slot, _entry = walk(space, va)
    if level < HUGE_LEVEL:
        return record_of(space, slot).nr_entries == 0
    return code != OK


@cold
@kernel
def drop_empty_table(space: Space, va: VirtAddr) -> None:
    """Give back the table of level 1 on the way to va, if there is one, and those above that this empties.

    PRE it is empty, as a space that was another one before may have them.
    """
    _code, level, slot, _entry = walk(space, va)
    if level == 1:
        record_of(space, slot).nr_entries = 1  # as a branch to one leaf, with which it goes
        cut_level, cut_slot = find_cut(space, va, 1)
        branch = unlink(space, cut_slot, va, cut_level)
        parked = park_branch(space, va, branch, 1, cut_level, PhysAddr(0))
        flush_shared(space, va)
        free_emptied(space, parked)


@cold
@kernel
def put_large_in(space: Space, va: VirtAddr, frames: PhysAddr, flags: word) -> word:
    """Map what pmm.take_huge gave as a large page at va, see can_be_large_in: OK; NO_FRAME for a table.

    The 512 frames are each a page's then, and freed one by one.
    """
    k = kernel_of(space)
    reserve = pmm.take_table(k, 1)
    if reserve < 0:
        return NO_FRAME
    space.nr_tables += 1
    drop_empty_table(space, va)
    _code, level, slot, _entry = walk(space, va)
    branch = build_branch(space, va, make_leaf(frames, flags, HUGE_LEVEL), HUGE_LEVEL, level)
    if branch == 0:
        free_table(space, reserve)
        return NO_FRAME
    pmm.part_huge(k, frames)
    pmm.set_owner_word(k, frames, reserve >> PAGE_SHIFT)
    space.nr_large += 1
    link(space, slot, va, level, branch)
    return OK


# ------------------------------------------------------------------ split
@kernel
def split(space: Space, va: VirtAddr, slot: PhysAddr, entry: word) -> None:
    """Put the table in reserve in the place of a large page, with the same pages."""
    table = take_reserve(space, entry)
    entries = open_loose(space, table)
    write_run(space, entries, NR_ENTRIES, small_leaf(entry, VirtAddr(0)), PAGE_BYTES)
    close_loose(space)
    record_of(space, table).nr_entries = NR_ENTRIES
    store_linked(space, slot, va, HUGE_LEVEL, table | TABLE_FLAGS)


@kernel
def take_reserve(space: Space, entry: word) -> PhysAddr:
    """The table in reserve of a page that is large no more."""
    table = reserve_of(space, entry)
    pmm.set_owner_word(kernel_of(space), page_of(entry, HUGE_LEVEL), 0)
    space.nr_large -= 1
    return table


@cold
@kernel
def split_large_at(space: Space, va: VirtAddr) -> None:
    """Split the large page that has va inside, if there is one."""
    if va & OFFSET != 0:
        code, level, slot, entry = walk(space, va)
        if code == OK and level == HUGE_LEVEL:
            split(space, va, slot, entry)


@cold
@kernel
def split_all_in(space: Space, start: VirtAddr, end: VirtAddr) -> None:
    """Split all large pages that [start, end) has a part of."""
    at, slot, entry = find_large(space, start, end)
    while slot != 0:
        split(space, at, slot, entry)
        at, slot, entry = find_large(space, VirtAddr(at + HUGE_BYTES), end)


# ------------------------------------------------------------------ whole pages
@cold
@kernel
def clear_large_in(space: Space, start: VirtAddr, end: VirtAddr) -> tuple[PhysAddr, word]:
    """Clear and flush all large pages in [start, end), and split those that reach beyond it.

    The frames that nothing leads to any more, as a list (sparse.next_of), and how many pages of 4 KiB went.
    """
    split_large_at(space, start)
    split_large_at(space, end)
    frames = PhysAddr(0)
    nr_pages = 0
    at, slot, entry = find_large(space, start, end)
    while slot != 0:
        frames = clear_one(space, at, entry, frames)
        nr_pages += NR_ENTRIES
        at, slot, entry = find_large(space, VirtAddr(at + HUGE_BYTES), end)
    return frames, nr_pages


@kernel
def clear_one(space: Space, va: VirtAddr, entry: word, list_before: PhysAddr) -> PhysAddr:
    """Clear and flush a large page, with tables that this empties: the list, on which are its frames, too."""
    cut_level, slot = find_cut(space, va, HUGE_LEVEL)
    branch = unlink(space, slot, va, cut_level)
    parked = park_branch(space, va, branch, HUGE_LEVEL, cut_level, PhysAddr(0))
    flush_shared(space, va)
    free_emptied(space, parked)
    free_table(space, take_reserve(space, entry))
    k = kernel_of(space)
    records = k.blocks.database.records
    frames = list_before
    first = page_of(entry, HUGE_LEVEL)
    for offset in range(0, HUGE_BYTES, PAGE_BYTES):
        frame = PhysAddr(first + offset)
        if pmm.drop_mapping_to(k, records, frame, frames):
            frames = frame
    return frames


@cold
@kernel
def protect_large_in(space: Space, start: VirtAddr, end: VirtAddr, flags: word) -> None:
    """Give all large pages in [start, end) these flags, flush them, and split those that reach beyond it."""
    split_large_at(space, start)
    split_large_at(space, end)
    at, slot, entry = find_large(space, start, end)
    while slot != 0:
        store_linked(space, slot, at, HUGE_LEVEL, entry & KEPT | flags)
        flush_shared(space, at)
        at, slot, entry = find_large(space, VirtAddr(at + HUGE_BYTES), end)
