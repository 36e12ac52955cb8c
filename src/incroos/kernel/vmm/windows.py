"""Windows: how the kernel reaches a page table, named by its physical address. config.table_access picks the way:

    IDENTITY    each table is mapped at its own address: the boot code's, the boot pool, the zone
    DIRECT_MAP  each table is mapped at its own address + layout.DIRECT_MAP_START, as all RAM is
    RECURSIVE   an entry of the root names the root: linked tables appear at addresses that follow from va and level
    FIXMAP      a few pages are pointed at tables when they are needed: get, use, put

A table is linked when a walk meets it, and loose before that and afterwards. RECURSIVE cannot show loose tables, nor
those of a space that is not loaded; it points pages of the fixmap at them.

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
from incroos.kernel.cpu import is_loaded
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Space, kernel_of
from incroos.kernel.vmm import pcid
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
def init(space: Space) -> word:
    """Prepare the way that the build takes, while the boot code's map still shows all tables: OK or NO_FRAME."""
    if space.config.table_access == RECURSIVE:
        add_entry(space, PhysAddr(space.root + 8 * RECURSIVE_INDEX), space.root | RECURSIVE_FLAGS)
    if space.config.table_access == RECURSIVE or space.config.table_access == FIXMAP:
        return make_fixmap(space)
    return 0


@kernel
def make_fixmap(space: Space) -> word:
    """Make the tables of the fixmap, the last of which maps itself, and close all windows."""
    table = space.root
    for level in range(root_level(space), 1, -1):
        slot = PhysAddr(table + 8 * index_in(VirtAddr(FIXMAP_START), level))
        entry = load64(space.m, VirtAddr(slot))
        if not is_present(entry):
            made = pmm.alloc_table(kernel_of(space), level - 1)
            if made < 0:
                return NO_FRAME
            entry = made | TABLE_FLAGS
            add_entry(space, slot, entry)
            space.nr_tables += 1
        table = table_of(entry)
    add_entry(space, table, table | WINDOW_FLAGS)
    for window in range(1, NR_WINDOWS):
        add_entry(space, PhysAddr(table + 8 * window), WINDOW_FLAGS & ~PRESENT)
    return 0


@kernel
def lend(space: Space, boot_root: PhysAddr) -> None:
    """Put the windows into the boot code's tree as well, which is in use until the kernel switches to its own.

    A recursive address goes through the root of the tree in use first. That root leads to the kernel's in one step, and
    the kernel's root leads to itself, so the address means the same before the switch and after it.
    """
    if space.config.table_access == RECURSIVE:
        own = load64(space.m, VirtAddr(space.root + 8 * RECURSIVE_INDEX))
        store64(space.m, VirtAddr(boot_root + 8 * RECURSIVE_INDEX), own)
    if space.config.table_access == RECURSIVE or space.config.table_access == FIXMAP:
        upper = space.root
        boot_upper = boot_root
        for level in range(root_level(space), LENT_LEVEL, -1):
            offset = 8 * index_in(VirtAddr(FIXMAP_START), level)
            upper = table_of(load64(space.m, VirtAddr(upper + offset)))
            boot_upper = table_of(load64(space.m, VirtAddr(boot_upper + offset)))
        offset = 8 * index_in(VirtAddr(FIXMAP_START), LENT_LEVEL)
        store64(space.m, VirtAddr(boot_upper + offset), load64(space.m, VirtAddr(upper + offset)))


@kernel
def add_entry(space: Space, slot: PhysAddr, entry: word) -> None:
    """Write an entry where there was 0, through the boot code's map."""
    store64(space.m, VirtAddr(slot), entry)
    pmm.record_of(kernel_of(space), slot).nr_entries += 1


# ------------------------------------------------------------------ entries of tables that walks meet
@kernel
def open_table(space: Space, slot: PhysAddr, va: VirtAddr, level: word) -> VirtAddr:
    """Where to find the entry at slot of the linked table of the level on the way to va, until close_table.

    The table's other entries are beside it. Of each level one table can be open.
    """
    if space.config.table_access == IDENTITY or space.config.table_access == DIRECT_MAP:
        return VirtAddr(space.config.frame_window + slot)
    if space.config.table_access == RECURSIVE and is_loaded(space):
        return recursive_address(space, va, level)
    return get_window(space, level, slot)


@kernel
def close_table(space: Space, level: word) -> None:
    """The table of this level that was opened is needed no more."""
    if space.config.table_access == FIXMAP:
        put_window(space, level)
    if space.config.table_access == RECURSIVE and not is_loaded(space):
        put_window(space, level)


@kernel
def load_linked(space: Space, slot: PhysAddr, va: VirtAddr, level: word) -> word:
    """The entry at slot, which is the one for va in the linked table of the level."""
    entry = load64(space.m, open_table(space, slot, va, level))
    close_table(space, level)
    return entry


@kernel
def store_linked(space: Space, slot: PhysAddr, va: VirtAddr, level: word, entry: word) -> None:
    """Write the entry at slot, in one store. The TLB is the caller's duty."""
    store64(space.m, open_table(space, slot, va, level), entry)
    close_table(space, level)


@kernel
def recursive_bytes(space: Space) -> word:
    """What the root's entry for itself spans."""
    return page_bytes(root_level(space))


@kernel
def recursive_start(space: Space) -> word:
    """Where it begins: entries of linked tables of level 1 are seen from here on."""
    return (RECURSIVE_INDEX - NR_ENTRIES) * recursive_bytes(space)


@kernel
def recursive_address(space: Space, va: VirtAddr, level: word) -> VirtAddr:
    """Where the entry for va in the table of the level is seen. Each step goes through the root once more."""
    at = va
    for _ in range(level):
        at = VirtAddr(
            recursive_start(space) | ((at >> INDEX_BITS) & (recursive_bytes(space) - (1 << ENTRY_BYTES_SHIFT)))
        )
    return at


@kernel
def forget_table(space: Space, va: VirtAddr, level: word) -> None:
    """Forget where the table of the level on the way to va was seen: it is linked no more."""
    if space.config.table_access == RECURSIVE:
        invlpg(space.m, recursive_address(space, va, level))
        if not is_loaded(space):
            pcid.flush_space(space)


# ------------------------------------------------------------------ entries of any table
@kernel
def open_loose(space: Space, slot: PhysAddr) -> VirtAddr:
    """Where to find the entry at slot, of any table, until close_loose. One table can be open."""
    if space.config.table_access == IDENTITY or space.config.table_access == DIRECT_MAP:
        return VirtAddr(space.config.frame_window + slot)
    return get_window(space, LOOSE, slot)


@kernel
def close_loose(space: Space) -> None:
    """The table that open_loose opened is needed no more."""
    if space.config.table_access == RECURSIVE or space.config.table_access == FIXMAP:
        put_window(space, LOOSE)


@kernel
def load_entry(space: Space, slot: PhysAddr) -> word:
    """The entry at slot."""
    entry = load64(space.m, open_loose(space, slot))
    close_loose(space)
    return entry


@kernel
def store_entry(space: Space, slot: PhysAddr, entry: word) -> None:
    """Write the entry at slot, in one store. The TLB is the caller's duty."""
    store64(space.m, open_loose(space, slot), entry)
    close_loose(space)


@kernel
def alloc_table(space: Space, level: word) -> PhysAddr:
    """A loose table, zeroed by the way that the build takes to tables; NO_FRAME."""
    k = kernel_of(space)
    if pmm.has_zeroed(k):
        return pmm.take_zeroed_table(k, level)
    table = pmm.take_table(k, level)
    if table >= 0:
        fill(space.m, open_loose(space, table), 0, PAGE_BYTES)
        close_loose(space)
    return table


# ------------------------------------------------------------------ the fixmap
@kernel
def get_window(space: Space, window: word, slot: PhysAddr) -> VirtAddr:
    """Point a closed window at the table that holds the slot, and say where the slot is seen. Panics if it is open."""
    pointer = VirtAddr(FIXMAP_START + 8 * window)
    before = load64(space.m, pointer)
    if before & PRESENT != 0:
        panic(
            kernel_of(space),
            b'vmm: a window is open and was asked for: window, entry, wanted slot',
            window,
            before,
            slot,
        )
    page = VirtAddr(FIXMAP_START + window * PAGE_BYTES)
    store64(space.m, pointer, table_of(slot) | WINDOW_FLAGS)
    if table_of(before) != table_of(slot):
        invlpg(space.m, page)
    return VirtAddr(page + slot % PAGE_BYTES)


@kernel
def put_window(space: Space, window: word) -> None:
    """Close an open window. Panics if it is closed."""
    pointer = VirtAddr(FIXMAP_START + 8 * window)
    before = load64(space.m, pointer)
    if before & PRESENT == 0:
        panic(kernel_of(space), b'vmm: a window is closed and was given back: window, entry', window, before, 0)
    store64(space.m, pointer, before & ~PRESENT)


@kernel
def is_window(space: Space, va: VirtAddr, nbytes: word) -> bool:
    """Whether tables are reached at an address in [va, va + nbytes): pages there are mapped in this file only."""
    if space.config.table_access == RECURSIVE and overlaps(va, nbytes, recursive_start(space), recursive_bytes(space)):
        return True
    has_fixmap = space.config.table_access == RECURSIVE or space.config.table_access == FIXMAP
    return has_fixmap and overlaps(va, nbytes, FIXMAP_START, NR_WINDOWS * PAGE_BYTES)


@kernel
def window_bytes(space: Space, va: VirtAddr) -> word:
    """From the start of a window on: so many bytes are its own."""
    return recursive_bytes(space) if va == recursive_start(space) else PAGE_BYTES


@kernel
def are_right(space: Space) -> bool:
    """Whether the recursive slot names the root, and all windows of the fixmap but its own table's are closed."""
    if space.config.table_access == RECURSIVE:
        at = VirtAddr(recursive_start(space))
        entry = load_linked(space, PhysAddr(space.root + 8 * RECURSIVE_INDEX), at, root_level(space))
        if entry & ~(ACCESSED | DIRTY) != space.root | RECURSIVE_FLAGS:
            return False
    if space.config.table_access == RECURSIVE or space.config.table_access == FIXMAP:
        own = load64(space.m, VirtAddr(FIXMAP_START))
        if own & ~ADDRESS != WINDOW_FLAGS or not pmm.is_table(kernel_of(space), table_of(own)):
            return False
        for window in range(1, NR_WINDOWS):
            if load64(space.m, VirtAddr(FIXMAP_START + 8 * window)) & ~ADDRESS != WINDOW_FLAGS & ~PRESENT:
                return False
    return True


@kernel
def overlaps(va: VirtAddr, nbytes: word, start: word, its_bytes: word) -> bool:
    """Whether two ranges have an address in common."""
    return va < start + its_bytes and start < va + nbytes


@kernel
def is_recursive(space: Space, entry: word, index: word, level: word) -> bool:
    """Whether the entry is the one of the root that names the root."""
    if space.config.table_access != RECURSIVE:
        return False
    return level == root_level(space) and index == RECURSIVE_INDEX and table_of(entry) == space.root
