"""Signals: sent to tasks, and what exceptions become.

    blocked                 waits in task.pending
    ignored                 nothing happens
    default action          ends the program, or nothing happens
    a handler               the program ends by the signal, with a remark: nobody calls handlers yet

Unit: the signal, 1 to 64; bit n - 1 of a set is signal n. Numbers and actions: signal(7).
"""

from typing import Final

from incroos.kernel.codes import FAULT_BEYOND_CONTENT, FAULT_NO_RANGE, FAULT_NO_RIGHT
from incroos.kernel.state import (
    ENDED,
    HAS_SIGNAL,
    REMARK_HANDLER,
    REMARK_WAITS_FOR_EVER,
    WAITING,
    Kernel,
    Registers,
    Task,
)
from incroos.kernel.task import ending, news, report
from incroos.kernel.task.contexts import registers_of
from incroos.kernel.task.ring import current
from incroos.kernel.task.waiting import make_ready
from incroos.lang import VirtAddr, cold, count_trailing_zeros, kernel, shl_wrap, word

SIGBUS: Final = 7
SIGKILL: Final = 9
SIGSEGV: Final = 11
SIGSTOP: Final = 19
SIGTSTP: Final = 20
SIGTTIN: Final = 21
SIGTTOU: Final = 22

DEFAULT_HANDLER: Final = 0
IGNORE_HANDLER: Final = 1

# Ignored by default: SIGCHLD, SIGCONT, SIGURG, SIGWINCH
IGNORED: Final = 1 << 16 | 1 << 17 | 1 << 22 | 1 << 27
STOPPING: Final = 1 << (SIGSTOP - 1) | 1 << (SIGTSTP - 1) | 1 << (SIGTTIN - 1) | 1 << (SIGTTOU - 1)
UNBLOCKABLE: Final = 1 << (SIGKILL - 1) | 1 << (SIGSTOP - 1)


@kernel
def bit_of(signal: word) -> word:
    """The signal's bit in a set."""
    return shl_wrap(1, signal - 1)


@kernel
def is_ignored(task: Task, signal: word) -> bool:
    """Does nothing happen when the signal is delivered?"""
    handler = task.actions[signal - 1].handler
    return handler == IGNORE_HANDLER or (handler == DEFAULT_HANDLER and bit_of(signal) & IGNORED != 0)


@kernel
def send(k: Kernel, task: Task, signal: word) -> None:
    """Send a task a signal. PRE 1 <= signal <= NR_SIGNALS."""
    bit = bit_of(signal)
    if task.state == ENDED or (is_ignored(task, signal) and task.blocked & bit == 0):
        return
    task.pending |= bit
    notice(k, task)


@kernel
def notice(k: Kernel, task: Task) -> None:
    """See whether a task has a signal to be delivered: it looks at it before it goes on."""
    if task.pending & ~task.blocked == 0:
        return
    if task.addr == k.tasks.current:
        k.tasks.attention |= HAS_SIGNAL
    elif task.state == WAITING:
        make_ready(task)


@kernel
def deliver_pending(k: Kernel, task: Task) -> None:
    """Do what the actions of the signals say that are pending and not blocked, as long as the task can run."""
    ready = task.pending & ~task.blocked
    while ready != 0 and task.state != ENDED:
        signal = count_trailing_zeros(ready) + 1
        task.pending &= ~bit_of(signal)
        if not is_ignored(task, signal):
            deliver(k, task, signal)
        ready = task.pending & ~task.blocked


@kernel
def deliver(k: Kernel, task: Task, signal: word) -> None:
    """Do what the action of a signal says. PRE it is neither blocked nor ignored."""
    handler = task.actions[signal - 1].handler
    if handler == DEFAULT_HANDLER and bit_of(signal) & STOPPING != 0:
        news.stop(k, task, signal)
        return
    if handler != DEFAULT_HANDLER:
        report.remark(k, REMARK_HANDLER, signal)
    ending.end_by_signal(k, task, signal)


@cold
@kernel
def end_all(k: Kernel) -> None:
    """All tasks wait for what cannot happen: tell the host which call the first one makes, and end them."""
    is_told = False
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if task.state != ENDED:
            if not is_told:
                call = registers_of(k, task).rax if task.state == WAITING else 0
                report.remark(k, REMARK_WAITS_FOR_EVER, call)
                is_told = True
            ending.end_by_signal(k, task, SIGKILL)
        at = task.next


@kernel
def on_fault(k: Kernel, regs: Registers, code: word, va: VirtAddr) -> None:
    """End the task whose page fault vm could not serve. Blocked or ignored, a fault ends the program all the same."""
    signal = SIGKILL
    if code == FAULT_NO_RANGE or code == FAULT_NO_RIGHT:
        signal = SIGSEGV
    elif code == FAULT_BEYOND_CONTENT:
        signal = SIGBUS
    on_exception(k, signal, regs, va)


@kernel
def on_exception(k: Kernel, signal: word, regs: Registers, va: VirtAddr) -> None:
    """End the task by an exception's signal, at an address or 0."""
    handler = current(k).actions[signal - 1].handler
    if handler != DEFAULT_HANDLER and handler != IGNORE_HANDLER:
        report.remark(k, REMARK_HANDLER, signal)
    ending.end_by_fault(k, signal, regs, va)


@kernel
def on_other_fault(k: Kernel, signal: word, regs: Registers) -> None:
    """End the task by the signal of an exception that is no page fault."""
    on_exception(k, signal, regs, VirtAddr(0))
