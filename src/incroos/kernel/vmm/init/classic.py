"""Takeover in config `classic`: the boot code's page tables become the kernel's, the identity map grows over the zone.

The boot code leaves one table of each level that maps the first 2 MiB at their own address.
"""

from typing import Final

from incroos.kernel import pmm
from incroos.kernel.arch import memory_types
from incroos.kernel.arch.pte import DATA, HUGE_LEVEL, NR_ENTRIES, page_bytes, table_of
from incroos.kernel.codes import OK
from incroos.kernel.config import MODERN_SPACE
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import BOOT_TABLES, BOOT_TABLES_END, ZONE_END, ZONE_START
from incroos.kernel.pmm.memory_kinds import RAM
from incroos.kernel.state import Kernel
from incroos.kernel.vmm import spaces, vmalloc, windows
from incroos.kernel.vmm.front import map_leaf
from incroos.kernel.vmm.init.modern import build
from incroos.kernel.vmm.levels import root_level
from incroos.kernel.vmm.tables import plant, record_of
from incroos.lang import PhysAddr, VirtAddr, kernel, load64, read_cr3, word

BOOT_MARK: Final = 1  # counted as an entry of each boot table, so that none is ever empty


@kernel
def init(k: Kernel) -> None:
    """Map what pmm hands out, and open its zone. Only after pmm.init; panics when the boot state is another."""
    spaces.begin(k)
    vmalloc.init(k)
    if k.config.space == MODERN_SPACE:
        memory_types.init(k)  # the new tables have pages of the type that it offers
        build(k)
    else:
        take_over(k)


@kernel
def take_over(k: Kernel) -> None:
    """Take the boot code's tables over, and map the zone."""
    plant(k.space, table_of(read_cr3(k.m)), 0)
    table = k.space.root
    for level in range(root_level(k.space), 0, -1):
        if not BOOT_TABLES <= table < BOOT_TABLES_END:
            panic(k, b'vmm: not a table of the boot code: table, level', table, level, 0)
        record = record_of(k.space, table)
        record.level = level
        record.nr_entries = count_entries(k, table) + BOOT_MARK
        table = table_of(load64(k.m, VirtAddr(table)))
    code = windows.init(k.space)
    if code != OK:
        panic(k, b'vmm: no frame for a table of the fixmap: code', code, 0, 0)
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        if region.kind == RAM:
            map_identity(k, max(region.start, ZONE_START), min(region.end, ZONE_END))
    pmm.open_zone(k)


@kernel
def count_entries(k: Kernel, table: PhysAddr) -> word:
    """How many entries of a table of the boot code are not 0; they lie at their own address still."""
    nr_entries = 0
    for index in range(NR_ENTRIES):
        if load64(k.m, VirtAddr(table + 8 * index)) != 0:
            nr_entries += 1
    return nr_entries


@kernel
def map_identity(k: Kernel, start: word, end: word) -> None:
    """Map [start, end) at its own address: in pages of 2 MiB, and of 4 KiB where it ends inside one."""
    at = start
    while at < end:
        level = HUGE_LEVEL if at % page_bytes(HUGE_LEVEL) == 0 and end - at >= page_bytes(HUGE_LEVEL) else 1
        code = map_leaf(k, VirtAddr(at), PhysAddr(at), DATA, level)
        if code != OK:
            panic(k, b'vmm: the zone cannot be mapped: address, code, level', at, code, level)
        at += page_bytes(level)
