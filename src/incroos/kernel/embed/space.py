"""The address space of a library (config.embedded): tables of its own, with all that its kernel had mapped.

    classic    what was mapped, and the zone at its own address
    modern     what was mapped, and the ranges of layout.py from the direct map to the slabs

Unit: the page. The kernel's tables are copied and left; their frames, which its list of regions names as reserved, are
its own again. Ours come from the boot pool until they are in use, so the pool's frames must be seen where the
configuration looks for frames: `classic` wants them at their own addresses, `modern` lets the kernel's root show them,
and nothing else, for as long as it takes.
"""

from typing import Final

from incroos.kernel import pmm
from incroos.kernel.arch.pte import (
    DATA,
    HUGE_LEVEL,
    TABLE_FLAGS,
    WRITABLE,
    index_in,
    page_bytes,
    page_of,
    table_of,
)
from incroos.kernel.arch.x86 import CR4_LA57, EFER_NXE, MSR_EFER
from incroos.kernel.codes import OK
from incroos.kernel.config import CLASSIC_SPACE, DIRECT_MAP, MODERN_SPACE
from incroos.kernel.embed.inherited import copy_leaves, shows
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import (
    BOOT_MAP_END,
    DIRECT_MAP_START,
    PAGE_BYTES,
    PAGE_SHIFT,
    POOL_END,
    POOL_START,
    ZONE_END,
    ZONE_START,
)
from incroos.kernel.pmm.memory_kinds import RAM
from incroos.kernel.state import Kernel
from incroos.kernel.vmm import levels, spaces
from incroos.kernel.vmm.front import map_leaf, walk
from incroos.kernel.vmm.init import kernel_half
from incroos.kernel.vmm.init.modern import add_rest, map_ram, open_frames
from incroos.kernel.vmm.tables import plant
from incroos.kernel.vmm.vmalloc import init as init_vmalloc
from incroos.lang import (
    PhysAddr,
    VirtAddr,
    fill,
    kernel,
    load64,
    read_cr3,
    read_cr4,
    read_msr,
    store64,
    word,
    write_cr3,
    write_msr,
)

NOT_LENT: Final = PhysAddr(0)


@kernel
def init(k: Kernel, window: word) -> None:
    """Make tables, load CR3, open the frames. Panics when the kernel's state is not what docs/c-library.md wants.

    Only after pmm.init_embedded. `window` is where the kernel sees physical address 0.
    """
    spaces.begin(k)
    init_vmalloc(k)
    require_processor(k)
    lent = lend_direct_map(k, window) if k.config.table_access == DIRECT_MAP else NOT_LENT
    k.hooks.has_direct_map = 1 if lent == NOT_LENT else 0
    require_pool(k, window)
    root = pmm.alloc_table(k, levels.root_level(k.space))
    if root < 0:
        panic(k, b'vmm: no frame for the root table', 0, 0, 0)
    plant(k.space, root, 1)
    if k.config.space == MODERN_SPACE:
        kernel_half.build(k)
    copy_leaves(k, window)
    if k.config.space == CLASSIC_SPACE:
        map_zone(k)
        write_cr3(k.m, root)
        pmm.open_zone(k)
    else:
        map_first_ram(k)
        switch_from(k, window, lent, root)
        open_all_frames(k)


@kernel
def require_processor(k: Kernel) -> None:
    """Panic where there are five levels; let entries say NX."""
    cr4 = read_cr4(k.m)
    if cr4 & CR4_LA57 != 0:
        panic(k, b'vmm: the library knows four levels of page tables: CR4', cr4, 0, 0)
    efer = read_msr(k.m, MSR_EFER)
    if efer & EFER_NXE == 0:
        write_msr(k.m, MSR_EFER, efer | EFER_NXE)


@kernel
def require_pool(k: Kernel, window: word) -> None:
    """Panic unless each frame of the pool can be written where frames are looked for."""
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        if region.kind == RAM:
            for pa in range(max(region.start, POOL_START), min(region.end, POOL_END), PAGE_BYTES):
                require_seen(k, window, pmm.address_of(k, PhysAddr(pa)), PhysAddr(pa))


@kernel
def require_seen(k: Kernel, window: word, va: VirtAddr, pa: PhysAddr) -> None:
    """Panic unless the frame at pa can be written at va."""
    if not shows(k, window, va, pa):
        panic(k, b'vmm: the kernel has not mapped a frame of the boot pool for writing: address, frame', va, pa, 0)


# ------------------------------------------------------------------ classic
@kernel
def map_zone(k: Kernel) -> None:
    """Map what is RAM of the zone at its own address, where the kernel has not done so."""
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        if region.kind == RAM:
            at = max(region.start, ZONE_START)
            while at < min(region.end, ZONE_END):
                at += map_identity(k, VirtAddr(at), min(region.end, ZONE_END) - at)


@kernel
def map_identity(k: Kernel, at: VirtAddr, most: word) -> word:
    """See that a page is mapped at its own address, for writing; how many bytes, which may be more than `most`."""
    code, level, _slot, entry = walk(k, at)
    if code == OK:
        if page_of(entry, level) != at & -page_bytes(level) or entry & WRITABLE == 0:
            panic(k, b'vmm: memory of the zone is mapped elsewhere, or not for writing: address, entry', at, entry, 0)
        return page_bytes(level) - at % page_bytes(level)
    size = page_bytes(HUGE_LEVEL)
    leaf_level = HUGE_LEVEL if level >= HUGE_LEVEL and at % size == 0 and most >= size else 1
    code = map_leaf(k, at, PhysAddr(at), DATA, leaf_level)
    if code != OK:
        panic(k, b'vmm: the zone cannot be mapped: address, code, level', at, code, leaf_level)
    return page_bytes(leaf_level)


# ------------------------------------------------------------------ modern
@kernel
def lend_direct_map(k: Kernel, window: word) -> PhysAddr:
    """Let the kernel's root show the pool in the direct map too, if it shows nothing there; by which table.

    What is lent is RAM of the pool and nothing beside it, so that copy_leaves, which leaves out RAM, takes none of it
    for a mapping of the kernel's: that would be a writable alias of its text, or of a device's memory.
    """
    slot = root_slot(k, window)
    if load64(k.m, slot) != 0:
        return NOT_LENT
    table = take_lent_table(k, window, 1)
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        if region.kind == RAM:
            for pa in range(max(region.start, POOL_START), min(region.end, POOL_END), PAGE_BYTES):
                store64(k.m, VirtAddr(window + table + 8 * (pa >> PAGE_SHIFT)), pa | DATA)
    for level in range(2, levels.root_level(k.space)):
        upper = take_lent_table(k, window, level)
        store64(k.m, VirtAddr(window + upper), table | TABLE_FLAGS)
        table = upper
    store64(k.m, slot, table | TABLE_FLAGS)
    return table


@kernel
def take_lent_table(k: Kernel, window: word, level: word) -> PhysAddr:
    """A table for that, zeroed where the kernel sees it."""
    table = pmm.take_table(k, level)
    if table < 0:
        panic(k, b'vmm: no frame for the first tables: code', table, 0, 0)
    require_seen(k, window, VirtAddr(window + table), table)
    fill(k.m, VirtAddr(window + table), 0, PAGE_BYTES)
    return table


@kernel
def root_slot(k: Kernel, window: word) -> VirtAddr:
    """Where the entry of the kernel's root for the direct map is."""
    root = table_of(read_cr3(k.m))
    return VirtAddr(window + root + 8 * index_in(VirtAddr(DIRECT_MAP_START), levels.root_level(k.space)))


@kernel
def map_first_ram(k: Kernel) -> None:
    """Begin the direct map: what is RAM of the first 2 MiB but page 0, and the piece that early memory comes from."""
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        if region.kind == RAM:
            map_ram(k, max(region.start, PAGE_BYTES), min(region.end, BOOT_MAP_END))
    map_ram(k, k.frames.early_start, k.frames.early_limit)


@kernel
def switch_from(k: Kernel, window: word, lent: PhysAddr, root: PhysAddr) -> None:
    """Use our tables, and leave the kernel's as they were; the direct map is not used between the two."""
    if lent == NOT_LENT:
        write_cr3(k.m, root)
        return
    store64(k.m, root_slot(k, window), 0)
    write_cr3(k.m, root)
    table = lent
    for _ in range(1, levels.root_level(k.space)):
        below = table_of(load64(k.m, pmm.address_of(k, table)))
        pmm.free_table(k, table)
        table = below


@kernel
def open_all_frames(k: Kernel) -> None:
    """Begin the metadata, and bring all other RAM into it."""
    open_frames(k)
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        if region.kind == RAM:
            add_rest(k, region)
