"""UEFI firmware in Python: starts a program on Unicorn's processor, with the habits that a test gives it.

For firmware that QEMU's does not resemble. It loads the program as the format of its file says, knows the calls that
boot code makes, holds against each what a firmware may rely on (the stack, the order of calls), and leaves nothing in
the registers and the memory that a callee may use up.
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
PAGE_BYTES: Final = 4096
RAM_BYTES: Final = 16 * MIB
UNTOUCHED: Final = 0xCC  # what is in RAM before
JUNK: Final = 0xDEAD_BEEF_0BAD_F00D

TABLES: Final = 0xF0_0000  # the firmware's own: system table and what it leads to
SERVICES: Final = 0xF1_0000  # an address for each service
STACK_END: Final = 0xF8_0000
PROGRAM: Final = 0xE0_0000
HANDLE: Final = 0x1234_5678_9ABC
SCREENS: Final = TABLES + 0x5000
SCREEN_HANDLE: Final = 0x7777_0000_0001
RETURN_ADDRESS: Final = 0xF2_0000

EFI_ERROR: Final = 1 << 63
INVALID_PARAMETER: Final = EFI_ERROR | 2
UNSUPPORTED: Final = EFI_ERROR | 3
BUFFER_TOO_SMALL: Final = EFI_ERROR | 5
OUT_OF_RESOURCES: Final = EFI_ERROR | 9
NOT_FOUND: Final = EFI_ERROR | 14

LOADER_CODE: Final = 1
CONVENTIONAL: Final = 7
DESCRIPTOR_BYTES: Final = 48  # 40 in the specification, which warns that it may be more
ACPI: Final = bytes.fromhex('71e86888f1e4d311bc220080c73c8881')
OTHER_TABLE: Final = bytes.fromhex('71e86888f1e4d311bc220080c73c8882')
CONSOLE_DEVICE: Final = bytes.fromhex('2c6fb3d351d5d4119a460090273fc14d')
GRAPHICS: Final = bytes.fromhex('dea94290dc23384a96fb7aded080516a')
RSDP: Final = 0xE_1230

SERVICE_OFFSETS: Final = {
    'allocate_pages': 0x28,
    'get_memory_map': 0x38,
    'handle_protocol': 0x98,
    'exit_boot_services': 0xE8,
    'locate_handle_buffer': 0x138,
}
ENDING: Final = ('get_memory_map', 'exit_boot_services')  # the only calls once the services have begun to end

Piece = tuple[int, int, int]  # type, start, pages
Screen = tuple[int, ...]  # format, columns and rows of pixels, pixels from row to row, address, bytes
PLAIN_SCREEN: Final = (1, 1280, 800, 1280, 0x8000_0000, 0x3E_8000)

PLAIN_MAP: Final[Sequence[Piece]] = (
    (CONVENTIONAL, 0, 0xA0),
    (CONVENTIONAL, MIB, 0xC00),
    (LOADER_CODE, 0xD0_0000, 0x200),
    (4, 0xF0_0000, 0x100),
)


@dataclass
class Habits:
    """What firmware does, and where it differs from what one would expect."""

    pieces: Sequence[Piece] = PLAIN_MAP
    attributes: int = 0xF  # of each piece
    areas: Sequence[int] = (0x80_0000, 0x90_0000, 0xA0_0000)  # what AllocatePages gives, one after another
    stale_keys: int = 0  # so many times the memory map has changed when the services are to end
    growth: int = 0  # pieces that come to the memory map after its size was asked
    map_status: int = 0  # what GetMemoryMap answers when it could answer
    has_console: bool = True
    has_acpi: bool = True
    screens: Sequence[Screen] = (PLAIN_SCREEN,)
    console_screen: int | None = 0  # which of them is a device of the console
    has_nx: bool = True


@dataclass
class Computer:
    """A computer; `run` goes on until the program ends the machine or enters the kernel."""

    program: bytes
    habits: Habits = field(default_factory=Habits)

    def __post_init__(self) -> None:
        self.ram = mmap.mmap(-1, RAM_BYTES)
        self.ram[:] = bytes([UNTOUCHED]) * RAM_BYTES
        self.screen = ''
        self.serial = bytearray()
        self.exit_code: int | None = None
        self.calls: list[str] = []
        self.is_over = False  # the services have ended
        self.area = 0
        self._areas = iter(self.habits.areas)
        self._pieces = list(self.habits.pieces)
        self._key = 77
        self._stale_keys = self.habits.stale_keys
        self._cpu = self._new_cpu(UNICORN.UC_MODE_64)

    # -------------------------------------------------------------- running
    def run(self, entry: int) -> None:
        """Load the program and call it. Where it leaves 64-bit mode, go on in 32-bit mode up to the kernel's entry."""
        self._put_tables()
        start = self._load()
        cpu = self._cpu
        cpu.hook_add(UNICORN.UC_HOOK_CODE, self._service, None, SERVICES, SERVICES + 0xFFF)
        cpu.hook_add(UNICORN.UC_HOOK_INSN, self._cpuid, None, 1, 0, x86_const.UC_X86_INS_CPUID)
        cpu.reg_write(x86_const.UC_X86_REG_RCX, HANDLE)
        cpu.reg_write(x86_const.UC_X86_REG_RDX, TABLES)
        cpu.reg_write(x86_const.UC_X86_REG_RSP, STACK_END - 8)
        self._poke(STACK_END - 8, struct.pack('<Q', RETURN_ADDRESS))
        self._last_steps = 0
        cpu.hook_add(UNICORN.UC_HOOK_CODE, self._catch_last_steps, None, 0, PROGRAM - 1)
        cpu.emu_start(start, RETURN_ADDRESS, timeout=SECONDS * 1_000_000)
        if self._last_steps:
            self._run_last_steps(entry)

    def get(self, name: str) -> int:
        """A register."""
        return int(self._cpu.reg_read(getattr(x86_const, f'UC_X86_REG_{name}')))

    def start_info(self) -> tuple[int, ...]:
        """Xen: struct hvm_start_info, at ebx."""
        return struct.unpack_from('<IIIIQQQQII', self.ram, self.get('EBX'))

    def regions(self) -> list[tuple[int, ...]]:
        """The memory map that is handed over: start, bytes, type, 0."""
        *_, start, count, _ = self.start_info()
        return list(struct.iter_unpack('<QQII', self.ram[start : start + 24 * count]))

    def _new_cpu(self, mode: int) -> Any:
        cpu = UNICORN.Uc(UNICORN.UC_ARCH_X86, mode)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self.ram))
        cpu.mem_map_ptr(0, RAM_BYTES, UNICORN.UC_PROT_ALL, address)
        cpu.hook_add(UNICORN.UC_HOOK_INSN, self._in, None, 1, 0, x86_const.UC_X86_INS_IN)
        cpu.hook_add(UNICORN.UC_HOOK_INSN, self._out, None, 1, 0, x86_const.UC_X86_INS_OUT)
        return cpu

    def _catch_last_steps(self, cpu: Any, address: int, _size: int, _user_data: Any) -> None:
        self._last_steps = address
        cpu.emu_stop()

    def _run_last_steps(self, entry: int) -> None:
        """In 32-bit mode without paging from the start: Unicorn knows the step from one to the other badly."""
        assert self.is_over
        before, self._cpu = self._cpu, self._new_cpu(UNICORN.UC_MODE_32)
        assert before.reg_read(x86_const.UC_X86_REG_CS) == 8
        self._cpu.reg_write(x86_const.UC_X86_REG_GDTR, before.reg_read(x86_const.UC_X86_REG_GDTR))
        for name in ('EAX', 'EBX', 'ECX', 'EDX', 'ESI', 'EDI', 'EBP', 'ESP'):
            register = getattr(x86_const, f'UC_X86_REG_{name}')
            self._cpu.reg_write(register, before.reg_read(register))
        self._cpu.emu_start(self._last_steps, entry, timeout=SECONDS * 1_000_000)
        self.reached = self.get('EIP')

    # -------------------------------------------------------------- memory
    def _poke(self, address: int, data: bytes) -> None:
        self.ram[address : address + len(data)] = data

    def _word(self, address: int) -> int:
        return int.from_bytes(self.ram[address : address + 8], 'little')

    def _load(self) -> int:
        """Put the program's sections into memory; the address of its entry."""
        header = int.from_bytes(self.program[60:64], 'little')
        magic, machine, nr_sections, optional_bytes, characteristics = struct.unpack_from(
            '<4sHH12xHH', self.program, header
        )
        assert (magic, machine) == (b'PE\0\0', 0x8664)
        assert not characteristics & 1, 'the program cannot be loaded anywhere'
        entry, image_bytes = (int.from_bytes(self.program[header + at : header + at + 4], 'little') for at in (40, 80))
        table = header + 24 + optional_bytes
        for at in range(table, table + 40 * nr_sections, 40):
            used, address, size, offset = struct.unpack_from('<IIII', self.program, at + 8)
            assert address + used <= image_bytes
            assert offset + size <= len(self.program)
            self._poke(PROGRAM + address, self.program[offset : offset + size])
        return PROGRAM + entry

    def _put_tables(self) -> None:
        """The system table, the boot services, the console and the graphics protocol."""
        boot, console, acpi, handles = (TABLES + 0x1000 * n for n in range(1, 5))
        self._poke(TABLES + 0x40, struct.pack('<Q', console if self.habits.has_console else 0))
        self._poke(TABLES + 0x60, struct.pack('<Q', boot))
        self._poke(TABLES + 0x68, struct.pack('<QQ', 1 + self.habits.has_acpi, acpi))
        self._poke(acpi, struct.pack('<16sQ16sQ', OTHER_TABLE, 1, ACPI, RSDP))
        self._addresses = {}
        places = {name: boot + offset for name, offset in SERVICE_OFFSETS.items()} | {'output_string': console + 8}
        for number, (name, place) in enumerate(places.items()):
            self._addresses[SERVICES + 16 * number] = name
            self._poke(SERVICES + 16 * number, b'\xc3')  # ret
            self._poke(place, struct.pack('<Q', SERVICES + 16 * number))
        for number, screen in enumerate(self.habits.screens):
            kind, width, height, stride, address, nbytes = screen
            graphics = SCREENS + 0x300 * number
            self._poke(handles + 8 * number, struct.pack('<Q', SCREEN_HANDLE + number))
            self._poke(graphics + 0x18, struct.pack('<Q', graphics + 0x100))
            self._poke(graphics + 0x100, struct.pack('<IIQQQQ', 1, 0, graphics + 0x200, 36, address, nbytes))
            self._poke(graphics + 0x200, struct.pack('<IIIIIIIII', 0, width, height, kind, 0, 0, 0, 0, stride))

    def _cpuid(self, cpu: Any, _user_data: Any) -> int:
        """In place of the instruction."""
        assert self.get('EAX') == 0x8000_0001
        cpu.reg_write(x86_const.UC_X86_REG_RDX, 1 << 29 | self.habits.has_nx << 20)
        for register in ('RAX', 'RBX', 'RCX'):
            cpu.reg_write(getattr(x86_const, f'UC_X86_REG_{register}'), JUNK & 0xFFFF_FFFF)
        return 1

    # -------------------------------------------------------------- ports
    def _in(self, _cpu: Any, port: int, _size: int, _user_data: Any) -> int:
        return {0x3FD: 0x60}.get(port, 0xFF)

    def _out(self, cpu: Any, port: int, _size: int, value: int, _user_data: Any) -> None:
        if port == 0x3F8:
            self.serial.append(value)
        elif port == 0xF4:
            self.exit_code = value
            cpu.emu_stop()

    # -------------------------------------------------------------- services
    def _service(self, cpu: Any, address: int, _size: int, _user_data: Any) -> None:
        name = self._addresses[address]
        self.calls.append(name)
        assert not self.is_over
        stack = self.get('RSP')
        assert stack % 16 == 8, 'the stack is not aligned'
        assert name in ENDING or 'exit_boot_services' not in self.calls, 'the services have begun to end'
        arguments = [self.get(register) for register in ('RCX', 'RDX', 'R8', 'R9')] + [self._word(stack + 40)]
        status = getattr(self, f'_{name}')(*arguments)
        self._poke(stack + 8, struct.pack('<4Q', *[JUNK] * 4))
        for register in ('RCX', 'RDX', 'R8', 'R9', 'R10', 'R11'):
            cpu.reg_write(getattr(x86_const, f'UC_X86_REG_{register}'), JUNK)
        cpu.reg_write(x86_const.UC_X86_REG_RAX, status)

    def _allocate_pages(self, how: int, kind: int, nr_pages: int, address: int, _: int) -> int:
        assert (how, kind, self._word(address)) == (1, LOADER_CODE, 0xFFFF_FFFF)
        area = next(self._areas, None)
        if area is None:
            return OUT_OF_RESOURCES
        self.area = area
        self.area_bytes = nr_pages * PAGE_BYTES
        self._key += 1
        self._poke(address, struct.pack('<Q', area))
        return 0

    def _get_memory_map(self, nbytes: int, buffer: int, key: int, descriptor_bytes: int, version: int) -> int:
        has_room = self._word(nbytes) >= len(self._pieces) * DESCRIPTOR_BYTES
        assert not buffer or self.area <= buffer <= self.area + self.area_bytes - self._word(nbytes)
        self._poke(nbytes, struct.pack('<Q', len(self._pieces) * DESCRIPTOR_BYTES))
        self._poke(descriptor_bytes, struct.pack('<Q', DESCRIPTOR_BYTES))
        self._poke(version, struct.pack('<I', 1))
        if not has_room:
            if not buffer:
                self._pieces += [(4, 0x4000_0000 + 0x2000 * n, 1) for n in range(self.habits.growth)]
                self.habits.growth = 0
            return BUFFER_TOO_SMALL
        if self.habits.map_status:
            return self.habits.map_status
        self._poke(key, struct.pack('<Q', self._key))
        for number, (kind, start, nr_pages) in enumerate(self._pieces):
            piece = struct.pack('<IIQQQQQ', kind, JUNK & 0xFFFF, start, 0, nr_pages, self.habits.attributes, JUNK)
            self._poke(buffer + number * DESCRIPTOR_BYTES, piece)
        return 0

    def _exit_boot_services(self, handle: int, key: int, *_: int) -> int:
        assert handle == HANDLE
        assert self.calls[-2] == 'get_memory_map'
        if self._stale_keys:
            self._stale_keys -= 1
            self._key += 1
            self._pieces.append((4, 0x5000_0000 + 0x2000 * self._stale_keys, 1))
        if key != self._key:
            return INVALID_PARAMETER
        self.is_over = True
        return 0

    def _locate_handle_buffer(self, how: int, guid: int, key: int, count: int, handles: int) -> int:
        assert (how, key) == (2, 0)
        if self.ram[guid : guid + 16] != GRAPHICS or not self.habits.screens:
            return NOT_FOUND
        self._poke(count, struct.pack('<Q', len(self.habits.screens)))
        self._poke(handles, struct.pack('<Q', TABLES + 0x4000))
        return 0

    def _handle_protocol(self, handle: int, guid: int, interface: int, *_: int) -> int:
        number = handle - SCREEN_HANDLE
        assert 0 <= number < len(self.habits.screens)
        wanted = self.ram[guid : guid + 16]
        if wanted == GRAPHICS:
            self._poke(interface, struct.pack('<Q', SCREENS + 0x300 * number))
            return 0
        assert wanted == CONSOLE_DEVICE
        if number != self.habits.console_screen:
            return UNSUPPORTED
        self._poke(interface, struct.pack('<Q', 0))
        return 0

    def _output_string(self, console: int, text: int, *_: int) -> int:
        assert console == TABLES + 0x2000
        while (letter := int.from_bytes(self.ram[text : text + 2], 'little')) != 0:
            self.screen += chr(letter)
            text += 2
        return 0
