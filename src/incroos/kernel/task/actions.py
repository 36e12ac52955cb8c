"""Actions: what a task does with each signal, by default or as it said with sigaction.

Unit: the signal, 1 to 64; bit n - 1 of a set is signal n. Numbers and actions: signal(7).
"""

from typing import Final

from incroos.kernel.state import Kernel, SignalAction, Task
from incroos.lang import VirtAddr, cold, copy, count_trailing_zeros, fill, kernel, shl_wrap, word

SIGHUP: Final = 1
SIGILL: Final = 4
SIGTRAP: Final = 5
SIGBUS: Final = 7
SIGFPE: Final = 8
SIGKILL: Final = 9
SIGSEGV: Final = 11
SIGPIPE: Final = 13
SIGALRM: Final = 14
SIGCHLD: Final = 17
SIGCONT: Final = 18
SIGSTOP: Final = 19
SIGTSTP: Final = 20
SIGTTIN: Final = 21
SIGTTOU: Final = 22
SIGVTALRM: Final = 26
SIGPROF: Final = 27
SIGSYS: Final = 31

DEFAULT_HANDLER: Final = 0
IGNORE_HANDLER: Final = 1

# SignalAction.flags
NO_CHILD_STOP: Final = 1  # SA_NOCLDSTOP
HAS_INFO: Final = 4  # SA_SIGINFO
HAS_RESTORER: Final = 0x0400_0000
ON_STACK: Final = 0x0800_0000
RESTART: Final = 0x1000_0000
NO_DEFER: Final = 0x4000_0000
ONE_SHOT: Final = 0x8000_0000  # SA_RESETHAND

# Ignored by default: SIGCHLD, SIGCONT, SIGURG, SIGWINCH
IGNORED: Final = 1 << 16 | 1 << 17 | 1 << 22 | 1 << 27
JOB_STOPS: Final = 1 << (SIGTSTP - 1) | 1 << (SIGTTIN - 1) | 1 << (SIGTTOU - 1)
STOPPING: Final = 1 << (SIGSTOP - 1) | JOB_STOPS
UNBLOCKABLE: Final = 1 << (SIGKILL - 1) | 1 << (SIGSTOP - 1)
SYNCHRONOUS: Final = (
    1 << (SIGSEGV - 1)
    | 1 << (SIGBUS - 1)
    | 1 << (SIGILL - 1)
    | 1 << (SIGTRAP - 1)
    | 1 << (SIGFPE - 1)
    | 1 << (SIGSYS - 1)
)


@kernel
def bit_of(signal: word) -> word:
    """The signal's bit in a set."""
    return shl_wrap(1, signal - 1)


@kernel
def action_of(task: Task, signal: word) -> SignalAction:
    """What a task does with a signal. PRE it is in with_action."""
    return task.actions[signal - 1]


@kernel
def open_action(k: Kernel, task: Task, signal: word) -> SignalAction:
    """The same of any signal, from now on in with_action: its fields are 0 if it was not."""
    action = action_of(task, signal)
    if task.with_action & bit_of(signal) == 0:
        fill(k.m, VirtAddr(action.addr), 0, SignalAction.SIZE)
        task.with_action |= bit_of(signal)
    return action


@kernel
def handler_of(task: Task, signal: word) -> word:
    """The function that is called, DEFAULT_HANDLER or IGNORE_HANDLER."""
    return action_of(task, signal).handler if task.with_action & bit_of(signal) != 0 else DEFAULT_HANDLER


@kernel
def flags_of(task: Task, signal: word) -> word:
    """The flags of what a task does with a signal."""
    return action_of(task, signal).flags if task.with_action & bit_of(signal) != 0 else 0


@kernel
def copy_actions(k: Kernel, task: Task, child: Task) -> None:
    """Let a child, which has with_action already, do the same with each signal."""
    rest = task.with_action
    while rest != 0:
        signal = count_trailing_zeros(rest) + 1
        rest &= ~bit_of(signal)
        copy(k.m, VirtAddr(action_of(child, signal).addr), VirtAddr(action_of(task, signal).addr), SignalAction.SIZE)


@kernel
def is_ignored(task: Task, signal: word) -> bool:
    """Does nothing happen when the signal is delivered?"""
    handler = handler_of(task, signal)
    return handler == IGNORE_HANDLER or (handler == DEFAULT_HANDLER and bit_of(signal) & IGNORED != 0)


@kernel
def has_handler(task: Task, signal: word) -> bool:
    """Is a function of the program's to be called?"""
    handler = handler_of(task, signal)
    return handler != DEFAULT_HANDLER and handler != IGNORE_HANDLER


@cold
@kernel
def forget_handlers(k: Kernel, task: Task) -> None:
    """exec: the functions are gone. What is ignored stays ignored; the stack for handlers is gone, too."""
    rest = task.with_action
    while rest != 0:
        signal = count_trailing_zeros(rest) + 1
        rest &= ~bit_of(signal)
        action = action_of(task, signal)
        handler = IGNORE_HANDLER if action.handler == IGNORE_HANDLER else DEFAULT_HANDLER
        fill(k.m, action.addr, 0, SignalAction.SIZE)
        action.handler = handler
    fill(k.m, task.alternate_stack.addr, 0, 3 * 8)
