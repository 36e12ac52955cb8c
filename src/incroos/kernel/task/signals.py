"""Signals delivered: what a task does when it has one, and what exceptions of a program become.

    blocked             waits (sending.py)
    ignored             nothing happens
    a handler           the task goes on in it (frames.py); a call that waits is made anew or ends (interruption.py)
    default action      the task ends, is stopped, or nothing happens

A fault of the program cannot be blocked nor ignored: it ends it all the same. Unit: the signal; actions.py.
"""

from typing import Final

from incroos.kernel.arch.x86 import FAULT_PRESENT, PAGE_FAULT
from incroos.kernel.codes import FAULT_BEYOND_CONTENT, FAULT_NO_RANGE, FAULT_NO_RIGHT
from incroos.kernel.state import (
    ENDED,
    NO_CALL,
    REMARK_WAITS_FOR_EVER,
    WAITING,
    Kernel,
    Registers,
    Task,
    user_registers,
)
from incroos.kernel.task import ending, family, frames, news, report, sending
from incroos.kernel.task.actions import (
    DEFAULT_HANDLER,
    JOB_STOPS,
    ONE_SHOT,
    SIGBUS,
    SIGKILL,
    SIGSEGV,
    STOPPING,
    action_of,
    bit_of,
    flags_of,
    has_handler,
    is_ignored,
)
from incroos.kernel.task.contexts import registers_of
from incroos.kernel.task.interruption import interrupt_call
from incroos.kernel.task.ring import current
from incroos.kernel.task.waiting import end_wait
from incroos.lang import VirtAddr, cold, kernel, word

# si_code of faults
NO_MAPPING: Final = 1  # SEGV_MAPERR
NO_RIGHT: Final = 2  # SEGV_ACCERR
NO_FILE: Final = 2  # BUS_ADRERR


# ------------------------------------------------------------------ pending signals
@cold
@kernel
def deliver_pending(k: Kernel, task: Task) -> None:
    """Do what the actions of the signals say that are pending and not blocked. PRE the task runs, and can."""
    ready = sending.deliverable(task)
    while ready != 0 and task.state != ENDED and task.is_stopped == 0:
        signal = sending.next_of(task, ready)
        code, first, second = sending.take(k, task, signal)
        if has_handler(task, signal):
            call_handler(k, task, signal, code, first, second)
        elif not is_ignored(task, signal):
            act_by_default(k, task, signal)
        ready = sending.deliverable(task) if task.state != ENDED else 0
    if task.state != ENDED:
        sending.notice_others(k, task)


@cold
@kernel
def act_by_default(k: Kernel, task: Task, signal: word) -> None:
    """End or stop a task by a signal that is not ignored. A group that nobody looks after is not stopped by a key."""
    if bit_of(signal) & STOPPING == 0:
        ending.end_by_signal(k, task, signal)
    elif bit_of(signal) & JOB_STOPS == 0 or not family.is_orphaned(k, task.group):
        news.stop(k, task, signal)


# ------------------------------------------------------------------ handlers
@cold
@kernel
def call_handler(k: Kernel, task: Task, signal: word, code: word, first: word, second: word) -> None:
    """Let the task that runs go on in its handler; where its stack has no room for that, SIGSEGV is forced on it."""
    mask = task.saved_blocked if task.has_saved_blocked != 0 else task.blocked
    task.has_saved_blocked = 0
    interrupt_call(k, task, flags_of(task, signal))
    is_done = frames.push(k, task, signal, mask, code, first, second)
    if flags_of(task, signal) & ONE_SHOT != 0:
        action_of(task, signal).handler = DEFAULT_HANDLER
    if not is_done:
        task.blocked = mask
        force_end_of_stack(k, task, signal, first)


@cold
@kernel
def force_end_of_stack(k: Kernel, task: Task, signal: word, va: word) -> None:
    """A frame could not be written: SIGSEGV, and the end if that one's could not, or it has no handler."""
    if signal == SIGSEGV:
        action_of(task, signal).handler = DEFAULT_HANDLER
    regs = user_registers(k)
    if is_fatal(task, SIGSEGV) and regs.vector == PAGE_FAULT and va == task.fault_address:
        ending.end_by_fault(k, SIGSEGV, regs, task.fault_address)
    else:
        force(k, SIGSEGV)


@cold
@kernel
def force(k: Kernel, signal: word) -> None:
    """Send the task that runs a signal that it cannot go on without, for a reason of the kernel's own."""
    task = current(k)
    if is_fatal(task, signal):
        ending.end_by_signal(k, task, signal)
    else:
        sending.send_to_thread(k, task, signal, sending.BY_KERNEL, 0, 0)


@cold
@kernel
def is_fatal(task: Task, signal: word) -> bool:
    """Does a fault with this signal end the task?"""
    return not has_handler(task, signal) or task.blocked & bit_of(signal) != 0


# ------------------------------------------------------------------ exceptions
@cold
@kernel
def on_fault(k: Kernel, regs: Registers, code: word, va: VirtAddr) -> None:
    """Send the task the signal of a page fault that vm could not serve.

    Whether something is at an address of the kernel's half is not told: it always is.
    """
    current(k).fault_address = va
    if va < 0:
        regs.error |= FAULT_PRESENT
    if code == FAULT_NO_RANGE or code == FAULT_NO_RIGHT:
        on_exception(k, SIGSEGV, regs, NO_MAPPING if code == FAULT_NO_RANGE else NO_RIGHT, va)
    elif code == FAULT_BEYOND_CONTENT:
        on_exception(k, SIGBUS, regs, NO_FILE, va)
    else:
        on_exception(k, SIGKILL, regs, sending.BY_KERNEL, va)


@cold
@kernel
def on_exception(k: Kernel, signal: word, regs: Registers, code: word, va: VirtAddr) -> None:
    """Send the task that runs an exception's signal; the address is 0 where si_addr is."""
    task = current(k)
    end_wait(task)
    task.fault_vector = regs.vector
    task.fault_error = regs.error
    if is_fatal(task, signal):
        ending.end_by_fault(k, signal, regs, va if regs.vector == PAGE_FAULT else VirtAddr(0))
    else:
        sending.send_to_thread(k, task, signal, code, va, 0)


# ------------------------------------------------------------------ the end of all
@cold
@kernel
def end_all(k: Kernel) -> None:
    """All tasks wait for what cannot happen: tell the host in which call the first of them does, and end them."""
    report.remark(k, REMARK_WAITS_FOR_EVER, first_call(k))
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if task.state != ENDED:
            ending.end_by_signal(k, task, SIGKILL)
        at = task.next


@cold
@kernel
def first_call(k: Kernel) -> word:
    """The call in which the first task waits that waits in one, or NO_CALL: all are stopped."""
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if task.state == WAITING:
            return registers_of(k, task).rax
        at = task.next
    return NO_CALL
