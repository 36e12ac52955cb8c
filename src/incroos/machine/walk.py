"""The walk: from a virtual address through the page tables to a frame, or to the error code of a page fault.

Levels are data: the walk is one loop from the root (level 4 or 5) to a leaf (level 1, or a large page in 2 or 3). At
each level an entry that is absent or has reserved bits set ends it; the rights of all levels are put together and
checked at the leaf. Entries are marked accessed on the way, the leaf dirty by a write that is allowed. Intel SDM volume
3, chapter "Paging", sections on 4-level and 5-level paging, access rights, and accessed and dirty flags.

A walk starts below the root if an upper entry is cached, and caches those that it reads. It never faults on a cached
entry: the walk is repeated from the root first, as processors may do.
"""

from typing import Final

from incroos.lang import PhysAddr, VirtAddr, kernel, word

from .architecture import (
    CR0_WP,
    CR4_LA57,
    CR4_PGE,
    CR4_SMAP,
    EFER_NXE,
    ENTRIES_PER_TABLE,
    ENTRY_ACCESSED,
    ENTRY_DIRTY,
    ENTRY_FRAME,
    ENTRY_GLOBAL,
    ENTRY_LEAF,
    ENTRY_NX,
    ENTRY_PRESENT,
    ENTRY_USER,
    ENTRY_WRITABLE,
    ERROR_FETCH,
    ERROR_PRESENT,
    ERROR_RESERVED,
    ERROR_USER,
    ERROR_WRITE,
    GIANT_RESERVED,
    HUGE_RESERVED,
    LARGEST_LEAF_LEVEL,
    LEVEL_BITS,
    PAGE_SHIFT,
    ROOT_LEVEL,
)
from .cpu import UPPER_SLOTS, Cpu, UpperEntry
from .physical import load_entry, store_entry

# Rights are the entry's own bits, with NX turned round so that a set bit is always a permission.
EXECUTABLE: Final = ENTRY_NX
ALL_RIGHTS: Final = ENTRY_WRITABLE | ENTRY_USER | EXECUTABLE

# What a walk found, beside the address: rights down to the leaf, its global and dirty bits, and its level.
FOUND_LEVEL_SHIFT: Final = 12

NO_FAULT: Final = -1


@kernel
def is_canonical(cpu: Cpu, va: VirtAddr) -> bool:
    """Whether the address is one that paging translates."""
    top = va >> cpu.canonical_shift
    return top == 0 or top == -1


@kernel
def set_masks(cpu: Cpu) -> None:
    """Compute masks for entries from the registers; called whenever one of them changes."""
    cpu.frame_mask = ENTRY_FRAME & ((1 << cpu.pa_bits) - 1)
    no_execute = 0 if cpu.efer & EFER_NXE != 0 else ENTRY_NX
    cpu.reserved = (ENTRY_FRAME & ~cpu.frame_mask) | no_execute
    cpu.supervisor_write = ENTRY_WRITABLE if cpu.cr0 & CR0_WP != 0 else 0
    cpu.supervisor_forbidden = ENTRY_USER if cpu.cr4 & CR4_SMAP != 0 else 0
    cpu.leaf_bits = ENTRY_DIRTY | (ENTRY_GLOBAL if cpu.cr4 & CR4_PGE != 0 else 0)
    cpu.root_level = ROOT_LEVEL + (1 if cpu.cr4 & CR4_LA57 != 0 else 0)
    cpu.canonical_shift = shift_of(cpu.root_level + 1) - 1


@kernel
def shift_of(level: word) -> word:
    """The number of low bits of a virtual address that an entry of this level does not translate."""
    return PAGE_SHIFT + LEVEL_BITS * (level - 1)


@kernel
def needed_rights(cpu: Cpu, access: word) -> word:
    """The rights that an access needs in the entries. The kernel may read every present page."""
    needed = 0
    if access & ERROR_USER != 0:
        needed = ENTRY_USER
        if access & ERROR_WRITE != 0:
            needed = ENTRY_USER | ENTRY_WRITABLE
    elif access & ERROR_WRITE != 0:
        needed = cpu.supervisor_write
    if access & ERROR_FETCH != 0:
        needed = needed | EXECUTABLE
    return needed


@kernel
def kept_out_by(cpu: Cpu, access: word, rights: word) -> word:
    """The right for which the kernel must not touch a page; 0 if it may. Nothing but the kernel's fetches has SMEP."""
    return rights & cpu.supervisor_forbidden if access & ERROR_USER == 0 else 0


@kernel
def is_leaf(entry: word, level: word) -> bool:
    """Whether a present entry maps a page instead of leading to a table."""
    return level == 1 or entry & ENTRY_LEAF != 0


@kernel
def has_reserved_bits(cpu: Cpu, entry: word, level: word) -> bool:
    """Whether a present entry sets a bit that must be zero."""
    reserved = cpu.reserved
    if entry & ENTRY_LEAF != 0 and level > 1:
        if level > LARGEST_LEAF_LEVEL:
            reserved = reserved | ENTRY_LEAF
        elif level == 2:
            reserved = reserved | HUGE_RESERVED
        else:
            reserved = reserved | GIANT_RESERVED
    return entry & reserved != 0


@kernel
def fault_at(cpu: Cpu, entry: word, level: word, access: word, rights: word) -> word:
    """The error code with which the walk ends at an entry, or NO_FAULT; rights are those down to the entry."""
    cause = NO_FAULT
    if entry & ENTRY_PRESENT == 0:
        cause = 0
    elif has_reserved_bits(cpu, entry, level):
        cause = ERROR_PRESENT | ERROR_RESERVED
    elif is_leaf(entry, level) and (needed_rights(cpu, access) & ~rights) | kept_out_by(cpu, access, rights) != 0:
        cause = ERROR_PRESENT
    if cause != NO_FAULT:
        # A fetch is told apart only where NX is in use.
        cause = cause | (access if cpu.efer & EFER_NXE != 0 else access & ~ERROR_FETCH)
    return cause


@kernel
def is_usual_table(cpu: Cpu, entry: word) -> bool:
    """Whether an entry above level 1 leads to a table without a fault or a mark. Most do; one compare decides."""
    bits = entry & (ENTRY_PRESENT | ENTRY_ACCESSED | ENTRY_LEAF | cpu.reserved)
    return bits == ENTRY_PRESENT | ENTRY_ACCESSED


@kernel
def entry_address(table: PhysAddr, va: VirtAddr, level: word) -> PhysAddr:
    """Where a table holds its entry for va."""
    return PhysAddr(table + ((va >> shift_of(level)) & (ENTRIES_PER_TABLE - 1)) * 8)


@kernel
def found_at(cpu: Cpu, entry: word, level: word, va: VirtAddr, rights: word) -> tuple[word, word]:
    """The physical address of va by a leaf, and the leaf's rights, global and dirty bits, and level."""
    inside = (1 << shift_of(level)) - 1
    found = rights | (entry & cpu.leaf_bits) | (level << FOUND_LEVEL_SHIFT)
    return (entry & cpu.frame_mask & ~inside) | (va & inside), found


@kernel
def upper_slot(cpu: Cpu, va: VirtAddr, level: word) -> UpperEntry:
    """The slot for the cached entry of this level for va."""
    return cpu.upper[(level - 2) * UPPER_SLOTS + ((va >> shift_of(level)) & (UPPER_SLOTS - 1))]


@kernel
def is_remembered(cpu: Cpu, upper: UpperEntry, va: VirtAddr, level: word) -> bool:
    """Whether the slot holds the entry of this level for va."""
    return upper.prefix == va >> shift_of(level) and upper.generation == cpu.upper_generation


@kernel
def remember_upper(cpu: Cpu, va: VirtAddr, level: word, table: PhysAddr, rights: word) -> None:
    """Cache the target of the entry of this level."""
    upper = upper_slot(cpu, va, level)
    upper.prefix = va >> shift_of(level)
    upper.generation = cpu.upper_generation
    upper.table = table
    upper.rights = rights


@kernel
def walk_from(cpu: Cpu, va: VirtAddr, access: word, level: word, table: PhysAddr, rights: word) -> tuple[word, word]:
    """Walk down from a table of the given level, reached with the given rights.

    Returns the results of found_at; or ~error, which is negative, and 0.
    """
    while True:
        at = entry_address(table, va, level)
        entry = load_entry(cpu, at)
        rights = rights & (entry ^ ENTRY_NX)
        if level == 1 or not is_usual_table(cpu, entry):
            error = fault_at(cpu, entry, level, access, rights)
            if error != NO_FAULT:
                return ~error, 0
            used = entry | ENTRY_ACCESSED
            if is_leaf(entry, level) and access & ERROR_WRITE != 0:
                used = used | ENTRY_DIRTY
            if used != entry:
                store_entry(cpu, at, used)
            if is_leaf(entry, level):
                return found_at(cpu, used, level, va, rights)
        table = PhysAddr(entry & cpu.frame_mask)
        remember_upper(cpu, va, level, table, rights)
        level -= 1


@kernel
def walk_from_root(cpu: Cpu, va: VirtAddr, access: word) -> tuple[word, word]:
    """Walk all levels; see walk_from."""
    return walk_from(cpu, va, access, cpu.root_level, PhysAddr(cpu.cr3 & cpu.frame_mask), ALL_RIGHTS)


@kernel
def walk(cpu: Cpu, va: VirtAddr, access: word) -> tuple[word, word]:
    """Walk from the lowest cached entry; see walk_from. PRE va is canonical."""
    cpu.nr_walks += 1
    for level in range(2, cpu.root_level + 1):
        upper = upper_slot(cpu, va, level)
        if is_remembered(cpu, upper, va, level):
            pa, found = walk_from(cpu, va, access, level - 1, upper.table, upper.rights)
            if pa >= 0:
                return pa, found
            break
    return walk_from_root(cpu, va, access)


@kernel
def walk_last(cpu: Cpu, va: VirtAddr) -> tuple[word, word]:
    """The usual walk of one step, for a read: the table of level 1 is cached, and its entry is already marked accessed.

    Returns the results of found_at, or -1 and 0 if this is not a usual walk.
    """
    upper = upper_slot(cpu, va, 2)
    if is_remembered(cpu, upper, va, 2):
        entry = load_entry(cpu, entry_address(upper.table, va, 1))
        rights = upper.rights & (entry ^ ENTRY_NX)
        is_usual = entry & (ENTRY_PRESENT | ENTRY_ACCESSED | cpu.reserved) == ENTRY_PRESENT | ENTRY_ACCESSED
        if is_usual and rights & cpu.supervisor_forbidden == 0:
            cpu.nr_walks += 1
            return found_at(cpu, entry, 1, va, rights)
    return -1, 0


@kernel
def probe(cpu: Cpu, va: VirtAddr, access: word) -> tuple[word, word]:
    """The result of a walk from the root now; marks and caches nothing. PRE va is canonical."""
    level, table, rights = cpu.root_level, PhysAddr(cpu.cr3 & cpu.frame_mask), ALL_RIGHTS
    while True:
        entry = load_entry(cpu, entry_address(table, va, level))
        rights = rights & (entry ^ ENTRY_NX)
        error = fault_at(cpu, entry, level, access, rights)
        if error != NO_FAULT:
            return ~error, 0
        if is_leaf(entry, level):
            return found_at(cpu, entry, level, va, rights)
        table = PhysAddr(entry & cpu.frame_mask)
        level -= 1
