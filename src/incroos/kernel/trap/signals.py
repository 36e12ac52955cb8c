"""Which signal an exception of a program becomes, and what is told of it: as on Linux."""

from typing import Final

from incroos.kernel.arch import x86
from incroos.kernel.state import Kernel
from incroos.kernel.task.actions import SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP
from incroos.kernel.task.contexts import SSE_CONTROL, X87_CONTROL
from incroos.kernel.task.sending import BY_KERNEL
from incroos.lang import VirtAddr, kernel, load16, load32, save_vector_state, shr_logical, word

# si_code
BY_DIVISION: Final = 1  # FPE_INTDIV
OF_OPERAND: Final = 2  # ILL_ILLOPN
BY_TRACE: Final = 2  # TRAP_TRACE
OF_ALIGNMENT: Final = 1  # BUS_ADRALN
ZERO_DIVISOR: Final = 3  # FPE_FLTDIV
OVERFLOW: Final = 4
UNDERFLOW: Final = 5
INEXACT: Final = 6
INVALID: Final = 7

# In what FXSAVE64 writes, beside task/contexts.py
X87_STATUS: Final = 2
SSE_MASK_SHIFT: Final = 7  # from the flags of MXCSR to the bits that mask them


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


@kernel
def has_address(vector: word) -> bool:
    """Whether si_addr is where the instruction is. PRE no page fault."""
    is_arithmetic = vector == x86.DIVIDE_ERROR or vector == x86.X87_ERROR or vector == x86.SIMD_ERROR
    return is_arithmetic or vector == x86.DEBUG or vector == x86.INVALID_OPCODE


@kernel
def code_of(k: Kernel, vector: word) -> word:
    """si_code of an exception that is no page fault."""
    match vector:
        case x86.DIVIDE_ERROR:
            return BY_DIVISION
        case x86.DEBUG:
            return BY_TRACE
        case x86.INVALID_OPCODE:
            return OF_OPERAND
        case x86.ALIGNMENT_CHECK:
            return OF_ALIGNMENT
        case x86.X87_ERROR | x86.SIMD_ERROR:
            return code_of_arithmetic(k, vector)
        case _:
            return BY_KERNEL


@kernel
def code_of_arithmetic(k: Kernel, vector: word) -> word:
    """si_code of an exception of x87 or SSE: the first of those that it had and that are not masked."""
    state = k.files.piece
    save_vector_state(k.m, state)
    if vector == x86.X87_ERROR:
        found = load16(k.m, VirtAddr(state + X87_STATUS)) & ~load16(k.m, VirtAddr(state + X87_CONTROL))
    else:
        control = load32(k.m, VirtAddr(state + SSE_CONTROL))
        found = control & ~shr_logical(control, SSE_MASK_SHIFT)
    if found & 0x01 != 0:
        return INVALID
    if found & 0x04 != 0:
        return ZERO_DIVISOR
    if found & 0x08 != 0:
        return OVERFLOW
    if found & 0x12 != 0:  # also of an operand that is denormal
        return UNDERFLOW
    return INEXACT if found & 0x20 != 0 else 0
