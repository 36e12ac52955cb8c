"""Actions: what a task does with each signal, by default or as it said with sigaction.

Unit: the signal, 1 to 64; bit n - 1 of a set is signal n. Numbers and actions: signal(7).
"""

from typing import Final

from incroos.kernel import heap
from incroos.kernel.state import ActionTable, Kernel, ObjectCache, SignalAction, Task
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
SIGXFSZ: Final = 25
SIGVTALRM: Final = 26
SIGPROF: Final = 27
SIGSYS: Final = 31

TABLE_ALIGNMENT: Final = 8
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
def actions_of(task: Task) -> ActionTable:
    """The actions of a task. PRE it has not ended."""
    return ActionTable(task.m, task.actions)


@kernel
def action_of(task: Task, signal: word) -> SignalAction:
    """What a task does with a signal. PRE it is in with_action."""
    return actions_of(task).actions[signal - 1]


@kernel
def open_action(k: Kernel, task: Task, signal: word) -> SignalAction:
    """The same of any signal, from now on in with_action: its fields are 0 if it was not."""
    table = actions_of(task)
    action = action_of(task, signal)
    if table.with_action & bit_of(signal) == 0:
        fill(k.m, VirtAddr(action.addr), 0, SignalAction.SIZE)
        table.with_action |= bit_of(signal)
    return action


@kernel
def has_action(task: Task, signal: word) -> bool:
    """Whether a signal may have another action than the default one; of a task that has ended none has."""
    return task.actions != 0 and actions_of(task).with_action & bit_of(signal) != 0


@kernel
def handler_of(task: Task, signal: word) -> word:
    """The function that is called, DEFAULT_HANDLER or IGNORE_HANDLER."""
    return action_of(task, signal).handler if has_action(task, signal) else DEFAULT_HANDLER


@kernel
def flags_of(task: Task, signal: word) -> word:
    """The flags of what a task does with a signal."""
    return action_of(task, signal).flags if has_action(task, signal) else 0


# ------------------------------------------------------------------ tables
@kernel
def init(k: Kernel) -> None:
    """Make the cache of tables, unless there is no memory."""
    k.tasks.action_tables = heap.cache_create(
        k, b'actions', ActionTable.SIZE, TABLE_ALIGNMENT, VirtAddr(0), VirtAddr(0)
    ).addr


@kernel
def new_table(k: Kernel) -> VirtAddr:
    """A table of default actions, with one user; 0 without memory."""
    at = heap.cache_alloc(k, ObjectCache(k.m, k.tasks.action_tables))
    if at != 0:
        table = ActionTable(k.m, at)
        table.nr_users = 1
        table.with_action = 0
    return at


@kernel
def copy_table(k: Kernel, table: ActionTable) -> VirtAddr:
    """Another table with the same actions, with one user; 0 without memory."""
    at = new_table(k)
    if at == 0:
        return at
    made = ActionTable(k.m, at)
    made.with_action = table.with_action
    rest = table.with_action
    while rest != 0:
        place = count_trailing_zeros(rest)
        rest &= ~bit_of(place + 1)
        copy(k.m, VirtAddr(made.actions[place].addr), VirtAddr(table.actions[place].addr), SignalAction.SIZE)
    return at


@kernel
def drop_table(k: Kernel, at: VirtAddr) -> None:
    """One task less has a table. 0: nothing happens."""
    if at != 0:
        table = ActionTable(k.m, at)
        table.nr_users -= 1
        if table.nr_users == 0:
            heap.cache_free(k, ObjectCache(k.m, k.tasks.action_tables), at)


# ------------------------------------------------------------------ questions
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
    rest = actions_of(task).with_action
    while rest != 0:
        signal = count_trailing_zeros(rest) + 1
        rest &= ~bit_of(signal)
        action = action_of(task, signal)
        handler = IGNORE_HANDLER if action.handler == IGNORE_HANDLER else DEFAULT_HANDLER
        fill(k.m, action.addr, 0, SignalAction.SIZE)
        action.handler = handler
    fill(k.m, task.alternate_stack.addr, 0, 3 * 8)
