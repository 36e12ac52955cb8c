"""A strict machine whose page tables a test pokes, and kernel code that the machine is to refuse."""

import re
from collections.abc import Callable

import pytest

from incroos.lang import Machine, VirtAddr, kernel, load64, store32, store64, word
from incroos.machine.computer import NO_DEVICE, Computer, DeviceMemory
from incroos.machine.errors import SimulationError
from incroos.machine.strict import SimulatedMachine

from .lab import DATA, RAM_BYTES, ROOT, TABLES, P, W

VA = VirtAddr(0x40_0000_0000)
OTHER = DATA + 0x1000


class Strict:
    """A strict machine whose tables the test pokes; level-1 table of VA at TABLES + 0x2000."""

    def __init__(self, device: DeviceMemory = NO_DEVICE) -> None:
        self.machine = SimulatedMachine(Computer(RAM_BYTES, device=device))
        cpu = self.machine.cpu
        cpu.cr3, cpu.idt_limit = ROOT, 4095
        for frame in (ROOT, TABLES, TABLES + 0x1000, TABLES + 0x2000):
            self.machine.poke(frame, bytes(4096))
        self.level4 = ROOT + 8 * (VA >> 39 & 511)
        self.level3 = TABLES + 8 * (VA >> 30 & 511)
        self.level2 = TABLES + 0x1000 + 8 * (VA >> 21 & 511)
        self.level1 = TABLES + 0x2000 + 8 * (VA >> 12 & 511)
        self.put(self.level4, TABLES | P | W)
        self.put(self.level3, TABLES + 0x1000 | P | W)
        self.put(self.level2, TABLES + 0x2000 | P | W)
        self.faults: list[tuple[int, int]] = []
        self.machine.connect(self.on_page_fault, self.on_exception, lambda data: None, lambda: None)

    def on_page_fault(self, error: int, _ip: int) -> None:
        self.faults.append((self.machine.cpu.cr2, error))
        raise LookupError

    def on_exception(self, vector: int, error: int) -> None:
        raise LookupError(vector, error)

    def put(self, pa: int, value: int) -> None:
        self.machine.poke(pa, (value & (1 << 64) - 1).to_bytes(8, 'little'))

    def map(self, entry: int, page: int = 0) -> None:
        self.put(self.level1 + 8 * page, entry)

    def map_first_page(self) -> None:
        """Make the page of VA appear at address 0, too, and a page behind it as the last one of all."""
        self.put(TABLES, TABLES + 0x1000 | P | W)
        for table, below in ((ROOT, TABLES), (TABLES, TABLES + 0x1000), (TABLES + 0x1000, TABLES + 0x2000)):
            self.put(table + 8 * 511, below | P | W)
        self.map(OTHER | P | W, page=511)


@kernel
def put_word(m: Machine, va: VirtAddr, value: word) -> None:
    store64(m, va, value)


@kernel
def put_narrow(m: Machine, va: VirtAddr, value: word) -> None:
    store32(m, va, value)


@kernel
def get_word(m: Machine, va: VirtAddr) -> word:
    return load64(m, va)


def refused(kind: type[SimulationError], line: str, call: Callable[[], object]) -> None:
    """The call raises, and the error names the kernel line."""
    with pytest.raises(kind) as caught:
        call()
    assert line in caught.value.line
    assert re.search(r'tests/machine/\w+\.py:\d+: ', caught.value.line)
    assert line in str(caught.value)


def warm(strict: Strict, times: int = 3) -> None:
    """Read and write the page until every shortcut knows it."""
    for _ in range(times):
        put_word(strict.machine, VA, 1)
        assert get_word(strict.machine, VA) == 1
