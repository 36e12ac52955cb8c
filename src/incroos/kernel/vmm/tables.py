"""Tables: the tree of page tables, from the root to the entry that decides about an address.

Unit: the entry, named by its physical address, the slot. Levels are data: each loop here serves all page sizes. Knows
nothing of what is mapped for whom. A branch is a new or cut-off entry with the tables under it that lead to one leaf:
branches are linked and cut with a single store, so that a walk meets either nothing or all of it.
"""

from typing import Final

from incroos.kernel import pmm
from incroos.kernel.arch.pte import ADDRESS, GLOBAL, TABLE_FLAGS, index_in, is_leaf, is_present, page_bytes, table_of
from incroos.kernel.codes import KERNEL_HALF, NOT_CANONICAL, NOT_MAPPED, OK
from incroos.kernel.config import MODERN_SPACE
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import NR_KNOWN, KnownTable, Space, TableRecord, kernel_of
from incroos.kernel.vmm.levels import is_canonical, is_foreign, is_own, root_level
from incroos.kernel.vmm.runs import write_run
from incroos.kernel.vmm.windows import (
    alloc_table,
    close_loose,
    forget_table,
    load_entry,
    load_linked,
    open_loose,
    store_entry,
    store_linked,
)
from incroos.lang import PhysAddr, VirtAddr, fill, kernel, word

# The last walks are remembered as far as their tables of level 1, because the next page is most often a neighbour. A
# table that leaves the tree is forgotten; upper entries only ever come to grant more.
KNOWN_BYTES: Final = page_bytes(2)
NOWHERE: Final = VirtAddr(1)  # where no table begins


@kernel
def walk(space: Space, va: VirtAddr) -> tuple[word, word, PhysAddr, word]:
    """Go down to the entry that decides about va: code, level, slot and entry.

    OK with a leaf; NOT_MAPPED with the first entry that is not present; NOT_CANONICAL with zeros.
    """
    if not is_canonical(space, va):
        return NOT_CANONICAL, 0, PhysAddr(0), 0
    slot = slot_in(space.root, va, root_level(space))
    for level in range(root_level(space), 1, -1):
        entry = load_linked(space, slot, va, level)
        if not is_present(entry):
            return NOT_MAPPED, level, slot, entry
        if is_leaf(entry, level):
            return OK, level, slot, entry
        slot = slot_in(table_of(entry), va, level - 1)
    entry = load_linked(space, slot, va, 1)
    return (OK if is_present(entry) else NOT_MAPPED), 1, slot, entry


@kernel
def find_slot(space: Space, va: VirtAddr, level: word) -> PhysAddr:
    """Where the entry for va is in the table of the level; 0 if the walk ends above."""
    slot = slot_in(space.root, va, root_level(space))
    for above in range(root_level(space), level, -1):
        entry = load_linked(space, slot, va, above)
        if not is_present(entry) or is_leaf(entry, above):
            return PhysAddr(0)
        slot = slot_in(table_of(entry), va, above - 1)
    return slot


@kernel
def slot_in(table: PhysAddr, va: VirtAddr, level: word) -> PhysAddr:
    """Where the entry for va is in a table of the level."""
    return PhysAddr(table + 8 * index_in(va, level))


@kernel
def record_of(space: Space, slot: PhysAddr) -> TableRecord:
    """The frame record of the table that holds the slot."""
    return pmm.record_of(kernel_of(space), slot)


# ------------------------------------------------------------------ known tables
@kernel
def plant(space: Space, root: PhysAddr, nr_tables: word) -> None:
    """Begin with a root table, and so many tables under it that are not the boot code's. No table is known."""
    space.root = root
    space.nr_tables = nr_tables
    space.keeps_tables = 0
    for index in range(NR_KNOWN):
        known = space.known[index]
        known.start = NOWHERE
        known.entry = 0


@kernel
def known_of(space: Space, va: VirtAddr) -> KnownTable:
    """What may be known of the table of level 1 for va."""
    return space.known[index_in(va, 2) % NR_KNOWN]


@kernel
def is_known(space: Space, va: VirtAddr, level: word, rights: word) -> bool:
    """Whether known_slot has the slot for a page of the level at va, and all entries above grant the rights.

    `rights` may have GLOBAL, which the kernel's own space alone grants."""
    known = known_of(space, va)
    return level == 1 and known.start == va & -KNOWN_BYTES and rights & ~known.entry == 0


@kernel
def known_slot(space: Space, va: VirtAddr) -> PhysAddr:
    """Where the entry for va is in the known table."""
    return slot_in(table_of(known_of(space, va).entry), va, 1)


@kernel
def walk_and_know(space: Space, va: VirtAddr) -> tuple[word, word, PhysAddr, word]:
    """What walk finds. If it ends in a table of level 1, that one is known from now on.

    KERNEL_HALF and zeros for an address of the upper half in a space that is not the kernel's own.
    """
    if is_foreign(space, va):
        return KERNEL_HALF, 0, PhysAddr(0), 0
    code, level, slot, entry = walk(space, va)
    if level == 1:
        known = known_of(space, va)
        known.start = VirtAddr(va & -KNOWN_BYTES)
        known.entry = table_of(slot) | (GLOBAL if is_own(space) else 0)
    return code, level, slot, entry


@kernel
def forget_known(space: Space, va: VirtAddr, level: word) -> None:
    """Do not know the table of the level for va any more: it leaves the tree."""
    known = known_of(space, va)
    if level == 1 and known.start == va & -KNOWN_BYTES:
        known.start = NOWHERE
        known.entry = 0


@kernel
def are_known_right(space: Space) -> bool:
    """Whether a walk comes to each known table by entries that grant what is known of them."""
    for index in range(NR_KNOWN):
        known = space.known[index]
        if known.start != NOWHERE and not is_known_right(space, known):
            return False
    return True


@kernel
def is_known_right(space: Space, known: KnownTable) -> bool:
    """The same of one."""
    slot = slot_in(space.root, known.start, root_level(space))
    for level in range(root_level(space), 1, -1):
        entry = load_linked(space, slot, known.start, level)
        if not is_present(entry) or is_leaf(entry, level) or known.entry & ~(ADDRESS | GLOBAL) & ~entry != 0:
            return False
        slot = slot_in(table_of(entry), known.start, level - 1)
    return slot == table_of(known.entry)


# ------------------------------------------------------------------ branches
@kernel
def is_closed(space: Space, va: VirtAddr, level: word) -> bool:
    """Whether no branch may be linked for va in a table of the level: in the root, for the half that all spaces share.

    Its entries were made when the kernel started, and other roots have copies of them.
    """
    if space.config.space != MODERN_SPACE:
        return False
    return va < 0 and level == root_level(space) and kernel_of(space).frames.are_frames_open != 0


@kernel
def build_branch(space: Space, va: VirtAddr, leaf: word, level: word, top: word) -> word:
    """The entry for a table of level `top` that leads to the leaf, over new tables; 0 when frames ran out.

    It is built from the leaf up and linked nowhere.
    """
    entry = leaf
    for below in range(level, top):
        table = alloc_table(space, below)
        if table < 0:
            free_branch(space, va, entry, level, below)
            return 0
        slot = slot_in(table, va, below)
        store_entry(space, slot, entry)
        record_of(space, slot).nr_entries = 1
        space.nr_tables += 1
        entry = table | TABLE_FLAGS
    return entry


@kernel
def build_row(space: Space, va: VirtAddr, leaf: word, nr_pages: word, level: word, top: word) -> word:
    """The entry for a table of level `top` that leads to leaves in a row, all in one new table; 0: no frames."""
    table = build_table(space, va, leaf, nr_pages, level)
    if table == 0:
        return 0
    branch = build_branch(space, va, table, level + 1, top)
    if branch == 0:
        free_branch(space, va, table, level, level + 1)
    return branch


@kernel
def build_table(space: Space, va: VirtAddr, leaf: word, nr_pages: word, level: word) -> word:
    """The entry for a new table of the level with leaves in a row for va on and nothing else; 0 when no frame is free.

    It is linked nowhere, and was not filled with zeros before.
    """
    table = pmm.take_table(kernel_of(space), level)
    if table < 0:
        return 0
    entries = open_loose(space, table)
    start = VirtAddr(entries + 8 * index_in(va, level))
    end = VirtAddr(start + 8 * nr_pages)
    fill(space.m, entries, 0, start - entries)
    write_run(space, start, nr_pages, leaf, page_bytes(level))
    fill(space.m, end, 0, entries + PAGE_BYTES - end)
    close_loose(space)
    record_of(space, table).nr_entries = nr_pages
    space.nr_tables += 1
    return table | TABLE_FLAGS


@kernel
def free_branch(space: Space, va: VirtAddr, entry: word, level: word, top: word) -> None:
    """Give back the tables under an entry of level `top` that is linked no more and forgotten by the TLB."""
    rest = entry
    for below in range(top - 1, level - 1, -1):
        table = table_of(rest)
        slot = slot_in(table, va, below)
        rest = load_entry(space, slot)
        forget_known(space, va, below)
        forget_table(space, va, below)
        free_table(space, table)


@kernel
def free_table(space: Space, table: PhysAddr) -> None:
    """Give back a table that is linked no more and forgotten by the TLB."""
    pmm.record_of(kernel_of(space), table).nr_entries = 0
    note_freed(space, table, pmm.free_table(kernel_of(space), table))


@kernel
def note_freed(space: Space, table: PhysAddr, code: word) -> None:
    """A table is counted no more. `code` is what pmm said."""
    space.nr_tables -= 1
    if code != OK:
        panic(kernel_of(space), b'vmm: a table that pmm does not take back: table, code', table, code, 0)


@kernel
def park_branch(space: Space, va: VirtAddr, entry: word, level: word, top: word, parked: PhysAddr) -> PhysAddr:
    """Park the tables under an entry of level `top` that is linked no more, until the TLB has forgotten them.

    Parked tables are a list through their first entries, which are not present; the first of them is returned.
    """
    rest = entry
    last = parked
    for below in range(top - 1, level - 1, -1):
        table = table_of(rest)
        slot = slot_in(table, va, below)
        rest = load_entry(space, slot)
        store_entry(space, slot, 0)
        last = park_table(space, va, below, table, last)
    return last


@kernel
def park_table(space: Space, va: VirtAddr, level: word, table: PhysAddr, parked: PhysAddr) -> PhysAddr:
    """Park one table of the level that was on the way to va."""
    forget_known(space, va, level)
    store_entry(space, table, parked)
    forget_table(space, va, level)
    return table


@kernel
def free_parked(space: Space, parked: PhysAddr) -> None:
    """Give back parked tables, now that the TLB has forgotten them."""
    table = parked
    while table != 0:
        following = PhysAddr(load_entry(space, table))
        free_table(space, table)
        table = following


@kernel
def free_emptied(space: Space, parked: PhysAddr) -> None:
    """The same of tables that have no entry but the link to the next one: they are full of zeros then."""
    table = parked
    while table != 0:
        following = PhysAddr(load_entry(space, table))
        store_entry(space, table, 0)
        record_of(space, table).nr_entries = 0
        note_freed(space, table, pmm.free_zeroed_table(kernel_of(space), table))
        table = following


@kernel
def link(space: Space, slot: PhysAddr, va: VirtAddr, level: word, entry: word) -> None:
    """Write the entry for va in a table of the level, where there was 0."""
    record = record_of(space, slot)
    store_linked(space, slot, va, level, entry)
    record.nr_entries += 1


@kernel
def unlink(space: Space, slot: PhysAddr, va: VirtAddr, level: word) -> word:
    """Write 0 where there was the entry for va in a table of the level, and return it."""
    entry = load_linked(space, slot, va, level)
    record = record_of(space, slot)
    store_linked(space, slot, va, level, 0)
    record.nr_entries -= 1
    return entry


@kernel
def find_cut(space: Space, va: VirtAddr, leaf_level: word) -> tuple[word, PhysAddr]:
    """Level and slot where the branch to the leaf of va is to be cut: no table under it leads anywhere else.

    The boot code's tables count one entry too many, so the cut is never above them.
    """
    slot = slot_in(space.root, va, root_level(space))
    cut_level = root_level(space)
    cut_slot = slot
    for level in range(root_level(space) - 1, leaf_level - 1, -1):
        slot = slot_in(table_of(load_linked(space, slot, va, level + 1)), va, level)
        if record_of(space, slot).nr_entries > 1:
            cut_level = level
            cut_slot = slot
    return cut_level, cut_slot


@kernel
def allow_above(space: Space, va: VirtAddr, rights: word, level: word) -> None:
    """Add rights to the entries above the level on the way to va, so that the leaf alone decides.

    Entries made here have them; those of the boot code lack USER. Widening needs no flush of other pages: their leaves
    grant what they granted.
    """
    known = known_of(space, va)
    if level == 1 and known.start == va & -KNOWN_BYTES:
        known.entry |= rights
    slot = slot_in(space.root, va, root_level(space))
    for above in range(root_level(space), level, -1):
        entry = load_linked(space, slot, va, above)
        if entry & rights != rights:
            store_linked(space, slot, va, above, entry | rights)
        slot = slot_in(table_of(entry), va, above - 1)
