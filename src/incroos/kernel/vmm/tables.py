"""Tables: the tree of page tables, from the root to the entry that decides about an address.

Unit: the entry, named by its physical address, the slot. Levels are data: each loop here serves all page sizes. Knows
nothing of what is mapped for whom. A branch is a new or cut-off entry with the tables under it that lead to one leaf:
branches are linked and cut with a single store, so that a walk meets either nothing or all of it.
"""

from typing import Final

from incroos.kernel import pmm
from incroos.kernel.arch.pte import ADDRESS, TABLE_FLAGS, index_in, is_leaf, is_present, page_bytes, table_of
from incroos.kernel.codes import NOT_CANONICAL, NOT_MAPPED, OK
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import NR_KNOWN, Kernel, KnownTable, TableRecord
from incroos.kernel.vmm.levels import is_canonical, root_level
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
def walk(k: Kernel, va: VirtAddr) -> tuple[word, word, PhysAddr, word]:
    """Go down to the entry that decides about va: code, level, slot and entry.

    OK with a leaf; NOT_MAPPED with the first entry that is not present; NOT_CANONICAL with zeros.
    """
    if not is_canonical(k, va):
        return NOT_CANONICAL, 0, PhysAddr(0), 0
    slot = slot_in(k.pages.root, va, root_level(k))
    for level in range(root_level(k), 1, -1):
        entry = load_linked(k, slot, va, level)
        if not is_present(entry):
            return NOT_MAPPED, level, slot, entry
        if is_leaf(entry, level):
            return OK, level, slot, entry
        slot = slot_in(table_of(entry), va, level - 1)
    entry = load_linked(k, slot, va, 1)
    return (OK if is_present(entry) else NOT_MAPPED), 1, slot, entry


@kernel
def slot_in(table: PhysAddr, va: VirtAddr, level: word) -> PhysAddr:
    """Where the entry for va is in a table of the level."""
    return PhysAddr(table + 8 * index_in(va, level))


@kernel
def record_of(k: Kernel, slot: PhysAddr) -> TableRecord:
    """The frame record of the table that holds the slot."""
    return pmm.record_of(k, slot)


# ------------------------------------------------------------------ known tables
@kernel
def plant(k: Kernel, root: PhysAddr, nr_tables: word) -> None:
    """Begin with a root table, and so many tables under it that are not the boot code's. No table is known."""
    k.pages.root = root
    k.pages.nr_tables = nr_tables
    for index in range(NR_KNOWN):
        known = k.pages.known[index]
        known.start = NOWHERE
        known.entry = 0


@kernel
def known_of(k: Kernel, va: VirtAddr) -> KnownTable:
    """What may be known of the table of level 1 for va."""
    return k.pages.known[index_in(va, 2) % NR_KNOWN]


@kernel
def is_known(k: Kernel, va: VirtAddr, level: word, rights: word) -> bool:
    """Whether known_slot has the slot for a page of the level at va, and all entries above grant the rights."""
    known = known_of(k, va)
    return level == 1 and known.start == va & -KNOWN_BYTES and rights & ~known.entry == 0


@kernel
def known_slot(k: Kernel, va: VirtAddr) -> PhysAddr:
    """Where the entry for va is in the known table."""
    return slot_in(table_of(known_of(k, va).entry), va, 1)


@kernel
def walk_and_know(k: Kernel, va: VirtAddr) -> tuple[word, word, PhysAddr, word]:
    """The same as walk. If it ends in a table of level 1, that one is known from now on."""
    code, level, slot, entry = walk(k, va)
    if level == 1:
        known = known_of(k, va)
        known.start = VirtAddr(va & -KNOWN_BYTES)
        known.entry = table_of(slot)
    return code, level, slot, entry


@kernel
def forget_known(k: Kernel, va: VirtAddr, level: word) -> None:
    """Do not know the table of the level for va any more: it leaves the tree."""
    known = known_of(k, va)
    if level == 1 and known.start == va & -KNOWN_BYTES:
        known.start = NOWHERE
        known.entry = 0


@kernel
def are_known_right(k: Kernel) -> bool:
    """Whether a walk comes to each known table by entries that grant what is known of them."""
    for index in range(NR_KNOWN):
        known = k.pages.known[index]
        if known.start != NOWHERE and not is_known_right(k, known):
            return False
    return True


@kernel
def is_known_right(k: Kernel, known: KnownTable) -> bool:
    """The same of one."""
    slot = slot_in(k.pages.root, known.start, root_level(k))
    for level in range(root_level(k), 1, -1):
        entry = load_linked(k, slot, known.start, level)
        if not is_present(entry) or is_leaf(entry, level) or known.entry & ~ADDRESS & ~entry != 0:
            return False
        slot = slot_in(table_of(entry), known.start, level - 1)
    return slot == table_of(known.entry)


# ------------------------------------------------------------------ branches
@kernel
def build_branch(k: Kernel, va: VirtAddr, leaf: word, level: word, top: word) -> word:
    """The entry for a table of level `top` that leads to the leaf, over new tables; 0 when frames ran out.

    It is built from the leaf up and linked nowhere.
    """
    entry = leaf
    for below in range(level, top):
        table = alloc_table(k, below)
        if table < 0:
            free_branch(k, va, entry, level, below)
            return 0
        slot = slot_in(table, va, below)
        store_entry(k, slot, entry)
        record_of(k, slot).nr_entries = 1
        k.pages.nr_tables += 1
        entry = table | TABLE_FLAGS
    return entry


@kernel
def build_row(k: Kernel, va: VirtAddr, leaf: word, nr_pages: word, level: word, top: word) -> word:
    """The entry for a table of level `top` that leads to leaves in a row, all in one new table; 0: no frames."""
    table = build_table(k, va, leaf, nr_pages, level)
    if table == 0:
        return 0
    branch = build_branch(k, va, table, level + 1, top)
    if branch == 0:
        free_branch(k, va, table, level, level + 1)
    return branch


@kernel
def build_table(k: Kernel, va: VirtAddr, leaf: word, nr_pages: word, level: word) -> word:
    """The entry for a new table of the level with leaves in a row for va on and nothing else; 0 when no frame is free.

    It is linked nowhere, and was not filled with zeros before.
    """
    table = pmm.take_table(k, level)
    if table < 0:
        return 0
    entries = open_loose(k, table)
    start = VirtAddr(entries + 8 * index_in(va, level))
    end = VirtAddr(start + 8 * nr_pages)
    fill(k.m, entries, 0, start - entries)
    write_run(k, start, nr_pages, leaf, page_bytes(level))
    fill(k.m, end, 0, entries + PAGE_BYTES - end)
    close_loose(k)
    record_of(k, table).nr_entries = nr_pages
    k.pages.nr_tables += 1
    return table | TABLE_FLAGS


@kernel
def free_branch(k: Kernel, va: VirtAddr, entry: word, level: word, top: word) -> None:
    """Give back the tables under an entry of level `top` that is linked no more and forgotten by the TLB."""
    rest = entry
    for below in range(top - 1, level - 1, -1):
        table = table_of(rest)
        slot = slot_in(table, va, below)
        rest = load_entry(k, slot)
        forget_known(k, va, below)
        forget_table(k, va, below)
        free_table(k, table)


@kernel
def free_table(k: Kernel, table: PhysAddr) -> None:
    """Give back a table that is linked no more and forgotten by the TLB."""
    pmm.record_of(k, table).nr_entries = 0
    k.pages.nr_tables -= 1
    code = pmm.free_table(k, table)
    if code != OK:
        panic(k, b'vmm: a table that pmm does not take back: table, code', table, code, 0)


@kernel
def park_branch(k: Kernel, va: VirtAddr, entry: word, level: word, top: word, parked: PhysAddr) -> PhysAddr:
    """Park the tables under an entry of level `top` that is linked no more, until the TLB has forgotten them.

    Parked tables are a list through their first entries, which are not present; the first of them is returned.
    """
    rest = entry
    last = parked
    for below in range(top - 1, level - 1, -1):
        table = table_of(rest)
        rest = load_entry(k, slot_in(table, va, below))
        last = park_table(k, va, below, table, last)
    return last


@kernel
def park_table(k: Kernel, va: VirtAddr, level: word, table: PhysAddr, parked: PhysAddr) -> PhysAddr:
    """Park one table of the level that was on the way to va."""
    forget_known(k, va, level)
    store_entry(k, table, parked)
    forget_table(k, va, level)
    return table


@kernel
def free_parked(k: Kernel, parked: PhysAddr) -> None:
    """Give back parked tables, now that the TLB has forgotten them."""
    table = parked
    while table != 0:
        following = PhysAddr(load_entry(k, table))
        free_table(k, table)
        table = following


@kernel
def link(k: Kernel, slot: PhysAddr, va: VirtAddr, level: word, entry: word) -> None:
    """Write the entry for va in a table of the level, where there was 0."""
    store_linked(k, slot, va, level, entry)
    record_of(k, slot).nr_entries += 1


@kernel
def unlink(k: Kernel, slot: PhysAddr, va: VirtAddr, level: word) -> word:
    """Write 0 where there was the entry for va in a table of the level, and return it."""
    entry = load_linked(k, slot, va, level)
    store_linked(k, slot, va, level, 0)
    record_of(k, slot).nr_entries -= 1
    return entry


@kernel
def find_cut(k: Kernel, va: VirtAddr, leaf_level: word) -> tuple[word, PhysAddr]:
    """Level and slot where the branch to the leaf of va is to be cut: no table under it leads anywhere else.

    The boot code's tables count one entry too many, so the cut is never above them.
    """
    slot = slot_in(k.pages.root, va, root_level(k))
    cut_level = root_level(k)
    cut_slot = slot
    for level in range(root_level(k) - 1, leaf_level - 1, -1):
        slot = slot_in(table_of(load_linked(k, slot, va, level + 1)), va, level)
        if record_of(k, slot).nr_entries > 1:
            cut_level = level
            cut_slot = slot
    return cut_level, cut_slot


@kernel
def allow_above(k: Kernel, va: VirtAddr, rights: word, level: word) -> None:
    """Add rights to the entries above the level on the way to va, so that the leaf alone decides.

    Entries made here have them; those of the boot code lack USER. Widening needs no flush of other pages: their leaves
    grant what they granted.
    """
    known = known_of(k, va)
    if level == 1 and known.start == va & -KNOWN_BYTES:
        known.entry |= rights
    slot = slot_in(k.pages.root, va, root_level(k))
    for above in range(root_level(k), level, -1):
        entry = load_linked(k, slot, va, above)
        if entry & rights != rights:
            store_linked(k, slot, va, above, entry | rights)
        slot = slot_in(table_of(entry), va, above - 1)
