"""Calls that make tasks and ask for their ends: fork, vfork, clone, wait4.

Of clone: a process or a thread, and what it shares. clone3 is ENOSYS, so that C libraries use clone.
"""

from typing import Final

from incroos.kernel import task, vm
from incroos.kernel.abi.arguments import LEAST_INT, half, int_of, task_of, user_of
from incroos.kernel.abi.errno import ECHILD, EFAULT, EINVAL, ENOMEM, EPERM, ESRCH, result_of
from incroos.kernel.abi.time_calls import put_usage
from incroos.kernel.state import NR_SIGNALS, WAITING, WRITE, Kernel, Range, Task, UserSpace
from incroos.kernel.task import fork, news, wait
from incroos.kernel.task.actions import SIGCHLD
from incroos.kernel.vm import USER_END
from incroos.lang import VirtAddr, apart, fill, kernel, store32, word

# Flags of clone, beside those of task/fork.py
SET_TLS: Final = 0x8_0000
TELL_PARENT: Final = 0x10_0000  # CLONE_PARENT_SETTID
CLEAR_IN_THE_END: Final = 0x20_0000  # CLONE_CHILD_CLEARTID
TELL_CHILD: Final = 0x100_0000  # CLONE_CHILD_SETTID
WITHOUT_MEANING: Final = 0x8084_2000 | 0x40_0000  # CLONE_IO, UNTRACED, SYSVSEM, PTRACE; CLONE_DETACHED
SHARED: Final = fork.SAME_SPACE | fork.SAME_FOLDER | fork.SAME_DESCRIPTORS | fork.SAME_ACTIONS
KNOWN: Final = (
    fork.EXIT_SIGNAL
    | SHARED
    | fork.HOLD_PARENT
    | fork.SAME_PARENT
    | fork.THREAD
    | SET_TLS
    | TELL_PARENT
    | CLEAR_IN_THE_END
    | TELL_CHILD
    | WITHOUT_MEANING
)

NO_HANG: Final = 1
NO_THREADS: Final = 0x2000_0000
WAIT_OPTIONS: Final = NO_HANG | wait.STOPS | wait.GOES_ON | NO_THREADS | wait.ALL_KINDS | wait.OTHER_KIND
WAITID_OPTIONS: Final = WAIT_OPTIONS | wait.ENDS | wait.KEEP
TOLD_BYTES: Final = 28  # of a siginfo_t, with a gap
HEAD_BYTES: Final = 12  # before the gap, and behind it


# ------------------------------------------------------------------ making
@apart
@kernel
def fork_task(k: Kernel) -> word:
    """fork."""
    return make(k, SIGCHLD, 0, 0, 0, 0)


@apart
@kernel
def vfork(k: Kernel) -> word:
    return make(k, SIGCHLD | fork.SAME_SPACE | fork.HOLD_PARENT, 0, 0, 0, 0)


@apart
@kernel
def clone(k: Kernel, flags: word, stack: word, parent_word: word, child_word: word, tls: word) -> word:
    flags = half(flags)
    if flags & fork.SAME_ACTIONS != 0 and flags & fork.SAME_SPACE == 0:
        return -EINVAL
    if flags & fork.THREAD != 0 and flags & fork.SAME_ACTIONS == 0:
        return -EINVAL
    if flags & ~KNOWN != 0 or flags & fork.EXIT_SIGNAL > NR_SIGNALS:
        return -EINVAL
    if flags & SET_TLS != 0 and not 0 <= tls < USER_END:
        return -EPERM
    return make(k, flags, stack, parent_word, child_word, tls)


@kernel
def make(k: Kernel, flags: word, stack: word, parent_word: word, child_word: word, tls: word) -> word:
    """Make a child: its number, or Linux's error."""
    code, at = fork.make_child(k, flags, stack)
    if code != 0:
        return result_of(code)
    child = Task(k.m, at)
    if flags & SET_TLS != 0:
        child.fs_base = VirtAddr(tls)
    if flags & CLEAR_IN_THE_END != 0:
        child.clear_on_exit = VirtAddr(child_word)
    if flags & TELL_CHILD != 0 and not tell(k, UserSpace(k.m, child.space), child_word, child.number):
        fork.drop_child(k, child)
        return -ENOMEM
    if flags & TELL_PARENT != 0 and not tell(k, user_of(k), parent_word, child.number):
        fork.drop_child(k, child)
        return -ENOMEM
    fork.add_child(k, child, flags)
    return child.number


@kernel
def tell(k: Kernel, user: UserSpace, at: word, number: word) -> bool:
    """Write a number for a program: False if there is no memory for it. As on Linux a bad pointer is nothing bad."""
    if vm.store32(user, at, number) == 0:
        return True
    found = vm.find_range(user, VirtAddr(at)) if vm.is_user(at, 4) else VirtAddr(0)
    return found == 0 or Range(k.m, found).rights & WRITE == 0


# ------------------------------------------------------------------ asking
@apart
@kernel
def wait4(k: Kernel, whom: word, to: word, options: word, usage: word) -> word:
    number = int_of(whom)
    if half(options) & ~WAIT_OPTIONS != 0:
        return -EINVAL
    if number == LEAST_INT:
        return -ESRCH
    kind = wait.NUMBER if number > 0 else wait.GROUP
    if number == -1:
        kind = wait.ANY
    elif number <= 0:
        number = -number if number < 0 else task_of(k).group
    code, at = find(k, kind, number, half(options) | wait.ENDS)
    if at == 0:
        return code
    child = Task(k.m, at)
    number = child.number
    status = wait.status_of(child)
    spent = child.user_time + child.children_time
    wait.take(k, child)
    if to != 0 and vm.store32(user_of(k), to, status) != 0:
        return -EFAULT
    return -EFAULT if usage != 0 and put_usage(k, usage, spent, 0, 0) != 0 else number


@apart
@kernel
def waitid(k: Kernel, kind: word, number: word, to: word, options: word, usage: word) -> word:
    wanted = half(options)
    if wanted & ~WAITID_OPTIONS != 0 or wanted & (wait.ENDS | wait.STOPS | wait.GOES_ON) == 0:
        return -EINVAL
    whom = int_of(number)
    if half(kind) > wait.GROUP or (half(kind) == wait.NUMBER and whom <= 0) or (half(kind) == wait.GROUP and whom < 0):
        return -EINVAL
    if half(kind) == wait.GROUP and whom == 0:
        whom = task_of(k).group
    code, at = find(k, half(kind), whom, wanted)
    if at == 0:
        return code if code != 0 or task_of(k).state == WAITING else put_told(k, to, 0, 0, 0, 0)
    child = Task(k.m, at)
    number = child.number
    happened, value = news.told_of(child)
    spent = child.user_time + child.children_time
    if wanted & wait.KEEP == 0:
        wait.take(k, child)
    if usage != 0 and put_usage(k, usage, spent, 0, 0) != 0:
        return -EFAULT
    return put_told(k, to, SIGCHLD, happened, number, value)


@kernel
def find(k: Kernel, kind: word, number: word, options: word) -> tuple[word, VirtAddr]:
    """A child that there is something to tell of; or 0 and what the call answers, which waits perhaps."""
    own = task_of(k)
    code, at = wait.find_child(k, own, kind, number, options)
    if code != 0:
        return -ECHILD, at
    if at == 0 and options & NO_HANG == 0:
        task.wait_on(k, own.leader)
    return 0, at


@kernel
def put_told(k: Kernel, to: word, signal: word, happened: word, number: word, value: word) -> word:
    """What waitid fills of a siginfo_t, if it is asked for: 0 or -EFAULT."""
    if to == 0:
        return 0
    at = k.files.piece
    fill(k.m, at, 0, TOLD_BYTES)
    store32(k.m, at, signal)
    store32(k.m, VirtAddr(at + 8), happened)
    store32(k.m, VirtAddr(at + 16), number)
    store32(k.m, VirtAddr(at + 24), value)
    code = vm.copy_out(user_of(k), to, at, HEAD_BYTES)
    if code == 0:
        code = vm.copy_out(user_of(k), to + 16, VirtAddr(at + 16), HEAD_BYTES)
    return result_of(code)
