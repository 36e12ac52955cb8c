"""A kernel that breaks its own rule: at each system call it reads the word at rdi through the program's mapping."""

from incroos.kernel.state import Kernel, Registers
from incroos.lang import VirtAddr, kernel, load64, word


@kernel
def on_syscall(k: Kernel, regs: Registers) -> word:
    regs.rax = load64(k.m, VirtAddr(regs.rdi))
    return 0
