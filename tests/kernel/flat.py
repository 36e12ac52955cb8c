"""A guest for the kernel's tests that runs the kernel in this process: a small computer that really walks its tables.

Every access is translated afresh and compared with what the TLB, which keeps a page until it is flushed, would have
given: a forgotten flush is an error. No rights but writable, no devices but a log of the ports.
"""

import struct
from collections.abc import Sequence
from typing import Final

from incroos.kernel import console, pmm, vmm
from incroos.kernel.config import CLASSIC_CHECKED, KernelConfig
from incroos.kernel.layout import BOOT_MAP_END, BOOT_TABLES, KERNEL_STATE, NR_TRACKED_FRAMES, PAGE_BYTES, STACK_GUARD
from incroos.kernel.state import Kernel
from incroos.lang import Machine, PhysAddr, VirtAddr, word

ADDRESS: Final = 0x000F_FFFF_FFFF_F000
START_INFO: Final = 0x2_0000  # inside the boot pool, as a loader may put it
MEMORY_MAP: Final = 0x2_0100
RAM: Final = 1
RESERVED: Final = 2


class Stopped(Exception):
    """The kernel ended the machine."""


class Flat(Machine):
    """RAM from address 0, four-level paging, ports that only remember what was written to them."""

    def __init__(self, ram_bytes: int, config: KernelConfig) -> None:
        self.config = config
        self.ram = bytearray(ram_bytes)
        self.cr3 = BOOT_TABLES | 0x18  # with flags, which are no part of the address
        self.tlb: dict[int, int] = {}
        self.flushed: list[int] = []
        self.ports: list[tuple[int, int]] = []

    def entry_at(self, pa: int) -> int:
        value: int = struct.unpack_from('<Q', self.ram, pa)[0]
        return value

    def walk(self, va: int) -> tuple[int, int]:
        """Physical address and level of the leaf."""
        if not -(1 << 47) <= va < 1 << 47:
            raise Fault(f'{va:#x} is not canonical')
        table = self.cr3 & ADDRESS
        for level in (4, 3, 2, 1):
            shift = 12 + 9 * (level - 1)
            entry = self.entry_at(table + 8 * (va >> shift & 511))
            if not entry & 1:
                raise Fault(f'{va:#x}: not present on level {level}')
            if level == 1 or (level < 4 and entry & 0x80):
                size = 1 << shift
                return entry & ADDRESS & -size | va & (size - 1), level
            table = entry & ADDRESS
        raise AssertionError('level 1 always returns')

    def translate(self, va: int, nbytes: int) -> int:
        assert va % PAGE_BYTES + nbytes <= PAGE_BYTES, 'an access across pages'
        pa, _ = self.walk(va)
        cached = self.tlb.setdefault(va >> 12, pa >> 12)
        if cached != pa >> 12:
            raise Fault(f'{va:#x}: stale translation')
        if pa + nbytes > len(self.ram):
            raise Fault(f'{va:#x}: no RAM at {pa:#x}')
        return pa

    def load(self, va: int, form: str) -> int:
        nbytes = struct.calcsize(form)
        value: int = struct.unpack_from(form, self.ram, self.translate(va, nbytes))[0]
        return value

    def store(self, va: int, form: str, value: int) -> None:
        nbytes = struct.calcsize(form)
        struct.pack_into(form, self.ram, self.translate(va, nbytes), value)

    def load8(self, addr: VirtAddr) -> word:
        return self.load(addr, '<B')

    def load16(self, addr: VirtAddr) -> word:
        return self.load(addr, '<H')

    def load32(self, addr: VirtAddr) -> word:
        return self.load(addr, '<I')

    def load64(self, addr: VirtAddr) -> word:
        return self.load(addr, '<q')

    def store8(self, addr: VirtAddr, value: word) -> None:
        self.store(addr, '<B', value)

    def store16(self, addr: VirtAddr, value: word) -> None:
        self.store(addr, '<H', value)

    def store32(self, addr: VirtAddr, value: word) -> None:
        self.store(addr, '<I', value)

    def store64(self, addr: VirtAddr, value: word) -> None:
        self.store(addr, '<q', value)

    def fill(self, addr: VirtAddr, byte: word, nbytes: word) -> None:
        at, end = int(addr), addr + nbytes
        while at < end:
            step = min(end, (at | 0xFFF) + 1) - at
            pa = self.translate(at, step)
            self.ram[pa : pa + step] = bytes([byte]) * step
            at += step

    def copy(self, to: VirtAddr, source: VirtAddr, nbytes: word) -> None:
        for at in range(nbytes):
            self.store8(VirtAddr(to + at), self.load8(VirtAddr(source + at)))

    def in8(self, port: word) -> word:
        return 255

    def out8(self, port: word, value: word) -> None:
        assert 0 <= value < 256
        self.ports.append((port, value))

    def read_cr3(self) -> word:
        return self.cr3

    def invlpg(self, va: VirtAddr) -> None:
        self.flushed.append(va)
        # The size of the page is not known here: forget all that a page of any size around va could have given.
        self.tlb = {page: frame for page, frame in self.tlb.items() if page >> 18 != va >> 30}

    def disable_interrupts(self) -> None:
        pass

    def halt(self) -> None:
        raise Stopped(self.ports[-1])


class Fault(Exception):
    """An access that the processor would not do."""


Entries = Sequence[tuple[int, int, int]]


def map_of(ram_bytes: int) -> Entries:
    """The memory map of a PC: start, bytes, kind."""
    return [(0, 0x9_FC00, RAM), (0x9_FC00, 0x400, RESERVED), (0xF_0000, 0x1_0000, RESERVED),
            (0x10_0000, ram_bytes - 0x10_0000 - 0x2_0000, RAM), (ram_bytes - 0x2_0000, 0x2_0000, RESERVED),
            (0xFFFC_0000, 0x4_0000, RESERVED)]  # fmt: skip


class FlatGuest:
    """The kernel on a Flat computer, after boot."""

    def __init__(
        self, ram_bytes: int = 64 << 20, entries: Entries | None = None, config: KernelConfig = CLASSIC_CHECKED
    ) -> None:
        self.m = Flat(ram_bytes, config)
        self.ram_bytes = ram_bytes
        self.m.ram[0x1_0000:0xB_8000] = b'\xcc' * 0xA_8000  # whatever the firmware left
        self.m.ram[BOOT_MAP_END:] = b'\xcc' * (ram_bytes - BOOT_MAP_END)
        write_boot_tables(self.m)
        write_start_info(self.m, map_of(ram_bytes) if entries is None else entries)
        self.k = Kernel(self.m, VirtAddr(KERNEL_STATE))
        console.init(self.k)
        pmm.init(self.k, PhysAddr(START_INFO))
        vmm.init(self.k)

    def call(self, name: str, *words: int) -> int:
        """Call the function of pmm or vmm of that name; the two that have one are check_pmm and check_vmm."""
        package = pmm if hasattr(pmm, name) or name == 'check_pmm' else vmm
        result: int = getattr(package, name.removesuffix('_pmm').removesuffix('_vmm'))(self.k, *words)
        return result

    def state(self) -> bytes:
        """What a refused call must leave as it was: the Kernel struct, less the count of requests, and every table."""
        requests, self.k.frames.requests = self.k.frames.requests, 0
        struct_bytes = bytes(self.m.ram[KERNEL_STATE : KERNEL_STATE + Kernel.SIZE])
        self.k.frames.requests = requests
        tables = [pfn << 12 for pfn, record in enumerate(self.records()) if record[2]]
        return struct_bytes + b''.join(bytes(self.m.ram[table : table + PAGE_BYTES]) for table in tables)

    def records(self) -> list[tuple[int, ...]]:
        """The frame database: low and high byte of nr_entries, level, nr_references."""
        start = self.k.frames.records.addr
        return list(struct.iter_unpack('4B', self.m.ram[start : start + 4 * NR_TRACKED_FRAMES]))


def write_boot_tables(m: Flat) -> None:
    """What the boot code leaves: the first 2 MiB in pages of 4 KiB, supervisor only, without the guard page."""
    m.ram[BOOT_TABLES : BOOT_TABLES + 4 * PAGE_BYTES] = bytes(4 * PAGE_BYTES)
    for table in (BOOT_TABLES, BOOT_TABLES + 0x1000, BOOT_TABLES + 0x2000):
        struct.pack_into('<Q', m.ram, table, table + 0x1000 | 3)
    for index in range(512):
        if index << 12 != STACK_GUARD:
            struct.pack_into('<Q', m.ram, BOOT_TABLES + 0x3000 + 8 * index, index << 12 | 3)


def write_start_info(m: Flat, entries: Entries, magic: int = 0x336E_C578, version: int = 1) -> None:
    """PVH's start information with a memory map."""
    struct.pack_into('<IIIIQQQQII', m.ram, START_INFO, magic, version, 0, 0, 0, 0, 0, MEMORY_MAP, len(entries), 0)
    for index, (start, nbytes, kind) in enumerate(entries):
        struct.pack_into('<QQII', m.ram, MEMORY_MAP + 24 * index, start, nbytes, kind, 0)
