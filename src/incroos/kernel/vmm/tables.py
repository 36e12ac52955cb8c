"""Tables: the tree of page tables, from the root to the entry that decides about an address.

Unit: the entry, named by its physical address, the slot. Levels are data: each loop here serves all page sizes. Knows
nothing of what is mapped for whom. A branch is a new or cut-off entry with the tables under it that lead to one leaf:
branches are linked and cut with a single store, so that a walk meets either nothing or all of it.
"""

from incroos.kernel import pmm
from incroos.kernel.codes import NOT_CANONICAL, NOT_MAPPED, OK
from incroos.kernel.panic import panic
from incroos.kernel.state import FrameRecord, Kernel
from incroos.kernel.vmm.entries import ROOT_LEVEL, TABLE_FLAGS, index_in, is_canonical, is_leaf, is_present, table_of
from incroos.kernel.vmm.windows import load_entry, store_entry
from incroos.lang import PhysAddr, VirtAddr, kernel, word


@kernel
def walk(k: Kernel, va: VirtAddr) -> tuple[word, word, PhysAddr, word]:
    """Go down to the entry that decides about va: code, level, slot and entry.

    OK with a leaf; NOT_MAPPED with the first entry that is not present; NOT_CANONICAL with zeros.
    """
    if not is_canonical(va):
        return NOT_CANONICAL, 0, PhysAddr(0), 0
    slot = slot_in(k.pages.root, va, ROOT_LEVEL)
    for level in range(ROOT_LEVEL, 1, -1):
        entry = load_entry(k, slot)
        if not is_present(entry):
            return NOT_MAPPED, level, slot, entry
        if is_leaf(entry, level):
            return OK, level, slot, entry
        slot = slot_in(table_of(entry), va, level - 1)
    entry = load_entry(k, slot)
    return (OK if is_present(entry) else NOT_MAPPED), 1, slot, entry


@kernel
def slot_in(table: PhysAddr, va: VirtAddr, level: word) -> PhysAddr:
    """Where the entry for va is in a table of the level."""
    return PhysAddr(table + 8 * index_in(va, level))


@kernel
def record_of(k: Kernel, slot: PhysAddr) -> FrameRecord:
    """The frame record of the table that holds the slot."""
    return pmm.record_of(k, slot)


@kernel
def build_branch(k: Kernel, va: VirtAddr, leaf: word, level: word, top: word) -> word:
    """The entry for a table of level `top` that leads to the leaf, over new tables; 0 when frames ran out.

    It is built from the leaf up and linked nowhere.
    """
    entry = leaf
    for below in range(level, top):
        table = pmm.alloc_table(k, below)
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
def free_branch(k: Kernel, va: VirtAddr, entry: word, level: word, top: word) -> None:
    """Give back the tables under an entry of level `top` that is linked no more and forgotten by the TLB."""
    rest = entry
    for below in range(top - 1, level - 1, -1):
        table = table_of(rest)
        slot = slot_in(table, va, below)
        rest = load_entry(k, slot)
        record_of(k, slot).nr_entries = 0
        k.pages.nr_tables -= 1
        code = pmm.free_table(k, table)
        if code != OK:
            panic(k, b'vmm: a table that pmm does not take back: table, code, level', table, code, below)


@kernel
def link(k: Kernel, slot: PhysAddr, entry: word) -> None:
    """Write an entry where there was 0."""
    store_entry(k, slot, entry)
    record_of(k, slot).nr_entries += 1


@kernel
def unlink(k: Kernel, slot: PhysAddr) -> word:
    """Write 0 where there was an entry, and return it."""
    entry = load_entry(k, slot)
    store_entry(k, slot, 0)
    record_of(k, slot).nr_entries -= 1
    return entry


@kernel
def find_cut(k: Kernel, va: VirtAddr, leaf_level: word) -> tuple[word, PhysAddr]:
    """Level and slot where the branch to the leaf of va is to be cut: no table under it leads anywhere else.

    The boot code's tables count one entry too many, so the cut is never above them.
    """
    slot = slot_in(k.pages.root, va, ROOT_LEVEL)
    cut_level = ROOT_LEVEL
    cut_slot = slot
    for level in range(ROOT_LEVEL - 1, leaf_level - 1, -1):
        slot = slot_in(table_of(load_entry(k, slot)), va, level)
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
    slot = slot_in(k.pages.root, va, ROOT_LEVEL)
    for above in range(ROOT_LEVEL, level, -1):
        entry = load_entry(k, slot)
        if entry & rights != rights:
            store_entry(k, slot, entry | rights)
        slot = slot_in(table_of(entry), va, above - 1)
