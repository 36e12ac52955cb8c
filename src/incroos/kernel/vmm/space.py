"""The address space of config `modern`: built from the memory map, beside the boot code's tables, and then switched to.

    direct map     all RAM, in the largest pages that the map and the processor allow, never executable
    image window   the pages of the image, its mailbox, stack and state, with the rights that the boot code gave them

Unit: the page. The boot code's leaves say which page of the first 2 MiB is text, read-only data or data: the linker
knew, and nobody has to tell it twice. Direct map and image window do not differ there in what may be written. What only
the boot code mapped, page 0 and all identity, is gone after the switch.
"""

from typing import Final

from incroos.kernel import pmm
from incroos.kernel.codes import OK
from incroos.kernel.layout import (
    BOOT_MAP_END,
    DIRECT_MAP_START,
    IMAGE_START,
    IMAGE_WINDOW,
    KERNEL_STATE_END,
    MODERN_STACK_END,
    PAGE_BYTES,
    STACK_GUARD,
    VGA_TEXT,
)
from incroos.kernel.panic import panic
from incroos.kernel.state import Kernel
from incroos.kernel.vmm.entries import (
    LARGEST_LEAF_LEVEL,
    NX,
    PHYSICAL_END,
    PRESENT,
    ROOT_LEVEL,
    WRITABLE,
    page_bytes,
    table_of,
)
from incroos.kernel.vmm.pages import map_leaf
from incroos.kernel.vmm.windows import load_entry
from incroos.lang import PhysAddr, VirtAddr, cpuid, kernel, read_cr3, word, write_cr3

DATA: Final = PRESENT | WRITABLE | NX
RIGHTS: Final = PRESENT | WRITABLE | NX  # what is taken over from the boot code's leaves
FIRST_PIECE_END: Final = 1 << 30  # mapped with tables from the boot pool; its frames are the tables of the rest

EXTENDED_FEATURES: Final = -0x7FFF_FFFF & 0xFFFF_FFFF  # cpuid: leaf 0x8000_0001
GIANT_PAGES: Final = 1 << 26  # in its edx


@kernel
def build(k: Kernel) -> None:
    """Make the kernel's own tables and switch to them. Panics when frames for tables run out, or text is writable."""
    boot_leaves = find_boot_leaves(k)
    root = pmm.alloc_table(k, ROOT_LEVEL)
    if root < 0:
        panic(k, b'vmm: no frame for the root table', 0, 0, 0)
    k.pages.root = root
    k.pages.nr_tables = 1
    for pa in range(PAGE_BYTES, BOOT_MAP_END, PAGE_BYTES):
        map_boot_page(k, PhysAddr(pa), load_entry(k, PhysAddr(boot_leaves + pa // PAGE_BYTES * 8)) & RIGHTS)
    map_ram(k, BOOT_MAP_END, FIRST_PIECE_END)
    write_cr3(k.m, root)
    pmm.open_zone(k)
    map_ram(k, FIRST_PIECE_END, PHYSICAL_END)


@kernel
def find_boot_leaves(k: Kernel) -> PhysAddr:
    """The boot code's table of level 1: its first entry in each table leads there."""
    table = table_of(read_cr3(k.m))
    for _ in range(ROOT_LEVEL - 1):
        table = table_of(load_entry(k, table))
    return table


@kernel
def map_boot_page(k: Kernel, pa: PhysAddr, rights: word) -> None:
    """Map a page of the first 2 MiB where it belongs, with the rights that the boot code gave it."""
    if pa == STACK_GUARD or pa == MODERN_STACK_END:
        return
    if rights & (WRITABLE | NX) == WRITABLE:
        panic(k, b'vmm: the boot code left a page writable and executable: address', pa, 0, 0)
    if pa == VGA_TEXT or IMAGE_START <= pa < KERNEL_STATE_END:
        map_new(k, VirtAddr(IMAGE_WINDOW + pa), pa, rights, 1)
    if is_ram(k, pa):
        map_new(k, VirtAddr(DIRECT_MAP_START + pa), pa, rights | NX, 1)


@kernel
def is_ram(k: Kernel, pa: PhysAddr) -> bool:
    """Whether the frame at pa is RAM."""
    return is_all_ram(k, pa, PAGE_BYTES)


@kernel
def is_all_ram(k: Kernel, pa: PhysAddr, nbytes: word) -> bool:
    """Whether all of [pa, pa + nbytes) is RAM."""
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        if region.start <= pa and pa + nbytes <= region.end:
            return True
    return False


@kernel
def map_ram(k: Kernel, start: word, end: word) -> None:
    """Extend the direct map over what is RAM of [start, end)."""
    largest_level = find_largest_level(k)
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        at = max(region.start, start)
        region_end = min(region.end, end)
        while at < region_end:
            level = level_that_fits(at, region_end, largest_level)
            map_new(k, VirtAddr(DIRECT_MAP_START + at), PhysAddr(at), DATA, level)
            at += page_bytes(level)


@kernel
def find_largest_level(k: Kernel) -> word:
    """The level of the largest pages that the processor has."""
    _a, _b, _c, features = cpuid(k.m, EXTENDED_FEATURES, 0)
    return LARGEST_LEAF_LEVEL if features & GIANT_PAGES != 0 else LARGEST_LEAF_LEVEL - 1


@kernel
def level_that_fits(at: word, end: word, largest_level: word) -> word:
    """The level of the largest page that starts at `at` and does not end behind `end`."""
    level = largest_level
    while level > 1 and (at % page_bytes(level) != 0 or end - at < page_bytes(level)):
        level -= 1
    return level


@kernel
def map_new(k: Kernel, va: VirtAddr, pa: PhysAddr, flags: word, level: word) -> None:
    """Map a page of the kernel's own, or panic."""
    code = map_leaf(k, va, pa, flags, level)
    if code != OK:
        panic(k, b'vmm: a page of the kernel cannot be mapped: address, code, level', va, code, level)
