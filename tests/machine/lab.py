"""A bench for the core of the simulated computer: page tables laid by hand, and the core interpreted or compiled.

Tables take frames from TABLES on, data lies from DATA on; nothing here comes from the kernel.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from incroos.build.codegen import compile_host
from incroos.build.memory_code import CodeInMemory
from incroos.lang import VirtAddr
from incroos.lang.frontend import RAW, compile_unit
from incroos.machine import access
from incroos.machine import architecture as arch
from incroos.machine.computer import NO_DEVICE, Computer, DeviceMemory
from incroos.machine.lowering import LOWERINGS
from incroos.machine.walk import set_masks

RAM_BYTES: Final = 4 << 20
ROOT: Final = 0x1000
TABLES: Final = 0x10000
DATA: Final = 0x200000

P: Final = arch.ENTRY_PRESENT
W: Final = arch.ENTRY_WRITABLE
U: Final = arch.ENTRY_USER
A: Final = arch.ENTRY_ACCESSED
D: Final = arch.ENTRY_DIRTY
LEAF: Final = arch.ENTRY_LEAF
G: Final = arch.ENTRY_GLOBAL
NX: Final = 1 << 63

CORE: Final[dict[str, Callable[..., Any]]] = {**LOWERINGS, 'translate': access.translate}


@cache
def compiled_core(checked: bool) -> CodeInMemory:
    """All lowerings, compiled for this process."""
    return CodeInMemory(compile_host(compile_unit(CORE, RAW, checked=checked).ir))


class Bench:
    """A computer with an empty root table; `call` runs a function of its core, interpreted or compiled."""

    def __init__(
        self,
        engine: str,
        ram_bytes: int = RAM_BYTES,
        pa_bits: int = 46,
        levels: int = 4,
        device: DeviceMemory = NO_DEVICE,
    ) -> None:
        self.engine = engine
        self.computer = Computer(ram_bytes, pa_bits, device=device)
        self.cpu, self.memory, self.ram = self.computer.cpu, self.computer.memory, self.computer.ram
        self.cpu.cr3, self.cpu.idt_limit = ROOT, 4095
        self.levels = levels
        if levels == 5:  # as boot code does before it turns paging on
            self.cpu.cr4 |= arch.CR4_LA57
            set_masks(self.cpu)
        self.next_table = TABLES
        self.faults: list[tuple[int, int]] = []  # address and error code of each page fault
        self.sent = bytearray()
        self.keep: list[Any] = []
        self.on_fault: Callable[[int, int], object] = self.refuse_fault
        self.cpu.call_page_fault = self.callback(self.take_fault)
        self.cpu.call_write = self.callback(self.take_output)

    def callback(self, function: Callable[[int, int, int, int], int]) -> int:
        """The number or address by which the core calls a Python function."""
        if self.engine == 'interpreted':
            return self.memory.register(function)
        thunk = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)(function)
        self.keep.append(thunk)
        return ctypes.cast(thunk, ctypes.c_void_p).value or 0

    def take_fault(self, _cpu: int, _kernel: int, error: int, _ip: int) -> int:
        self.faults.append((self.cpu.cr2, error))
        self.on_fault(self.cpu.cr2, error)
        return 0

    def take_output(self, _file: int, addr: int, nbytes: int, _: int) -> int:
        at = addr - self.memory.base
        self.sent += self.memory.buffer[at : at + nbytes]
        return nbytes

    def refuse_fault(self, va: int, error: int) -> None:
        """For tests in which no access may fault; a compiled core cannot raise, so the faulting address is mapped."""
        self.map(va & ~0xFFF, DATA, P | W)

    def call(self, name: str, *words: int) -> int:
        """Run a function of the core."""
        if self.engine == 'interpreted':
            return int(CORE[name](self.cpu, *words) or 0)
        return compiled_core(self.engine == 'checked').function(name, len(words) + 1)(self.cpu.addr, *words)

    # -------------------------------------------------------------- tables by hand
    def word(self, pa: int) -> int:
        return int.from_bytes(self.ram[pa : pa + 8], 'little')

    def put(self, pa: int, value: int) -> None:
        self.ram[pa : pa + 8] = (value & (1 << 64) - 1).to_bytes(8, 'little')

    def entry_address(self, va: int, level: int, upper: int = P | W | U) -> int:
        """Where the entry of this level for va lies; tables on the way are made, with these bits in their entries."""
        table = ROOT
        for at_level in range(self.levels, level, -1):
            at = table + (va >> 12 + 9 * (at_level - 1) & 511) * 8
            if self.word(at) & P == 0:
                self.put(at, self.next_table | upper)
                self.ram[self.next_table : self.next_table + 4096] = bytes(4096)
                self.next_table += 4096
            table = self.word(at) & arch.ENTRY_FRAME
        return table + (va >> 12 + 9 * (level - 1) & 511) * 8

    def map(self, va: int, pa: int, flags: int, level: int = 1, upper: int = P | W | U) -> int:
        """Map a page of the level's size; gives the address of the entry."""
        at = self.entry_address(va, level, upper)
        self.put(at, pa | flags | (LEAF if level > 1 else 0))
        return at

    def load(self, va: int) -> int:
        return self.call('load64', VirtAddr(va))

    def store(self, va: int, value: int) -> None:
        self.call('store64', VirtAddr(va), value)
