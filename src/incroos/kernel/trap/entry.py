"""Traps of ring 3: what the entry code calls at an exception or an interrupt that a program was interrupted by.

    page fault              vm gives the page, or the task ends as a fault ends it
    other exceptions        the signal that Linux makes of them (signals.py)
    NMI, interrupts         nobody has asked for one: ignored

Whoever comes back goes on with `regs`, in ring 3. A fault in ring 0 is a bug and comes to kernel_faults.py.
"""

from incroos.kernel.arch.x86 import NMI, NR_EXCEPTIONS, PAGE_FAULT
from incroos.kernel.codes import OK
from incroos.kernel.state import Kernel, Registers
from incroos.kernel.trap.signals import signal_of
from incroos.kernel.trap.stand_ins import end_by_signal, fault, on_fault
from incroos.lang import VirtAddr, kernel, read_cr2


@kernel
def on_trap(k: Kernel, regs: Registers) -> None:
    """Serve the trap. PRE ring 3 was interrupted."""
    if regs.vector == PAGE_FAULT:
        on_user_fault(k, regs, read_cr2(k.m))
    elif regs.vector < NR_EXCEPTIONS and regs.vector != NMI:
        end_by_signal(k, signal_of(regs.vector), regs)


@kernel
def on_user_fault(k: Kernel, regs: Registers, va: VirtAddr) -> None:
    """Give the page of va, or end the task. The rights are the range's, whatever the entry said."""
    code = fault(k, va, regs.error)
    if code != OK:
        on_fault(k, regs, code, va)
