"""System calls: what the entry code calls. Thin, since a call that does little pays for what stands here."""

from incroos.kernel import task
from incroos.kernel.abi.call_records import recorded
from incroos.kernel.abi.dispatch import dispatch
from incroos.kernel.state import PUT_CALLS, WAITING, Kernel, Registers
from incroos.kernel.task.interruption import SYSCALL_BYTES
from incroos.lang import apart, kernel, word


@kernel
def on_syscall(k: Kernel, regs: Registers) -> word:
    """Do the call of the registers; its result goes to RAX.

    0: SYSRET may return, since nothing else has changed.
    """
    k.tasks.nr_calls += 1
    number = ((regs.rax & 0xFFFF_FFFF) ^ 0x8000_0000) - 0x8000_0000  # an int
    result = recorded(k, regs, number) if k.tasks.flags & PUT_CALLS != 0 else dispatch(k, regs, number)
    if k.tasks.attention != 0:
        return end_call(k, regs, result)
    regs.rax = result
    return 0


@apart
@kernel
def end_call(k: Kernel, regs: Registers, result: word) -> word:
    """The way back that is not the short one: a call that waits is made anew, another task may run. 1: by IRET."""
    own = task.current(k)
    if own.state == WAITING:
        regs.rip -= SYSCALL_BYTES
    else:
        regs.rax = result
        task.end_wait(own)
    task.go_on(k)
    return 1
