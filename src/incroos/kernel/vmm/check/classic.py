"""The checker of the page tables in `classic`: goes through every table, entry by entry. Changes nothing in the end."""

from typing import Final

from incroos.kernel.arch.pte import ADDRESS, HUGE, NR_ENTRIES, NX, PAT_LARGE, is_leaf, is_present, page_bytes, table_of
from incroos.kernel.codes import OK
from incroos.kernel.config import MODERN_SPACE
from incroos.kernel.layout import BOOT_TABLES_END, NR_TRACKED_FRAMES, PAGE_SHIFT, ZONE_END
from incroos.kernel.state import Kernel
from incroos.kernel.vmm.check import modern as space_check
from incroos.kernel.vmm.init.classic import BOOT_MARK
from incroos.kernel.vmm.levels import root_level
from incroos.kernel.vmm.tables import are_known_right
from incroos.kernel.vmm.windows import are_right, close_loose, is_recursive, open_loose
from incroos.lang import PhysAddr, VirtAddr, kernel, load64, read_cr3, word

# VMM-1  root is the table that CR3 names, and its record says the highest level
# VMM-2  nr_entries of each table == its entries that are not 0, + 1 for a table of the boot code
# VMM-3  no present entry sets a reserved bit, and no upper entry sets NX
# VMM-4  the tables are a tree: each upper entry names a table of the next level, each table but the root has one name
# VMM-5  nr_tables == tables outside the boot code's
# VMM-6  the recursive slot names the root; of the fixmap's windows only that on its own table is open
# VMM-7  a walk comes to each known table, by entries that grant the rights in what is known

NOT_A_TREE: Final = 4


@kernel
def check(k: Kernel) -> word:
    """0, or the number of the first VMM invariant that does not hold; see space_check for config `modern`."""
    if k.config.space == MODERN_SPACE:
        return space_check.check_in(k.space)
    root = k.space.root
    if table_of(read_cr3(k.m)) != root or root >= ZONE_END:
        return 1
    if k.frames.records[root >> PAGE_SHIFT].level != root_level(k.space):
        return 1
    if not are_right(k.space):
        return 6
    code = OK
    pfn = find_table(k, 0)
    while pfn < NR_TRACKED_FRAMES and code == OK:
        code = check_table(k, pfn)
        pfn = find_table(k, pfn + 1)
    references_code = check_references(k)
    if code == OK:
        code = references_code
    return code if code != OK or are_known_right(k.space) else 7


@kernel
def find_table(k: Kernel, first: word) -> word:
    """The PFN, first or later, of the next table; NR_TRACKED_FRAMES. Most records are 0 and passed two at a time."""
    pfn = first
    while pfn < NR_TRACKED_FRAMES:
        if pfn % 2 == 0 and load64(k.m, k.frames.records[pfn].addr) == 0:
            pfn += 2
        elif k.frames.records[pfn].level == 0:
            pfn += 1
        else:
            return pfn
    return NR_TRACKED_FRAMES


@kernel
def check_table(k: Kernel, pfn: word) -> word:
    """VMM-2 and VMM-3 of one table; notes which tables its entries name."""
    record = k.frames.records[pfn]
    table = PhysAddr(pfn << PAGE_SHIFT)
    nr_entries = BOOT_MARK if table < BOOT_TABLES_END else 0
    code = OK
    entries = open_loose(k.space, table)
    for index in range(NR_ENTRIES):
        entry = load64(k.m, VirtAddr(entries + 8 * index))
        if entry != 0:
            nr_entries += 1
        if is_present(entry) and code == OK and not is_recursive(k.space, entry, index, record.level):
            code = check_entry(k, entry, record.level)
    close_loose(k.space)
    if code != OK:
        return code
    return OK if nr_entries == record.nr_entries else 2


@kernel
def check_entry(k: Kernel, entry: word, level: word) -> word:
    """VMM-3 of a present entry; notes the table that it names."""
    if is_leaf(entry, level):
        reserved = ADDRESS & (page_bytes(level) - 1)
        if level > 1:
            reserved &= ~PAT_LARGE
        return OK if entry & reserved == 0 else 3
    if entry & (NX | HUGE) != 0:
        return 3
    return note_reference(k, table_of(entry), level - 1)


@kernel
def note_reference(k: Kernel, table: PhysAddr, level: word) -> word:
    """Note that an entry names the table; VMM-4 if it is none of this level or was named before."""
    if table >= ZONE_END:
        return NOT_A_TREE
    record = k.frames.records[table >> PAGE_SHIFT]
    if record.level != level or record.nr_references != 0:
        return NOT_A_TREE
    record.nr_references = 1
    return OK


@kernel
def check_references(k: Kernel) -> word:
    """VMM-4 and VMM-5 from what was noted; forgets the notes."""
    code = OK
    nr_tables = 0
    pfn = find_table(k, 0)
    while pfn < NR_TRACKED_FRAMES:
        record = k.frames.records[pfn]
        is_root = pfn == k.space.root >> PAGE_SHIFT
        if record.nr_references != (0 if is_root else 1):
            code = NOT_A_TREE
        record.nr_references = 0
        if pfn >= BOOT_TABLES_END >> PAGE_SHIFT:
            nr_tables += 1
        pfn = find_table(k, pfn + 1)
    if code == OK and nr_tables != k.space.nr_tables:
        code = 5
    return code
