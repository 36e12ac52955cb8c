"""Traps of ring 3: what the entry code calls at an exception or an interrupt that a program was interrupted by.

    page fault              vm gives the page, or the task has a signal
    other exceptions        the signal that Linux makes of them (signals.py)
    interrupts              acknowledged; the timer's is a tick
    NMI                     nobody has asked for one: ignored

Whoever comes back goes on with `regs`, in ring 3. A fault in ring 0 is a bug and comes to kernel_faults.py.
"""

from incroos.kernel import task, vm
from incroos.kernel.arch.x86 import FAULT_PRESENT, FAULT_USER, GENERAL_PROTECTION, NMI, NR_EXCEPTIONS, PAGE_FAULT
from incroos.kernel.codes import OK
from incroos.kernel.devices import interrupts, timer
from incroos.kernel.state import Kernel, Registers, UserSpace
from incroos.kernel.trap.signals import code_of, has_address, signal_of
from incroos.lang import VirtAddr, apart, kernel, read_cr2, word


@kernel
def on_trap(k: Kernel, regs: Registers) -> None:
    """Serve the trap. PRE ring 3 was interrupted."""
    if regs.vector == PAGE_FAULT:
        va = read_cr2(k.m)
        code = vm.fault(UserSpace(k.m, task.current(k).space), va, regs.error)
        if code != OK or regs.error & (FAULT_PRESENT | FAULT_USER) == FAULT_PRESENT:
            on_bad_fault(k, regs, code, va)
    elif interrupts.is_interrupt(regs.vector):
        interrupts.acknowledge(k, regs.vector)
        if regs.vector == timer.VECTOR:
            task.tick(k)
    elif regs.vector < NR_EXCEPTIONS and regs.vector != NMI:
        on_exception(k, regs)
    if k.tasks.attention != 0:
        task.go_on(k)


@apart
@kernel
def on_bad_fault(k: Kernel, regs: Registers, code: word, va: VirtAddr) -> None:
    """Send the task a signal whose page fault cannot be served.

    That a page is there, and ring 3 may not touch it as ring 0, no range can help: on QEMU, whose far return of ring 3
    reads the stack as ring 0 does, against SMAP. There it is what a bad far return is.
    """
    if code == OK:
        regs.vector = GENERAL_PROTECTION
        regs.error = 0
        on_exception(k, regs)
    else:
        task.on_fault(k, regs, code, va)


@apart
@kernel
def on_exception(k: Kernel, regs: Registers) -> None:
    """Send the task the signal of an exception that is no page fault."""
    va = VirtAddr(regs.rip) if has_address(regs.vector) else VirtAddr(0)
    task.on_exception(k, signal_of(regs.vector), regs, code_of(k, regs.vector), va)
