"""Windows: how the kernel reaches a page table, named by its physical address. config.table_access picks the way:

    IDENTITY    each table is mapped at its own address: the boot code's, the boot pool, the zone
    DIRECT_MAP  each table is mapped at its own address + layout.DIRECT_MAP_START, as all RAM is
    RECURSIVE   an entry of the root names the root: linked tables appear at addresses that follow from va and level
    FIXMAP      a few pages are pointed at tables when they are needed: get, use, put

A table is linked when a walk meets it, and loose before that and afterwards. RECURSIVE cannot show loose tables; it
points a page of the fixmap at them.

    FIXMAP + 0          the fixmap's own table of level 1, whose entries point all these pages
    FIXMAP + 4096 * L   the table of level L that a walk is at, 1 to 5
    FIXMAP + 4096 * 6   a loose table

An entry of the fixmap is never 0: put takes PRESENT from it and leaves the rest, so that the next get knows what the
TLB may still have. The same table again needs no flush. Unit: the entry.
"""

from typing import Final

from incroos.kernel import pmm
from incroos.kernel.arch.pte import (
    ACCESSED,
    ADDRESS,
    DIRTY,
    GLOBAL,
    INDEX_BITS,
    NR_ENTRIES,
    NX,
    PRESENT,
    TABLE_FLAGS,
    WRITABLE,
    index_in,
    is_present,
    page_bytes,
    table_of,
)
from incroos.kernel.codes import NO_FRAME
from incroos.kernel.config import DIRECT_MAP, FIXMAP, IDENTITY, RECURSIVE
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Kernel
from incroos.kernel.vmm.levels import root_level
from incroos.lang import PhysAddr, VirtAddr, fill, invlpg, kernel, load64, store64, word

RECURSIVE_INDEX: Final = 0x1F8  # the root's entry that names the root
FIXMAP_START: Final = -0x9000_0000
LENT_LEVEL: Final = 3  # of a table that shows the image window, and has room for the fixmap
NR_WINDOWS: Final = 7
LOOSE: Final = 6  # the window for tables that no walk meets
RECURSIVE_FLAGS: Final = PRESENT | WRITABLE | NX
WINDOW_FLAGS: Final = PRESENT | WRITABLE | ACCESSED | DIRTY | NX | GLOBAL  # one for all PCIDs, so one flush
ENTRY_BYTES_SHIFT: Final = 3


@kernel
def init(k: Kernel) -> word:
    """Prepare the way that the build takes, while the boot code's map still shows all tables: OK or NO_FRAME."""
    if k.config.table_access == RECURSIVE:
        add_entry(k, PhysAddr(k.pages.root + 8 * RECURSIVE_INDEX), k.pages.root | RECURSIVE_FLAGS)
    if k.config.table_access == RECURSIVE or k.config.table_access == FIXMAP:
        return make_fixmap(k)
    return 0


@kernel
def make_fixmap(k: Kernel) -> word:
    """Make the tables of the fixmap, the last of which maps itself, and close all windows."""
    table = k.pages.root
    for level in range(root_level(k), 1, -1):
        slot = PhysAddr(table + 8 * index_in(VirtAddr(FIXMAP_START), level))
        entry = load64(k.m, VirtAddr(slot))
        if not is_present(entry):
            made = pmm.alloc_table(k, level - 1)
            if made < 0:
                return NO_FRAME
            entry = made | TABLE_FLAGS
            add_entry(k, slot, entry)
            k.pages.nr_tables += 1
        table = table_of(entry)
    add_entry(k, table, table | WINDOW_FLAGS)
    for window in range(1, NR_WINDOWS):
        add_entry(k, PhysAddr(table + 8 * window), WINDOW_FLAGS & ~PRESENT)
    return 0


@kernel
def lend(k: Kernel, boot_root: PhysAddr) -> None:
    """Put the windows into the boot code's tree as well, which is in use until the kernel switches to its own.

    A recursive address goes through the root of the tree in use first. That root leads to the kernel's in one step, and
    the kernel's root leads to itself, so the address means the same before the switch and after it.
    """
    if k.config.table_access == RECURSIVE:
        own = load64(k.m, VirtAddr(k.pages.root + 8 * RECURSIVE_INDEX))
        store64(k.m, VirtAddr(boot_root + 8 * RECURSIVE_INDEX), own)
    if k.config.table_access == RECURSIVE or k.config.table_access == FIXMAP:
        upper = k.pages.root
        boot_upper = boot_root
        for level in range(root_level(k), LENT_LEVEL, -1):
            offset = 8 * index_in(VirtAddr(FIXMAP_START), level)
            upper = table_of(load64(k.m, VirtAddr(upper + offset)))
            boot_upper = table_of(load64(k.m, VirtAddr(boot_upper + offset)))
        offset = 8 * index_in(VirtAddr(FIXMAP_START), LENT_LEVEL)
        store64(k.m, VirtAddr(boot_upper + offset), load64(k.m, VirtAddr(upper + offset)))


@kernel
def add_entry(k: Kernel, slot: PhysAddr, entry: word) -> None:
    """Write an entry where there was 0, through the boot code's map."""
    store64(k.m, VirtAddr(slot), entry)
    pmm.record_of(k, slot).nr_entries += 1


# ------------------------------------------------------------------ entries of tables that walks meet
@kernel
def open_table(k: Kernel, slot: PhysAddr, va: VirtAddr, level: word) -> VirtAddr:
    """Where to find the entry at slot of the linked table of the level on the way to va, until close_table.

    The table's other entries are beside it. Of each level one table can be open.
    """
    if k.config.table_access == IDENTITY or k.config.table_access == DIRECT_MAP:
        return VirtAddr(k.config.frame_window + slot)
    if k.config.table_access == RECURSIVE:
        return recursive_address(k, va, level)
    return get_window(k, level, slot)


@kernel
def close_table(k: Kernel, level: word) -> None:
    """The table of this level that was opened is needed no more."""
    if k.config.table_access == FIXMAP:
        put_window(k, level)


@kernel
def load_linked(k: Kernel, slot: PhysAddr, va: VirtAddr, level: word) -> word:
    """The entry at slot, which is the one for va in the linked table of the level."""
    entry = load64(k.m, open_table(k, slot, va, level))
    close_table(k, level)
    return entry


@kernel
def store_linked(k: Kernel, slot: PhysAddr, va: VirtAddr, level: word, entry: word) -> None:
    """Write the entry at slot, in one store. The TLB is the caller's duty."""
    store64(k.m, open_table(k, slot, va, level), entry)
    close_table(k, level)


@kernel
def recursive_bytes(k: Kernel) -> word:
    """What the root's entry for itself spans."""
    return page_bytes(root_level(k))


@kernel
def recursive_start(k: Kernel) -> word:
    """Where it begins: entries of linked tables of level 1 are seen from here on."""
    return (RECURSIVE_INDEX - NR_ENTRIES) * recursive_bytes(k)


@kernel
def recursive_address(k: Kernel, va: VirtAddr, level: word) -> VirtAddr:
    """Where the entry for va in the table of the level is seen. Each step goes through the root once more."""
    at = va
    for _ in range(level):
        at = VirtAddr(recursive_start(k) | ((at >> INDEX_BITS) & (recursive_bytes(k) - (1 << ENTRY_BYTES_SHIFT))))
    return at


@kernel
def forget_table(k: Kernel, va: VirtAddr, level: word) -> None:
    """Forget where the table of the level on the way to va was seen: it is linked no more."""
    if k.config.table_access == RECURSIVE:
        invlpg(k.m, recursive_address(k, va, level))


# ------------------------------------------------------------------ entries of any table
@kernel
def open_loose(k: Kernel, slot: PhysAddr) -> VirtAddr:
    """Where to find the entry at slot, of any table, until close_loose. One table can be open."""
    if k.config.table_access == IDENTITY or k.config.table_access == DIRECT_MAP:
        return VirtAddr(k.config.frame_window + slot)
    return get_window(k, LOOSE, slot)


@kernel
def close_loose(k: Kernel) -> None:
    """The table that open_loose opened is needed no more."""
    if k.config.table_access == RECURSIVE or k.config.table_access == FIXMAP:
        put_window(k, LOOSE)


@kernel
def load_entry(k: Kernel, slot: PhysAddr) -> word:
    """The entry at slot."""
    entry = load64(k.m, open_loose(k, slot))
    close_loose(k)
    return entry


@kernel
def store_entry(k: Kernel, slot: PhysAddr, entry: word) -> None:
    """Write the entry at slot, in one store. The TLB is the caller's duty."""
    store64(k.m, open_loose(k, slot), entry)
    close_loose(k)


@kernel
def alloc_table(k: Kernel, level: word) -> PhysAddr:
    """A loose table, zeroed by the way that the build takes to tables; NO_FRAME."""
    table = pmm.take_table(k, level)
    if table >= 0:
        fill(k.m, open_loose(k, table), 0, PAGE_BYTES)
        close_loose(k)
    return table


# ------------------------------------------------------------------ the fixmap
@kernel
def get_window(k: Kernel, window: word, slot: PhysAddr) -> VirtAddr:
    """Point a closed window at the table that holds the slot, and say where the slot is seen. Panics if it is open."""
    pointer = VirtAddr(FIXMAP_START + 8 * window)
    before = load64(k.m, pointer)
    if before & PRESENT != 0:
        panic(k, b'vmm: a window is open and was asked for: window, entry, wanted slot', window, before, slot)
    page = VirtAddr(FIXMAP_START + window * PAGE_BYTES)
    store64(k.m, pointer, table_of(slot) | WINDOW_FLAGS)
    if table_of(before) != table_of(slot):
        invlpg(k.m, page)
    return VirtAddr(page + slot % PAGE_BYTES)


@kernel
def put_window(k: Kernel, window: word) -> None:
    """Close an open window. Panics if it is closed."""
    pointer = VirtAddr(FIXMAP_START + 8 * window)
    before = load64(k.m, pointer)
    if before & PRESENT == 0:
        panic(k, b'vmm: a window is closed and was given back: window, entry', window, before, 0)
    store64(k.m, pointer, before & ~PRESENT)


@kernel
def is_window(k: Kernel, va: VirtAddr, nbytes: word) -> bool:
    """Whether tables are reached at an address in [va, va + nbytes): pages there are mapped in this file only."""
    if k.config.table_access == RECURSIVE and overlaps(va, nbytes, recursive_start(k), recursive_bytes(k)):
        return True
    has_fixmap = k.config.table_access == RECURSIVE or k.config.table_access == FIXMAP
    return has_fixmap and overlaps(va, nbytes, FIXMAP_START, NR_WINDOWS * PAGE_BYTES)


@kernel
def window_bytes(k: Kernel, va: VirtAddr) -> word:
    """From the start of a window on: so many bytes are its own."""
    return recursive_bytes(k) if va == recursive_start(k) else PAGE_BYTES


@kernel
def are_right(k: Kernel) -> bool:
    """Whether the recursive slot names the root, and all windows of the fixmap but its own table's are closed."""
    if k.config.table_access == RECURSIVE:
        slot = load64(k.m, recursive_address(k, VirtAddr(recursive_start(k)), root_level(k)))
        if slot & ~(ACCESSED | DIRTY) != k.pages.root | RECURSIVE_FLAGS:
            return False
    if k.config.table_access == RECURSIVE or k.config.table_access == FIXMAP:
        own = load64(k.m, VirtAddr(FIXMAP_START))
        if own & ~ADDRESS != WINDOW_FLAGS or not pmm.is_table(k, table_of(own)):
            return False
        for window in range(1, NR_WINDOWS):
            if load64(k.m, VirtAddr(FIXMAP_START + 8 * window)) & ~ADDRESS != WINDOW_FLAGS & ~PRESENT:
                return False
    return True


@kernel
def overlaps(va: VirtAddr, nbytes: word, start: word, its_bytes: word) -> bool:
    """Whether two ranges have an address in common."""
    return va < start + its_bytes and start < va + nbytes


@kernel
def is_recursive(k: Kernel, entry: word, index: word, level: word) -> bool:
    """Whether the entry is the one of the root that names the root."""
    if k.config.table_access != RECURSIVE:
        return False
    return level == root_level(k) and index == RECURSIVE_INDEX and table_of(entry) == k.pages.root
