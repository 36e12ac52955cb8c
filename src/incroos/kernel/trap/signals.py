"""Which signal an exception of a program becomes: as on Linux."""

from typing import Final

from incroos.kernel.arch import x86
from incroos.kernel.task.signals import SIGBUS, SIGSEGV
from incroos.lang import kernel, word

SIGILL: Final = 4
SIGTRAP: Final = 5
SIGFPE: Final = 8


@kernel
def signal_of(vector: word) -> word:
    """The signal of an exception that is no page fault."""
    match vector:
        case x86.DIVIDE_ERROR | x86.X87_ERROR | x86.SIMD_ERROR:
            return SIGFPE
        case x86.DEBUG | x86.BREAKPOINT:
            return SIGTRAP
        case x86.INVALID_OPCODE:
            return SIGILL
        case x86.NO_SEGMENT | x86.STACK_SEGMENT | x86.ALIGNMENT_CHECK:
            return SIGBUS
        case _:
            return SIGSEGV
