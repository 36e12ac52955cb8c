"""System calls: what the entry code calls. Thin, since a call that does little pays for what stands here."""

from incroos.kernel.abi.call_records import recorded
from incroos.kernel.abi.dispatch import dispatch
from incroos.kernel.state import PUT_CALLS, Kernel, Registers
from incroos.lang import kernel, word


@kernel
def on_syscall(k: Kernel, regs: Registers) -> word:
    """Do the call of the registers; its result goes to RAX.

    0: SYSRET may return, since nothing else has changed.
    """
    k.tasks.nr_calls += 1
    number = ((regs.rax & 0xFFFF_FFFF) ^ 0x8000_0000) - 0x8000_0000  # an int
    if k.tasks.flags & PUT_CALLS != 0:
        regs.rax = recorded(k, regs, number)
    else:
        regs.rax = dispatch(k, regs, number)
    return 0
