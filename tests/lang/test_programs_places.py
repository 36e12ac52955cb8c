"""Random programs in the places where kernels run: each case prints the same in sim, in jit and in QEMU.

One kernel runs all cases. Of each it writes the result and a hash of the memory to the serial port; what it should
write is computed by CPython on the plainest machine. The jit and QEMU run the checked build: no check may fail.
"""

import random
from pathlib import Path
from typing import Any, Final

import pytest

from incroos.build.image import build_image
from incroos.kernel import layout
from incroos.kernel.configs import CLASSIC
from incroos.kernel.state import Kernel
from incroos.kernel.trap import faults
from incroos.lang import VirtAddr
from incroos.lang.frontend import BARE, compile_unit
from incroos.lang.words import signed
from incroos.run import jit, qemu, sim
from incroos.run.boot import Boot
from incroos.run.images import boot_layout
from incroos.run.outcome import Outcome, Status
from incroos.run.simulated import EntryPoints

from ..budget import SECONDS
from .compiled import Trap
from .flat import FlatMachine
from .guarded import GUARDS, fill_state, guarded
from .programs import Writer
from .sample import define, run
from .test_programs import interpret, rows_of

NR_PROGRAMS: Final = 16
FIRST_SEED: Final = 5000
AREA: Final = layout.MAILBOX
NBYTES: Final = 512
MEMORY_BYTES: Final = 16 << 20
PRIME: Final = 0x100_0000_01B3  # FNV: http://www.isthe.com/chongo/tech/comp/fnv/
HEAD: Final = f"""
AREA: Final = {AREA}

@kernel
def begin(m: Machine, content: bytes) -> None:
    for index in range(len(content)):
        store8(m, VirtAddr(AREA + index), content[index])

@kernel
def put_hex(m: Machine, value: word) -> None:
    for shift in range(60, -4, -4):
        digit = value >> shift & 15
        out8(m, 0x3F8, digit + 48 if digit < 10 else digit + 55)
    out8(m, 0x3F8, 10)

@kernel
def report(m: Machine, result: word) -> None:
    found = 0
    for index in range({NBYTES}):
        found = mul_wrap(found ^ load8(m, VirtAddr(AREA + index)), {PRIME})
    put_hex(m, result)
    put_hex(m, found)

"""


def hash_of(content: bytes) -> int:
    found = 0
    for byte in content:
        found = signed((found ^ byte) * PRIME)
    return found


class Cases:
    """The text of a kernel, what it refers to, and what it should print."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {'Kernel': Kernel}
        self.calls: list[str] = []
        self.printed = ''
        for seed in range(FIRST_SEED, FIRST_SEED + NR_PROGRAMS):
            self.add(seed)
        text = [
            '@kernel',
            'def kmain(k: Kernel, start_info: PhysAddr) -> None:',
            *self.calls,
            '    out8(k.m, 0xF4, 0x10)',
        ]
        self.kmain = define(HEAD + '\n'.join(text) + '\n', self.names, 'all_cases.py').kmain

    def add(self, seed: int) -> None:
        """The cases of one program that finish."""
        text, file = Writer(seed).program(), f'program{seed}.py'
        strict = run(compile(guarded(text), file, 'exec'), GUARDS)
        program = self.names[f'program{seed}'] = define(text, file=file)
        for number, row in enumerate(rows_of(seed)):
            machine = FlatMachine(AREA, NBYTES)
            fill_state(program.State(machine, VirtAddr(AREA)), random.Random(seed * 10 + number))
            initial = bytes(machine.bytes)
            result = interpret(strict, machine, row)
            if not isinstance(result, Trap):
                self.names[f'INITIAL_{seed}_{number}'] = initial
                state = f'program{seed}.State(k.m, VirtAddr(AREA))'
                words = ', '.join(map(str, row))
                self.calls.append(f'    begin(k.m, INITIAL_{seed}_{number})')
                self.calls.append(f'    report(k.m, program{seed}.f({state}, {words}))')
                self.printed += ''.join(
                    f'{word & (1 << 64) - 1:016X}\n' for word in (result, hash_of(bytes(machine.bytes)))
                )


@pytest.fixture(scope='module')
def cases() -> Cases:
    found = Cases()
    assert len(found.calls) > 3 * NR_PROGRAMS
    return found


def entries(cases: Cases) -> EntryPoints:
    return EntryPoints(cases.kmain, faults.on_page_fault, faults.on_exception)


def check(cases: Cases, outcome: Outcome, printed: bytearray) -> None:
    assert printed.decode() == cases.printed
    assert outcome.status == Status.PASSED


def test_sim(cases: Cases) -> None:
    printed = bytearray()
    check(cases, sim.boot(Boot(MEMORY_BYTES, SECONDS, printed.extend), entries(cases)), printed)


def test_jit(cases: Cases) -> None:
    printed = bytearray()
    code = jit.compile_kernel(entries(cases), checked=True)
    check(cases, jit.boot(Boot(MEMORY_BYTES, SECONDS, printed.extend), code), printed)


@pytest.mark.parametrize('checked', [False, True], ids=['plain', 'checked'])
def test_qemu(cases: Cases, checked: bool, tmp_path: Path) -> None:
    roots = {'kmain': cases.kmain, 'on_page_fault': faults.on_page_fault, 'on_exception': faults.on_exception}
    unit = compile_unit(roots, BARE, CLASSIC, checked)
    image = tmp_path / 'cases.elf'
    image.write_bytes(build_image(unit.ir, unit.sites, boot_layout(), debug=False).elf)
    printed = bytearray()
    check(cases, qemu.boot(Boot(MEMORY_BYTES, SECONDS, printed.extend, accel='tcg'), image), printed)
