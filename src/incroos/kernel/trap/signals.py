"""Which signal an exception of a program becomes: as on Linux."""

from typing import Final

from incroos.kernel.arch.x86 import (
    ALIGNMENT_CHECK,
    BREAKPOINT,
    DEBUG,
    DIVIDE_ERROR,
    INVALID_OPCODE,
    NO_SEGMENT,
    SIMD_ERROR,
    STACK_SEGMENT,
    X87_ERROR,
)
from incroos.lang import kernel, word

SIGILL: Final = 4
SIGTRAP: Final = 5
SIGBUS: Final = 7
SIGFPE: Final = 8
SIGKILL: Final = 9
SIGSEGV: Final = 11


@kernel
def signal_of(vector: word) -> word:
    """The signal of an exception that is no page fault."""
    if vector == DIVIDE_ERROR or vector == X87_ERROR or vector == SIMD_ERROR:
        return SIGFPE
    if vector == DEBUG or vector == BREAKPOINT:
        return SIGTRAP
    if vector == INVALID_OPCODE:
        return SIGILL
    if vector == NO_SEGMENT or vector == STACK_SEGMENT or vector == ALIGNMENT_CHECK:
        return SIGBUS
    return SIGSEGV
