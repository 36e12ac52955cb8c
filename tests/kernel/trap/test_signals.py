"""Which signals exceptions become: those of Linux on x86-64, arch/x86/kernel/traps.c."""

import signal
from typing import Final

from incroos.kernel.trap.signals import signal_of

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


def test_signals_are_those_of_linux() -> None:
    assert {vector: signal_of(vector) for vector in ON_LINUX} == ON_LINUX
