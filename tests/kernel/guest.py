"""A kernel in `sim` whose functions a test calls one by one, with a memory map of the test's, and whose RAM it reads.

For what a Driver cannot ask for. `walk` is a reading of the page tables that shares nothing with the kernel or machine.
"""

import struct
from collections.abc import Sequence
from typing import Final

from incroos.kernel import pmm, vmm
from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import CLASSIC_CHECKED
from incroos.kernel.io import console
from incroos.kernel.layout import BOOT_TABLES, KERNEL_STATE, NR_TRACKED_FRAMES, PAGE_BYTES, ZONE_START
from incroos.kernel.state import NR_KNOWN, Kernel, KnownTable
from incroos.lang import PhysAddr, VirtAddr
from incroos.run.sim import Sim
from incroos.run.simulated import MAGIC, MEMORY_MAP, START_INFO

ADDRESS: Final = 0x000F_FFFF_FFFF_F000
ACCESSED_AND_DIRTY: Final = 0x60  # the processor's, not the kernel's
RAM: Final = 1
RESERVED: Final = 2

Entries = Sequence[tuple[int, int, int]]  # start, bytes, type

WHOLE_4_MIB: Final = [(0, 0x9_FC00, RAM), (0x10_0000, 0x30_0000, RAM)]  # no edge in the zone that would take a table


class Guest:
    """The kernel after boot: console, pmm and vmm are ready. All of its free frames are full of 0xCC."""

    def __init__(
        self,
        ram_bytes: int = 64 << 20,
        entries: Entries | None = None,
        config: KernelConfig = CLASSIC_CHECKED,
        cr3: int = BOOT_TABLES,
    ) -> None:
        self.sim = Sim(ram_bytes, config)
        self.ram, self.cpu, self.k = self.sim.ram, self.sim.computer.cpu, self.sim.kernel
        self.ram[0x1_0000:0xA_0000] = b'\xcc' * 0x9_0000
        self.ram[ZONE_START:] = b'\xcc' * (ram_bytes - ZONE_START)
        if entries is not None:
            self.write_start_info(entries)
        self.flushed: list[int] = []
        self._record_flushes()
        self.sim.machine.write_cr3(cr3)
        console.init(self.k, PhysAddr(START_INFO))
        pmm.init(self.k, PhysAddr(START_INFO))
        vmm.init(self.k)

    def _record_flushes(self) -> None:
        flush = self.sim.machine.invlpg

        def recorded(va: VirtAddr) -> None:
            self.flushed.append(va)
            flush(va)

        self.sim.machine.invlpg = recorded  # type: ignore[method-assign]

    def write_start_info(self, entries: Entries, magic: int = MAGIC, version: int = 1) -> None:
        """PVH's start information with a memory map."""
        self.poke(START_INFO, '<IIIIQQQQII', magic, version, 0, 0, 0, 0, 0, MEMORY_MAP, len(entries), 0)
        for index, entry in enumerate(entries):
            self.poke(MEMORY_MAP + 24 * index, '<QQII', *entry, 0)

    def poke(self, pa: int, form: str, *values: int | bytes) -> None:
        """Write RAM behind the kernel's back."""
        self.sim.machine.poke(pa, struct.pack(form, *values))

    def call(self, name: str, *words: int) -> int:
        """Call the function of pmm or vmm of that name; the two that have one are check_pmm and check_vmm."""
        package = pmm if hasattr(pmm, name) or name == 'check_pmm' else vmm
        result: int = getattr(package, name.removesuffix('_pmm').removesuffix('_vmm'))(self.k, *words)
        return result

    def frame(self, pa: int) -> bytes:
        """What is in the frame at pa."""
        return bytes(self.ram[pa : pa + PAGE_BYTES])

    def state(self) -> bytes:
        """What a refused call must leave as it was: the Kernel struct, less the count of requests, and every table.

        Nor which tables are known: that says again what tables say, and check_vmm whether it says the truth.
        """
        requests, self.k.frames.requests = self.k.frames.requests, 0
        content = bytearray(self.ram[KERNEL_STATE : KERNEL_STATE + Kernel.SIZE])
        start = self.k.space.known.addr - KERNEL_STATE
        content[start : start + NR_KNOWN * KnownTable.SIZE] = b''
        self.k.frames.requests = requests
        tables = [pfn << 12 for pfn, record in enumerate(self.records()) if record[2]]
        entries = [
            [entry & ~ACCESSED_AND_DIRTY for (entry,) in struct.iter_unpack('<Q', self.frame(pa))] for pa in tables
        ]
        return bytes(content) + b''.join(struct.pack('<512Q', *table) for table in entries)

    def records(self) -> list[tuple[int, ...]]:
        """The frame database: low and high byte of nr_entries, level, nr_references."""
        start = self.k.frames.records.addr
        return list(struct.iter_unpack('4B', self.ram[start : start + 4 * NR_TRACKED_FRAMES]))

    def entries_to(self, va: int) -> list[int]:
        """The entries on the way to va, from the root down to the one that decides, as signed words."""
        return [self.word_at(slot) for slot in self.slots_to(va)]

    def slots_to(self, va: int) -> list[int]:
        """Where those entries are."""
        slots = [slot_in(self.cpu.cr3 & ADDRESS, va, 4)]
        for level in (4, 3, 2):
            entry = self.word_at(slots[-1])
            if not entry & 1 or (level < 4 and entry & 0x80):
                break
            slots.append(slot_in(entry & ADDRESS, va, level - 1))
        return slots

    def walk(self, va: int) -> tuple[int, int] | None:
        """Physical address and level of the leaf."""
        slots = self.slots_to(va)
        entry, level = self.word_at(slots[-1]), 5 - len(slots)
        page_bytes = 1 << 12 + 9 * (level - 1)
        return (entry & ADDRESS & -page_bytes | va & page_bytes - 1, level) if entry & 1 else None

    def word_at(self, pa: int) -> int:
        """The signed word in RAM at pa."""
        value: int = struct.unpack_from('<q', self.ram, pa)[0]
        return value


def slot_in(table: int, va: int, level: int) -> int:
    """Where the entry for va is in a table."""
    return table + 8 * (va >> 12 + 9 * (level - 1) & 511)


class CountedLoads:
    """Counts the 64-bit loads of a guest's kernel from now on."""

    def __init__(self, guest: Guest) -> None:
        self.nr_loads = 0
        load = guest.sim.machine.load64

        def counted(addr: VirtAddr) -> int:
            self.nr_loads += 1
            return load(addr)

        guest.sim.machine.load64 = counted  # type: ignore[method-assign]
