"""The address space of config `modern`: built from the memory map, beside the boot code's tables, and then switched to.

    direct map     all RAM, in the largest pages that the map and the processor allow, never executable
    image window   the pages of the image, its mailbox, stack and state, with the rights that the boot code gave them;
                   a framebuffer, where it was seen before, but no more than its own frames, and write-combining

Unit: the page. The boot code's leaves say which page of the first 2 MiB is text, read-only data or data: the linker
knew, and nobody has to tell it twice. Direct map and image window do not differ there in what may be written. What only
the boot code mapped, page 0 and all identity, is gone after the switch.
"""

from typing import Final

from incroos.kernel import pmm
from incroos.kernel.arch.memory_types import WRITE_COMBINING, with_type
from incroos.kernel.arch.pte import DATA, HUGE_BYTES, NX, PRESENT, WRITABLE, table_of
from incroos.kernel.codes import OK
from incroos.kernel.io import framebuffer
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import (
    BOOT_MAP_END,
    DIRECT_MAP_START,
    IMAGE_START,
    IMAGE_WINDOW,
    KERNEL_STATE_END,
    MODERN_STACK_END,
    PAGE_BYTES,
    PAGE_SHIFT,
    STACK_GUARD,
    VGA_TEXT,
)
from incroos.kernel.pmm.all import modern as all_ram
from incroos.kernel.pmm.memory_kinds import RAM
from incroos.kernel.state import FrameRecord, Kernel, Region
from incroos.kernel.vmm import windows
from incroos.kernel.vmm.front import get_physical, map_page, map_range
from incroos.kernel.vmm.init import kernel_half
from incroos.kernel.vmm.levels import root_level
from incroos.kernel.vmm.tables import plant
from incroos.lang import PhysAddr, VirtAddr, kernel, load64, read_cr3, word, write_cr3

EARLY_MARK: Final = 1
RECORD_BYTES: Final = FrameRecord.SIZE
RIGHTS: Final = PRESENT | WRITABLE | NX  # what is taken over from the boot code's leaves


@kernel
def build(k: Kernel) -> None:
    """Make the kernel's own tables and switch to them. Panics when frames for tables run out, or text is writable."""
    boot_leaves = find_boot_leaves(k)
    root = make_root(k)
    for pa in range(PAGE_BYTES, BOOT_MAP_END, PAGE_BYTES):
        map_boot_page(k, PhysAddr(pa), load_boot_entry(k, PhysAddr(boot_leaves + pa // PAGE_BYTES * 8)) & RIGHTS)
    map_ram(k, k.frames.early_start, k.frames.early_limit)
    if k.screen.framebuffer != 0:
        map_framebuffer(k)
    write_cr3(k.m, root)
    open_frames(k)
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        if region.kind == RAM:
            add_rest(k, region)


@kernel
def make_root(k: Kernel) -> PhysAddr:
    """The root of the kernel's own tables, with the way to them that the build takes."""
    root = pmm.alloc_table(k, root_level(k.space))
    if root < 0:
        panic(k, b'vmm: no frame for the root table', 0, 0, 0)
    plant(k.space, root, 1)
    code = windows.init(k.space)
    if code != OK:
        panic(k, b'vmm: no frame for a table of the fixmap: code', code, 0, 0)
    windows.lend(k.space, table_of(read_cr3(k.m)))
    kernel_half.build(k)
    return root


@kernel
def mark_early_tables(k: Kernel) -> None:
    """Count an entry more in each table that pmm will not take back, so that none is ever empty."""
    for pa in range(0, BOOT_MAP_END, PAGE_BYTES):
        if all_ram.is_early_table(k, PhysAddr(pa)):
            k.frames.records[pa >> PAGE_SHIFT].nr_entries += EARLY_MARK


# ------------------------------------------------------------------ the frame database
@kernel
def open_frames(k: Kernel) -> None:
    """Map the metadata, and the records of the boot pool and of the first piece of RAM; let pmm have those frames."""
    nbytes = all_ram.metadata_bytes(k)
    map_early(k, VirtAddr(k.config.frame_metadata), nbytes)
    all_ram.open_metadata(k)
    map_early_records(k, 0, BOOT_MAP_END)
    map_early_records(k, k.frames.early_start, k.frames.early_limit)
    mark_early_tables(k)
    pmm.open_zone(k)
    all_ram.add_pool(k)
    all_ram.add_ram(k, k.frames.early_start, k.frames.early_limit)


@kernel
def map_early_records(k: Kernel, start: word, end: word) -> None:
    """Map the records of the frames of [start, end) to early memory."""
    if start < end:
        first, behind = find_records(k, start, end)
        map_early(k, first, behind - first)


@kernel
def map_early(k: Kernel, va: VirtAddr, nbytes: word) -> None:
    """Map [va, va + nbytes) to early memory, as that piece of it which large pages can map."""
    alignment = HUGE_BYTES if nbytes >= HUGE_BYTES else PAGE_BYTES
    memory = all_ram.take_early(k, nbytes, alignment, va % alignment)
    if memory < 0:
        panic(k, b'vmm: too little RAM below 1 GiB for the frame database: wanted bytes', nbytes, 0, 0)
    map_run(k, va, memory, nbytes)


@kernel
def find_records(k: Kernel, start: word, end: word) -> tuple[VirtAddr, VirtAddr]:
    """Where the records of [start, end) are that are not mapped yet: those of all the huge blocks that it touches."""
    first = VirtAddr(k.config.frame_records + (start & -HUGE_BYTES) // PAGE_BYTES * RECORD_BYTES)
    behind = VirtAddr(k.config.frame_records + ((end + HUGE_BYTES - 1) & -HUGE_BYTES) // PAGE_BYTES * RECORD_BYTES)
    while first < behind and get_physical(k, first) >= 0:
        first = VirtAddr(first + PAGE_BYTES)
    while first < behind and get_physical(k, VirtAddr(behind - PAGE_BYTES)) >= 0:
        behind = VirtAddr(behind - PAGE_BYTES)
    return first, behind


@kernel
def add_rest(k: Kernel, region: Region) -> None:
    """Add what is new of a region of RAM: not below 2 MiB, and not of the first piece, which begins or fills it."""
    start = max(region.start, BOOT_MAP_END)
    if start == k.frames.early_start:
        start = k.frames.early_limit
    end = min(region.end, all_ram.nr_frames(k) * PAGE_BYTES)
    if start < end:
        add_piece(k, PhysAddr(start), PhysAddr(end))


@kernel
def add_piece(k: Kernel, start: PhysAddr, end: PhysAddr) -> None:
    """Map RAM beyond the first piece, with its records in its own last frames, and let pmm have the rest.

    A piece that is too small for its records is left alone.
    """
    first, behind = find_records(k, start, end)
    nbytes = behind - first
    alignment = HUGE_BYTES if nbytes >= HUGE_BYTES else PAGE_BYTES
    records = end - nbytes
    records -= (records - first % alignment) % alignment
    if records < start:
        return
    map_ram(k, start, end)
    map_run(k, first, PhysAddr(records), nbytes)
    all_ram.add_ram(k, start, PhysAddr(records))
    all_ram.add_ram(k, PhysAddr(records + nbytes), end)


@kernel
def find_boot_leaves(k: Kernel) -> PhysAddr:
    """The boot code's table of level 1: its first entry in each table leads there."""
    table = table_of(read_cr3(k.m))
    for _ in range(root_level(k.space) - 1):
        table = table_of(load_boot_entry(k, table))
    return table


@kernel
def load_boot_entry(k: Kernel, slot: PhysAddr) -> word:
    """An entry of the boot code's tables, which are mapped at their own address until the switch."""
    return load64(k.m, VirtAddr(slot))


@kernel
def map_boot_page(k: Kernel, pa: PhysAddr, rights: word) -> None:
    """Map a page of the first 2 MiB where it belongs, with the rights that the boot code gave it."""
    if pa == STACK_GUARD or pa == MODERN_STACK_END:
        return
    if rights & (WRITABLE | NX) == WRITABLE:
        panic(k, b'vmm: the boot code left a page writable and executable: address', pa, 0, 0)
    if pa == VGA_TEXT or IMAGE_START <= pa < KERNEL_STATE_END:
        map_new(k, VirtAddr(IMAGE_WINDOW + pa), pa, rights)
    if is_ram(k, pa):
        map_new(k, VirtAddr(DIRECT_MAP_START + pa), pa, rights | NX)


@kernel
def map_new(k: Kernel, va: VirtAddr, pa: PhysAddr, flags: word) -> None:
    """Map a page of the first 2 MiB, or panic."""
    code = map_page(k, va, pa, flags)
    if code != OK:
        panic(k, b'vmm: a page of the kernel cannot be mapped: address, code', va, code, 0)


@kernel
def map_framebuffer(k: Kernel) -> None:
    """Map the framebuffer's frames where the console looks for its pixels."""
    va, pa, nbytes = framebuffer.find_frames(k)
    code = map_range(k, va, pa, nbytes, with_type(DATA, WRITE_COMBINING))
    if code != OK:
        panic(k, b'vmm: the framebuffer cannot be mapped: address, bytes, code', pa, nbytes, code)


@kernel
def is_ram(k: Kernel, pa: PhysAddr) -> bool:
    """Whether the frame at pa is RAM."""
    return is_all_ram(k, pa, PAGE_BYTES)


@kernel
def is_all_ram(k: Kernel, pa: PhysAddr, nbytes: word) -> bool:
    """Whether all of [pa, pa + nbytes) is RAM."""
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        if pa < region.end:
            return region.kind == RAM and region.start <= pa and pa + nbytes <= region.end
    return False


@kernel
def map_ram(k: Kernel, start: word, end: word) -> None:
    """Extend the direct map over [start, end), which is RAM, or nothing."""
    if start < end:
        map_run(k, VirtAddr(DIRECT_MAP_START + start), PhysAddr(start), end - start)


@kernel
def map_run(k: Kernel, va: VirtAddr, pa: PhysAddr, nbytes: word) -> None:
    """Map data at [va, va + nbytes) to the memory from pa on, in the largest pages that fit both; or panic."""
    code = map_range(k, va, pa, nbytes, DATA)
    if code != OK:
        panic(k, b'vmm: memory of the kernel cannot be mapped: address, code, bytes', va, code, nbytes)
