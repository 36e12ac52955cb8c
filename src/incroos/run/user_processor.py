"""Unicorn, opened and brought to ring 3: what its part in kernel Python (machine/unicorn.py) finds there.

Unicorn is an optional dependency, licensed under the GPL 2: nothing of it is part of what is distributed here.
"""

import contextlib
import ctypes
import mmap
import struct
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from incroos.lang import address_of
from incroos.lang.words import signed
from incroos.machine import architecture as arch
from incroos.machine import cpuid, unicorn
from incroos.machine.computer import Computer
from incroos.machine.cpu import Cpu
from incroos.machine.unicorn import Unicorn

from .outcome import Unusable

STUB_PA: Final = arch.HIGH_START - arch.PAGE_BYTES  # in the engine: no RAM, however much there is
STUB: Final = 1 << 46  # where it sees the stub while it goes to ring 3
IRETQ: Final = b'\x48\xcf'
# What IRET needs for a moment: ring 3's data at 0x28 and its code at 0x30. From then on there is no table at all.
DESCRIPTORS: Final = (0, 0, 0, 0, 0, 0x00CF_F200_0000_FFFF, 0x00AF_FA00_0000_FFFF)
FLAGS_AT_START: Final = 0x202
FPCW_AT_START: Final = 0x37F
FPTAG_AT_START: Final = 0xFFFF  # all empty
MXCSR_AT_START: Final = 0x1F80
PROBED: Final = (0x1234_5678_9ABD, 0x3FED_CBA9_8765)  # nothing is mapped there
GENERAL: Final = [
    'R15',
    'R14',
    'R13',
    'R12',
    'RBP',
    'RBX',
    'R11',
    'R10',
    'R9',
    'R8',
    'RAX',
    'RCX',
    'RDX',
    'RSI',
    'RDI',
    'RIP',
    'RFLAGS',
    'RSP',
]
# Name, and offset in what FXSAVE writes; the tags lie elsewhere. First the status word, which says what ST0 is.
VECTORS: Final = [
    ('FPSW', 2),
    ('FPCW', 0),
    ('FPTAG', None),
    ('MXCSR', 24),
    *((f'ST{index}', 32 + 16 * index) for index in range(unicorn.NR_STACK_REGISTERS)),
    *((f'XMM{index}', 160 + 16 * index) for index in range(16)),
]

MISSING: Final = (
    'running programs takes Unicorn, the processor of ring 3 in sim and jit, and it is not there: '
    'pip install "incroos[ring3]", or run in QEMU with --on qemu'
)


LIBC: Final = ctypes.CDLL(None)
LIBC.malloc_usable_size.argtypes, LIBC.malloc_usable_size.restype = [ctypes.c_void_p], ctypes.c_size_t


@dataclass(frozen=True)
class Callbacks:
    """Addresses of C functions with the parameters of Unicorn's hooks; the last one is the processor's struct."""

    fill: int
    system_call: int
    interrupt: int
    port_in: int
    port_out: int
    sysenter: int
    cpuid: int


class UserProcessor:
    """An engine whose memory is a computer's RAM. Keep it as long as ring 3 runs."""

    def __init__(self, computer: Computer) -> None:
        try:
            package: Any = import_module('unicorn')
            self.constants: Any = import_module('unicorn.x86_const')
            self.library: Any = import_module('unicorn.unicorn_py3.unicorn').uclib
        except ImportError as error:
            raise Unusable(f'{MISSING} ({error})') from error
        self.package = package
        self.cpu: Cpu = computer.cpu
        self.state = Unicorn(self.cpu.m, self.cpu.user.host_processor)
        self.engine = package.Uc(package.UC_ARCH_X86, package.UC_MODE_64)
        self._map_ram()
        self.engine.ctl_set_tlb_mode(package.UC_TLB_VIRTUAL)
        self.engine.ctl_exits_enabled(True)
        self._go_to_ring3()
        self.engine.ctl_set_exits([])
        self._fill_in()
        for index, row in enumerate(cpuid.ROWS):
            for field, value in zip(('leaf', 'subleaf', 'a', 'b', 'c', 'd'), row, strict=True):
                setattr(self.cpu.user.cpuid[index], field, value)
        self.cpu.user.nr_cpuid_rows = len(cpuid.ROWS)
        self.cpu.user.is_flushed = self.cpu.user.is_code_written = 1

    @property
    def handle(self) -> int:
        """The engine's address."""
        return int(self.engine._uch.value)

    def address_of(self, name: str) -> int:
        """Where a function of Unicorn begins."""
        return ctypes.cast(getattr(self.library, name), ctypes.c_void_p).value or 0

    # -------------------------------------------------------------- hooks
    def hook(self, callbacks: Callbacks) -> None:
        """Have the engine call these."""
        uc, x86 = self.package, self.constants
        self._add_hook(uc.UC_HOOK_TLB_FILL, callbacks.fill)
        self._add_hook(uc.UC_HOOK_INTR, callbacks.interrupt)
        self._add_hook(uc.UC_HOOK_INSN, callbacks.system_call, x86.UC_X86_INS_SYSCALL)
        self._add_hook(uc.UC_HOOK_INSN, callbacks.port_in, x86.UC_X86_INS_IN)
        self._add_hook(uc.UC_HOOK_INSN, callbacks.port_out, x86.UC_X86_INS_OUT)
        self._add_hook(uc.UC_HOOK_INSN, callbacks.sysenter, x86.UC_X86_INS_SYSENTER)
        self._add_hook(uc.UC_HOOK_INSN, callbacks.cpuid, x86.UC_X86_INS_CPUID)

    def hook_blocks(self, callback: int) -> None:
        """Have the engine call this before each block that it translates from now on."""
        self._add_hook(self.package.UC_HOOK_BLOCK, callback)

    def _add_hook(self, kind: int, callback: int, *instruction: int) -> int:
        handle = ctypes.c_size_t()
        add = ctypes.CFUNCTYPE(
            ctypes.c_int,
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_int,
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_uint64,
            ctypes.c_uint64,
            *[ctypes.c_int for _ in instruction],
        )(self.address_of('uc_hook_add'))
        where = ctypes.addressof(handle)
        error = add(self.handle, where, kind, callback, self.cpu.addr, 1, 0, *instruction)
        if error:
            raise Unusable(f'Unicorn refuses a hook: error {error}')
        return handle.value

    # -------------------------------------------------------------- setting up
    def _map_ram(self) -> None:
        cpu = self.cpu
        self.engine.mem_map_ptr(0, cpu.ram_low_end, self.package.UC_PROT_ALL, cpu.host_ram)
        if cpu.ram_high_end > arch.HIGH_START:
            nbytes = cpu.ram_high_end - arch.HIGH_START
            host = cpu.host_ram + arch.HIGH_START
            self.engine.mem_map_ptr(arch.HIGH_START, nbytes, self.package.UC_PROT_ALL, host)

    def _id(self, name: str) -> int:
        return int(getattr(self.constants, f'UC_X86_REG_{name}'))

    def _write(self, name: str, value: Any) -> None:
        self.engine.reg_write(self._id(name), value)

    def _go_to_ring3(self) -> None:
        """Unicorn begins with CPL 0, and a write of CS does not change that: one IRET does."""
        page = mmap.mmap(-1, arch.PAGE_BYTES)
        page[: 8 * len(DESCRIPTORS)] = struct.pack(f'<{len(DESCRIPTORS)}Q', *DESCRIPTORS)
        page[0x100 : 0x100 + len(IRETQ)] = IRETQ
        page[0x800:0x828] = struct.pack('<5Q', STUB + 0x102, 0x33, FLAGS_AT_START, 0, 0x2B)
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        self.engine.mem_map_ptr(STUB_PA, arch.PAGE_BYTES, self.package.UC_PROT_ALL, address)

        def fill(_engine: Any, va: int, _access: int, entry: Any, _data: Any) -> bool:
            entry.paddr, entry.perms = STUB_PA, self.package.UC_PROT_ALL
            return va & -arch.PAGE_BYTES == STUB

        hook = self.engine.hook_add(self.package.UC_HOOK_TLB_FILL, fill)
        self._write('GDTR', (0, STUB, 8 * len(DESCRIPTORS) - 1, 0))
        self._write('RSP', STUB + 0x800)
        self.engine.ctl_set_exits([STUB + 0x102, STUB + 0x20A])
        self.engine.emu_start(STUB + 0x100, 0)
        self.state.invalid_address = self._find_invalid_address(page)
        self.engine.hook_del(hook)
        self._write('GDTR', (0, 0, 0, 0))
        self._write('CR4', arch.CR4_PAE | arch.CR4_OSFXSR | arch.CR4_OSXMMEXCPT | arch.CR4_TSD)
        self._write('FPCW', FPCW_AT_START)
        self._write('FPTAG', FPTAG_AT_START)
        self._write('MXCSR', MXCSR_AT_START)
        self.engine.mem_unmap(STUB_PA, arch.PAGE_BYTES)
        self.engine.ctl_flush_tb()

    def _find_invalid_address(self, page: mmap.mmap) -> int:
        """Where the engine keeps the address of the last access that failed; none of its functions tells.

        Found by what two failing loads leave in its struct.
        """
        places: set[int] = set()
        for address in PROBED:
            page[0x200:0x20A] = b'\x48\xa1' + address.to_bytes(8, 'little')  # mov rax, [address]
            self.engine.ctl_flush_tb()
            with contextlib.suppress(self.package.UcError):
                self.engine.emu_start(STUB + 0x200, 0)
            content = ctypes.string_at(self.handle, LIBC.malloc_usable_size(self.handle))
            wanted = address.to_bytes(8, 'little')
            found = {at for at in range(0, len(content) - 7, 8) if content[at : at + 8] == wanted}
            places = places & found if places else found
        if len(places) != 1:
            raise Unusable('this version of Unicorn keeps the address of a fault somewhere else: install 2.1.4')
        return self.handle + places.pop()

    def _fill_in(self) -> None:
        state, cpu, uc = self.state, self.cpu, self.package
        state.engine = self.handle
        for name in vars(Unicorn)['FIELDS']:
            if name.startswith('uc_'):
                setattr(state, name, self.address_of(name))
        write = uc.UC_CTL_IO_WRITE << 30
        state.flush_pages = write | uc.UC_CTL_TLB_FLUSH
        state.flush_code = write | uc.UC_CTL_TB_FLUSH
        state.set_exits = write | 2 << 26 | uc.UC_CTL_UC_EXITS
        state.id_fs_base, state.id_gs_base = self._id('FS_BASE'), self._id('GS_BASE')
        for index, name in enumerate(GENERAL):
            state.ids[index] = self._id(name)
            state.places[index] = state.values.addr + 8 * index
            state.values[index] = state.new_values[index] = signed(self.engine.reg_read(self._id(name)))
        for index, (name, offset) in enumerate(VECTORS):
            state.vector_ids[index] = self._id(name)
            place = address_of(state, 'tags') if offset is None else cpu.vector_state.addr + offset
            state.vector_places[index] = place
        state.careful = unicorn.NO_CAREFUL
        self._new_context = self.engine.context_save()  # kept
        state.new_context = self._new_context.context.value
