"""Registers: what entry code leaves on the stack when ring 3, or the kernel itself, was interrupted."""

from typing import Final

from incroos.kernel.layout import MODERN_STACK_END
from incroos.kernel.state.kernel import Kernel
from incroos.lang import Struct, VirtAddr, kernel, u64

SYSTEM_CALL: Final = 256  # in the place of a vector


class Registers(Struct):
    """The same for interrupts, exceptions and system calls; lowest address first. 22 words: a multiple of 16 bytes."""

    r15: u64
    r14: u64
    r13: u64
    r12: u64
    rbp: u64
    rbx: u64
    r11: u64
    r10: u64
    r9: u64
    r8: u64
    rax: u64
    rcx: u64
    rdx: u64
    rsi: u64
    rdi: u64
    vector: u64  # or SYSTEM_CALL
    error: u64  # the processor's, or 0
    rip: u64
    cs: u64
    rflags: u64
    rsp: u64
    ss: u64


@kernel
def user_registers(k: Kernel) -> Registers:
    """Where the registers of ring 3 are while the kernel runs: at the end of its stack."""
    return Registers(k.m, VirtAddr(k.config.image_window + MODERN_STACK_END - Registers.SIZE))
