"""What becomes of a call that waits when a handler runs: it is made anew behind the handler, or it ends.

Unit: the task; its RIP is on the `syscall`, RAX is the call's number.
"""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.state import RESTARTS, Kernel, Task, UserSpace, user_registers
from incroos.kernel.task import clock
from incroos.kernel.task.actions import RESTART
from incroos.kernel.task.clock import SECOND
from incroos.kernel.task.waiting import end_wait
from incroos.lang import VirtAddr, add_wrap, cold, kernel, store64, word

INTERRUPTED: Final = -4  # -EINTR
BAD_ADDRESS: Final = -14  # -EFAULT
SYSCALL_BYTES: Final = 2  # of the instruction

# Task.rest_unit: how the rest of the time is told
OF_SLEEP: Final = 0  # struct timespec, and a bad address is an error
NANOSECONDS: Final = 1  # struct timespec
MICROSECONDS: Final = 2  # struct timeval


@cold
@kernel
def interrupt_call(k: Kernel, task: Task, flags: word) -> None:
    """A handler with these flags is about to run: decide about the call of the task that runs, if one waits.

    What it has done in part is its result, or 0 if it is done but has not looked again
    (futexes). Else it is made anew, if call and handler allow that.
    """
    if task.has_waited == 0:
        return
    if task.progress != 0 or task.has_waited != RESTARTS or flags & RESTART == 0:
        regs = user_registers(k)
        regs.rip = add_wrap(regs.rip, SYSCALL_BYTES)
        regs.rax = max(task.progress, 0) if task.progress != 0 else put_rest(k, task)
    end_wait(task)


@cold
@kernel
def put_rest(k: Kernel, task: Task) -> word:
    """Tell how much time the call has left, if it asked: what it answers."""
    if task.rest != 0 and put_time(k, task, task.rest, task.rest_unit, task.deadline) != 0:
        return BAD_ADDRESS if task.rest_unit == OF_SLEEP else INTERRUPTED
    return INTERRUPTED


@cold
@kernel
def put_time(k: Kernel, task: Task, to: word, unit: word, deadline: word) -> word:
    """Give the program the time until a deadline, as seconds and the rest in the unit: 0, or a code of vm."""
    left = max(deadline - clock.now(k), 0)
    at = k.files.piece
    store64(k.m, at, left // SECOND)
    store64(k.m, VirtAddr(at + 8), left % SECOND // (1000 if unit == MICROSECONDS else 1))
    return vm.copy_out(UserSpace(k.m, task.space), to, at, 16)
