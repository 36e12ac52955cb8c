"""The checker of config `modern`: goes through the whole tree of page tables, in the order of addresses.

Unit: the run, entries in a row in one table. Each table is counted when the first of its addresses comes; a record of
its own marks it as seen, so a table that two entries name is found, and the second pass takes the marks away again.
Upper entries grant everything (VMM-3), so a leaf's own bits are what it allows.
"""

from typing import Final

from incroos.kernel import pmm
from incroos.kernel.arch.pte import (
    ADDRESS,
    HUGE,
    NR_ENTRIES,
    NX,
    PAT_LARGE,
    TABLE_FLAGS,
    USER,
    WRITABLE,
    index_in,
    is_leaf,
    is_present,
    page_bytes,
    page_of,
    table_of,
)
from incroos.kernel.codes import OK
from incroos.kernel.config import MODERN_SPACE
from incroos.kernel.cpu import this_cpu
from incroos.kernel.io import framebuffer
from incroos.kernel.layout import (
    DIRECT_MAP_END,
    DIRECT_MAP_START,
    FRAMEBUFFER,
    FRAMEBUFFER_END,
    IMAGE_WINDOW,
    MODERN_STACK_END,
    PAGE_BYTES,
    STACK_GUARD,
)
from incroos.kernel.pmm.all import modern as all_ram
from incroos.kernel.pmm.all.modern import is_early_table
from incroos.kernel.pmm.memory_kinds import RAM
from incroos.kernel.state import Kernel, Space, kernel_of
from incroos.kernel.vmm.init.modern import EARLY_MARK, is_all_ram
from incroos.kernel.vmm.levels import address_behind, canonical_end, is_own, nr_addresses, root_level
from incroos.kernel.vmm.pages import SEEN
from incroos.kernel.vmm.spaces import FIRST_SHARED, shared_entry
from incroos.kernel.vmm.tables import are_known_right
from incroos.kernel.vmm.windows import are_right, close_loose, is_recursive, is_window, load_entry, open_loose
from incroos.lang import PhysAddr, VirtAddr, kernel, load64, read_cr3, word

# VMM-1  CR3 names the root of the space that is loaded
# VMM-2  nr_entries of each table == its entries that are not 0, + 1 for a table that was made before the metadata
# VMM-3  no present entry sets a reserved bit; an upper entry grants everything and does not set NX
# VMM-4  the tables are a tree: each upper entry names a table of the next level, each table but the root has one name
# VMM-5  nr_tables == tables in the tree, and those in reserve
# VMM-6  the recursive slot names the root; of the fixmap's windows only that on its own table is open
# VMM-7  a walk comes to each known table, by entries that grant the rights in what is known
# VMM-8  a space that is not the kernel's own has the root entries of its upper half
# VMM-9  in a library, a page of the direct map shows the memory that belongs there: RAM, for writing and no more, or
#        what the surrounding kernel itself had mapped there before the start
# SPACE-1  no page is both writable and executable
# SPACE-2  no page of the upper half is a user's
# SPACE-3  a page table can be written through the direct map, the windows, and by no other address
# SPACE-4  page 0 is not mapped
# SPACE-5  a page of the direct map shows the RAM, or the module, that belongs there, and is not executable
# SPACE-6  a page where the framebuffer is seen shows what belongs there, which is no RAM, and is not executable
# SPACE-7  no guard of the stack is mapped where the stack is, nor in the direct map, nor frame 0 there

NOT_THE_ROOT: Final = 1  # what breaks each
WRONG_COUNT: Final = 2
WRONG_BITS: Final = 3
NOT_A_TREE: Final = 4
WRONG_TOTAL: Final = 5
WRONG_WINDOW: Final = 6
WRONGLY_KNOWN: Final = 7
NOT_SHARED: Final = 8
ALIAS: Final = 9
SPACE: Final = 10  # and these are no invariants of the tables: callers may map such pages, the kernel does not
WRITABLE_AND_EXECUTABLE: Final = SPACE + 1
USER_IN_KERNEL_HALF: Final = SPACE + 2
ALIAS_OF_TABLE: Final = SPACE + 3
PAGE_ZERO: Final = SPACE + 4
WRONG_DIRECT_MAP: Final = SPACE + 5
WRONG_FRAMEBUFFER: Final = SPACE + 6
MAPPED_GUARD: Final = SPACE + 7

TABLES: Final = 0  # what to look at: the tables alone, or what they map as well
PAGES: Final = 1


@kernel
def check_in(space: Space) -> word:
    """0, or the number of the first VMM invariant that does not hold."""
    code, _va = find_broken(space, TABLES)
    return code


@kernel
def find_fault(k: Kernel) -> tuple[word, VirtAddr]:
    """What is broken, and the lowest address at which: a VMM invariant, or 10 and a SPACE invariant; or OK."""
    return find_fault_in(k.space)


@kernel
def find_fault_in(space: Space) -> tuple[word, VirtAddr]:
    """What find_fault finds, in any space: if it is not the kernel's own, its upper half is compared, not walked."""
    return find_broken(space, PAGES)


@kernel
def check_space(k: Kernel) -> word:
    """What find_fault finds, without its address; OK where the address space is the boot code's."""
    if k.config.space != MODERN_SPACE:
        return OK
    code, _va = find_fault(k)
    return code


@kernel
def find_broken(space: Space, scope: word) -> tuple[word, VirtAddr]:
    """What is broken, and where; for tables alone or with what they map."""
    if table_of(read_cr3(space.m)) != loaded_root(space):
        return NOT_THE_ROOT, VirtAddr(0)
    if not are_right(space):
        return WRONG_WINDOW, VirtAddr(0)
    if not is_half_shared(space):
        return NOT_SHARED, VirtAddr(0)
    code, va, nr_tables = look_through(space, scope, 1)
    look_through(space, scope, 0)
    if code == OK and nr_tables + space.nr_large != space.nr_tables:
        code = WRONG_TOTAL
    if code == OK and not are_known_right(space):
        code = WRONGLY_KNOWN
    return code, va


@kernel
def loaded_root(space: Space) -> PhysAddr:
    """The root of the space that is loaded; in a library, which knows no other, the kernel's own."""
    return Space(space.m, this_cpu(kernel_of(space)).space).root


@kernel
def is_half_shared(space: Space) -> bool:
    """VMM-8: whether the root has the kernel's entries of the upper half."""
    if is_own(space):
        return True
    for index in range(FIRST_SHARED, NR_ENTRIES):
        entry = load_entry(space, PhysAddr(space.root + 8 * index))
        if (entry ^ shared_entry(space, index)) & ~SEEN != 0:
            return False
    return True


@kernel
def end_of_tree(space: Space) -> word:
    """How many addresses to look through: those of the lower half come first."""
    return nr_addresses(space) if is_own(space) else canonical_end(space)


@kernel
def look_through(space: Space, scope: word, mark: word) -> tuple[word, VirtAddr, word]:
    """What is broken, where, and how many tables were seen; gives each table the mark, which none of them has yet."""
    nr_tables = 0
    at = 0
    while at < end_of_tree(space):
        code, level, table, nr_new = go_down(space, address_behind(space, at), mark)
        nr_tables += nr_new
        if code == OK:
            code, nr_done = check_run(space, at, table, level, scope)
            at += nr_done * page_bytes(level)
        if code != OK:
            return code, address_behind(space, at), nr_tables
    return OK, VirtAddr(0), nr_tables


@kernel
def go_down(space: Space, va: VirtAddr, mark: word) -> tuple[word, word, PhysAddr, word]:
    """Go to the entry that decides about va: code, its level and table, and how many tables begin with va."""
    nr_new = 0
    table = space.root
    for level in range(root_level(space), 0, -1):
        if va & (page_bytes(level + 1) - 1) == 0 and (level < root_level(space) or va == 0):
            code = see_table(space, table, level, mark)
            if code != OK:
                return code, level, table, nr_new
            nr_new += 1
        entry = load_entry(space, PhysAddr(table + 8 * index_in(va, level)))
        if not is_upper(space, va, entry, level):
            return OK, level, table, nr_new
        if entry & TABLE_FLAGS != TABLE_FLAGS or entry & (NX | HUGE) != 0:
            return WRONG_BITS, level, table, nr_new
        table = table_of(entry)
    return NOT_A_TREE, 1, table, nr_new


@kernel
def is_upper(space: Space, va: VirtAddr, entry: word, level: word) -> bool:
    """Whether the entry for va leads to a table of the tree."""
    if not is_present(entry) or is_leaf(entry, level):
        return False
    return not is_recursive(space, entry, index_in(va, level), level)


@kernel
def check_run(space: Space, at: word, table: PhysAddr, level: word, scope: word) -> tuple[word, word]:
    """Check entries in a row, from the one for `at` to the next that leads to a table: code, and how many are right."""
    nr_done = 0
    code = OK
    entries = open_loose(space, table)
    for index in range(index_in(address_behind(space, at), level), NR_ENTRIES):
        va = address_behind(space, at + nr_done * page_bytes(level))
        entry = load64(space.m, VirtAddr(entries + 8 * index))
        if is_upper(space, va, entry, level):
            break
        if is_present(entry) and is_leaf(entry, level):
            code = check_leaf(space, va, entry, level, scope)
        if code != OK:
            break
        nr_done += 1
    close_loose(space)
    return code, nr_done


@kernel
def see_table(space: Space, table: PhysAddr, level: word, mark: word) -> word:
    """VMM-1, VMM-2 and VMM-4 of a table that the walk comes to for the first time."""
    if not pmm.is_table(kernel_of(space), table):
        return NOT_A_TREE
    record = pmm.record_of(kernel_of(space), table)
    if record.level != level or record.nr_references == mark:
        return NOT_A_TREE
    record.nr_references = mark
    nr_entries = EARLY_MARK if is_early_table(kernel_of(space), table) else 0
    entries = open_loose(space, table)
    for index in range(NR_ENTRIES):
        if load64(space.m, VirtAddr(entries + 8 * index)) != 0:
            nr_entries += 1
    close_loose(space)
    return OK if nr_entries == record.nr_entries else WRONG_COUNT


@kernel
def check_leaf(space: Space, va: VirtAddr, leaf: word, level: word, scope: word) -> word:
    """VMM-3 and VMM-9 of a leaf, and what its page has to be, where that is asked for."""
    if level > 1 and leaf & ADDRESS & (page_bytes(level) - 1) & ~PAT_LARGE != 0:
        return WRONG_BITS
    if space.config.embedded != 0 and not is_no_alias(space, va, leaf, level):
        return ALIAS
    return check_page(space, va, leaf, level) if scope == PAGES and not is_window(space, va, PAGE_BYTES) else OK


@kernel
def is_no_alias(space: Space, va: VirtAddr, leaf: word, level: word) -> bool:
    """VMM-9 of a page."""
    if not DIRECT_MAP_START <= va < DIRECT_MAP_END:
        return True
    pa = page_of(leaf, level)
    if va != DIRECT_MAP_START + pa:
        return False
    if is_all_ram(kernel_of(space), pa, page_bytes(level)):
        return leaf & (WRITABLE | USER | NX) == WRITABLE | NX
    return kernel_of(space).hooks.has_direct_map != 0


@kernel
def check_page(space: Space, va: VirtAddr, leaf: word, level: word) -> word:
    """The SPACE invariants of a page."""
    if leaf & WRITABLE != 0 and leaf & NX == 0:
        return WRITABLE_AND_EXECUTABLE
    if va < 0 and leaf & USER != 0:
        return USER_IN_KERNEL_HALF
    if va == 0:
        return PAGE_ZERO
    if has_guard(va, page_bytes(level)):
        return MAPPED_GUARD
    pa = page_of(leaf, level)
    if DIRECT_MAP_START <= va < DIRECT_MAP_END:
        is_there = va == DIRECT_MAP_START + pa and leaf & NX != 0
        is_known = is_all_ram(kernel_of(space), pa, page_bytes(level)) or is_in_module(space, pa, page_bytes(level))
        return OK if is_there and is_known else WRONG_DIRECT_MAP
    if space.config.image_window + FRAMEBUFFER <= va < space.config.image_window + FRAMEBUFFER_END:
        is_right = is_framebuffer(space, va, pa, page_bytes(level)) and leaf & NX != 0
        return OK if is_right else WRONG_FRAMEBUFFER
    if leaf & WRITABLE != 0 and has_table(space, pa, page_bytes(level)):
        return ALIAS_OF_TABLE
    return OK


@kernel
def is_framebuffer(space: Space, va: VirtAddr, pa: PhysAddr, nbytes: word) -> bool:
    """Whether [pa, pa + nbytes) are frames of the framebuffer, seen where they should be, and none of them is RAM."""
    if kernel_of(space).screen.framebuffer == 0:
        return False
    first, start, its_bytes = framebuffer.find_frames(kernel_of(space))
    if va - first != pa - start or not start <= pa <= start + its_bytes - nbytes:
        return False
    for index in range(kernel_of(space).memory_map.nr_regions):
        region = kernel_of(space).memory_map.regions[index]
        if region.kind == RAM and region.start < pa + nbytes and pa < region.end:
            return False
    return True


@kernel
def is_in_module(space: Space, pa: PhysAddr, nbytes: word) -> bool:
    """Whether all of [pa, pa + nbytes) was handed over by the loader with what it is to keep."""
    regions = kernel_of(space).memory_map
    return regions.module_start <= pa and pa + nbytes <= regions.module_end


@kernel
def has_guard(va: VirtAddr, nbytes: word) -> bool:
    """Whether a guard page of the stack, or frame 0 in the direct map, is in [va, va + nbytes)."""
    return (
        va <= DIRECT_MAP_START < va + nbytes
        or va <= DIRECT_MAP_START + STACK_GUARD < va + nbytes
        or va <= DIRECT_MAP_START + MODERN_STACK_END < va + nbytes
        or va <= IMAGE_WINDOW + STACK_GUARD < va + nbytes
        or va <= IMAGE_WINDOW + MODERN_STACK_END < va + nbytes
    )


@kernel
def has_table(space: Space, start: PhysAddr, nbytes: word) -> bool:
    """Whether a frame of [start, start + nbytes) is a page table. What lies beyond all RAM has none."""
    for pa in range(start, min(start + nbytes, all_ram.nr_frames(kernel_of(space)) * PAGE_BYTES), PAGE_BYTES):
        if pmm.is_table(kernel_of(space), PhysAddr(pa)):
            return True
    return False
