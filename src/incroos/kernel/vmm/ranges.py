"""Ranges: pages in a row, in the largest sizes that fit, all of them or none.

Unit: the run, which is what one call does in one table: a table is walked to once and then gone through, entry by
entry. Flags are those of a page of level 1; in larger pages the memory type's bit moves (entries.flags_in).

    map        no flush: nothing is remembered of entries that were not present. What fails half-way is cleared again.
    unmap      the range is looked through before anything changes, pages that it cuts are split, then it is cleared
    protect    the same, and 512 pages that have become equal are joined, in the kernel's own space (split_join.py)

Tables that become empty are cut off with what was in them and wait, linked through their first entries, until all is
flushed; only then they are freed. Does not tell what was mapped: who needs to know asks before.
"""

from typing import Final

from incroos.kernel.arch.pte import (
    ADDRESS,
    NR_ENTRIES,
    PHYSICAL_END,
    flags_in,
    index_in,
    make_leaf,
    page_bytes,
    page_shift,
)
from incroos.kernel.codes import (
    ALREADY_MAPPED,
    BAD_FLAGS,
    ENTRY_IN_USE,
    KERNEL_HALF,
    MISALIGNED,
    NO_FRAME,
    NOT_CANONICAL,
    OK,
    OUT_OF_RANGE,
    RESERVED,
)
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Space
from incroos.kernel.vmm.levels import canonical_end, is_canonical, is_foreign, is_own
from incroos.kernel.vmm.pages import RIGHTS, SEEN, may_have
from incroos.kernel.vmm.runs import rewrite_run, survey_run
from incroos.kernel.vmm.split_join import has_giant_pages, join_pages, split_edges
from incroos.kernel.vmm.tables import (
    allow_above,
    build_row,
    find_cut,
    free_parked,
    is_closed,
    link,
    park_branch,
    record_of,
    unlink,
    walk,
)
from incroos.kernel.vmm.tlb import FLUSH_ALL, finish_flush, flush_run
from incroos.kernel.vmm.windows import close_table, is_window, open_table
from incroos.lang import PhysAddr, VirtAddr, kernel, load64, store64, word

NONE_WAITS: Final = PhysAddr(0)


# ------------------------------------------------------------------ the interface
@kernel
def map_range_in(space: Space, va: VirtAddr, pa: PhysAddr, nbytes: word, flags: word) -> word:
    """Map [va, va + nbytes) to the memory from pa on.

    MISALIGNED (va, pa, nbytes), NOT_CANONICAL, OUT_OF_RANGE, BAD_FLAGS, RESERVED; ALREADY_MAPPED and ENTRY_IN_USE
    when any of the entries is not 0; NO_FRAME.
    """
    code = check_range(space, va, nbytes)
    if code == OK:
        code = check_memory(pa, nbytes)
    if code == OK and not may_have(space, flags, 1):
        code = BAD_FLAGS
    if code != OK:
        return code
    end = VirtAddr(va + nbytes)
    largest = largest_level(space, va, pa, nbytes)
    at = va
    while at < end and code == OK:
        code, at = map_run(space, at, end, PhysAddr(pa + (at - va)), flags, largest)
    if code != OK:
        clear_range(space, va, at, FLUSH_ALL, flags)
        return code
    allow_over(space, va, end, flags & RIGHTS)
    return OK


@kernel
def unmap_range_in(space: Space, va: VirtAddr, nbytes: word) -> word:
    """Unmap [va, va + nbytes), whatever the sizes of its pages. Pages that lie in it in part are split.

    MISALIGNED, NOT_CANONICAL, RESERVED; NOT_MAPPED if anything in it is not; NO_FRAME for a split.
    """
    code = check_range(space, va, nbytes)
    if code != OK:
        return code
    end = VirtAddr(va + nbytes)
    code, nr_pages, bits = survey(space, va, end)
    if code == OK:
        code = split_edges(space, va, end, 0)
    if code == OK:
        clear_range(space, va, end, first_budget(space, nr_pages), bits)
    return code


@kernel
def protect_range_in(space: Space, va: VirtAddr, nbytes: word, flags: word) -> word:
    """Give [va, va + nbytes) these flags and no others, except that accessed and dirty stay set.

    The codes of unmap_range, and BAD_FLAGS.
    """
    code = check_range(space, va, nbytes)
    if code == OK and not may_have(space, flags, 1):
        code = BAD_FLAGS
    if code != OK or nbytes == 0:
        return code
    end = VirtAddr(va + nbytes)
    code, nr_pages, bits = survey(space, va, end)
    if code == OK:
        code = split_edges(space, va, end, flags)
    if code != OK:
        return code
    allow_over(space, va, end, flags & RIGHTS)
    budget = first_budget(space, nr_pages)
    at = va
    while at < end:
        at, budget = protect_run(space, at, end, flags, budget)
    joined = join_pages(space, va, end) if is_own(space) else NONE_WAITS
    finish_flush(space, FLUSH_ALL if joined != 0 else budget, bits | flags)
    free_parked(space, joined)
    return OK


@kernel
def merge_in(space: Space, va: VirtAddr, nbytes: word) -> word:
    """Join what can be joined to larger pages in and round [va, va + nbytes): how many joints, or check_range's code.

    512 pages in a row become one where they have equal flags and map memory in a row that starts at a multiple of the
    large page. The large page is accessed, and dirty, if one of them was.
    """
    code = check_range(space, va, nbytes)
    if code != OK:
        return code
    nr_tables = space.nr_tables
    joined = join_pages(space, va, VirtAddr(va + nbytes))
    if joined != 0:
        finish_flush(space, FLUSH_ALL, -1)
    free_parked(space, joined)
    return nr_tables - space.nr_tables


# ------------------------------------------------------------------ what may be asked for
@kernel
def check_range(space: Space, va: VirtAddr, nbytes: word) -> word:
    """OK if [va, va + nbytes) is whole pages of one half of the address space, none of them a window's."""
    if not is_canonical(space, va):
        return NOT_CANONICAL
    if is_foreign(space, va):
        return KERNEL_HALF
    room = (canonical_end(space) if va >= 0 else 0) - va
    if not 0 <= nbytes <= room:
        return NOT_CANONICAL
    if va % PAGE_BYTES != 0 or nbytes % PAGE_BYTES != 0:
        return MISALIGNED
    return RESERVED if is_window(space, va, nbytes) else OK


@kernel
def check_memory(pa: PhysAddr, nbytes: word) -> word:
    """OK if [pa, pa + nbytes) can be mapped."""
    if pa % PAGE_BYTES != 0:
        return MISALIGNED
    if not 0 <= pa <= PHYSICAL_END - nbytes:
        return OUT_OF_RANGE
    return OK


@kernel
def largest_level(space: Space, va: VirtAddr, pa: PhysAddr, nbytes: word) -> word:
    """The level of the largest page that [va, va + nbytes) can have here. Asks the processor only where it matters."""
    has_room = nbytes >= page_bytes(3) and (va - pa) % page_bytes(3) == 0
    return 3 if has_room and has_giant_pages(space) else 2


@kernel
def fitting_level(va: VirtAddr, pa: PhysAddr, nbytes: word, largest: word) -> word:
    """The level of the largest page that can start at va and pa and ends within nbytes."""
    level = largest
    while level > 1 and ((va | pa) & (page_bytes(level) - 1) != 0 or nbytes < page_bytes(level)):
        level -= 1
    return level


@kernel
def first_budget(space: Space, nr_pages: word) -> word:
    """How many pages may be flushed one by one; see flush_run."""
    return space.config.flush_threshold if nr_pages <= space.config.flush_threshold else FLUSH_ALL


# ------------------------------------------------------------------ runs
@kernel
def run_length(va: VirtAddr, end: VirtAddr, level: word) -> word:
    """How many entries of a table of the level [va, end) reaches, from the one for va on."""
    nr_pages = (end - (va & -page_bytes(level)) + page_bytes(level) - 1) >> page_shift(level)
    return min(NR_ENTRIES - index_in(va, level), nr_pages)


@kernel
def map_run(
    space: Space, at: VirtAddr, end: VirtAddr, pa: PhysAddr, flags: word, largest: word
) -> tuple[word, VirtAddr]:
    """Map a page at `at`, and where its table was there before, those behind it: code, and the first address not done.

    A page is smaller than it might be where a table for smaller pages is there already.
    """
    code, found_level, slot, entry = walk(space, at)
    if is_closed(space, at, found_level):
        return KERNEL_HALF, at
    if code == OK:
        return ALREADY_MAPPED, at
    if entry != 0:
        return ENTRY_IN_USE, at
    level = min(fitting_level(at, pa, end - at, largest), found_level)
    leaf = make_leaf(pa, flags_in(flags, level), level)
    nr_pages = min(NR_ENTRIES - index_in(at, level), (end - at) >> page_shift(level))
    if found_level > level:
        branch = build_row(space, at, leaf, nr_pages, level, found_level)
        if branch == 0:
            return NO_FRAME, at
        link(space, slot, at, found_level, branch)
        return OK, VirtAddr(at + nr_pages * page_bytes(level))
    nr_done = fill_run(space, open_table(space, slot, at, level), nr_pages, leaf, page_bytes(level))
    close_table(space, level)
    record_of(space, slot).nr_entries += nr_done
    return OK, VirtAddr(at + nr_done * page_bytes(level))


@kernel
def fill_run(space: Space, entries: VirtAddr, nr_pages: word, leaf: word, step: word) -> word:
    """Write leaves in a row over entries that are 0: how many, to the first that is not."""
    for index in range(nr_pages):
        if load64(space.m, VirtAddr(entries + 8 * index)) != 0:
            return index
        store64(space.m, VirtAddr(entries + 8 * index), leaf + index * step)
    return nr_pages


@kernel
def allow_over(space: Space, va: VirtAddr, end: VirtAddr, rights: word) -> None:
    """Add rights to all entries above the pages of [va, end): once for each table that holds leaves."""
    at = va
    while at < end:
        _code, level, _slot, _entry = walk(space, at)
        allow_above(space, at, rights, level)
        at = VirtAddr((at & -page_bytes(level + 1)) + page_bytes(level + 1))


@kernel
def survey(space: Space, va: VirtAddr, end: VirtAddr) -> tuple[word, word, word]:
    """Look through [va, end): OK or NOT_MAPPED, how many pages there are, and all bits that any entry has."""
    at = va
    nr_pages = 0
    bits = 0
    while at < end:
        code, level, slot, _entry = walk(space, at)
        if code != OK:
            return code, 0, 0
        most = run_length(at, end, level)
        nr_run, run_bits = survey_run(space, open_table(space, slot, at, level), most, level)
        close_table(space, level)
        nr_pages += nr_run
        bits |= run_bits
        at = VirtAddr((at & -page_bytes(level)) + nr_run * page_bytes(level))
    return OK, nr_pages, bits


@kernel
def clear_range(space: Space, va: VirtAddr, end: VirtAddr, first: word, bits: word) -> None:
    """Unmap all of [va, end), which is mapped in pages that lie in it whole; flush, free the tables that it empties."""
    at = va
    budget = first
    parked = NONE_WAITS
    while at < end:
        at, budget, parked = clear_run(space, at, end, budget, parked)
    if va < end:
        finish_flush(space, budget, bits)
    free_parked(space, parked)


@kernel
def clear_run(
    space: Space, at: VirtAddr, end: VirtAddr, budget: word, parked: PhysAddr
) -> tuple[VirtAddr, word, PhysAddr]:
    """Clear the leaves in a row from `at` on, in one table: the first address not done, budget and parked tables."""
    _code, level, slot, _entry = walk(space, at)
    nr_pages = run_length(at, end, level)
    if level > 1:
        nr_pages, _bits = survey_run(space, open_table(space, slot, at, level), nr_pages, level)
        close_table(space, level)
    record = record_of(space, slot)
    if record.nr_entries == nr_pages:
        record.nr_entries = 1  # as a branch to one leaf, with which it goes
        cut_level, cut_slot = find_cut(space, at, level)
        branch = unlink(space, cut_slot, at, cut_level)
        parked = park_branch(space, at, branch, level, cut_level, parked)
    else:
        zero_run(space, open_table(space, slot, at, level), nr_pages)
        close_table(space, level)
        record.nr_entries -= nr_pages
    left = flush_run(space, at, nr_pages, level, budget)
    return VirtAddr(at + nr_pages * page_bytes(level)), left, parked


@kernel
def zero_run(space: Space, entries: VirtAddr, nr_entries: word) -> None:
    """Write 0 over entries in a row, each in one store."""
    for index in range(nr_entries):
        store64(space.m, VirtAddr(entries + 8 * index), 0)


@kernel
def protect_run(space: Space, at: VirtAddr, end: VirtAddr, flags: word, budget: word) -> tuple[VirtAddr, word]:
    """Give the leaves in a row from `at` on other flags, in one table: the first address not done, and the budget."""
    _code, level, slot, _entry = walk(space, at)
    nr_pages = run_length(at, end, level)
    entries = open_table(space, slot, at, level)
    if level > 1:
        nr_pages, _bits = survey_run(space, entries, nr_pages, level)
    kept = (ADDRESS & -page_bytes(level)) | SEEN
    other = make_leaf(PhysAddr(0), flags_in(flags, level), level)
    rewrite_run(space, entries, nr_pages, kept, other)
    close_table(space, level)
    start = VirtAddr(at & -page_bytes(level))
    return VirtAddr(start + nr_pages * page_bytes(level)), flush_run(space, start, nr_pages, level, budget)
