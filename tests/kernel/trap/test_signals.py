"""Which signals exceptions become, and their si_code: those of Linux on x86-64, arch/x86/kernel/traps.c."""

import signal
from typing import Final

import pytest

from incroos.kernel.arch import x86
from incroos.kernel.task.contexts import SSE_CONTROL, X87_CONTROL
from incroos.kernel.trap.signals import X87_STATUS, code_of, signal_of
from incroos.lang import VirtAddr, load_vector_state, store16, store32

from ..abi.programs import Machine, machine

ON_LINUX: Final = {
    0: signal.SIGFPE,  # divide error
    1: signal.SIGTRAP,  # debug
    3: signal.SIGTRAP,  # breakpoint
    4: signal.SIGSEGV,  # overflow
    5: signal.SIGSEGV,  # bound range
    6: signal.SIGILL,  # invalid opcode
    10: signal.SIGSEGV,  # invalid TSS
    11: signal.SIGBUS,  # segment not present
    12: signal.SIGBUS,  # stack segment
    13: signal.SIGSEGV,  # general protection
    16: signal.SIGFPE,  # x87
    17: signal.SIGBUS,  # alignment
    19: signal.SIGFPE,  # SSE
}
INTDIV, FLTDIV, FLTOVF, FLTUND, FLTRES, FLTINV = 1, 3, 4, 5, 6, 7
INVALID, DENORMAL, ZERO, OVERFLOW, UNDERFLOW, PRECISION = (1 << bit for bit in range(6))
ALL: Final = 0x3F
# What went wrong, what is masked, and the code.
CASES: Final = [
    (INVALID, 0, FLTINV),
    (DENORMAL, 0, FLTUND),
    (ZERO, 0, FLTDIV),
    (OVERFLOW, 0, FLTOVF),
    (UNDERFLOW, 0, FLTUND),
    (PRECISION, 0, FLTRES),
    (ALL, 0, FLTINV),
    (ALL, INVALID, FLTDIV),
    (ALL, INVALID | ZERO, FLTOVF),
    (OVERFLOW | PRECISION, OVERFLOW, FLTRES),
    (UNDERFLOW | PRECISION, PRECISION, FLTUND),
    (ZERO, ZERO, 0),
    (0, 0, 0),
]
SHARED: Final[list[Machine]] = []


def test_signals_are_those_of_linux() -> None:
    assert {vector: signal_of(vector) for vector in ON_LINUX} == ON_LINUX


@pytest.mark.parametrize(('flags', 'masks', 'code'), CASES)
@pytest.mark.parametrize('vector', [x86.X87_ERROR, x86.SIMD_ERROR])
def test_codes_of_floating_point_are_those_of_linux(vector: int, flags: int, masks: int, code: int) -> None:
    if not SHARED:
        SHARED.append(machine())
    k = SHARED[0].k
    state = k.files.piece
    for offset in range(0, 512, 8):
        k.m.store64(VirtAddr(state + offset), 0)
    is_x87 = vector == x86.X87_ERROR
    store16(k.m, VirtAddr(state + X87_CONTROL), masks if is_x87 else ALL)
    store16(k.m, VirtAddr(state + X87_STATUS), flags if is_x87 else 0)
    store32(k.m, VirtAddr(state + SSE_CONTROL), flags | masks << 7 if not is_x87 else ALL << 7)
    load_vector_state(k.m, state)
    assert code_of(k, vector) == code


def test_codes_of_other_exceptions() -> None:
    k = SHARED[0].k if SHARED else machine().k
    codes = {vector: code_of(k, vector) for vector in (0, 1, 3, 6, 13, 17)}
    assert codes == {0: INTDIV, 1: 2, 3: 0x80, 6: 2, 13: 0x80, 17: 1}
