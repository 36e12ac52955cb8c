"""Old tables: the page tables that somebody else made and the processor uses, read until ours take their place.

    old tables     root -> ... -> leaf      read at `window` plus their physical address, as their kernel sees memory
    copy           all of their leaves in our tables, of the same size, with the rights that the way to each grants

Unit: the page of any size. Nothing of the old tables is changed. What is not copied: entries that are not present, and
an entry of the root that names the root, which would show the old tables.
"""

from incroos.kernel.arch.pte import (
    NX,
    USER,
    WRITABLE,
    flags_of,
    index_in,
    is_leaf,
    is_present,
    leaf_flags,
    page_bytes,
    page_of,
    table_of,
)
from incroos.kernel.codes import OK
from incroos.kernel.config import CLASSIC_SPACE, DIRECT_MAP
from incroos.kernel.embed.ranges import heap_end, lowest_start
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import DIRECT_MAP_END, DIRECT_MAP_START, MODERN_END
from incroos.kernel.pmm.memory_kinds import RAM
from incroos.kernel.state import Kernel
from incroos.kernel.vmm.front import map_leaf, map_range
from incroos.kernel.vmm.levels import address_behind, nr_addresses, root_level
from incroos.lang import PhysAddr, VirtAddr, kernel, load64, read_cr3, word


@kernel
def find(k: Kernel, window: word, va: VirtAddr) -> tuple[word, word]:
    """The entry that decides about va and its level; its rights are those that the whole way grants, or it is 0."""
    root = table_of(read_cr3(k.m))
    table = root
    rights = WRITABLE | USER
    never_executed = 0
    for level in range(root_level(k.space), 0, -1):
        entry = load64(k.m, VirtAddr(window + table + 8 * index_in(va, level)))
        if not is_present(entry) or (level == root_level(k.space) and table_of(entry) == root):
            return 0, level
        rights &= entry
        never_executed |= entry & NX
        if is_leaf(entry, level):
            return entry & ~(WRITABLE | USER) | rights | never_executed, level
        table = table_of(entry)
    return 0, 1


@kernel
def shows(k: Kernel, window: word, va: VirtAddr, pa: PhysAddr) -> bool:
    """Whether the byte at pa can be read and written at va."""
    entry, level = find(k, window, va)
    return entry & WRITABLE != 0 and page_of(entry, level) + va % page_bytes(level) == pa


@kernel
def copy_leaves(k: Kernel, window: word) -> None:
    """Map all that is mapped in the old tables; panics when frames for tables run out.

    Where our direct map will be, RAM is left out: it will be there again.
    """
    at = 0
    while at < nr_addresses(k.space):
        va = address_behind(k.space, at)
        entry, level = find(k, window, va)
        if entry != 0 and is_direct_map(k, va):
            copy_beside_ram(k, va, entry, level)
        elif entry != 0:
            require_foreign(k, va, page_bytes(level))
            code = map_leaf(k, va, page_of(entry, level), entry & leaf_flags(level), level)
            if code != OK:
                panic(k, b'vmm: a page of the kernel cannot be mapped again: address, level, code', va, level, code)
        at += page_bytes(level)


@kernel
def is_direct_map(k: Kernel, va: VirtAddr) -> bool:
    """Whether the address is one at which our tables show RAM."""
    return k.config.table_access == DIRECT_MAP and DIRECT_MAP_START <= va < DIRECT_MAP_END


@kernel
def copy_beside_ram(k: Kernel, va: VirtAddr, leaf: word, level: word) -> None:
    """Map what a page in the direct map's range shows and is no RAM; stack or image of the kernel may be there."""
    start = page_of(leaf, level)
    end = start + page_bytes(level)
    if va - DIRECT_MAP_START != start:
        panic(k, b'vmm: the kernel has mapped other memory where the direct map is: address, memory', va, start, 0)
    at = start
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        if region.kind == RAM and region.start < end and region.end > at:
            copy_part(k, at, region.start, leaf, level)
            at = PhysAddr(min(region.end, end))
    copy_part(k, at, end, leaf, level)


@kernel
def copy_part(k: Kernel, start: PhysAddr, end: word, leaf: word, level: word) -> None:
    """Map [start, end), which may be nothing, in the direct map, with the flags of a leaf of the level."""
    if start >= end:
        return
    va = VirtAddr(DIRECT_MAP_START + start)
    code = map_range(k, va, start, end - start, flags_of(leaf, level))
    if code != OK:
        panic(k, b'vmm: memory that the kernel had mapped cannot be mapped again: address, end, code', va, end, code)


@kernel
def require_foreign(k: Kernel, va: VirtAddr, nbytes: word) -> None:
    """Panic if [va, va + nbytes), which is mapped, has an address that our ranges need."""
    start = k.config.heap if k.config.space == CLASSIC_SPACE else lowest_start(k)
    end = heap_end(k) if k.config.space == CLASSIC_SPACE else MODERN_END
    if va < end and start < va + nbytes:
        panic(k, b'vmm: the kernel has mapped what must be free: address, and the range', va, start, end)
