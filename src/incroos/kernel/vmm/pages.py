"""Pages: which memory an address stands for, and what may be done with it.

Unit: the page of level 1, 2 or 3 (4 KiB, 2 MiB, 1 GiB; the last where the processor has it). Knows nothing of who owns
the memory: unmapping returns the frame and frees none but emptied tables. Every change is flushed.
A call that answers with a code has changed nothing, tables and rights of upper entries included.
"""

from typing import Final

from incroos.kernel.arch.pte import (
    ACCESSED,
    DIRTY,
    GLOBAL,
    LARGEST_LEAF_LEVEL,
    PHYSICAL_END,
    USER,
    WRITABLE,
    are_flags_good,
    is_present,
    make_leaf,
    page_bytes,
    page_of,
)
from incroos.kernel.codes import (
    ALREADY_MAPPED,
    BAD_FLAGS,
    BAD_LEVEL,
    ENTRY_IN_USE,
    KERNEL_HALF,
    LARGE_PAGE,
    MISALIGNED,
    NO_FRAME,
    NOT_CANONICAL,
    NOT_MAPPED,
    OK,
    OUT_OF_RANGE,
    RESERVED,
    SMALL_PAGE,
)
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Space
from incroos.kernel.vmm.levels import is_canonical, is_own
from incroos.kernel.vmm.tables import (
    allow_above,
    build_branch,
    find_cut,
    free_branch,
    is_closed,
    is_known,
    known_slot,
    link,
    record_of,
    unlink,
    walk_and_know,
)
from incroos.kernel.vmm.tlb import flush_page, flush_shared
from incroos.kernel.vmm.windows import is_window, load_linked, store_linked
from incroos.lang import PhysAddr, VirtAddr, cold, kernel, word

RIGHTS: Final = WRITABLE | USER  # that every level must grant; NX is the leaf's alone
ASKED: Final = RIGHTS | GLOBAL  # flags of which a known table says whether it can have them
SEEN: Final = ACCESSED | DIRTY  # written by the processor, not lost when rights change


@kernel
def map_in(space: Space, va: VirtAddr, pa: PhysAddr, flags: word) -> word:
    """Map the page at va to the frame at pa; see map_leaf_in. In flags PRESENT must be set, and bit 7 is PAT."""
    return map_leaf_in(space, va, pa, flags, 1)


@kernel
def unmap_in(space: Space, va: VirtAddr) -> word:
    """Unmap the page at va and return its frame, which is the caller's again; see unmap_leaf_in."""
    return unmap_leaf_in(space, va, 1)


@kernel
def protect_in(space: Space, va: VirtAddr, flags: word) -> word:
    """Give the page at va other flags; see protect_leaf_in."""
    return protect_leaf_in(space, va, flags, 1)


@kernel
def get_physical_in(space: Space, va: VirtAddr) -> PhysAddr:
    """The physical address of the byte at va, in a page of any size; NOT_MAPPED, NOT_CANONICAL."""
    if not is_known(space, va, 1, 0):
        return translate_by_walk(space, va)
    entry = load_linked(space, known_slot(space, va), va, 1)
    return PhysAddr(page_of(entry, 1) | (va & (PAGE_BYTES - 1)) if is_present(entry) else NOT_MAPPED)


@cold
@kernel
def translate_by_walk(space: Space, va: VirtAddr) -> PhysAddr:
    """The same when the table is not known."""
    code, level, _slot, entry = walk_and_know(space, va)
    if code != OK:
        return PhysAddr(code)
    return PhysAddr(page_of(entry, level) | (va & (page_bytes(level) - 1)))


@kernel
def map_leaf_in(space: Space, va: VirtAddr, pa: PhysAddr, flags: word, level: word) -> word:
    """Map the page of the level at va to the memory at pa, making the tables that are missing.

    Refused arguments: BAD_LEVEL, NOT_CANONICAL, MISALIGNED (va or pa), OUT_OF_RANGE (pa), BAD_FLAGS.
    ALREADY_MAPPED: a page is there, of any size, or a table for smaller ones. ENTRY_IN_USE: the entry is not present
    and not 0. NO_FRAME: no frame for a table. OUT_OF_RANGE starts at the architecture's 52 bits, and level 3 is not
    refused: whether the processor has fewer bits, or no pages of 1 GiB, is the caller's to know (cpuid).
    """
    code = check_place(space, va, level)
    if code != OK:
        return code
    if pa & (page_bytes(level) - 1) != 0:
        return MISALIGNED
    if not 0 <= pa < PHYSICAL_END:
        return OUT_OF_RANGE
    if not are_flags_good(flags, level):
        return BAD_FLAGS
    leaf = make_leaf(pa, flags, level)
    if not is_known(space, va, level, flags & ASKED):
        return map_by_walk(space, va, leaf, flags & ASKED, level)
    slot = known_slot(space, va)
    entry = load_linked(space, slot, va, level)
    if entry != 0:
        return ALREADY_MAPPED if is_present(entry) else ENTRY_IN_USE
    link(space, slot, va, level, leaf)
    flush_page(space, va)
    return OK


@cold
@kernel
def map_by_walk(space: Space, va: VirtAddr, leaf: word, rights: word, level: word) -> word:
    """The same when the table is not known, or not to grant the rights."""
    if rights & GLOBAL != 0 and not is_own(space):
        return BAD_FLAGS
    found, found_level, slot, entry = walk_and_know(space, va)
    if found == KERNEL_HALF or is_closed(space, va, found_level):
        return KERNEL_HALF
    if found == OK or found_level < level:
        return ALREADY_MAPPED
    if entry != 0:
        return ENTRY_IN_USE
    branch = build_branch(space, va, leaf, level, found_level)
    if branch == 0:
        return NO_FRAME
    allow_above(space, va, rights & RIGHTS, found_level)
    link(space, slot, va, found_level, branch)
    flush_page(space, va)
    return OK


@kernel
def unmap_leaf_in(space: Space, va: VirtAddr, level: word) -> word:
    """Unmap the page of the level at va, give back the tables that it empties, return the memory that it mapped.

    BAD_LEVEL, NOT_CANONICAL, MISALIGNED, NOT_MAPPED, and LARGE_PAGE or SMALL_PAGE when the page at va has another size.
    """
    code = check_place(space, va, level)
    if code != OK:
        return code
    if not is_known(space, va, level, 0):
        return unmap_by_walk(space, va, level)
    slot = known_slot(space, va)
    entry = load_linked(space, slot, va, level)
    return unmap_entry(space, va, slot, entry, level) if is_present(entry) else NOT_MAPPED


@cold
@kernel
def unmap_by_walk(space: Space, va: VirtAddr, level: word) -> word:
    """The same when the table is not known."""
    code, slot, entry = find_leaf(space, va, level)
    return unmap_entry(space, va, slot, entry, level) if code == OK else code


@kernel
def unmap_entry(space: Space, va: VirtAddr, slot: PhysAddr, entry: word, level: word) -> word:
    """Unmap a page of the level, whose entry was found at slot, and return the memory that it mapped."""
    if record_of(space, slot).nr_entries == 1:
        unmap_with_tables(space, va, level)
    else:
        unlink(space, slot, va, level)
        flush_shared(space, va)
    return page_of(entry, level)


@cold
@kernel
def unmap_with_tables(space: Space, va: VirtAddr, level: word) -> None:
    """Unmap the only page in its table, and give back that table and all others that this empties."""
    cut_level, slot = find_cut(space, va, level)
    branch = unlink(space, slot, va, cut_level)
    flush_shared(space, va)
    free_branch(space, va, branch, level, cut_level)


@kernel
def protect_leaf_in(space: Space, va: VirtAddr, flags: word, level: word) -> word:
    """Give the page of the level at va these flags and no others, except that accessed and dirty stay set.

    BAD_FLAGS, and the codes of unmap_leaf.
    """
    code, slot, entry = find_leaf(space, va, level)
    if code != OK:
        return code
    if not may_have(space, flags, level):
        return BAD_FLAGS
    allow_above(space, va, flags & RIGHTS, level)
    leaf = make_leaf(page_of(entry, level), flags | (entry & SEEN), level)
    store_linked(space, slot, va, level, leaf)
    flush_shared(space, va)
    return OK


@kernel
def may_have(space: Space, flags: word, level: word) -> bool:
    """Whether a page of the level in the space can have the flags: global pages are the kernel's own alone."""
    return are_flags_good(flags, level) and (flags & GLOBAL == 0 or is_own(space))


@kernel
def find_leaf(space: Space, va: VirtAddr, level: word) -> tuple[word, PhysAddr, word]:
    """Code, slot and entry of the page of the level that starts at va."""
    code = check_place(space, va, level)
    if code != OK:
        return code, PhysAddr(0), 0
    code, found_level, slot, entry = walk_and_know(space, va)
    if code == OK and found_level != level:
        code = LARGE_PAGE if found_level > level else SMALL_PAGE
    return code, slot, entry


@kernel
def check_place(space: Space, va: VirtAddr, level: word) -> word:
    """OK if a page of the level can start at va; RESERVED where tables are reached."""
    if not 1 <= level <= LARGEST_LEAF_LEVEL:
        return BAD_LEVEL
    if not is_canonical(space, va):
        return NOT_CANONICAL
    if va & (page_bytes(level) - 1) != 0:
        return MISALIGNED
    return RESERVED if is_window(space, va, page_bytes(level)) else OK
