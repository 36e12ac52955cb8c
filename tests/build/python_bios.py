"""A PC's firmware in Python: starts a disk image on Unicorn's processor, with the habits that a test gives it.

For firmware that QEMU's does not resemble: old, forgetful, out of order. It knows the calls that boot code makes, and
holds against each what a BIOS may rely on: real mode, interrupts on.
"""

import ctypes
import mmap
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import unicorn
from unicorn import x86_const

from ..budget import SECONDS

UNICORN: Final[Any] = unicorn  # its annotations are few
MIB: Final = 1 << 20
RAM_BYTES: Final = 4 * MIB
BOOT_SECTOR: Final = 0x7C00
SECTOR_BYTES: Final = 512
UNTOUCHED: Final = 0xCC  # what is in RAM before
SIGNATURE: Final = 0x534D_4150
TYPE_RAM: Final = 1
REPORTED_BYTES: Final = 24
MORE: Final = 0x77  # the first value of the E820 call that means "go on"

Region = tuple[int, int, int]  # start, bytes, type

PLAIN_MAP: Final[Sequence[Region]] = (
    (0, 0x9_FC00, 1),
    (0x9_FC00, 0x400, 2),
    (0xF_0000, 0x1_0000, 2),
    (MIB, RAM_BYTES - MIB, 1),
)


@dataclass
class Habits:
    """What firmware does, and where it differs from what one would expect."""

    regions: Sequence[Region] = PLAIN_MAP
    attributes: Sequence[int] = ()  # of each region; without them an entry has 20 bytes
    ends_map_with_carry: bool = False
    forgets_signature: bool = False
    has_memory_map: bool = True
    repeats_map: bool = False
    a20_opened_by: str = 'always'  # or bios, keyboard, port 0x92, nobody
    has_packets: bool = True  # sectors can be read by number
    heads: int = 255
    sectors: int = 63
    failing_reads: int = 0  # so many fail first
    drive: int = 0x80
    segment: int = 0  # where the boot sector is said to be
    parameter_block: bytes = b''  # written over the boot sector from its fourth byte on


@dataclass
class Computer:
    """A computer with a disk and firmware; `run` goes on until the boot code ends it or enters what it loaded."""

    disk: bytes
    habits: Habits = field(default_factory=Habits)

    def __post_init__(self) -> None:
        self.ram = mmap.mmap(-1, RAM_BYTES)
        self.ram[:] = bytes([UNTOUCHED]) * RAM_BYTES
        self._host_address = ctypes.addressof(ctypes.c_char.from_buffer(self.ram))
        self._cpu = UNICORN.Uc(UNICORN.UC_ARCH_X86, UNICORN.UC_MODE_16)
        self.screen = bytearray()
        self.serial = bytearray()
        self.exit_code: int | None = None
        self.calls: list[tuple[int, int]] = []  # number and AX of each interrupt
        self.resets = 0
        self._failing_reads = self.habits.failing_reads
        self._wants_output_port = self._is_divisor = False
        for start in range(0, RAM_BYTES, MIB):
            self._map(start)

    # -------------------------------------------------------------- running
    def run(self, entry: int) -> None:
        """Start as firmware does: the first sector in memory, real mode, the drive's number in DL."""
        sector = bytearray(self.disk[:SECTOR_BYTES])
        sector[3 : 3 + len(self.habits.parameter_block)] = self.habits.parameter_block
        self.ram[BOOT_SECTOR : BOOT_SECTOR + SECTOR_BYTES] = bytes(sector)
        cpu = self._cpu
        cpu.hook_add(UNICORN.UC_HOOK_INTR, self._interrupt)
        cpu.hook_add(UNICORN.UC_HOOK_INSN, self._in, None, 1, 0, x86_const.UC_X86_INS_IN)
        cpu.hook_add(UNICORN.UC_HOOK_INSN, self._out, None, 1, 0, x86_const.UC_X86_INS_OUT)
        for name in ('EAX', 'EBX', 'ECX', 'ESI', 'EDI', 'EBP', 'ES', 'FS', 'GS'):
            self.set(name, 0x1234)
        self.set('EDX', 0xABCD_0000 | self.habits.drive)
        self.set('CS', self.habits.segment)
        self.set('SS', 0x2000)
        self.set('ESP', 0x800)
        cpu.emu_start(BOOT_SECTOR, entry, timeout=SECONDS * 1_000_000)

    def get(self, name: str) -> int:
        """A register."""
        return int(self._cpu.reg_read(getattr(x86_const, f'UC_X86_REG_{name}')))

    def set(self, name: str, value: int) -> None:
        self._cpu.reg_write(getattr(x86_const, f'UC_X86_REG_{name}'), value)

    def start_info(self) -> tuple[int, ...]:
        """Xen: struct hvm_start_info, at ebx."""
        return struct.unpack_from('<IIIIQQQQII', self.ram, self.get('EBX'))

    def regions(self) -> list[tuple[int, ...]]:
        """The memory map that is handed over: start, bytes, type, 0."""
        *_, start, count, _ = self.start_info()
        return list(struct.iter_unpack('<QQII', self.ram[start : start + 24 * count]))

    # -------------------------------------------------------------- memory
    def _map(self, start: int) -> None:
        """Map a MiB of RAM; where A20 is closed, the MiB below it appears in an odd one's place."""
        is_closed = self.habits.a20_opened_by != 'always' and start & MIB
        self._cpu.mem_map_ptr(start, MIB, UNICORN.UC_PROT_ALL, self._host_address + start - (MIB if is_closed else 0))

    def _open_a20(self, way: str) -> None:
        if self.habits.a20_opened_by == way:
            self.habits.a20_opened_by = 'always'
            for start in range(MIB, RAM_BYTES, 2 * MIB):
                self._cpu.mem_unmap(start, MIB)
                self._map(start)

    # -------------------------------------------------------------- ports
    def _in(self, _cpu: Any, port: int, _size: int, _user_data: Any) -> int:
        return {0x3FD: 0x60, 0x64: 0x1C, 0x92: 0x00}.get(port, 0xFF)

    def _out(self, _cpu: Any, port: int, _size: int, value: int, _user_data: Any) -> None:
        if port == 0x3FB:
            self._is_divisor = bool(value & 0x80)
        elif port == 0x3F8 and not self._is_divisor:
            self.serial.append(value)
        elif port == 0x64:
            self._wants_output_port = value == 0xD1
        elif port == 0x60 and self._wants_output_port and value & 2:
            self._open_a20('keyboard')
        elif port == 0x92 and value & 2:
            assert not value & 1, 'that resets the machine'
            self._open_a20('port 0x92')
        elif port == 0xF4:
            self.exit_code = value
            self._cpu.emu_stop()

    # -------------------------------------------------------------- calls of the firmware
    def _interrupt(self, _cpu: Any, number: int, _user_data: Any) -> None:
        self.calls.append((number, self.get('AX')))
        assert not self.get('CR0') & 1, 'firmware lives in real mode'
        assert self.get('EFLAGS') & 0x200, 'firmware needs interrupts'
        assert not self.get('EFLAGS') & 0x400, 'firmware expects addresses to rise'
        is_done = {0x10: self._video, 0x13: self._disk, 0x15: self._system}[number]()
        self.set('EFLAGS', self.get('EFLAGS') & ~1 | (not is_done))

    def _video(self) -> bool:
        if self.get('AX') >> 8 == 0x0E:
            self.screen.append(self.get('AX') & 0xFF)
        return True

    def _disk(self) -> bool:
        assert self.get('DX') & 0xFF == self.habits.drive
        function = self.get('AX') >> 8
        if function == 0:
            self.resets += 1
            return True
        if function == 0x41:
            self.set('BX', 0xAA55)
            self.set('CX', 1)
            return self.habits.has_packets
        if function == 0x08:
            self.set('DX', self.habits.heads - 1 << 8 | 1)
            self.set('CX', 0xFFC0 | self.habits.sectors)
            self.set('DI', 0xBAD)
            return True
        if function == 0x42 and self.habits.has_packets:
            return self._read_packet()
        assert function == 0x02
        return self._read_track()

    def _read_packet(self) -> bool:
        at = self.get('SI')
        nbytes, count, offset, segment, sector = struct.unpack_from('<HHHHQ', self.ram, at)
        assert nbytes == 16
        if not self._read(sector, count, segment * 16 + offset):
            struct.pack_into('<H', self.ram, at + 2, 0)
            return False
        return True

    def _read_track(self) -> bool:
        high, low = self.get('CX') >> 8, self.get('CX') & 0xFF
        head, sector, cylinder = self.get('DX') >> 8, low & 63, high | (low & 0xC0) << 2
        assert 1 <= sector <= self.habits.sectors
        assert head < self.habits.heads
        number = (cylinder * self.habits.heads + head) * self.habits.sectors + sector - 1
        return self._read(number, self.get('AX') & 0xFF, self.get('ES') * 16 + self.get('BX'))

    def _read(self, sector: int, count: int, to: int) -> bool:
        """Read whole or not at all."""
        content = self.disk[sector * SECTOR_BYTES : (sector + count) * SECTOR_BYTES]
        if self._failing_reads or len(content) < count * SECTOR_BYTES:
            self._failing_reads -= 1
            return False
        assert to >> 16 == to + len(content) - 1 >> 16, 'a transfer over a border of 64 KiB'
        self.ram[to : to + len(content)] = content
        return True

    def _system(self) -> bool:
        if self.get('AX') == 0x2401:
            self._open_a20('bios')
            return self.habits.a20_opened_by == 'always'
        assert self.get('EAX') == 0xE820
        assert self.get('EDX') == SIGNATURE
        assert self.get('ECX') >= 20
        return self._tell_region()

    def _tell_region(self) -> bool:
        habits, index = self.habits, self.get('EBX')
        assert index == 0 or index >= MORE
        index = max(index - MORE, 0)
        if not habits.has_memory_map or index == len(habits.regions):
            return False
        entry = struct.pack('<QQI', *habits.regions[index])
        if habits.attributes:
            entry += struct.pack('<I', habits.attributes[index])
        to = self.get('ES') * 16 + self.get('DI')
        self.ram[to : to + len(entry)] = entry
        is_last = index == len(habits.regions) - 1 and not habits.ends_map_with_carry
        self.set('EBX', 0 if is_last else MORE + (0 if habits.repeats_map else index + 1))
        self.set('EAX', 0 if habits.forgets_signature else SIGNATURE)
        self.set('ECX', len(entry))
        self.set('EDX', 0xDEAD_BEEF)
        self.set('EDI', 0xDEAD_0000 | self.get('DI') + 4)
        self.set('EBP', 0xDEAD_BEEF)
        return True
