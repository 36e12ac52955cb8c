"""Calls that send signals. Root may send any to any, others to their own; init, number 1, has no use for them."""

from typing import Final

from incroos.kernel import task, vm
from incroos.kernel.abi.arguments import LEAST_INT, int_of, task_of, user_of
from incroos.kernel.abi.errno import EAGAIN, EFAULT, EINVAL, EPERM, ESRCH
from incroos.kernel.codes import OK
from incroos.kernel.state import INIT_NUMBER, NR_SIGNALS, Kernel, Task, leader_of
from incroos.kernel.task.actions import SIGCONT
from incroos.kernel.task.ring import find
from incroos.kernel.task.sending import BY_CALL, BY_THREAD_CALL
from incroos.kernel.task.threads import is_leader
from incroos.lang import VirtAddr, apart, kernel, load64, word

ALL: Final = -1
OF_PROCESS: Final = 0
OF_THREAD: Final = 1
INFO_BYTES: Final = 32  # of siginfo_t, that are passed on


@kernel
def is_signal(signal: word) -> bool:
    """Is there such a signal, or is it 0, with which one asks whether one could be sent?"""
    return 0 <= int_of(signal) <= NR_SIGNALS


@kernel
def may_signal(k: Kernel, whom: Task, signal: word) -> bool:
    """Whether the caller is root or the target's user; SIGCONT goes to all of a session."""
    user = task_of(k).credentials.user
    other = whom.credentials.user
    if user.effective == 0 or (signal == SIGCONT and whom.session == task_of(k).session):
        return True
    is_user = user.effective == other.real or user.effective == other.saved
    return is_user or user.real == other.real or user.real == other.saved


@kernel
def send_to(k: Kernel, whom: Task, signal: word, code: word) -> word:
    """Send a task's process, or by tkill the thread, a signal with the number of the sender; 0 is none."""
    if not is_signal(signal):
        return -EINVAL
    if not may_signal(k, whom, int_of(signal)):
        return -EPERM
    if int_of(signal) == 0:
        return 0
    number = leader_of(task_of(k)).number
    if code == BY_THREAD_CALL:
        sent = task.send_to_thread(k, whom, int_of(signal), code, number, 0)
    else:
        sent = task.send_with(k, whom, int_of(signal), code, number, 0)
    return 0 if sent == OK else -EAGAIN


@apart
@kernel
def kill(k: Kernel, number: word, signal: word) -> word:
    whom = int_of(number)
    if whom == LEAST_INT:
        return -ESRCH
    if whom <= 0:
        group = task_of(k).group if whom == 0 else -whom
        return kill_all(k, signal) if whom == ALL else kill_group(k, group, signal)
    return kill_one(k, whom, signal, BY_CALL)


@kernel
def kill_one(k: Kernel, number: word, signal: word, code: word) -> word:
    """Send a signal to the task of a number, or its process."""
    if number == INIT_NUMBER:
        return signal_init(k, signal)
    at = find(k, number)
    return send_to(k, Task(k.m, at), signal, code) if at != 0 else -ESRCH


@kernel
def better(result: word, another: word) -> word:
    """Of results for several tasks: that one got the signal, else the last error."""
    return 0 if result == 0 else another


@kernel
def signal_init(k: Kernel, signal: word) -> word:
    """Send init a signal, which does nothing."""
    if not is_signal(signal):
        return -EINVAL
    return 0 if task_of(k).credentials.user.effective == 0 else -EPERM


@kernel
def kill_group(k: Kernel, group: word, signal: word) -> word:
    """Send all processes of a group a signal."""
    result = -ESRCH
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        each = Task(k.m, at)
        if each.group == group and is_leader(each):
            result = better(result, send_to(k, each, signal, BY_CALL))
        at = each.next
    return result


@kernel
def kill_all(k: Kernel, signal: word) -> word:
    """Send all processes but the one that calls a signal."""
    result = -ESRCH
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        each = Task(k.m, at)
        if is_leader(each) and at != task_of(k).leader:
            result = better(result, send_to(k, each, signal, BY_CALL))
        at = each.next
    return result


@apart
@kernel
def tkill(k: Kernel, number: word, signal: word) -> word:
    if int_of(number) <= 0:
        return -EINVAL
    return kill_one(k, int_of(number), signal, BY_THREAD_CALL)


@apart
@kernel
def tgkill(k: Kernel, group: word, number: word, signal: word) -> word:
    """To a thread of a process."""
    if int_of(group) <= 0 or int_of(number) <= 0:
        return -EINVAL
    return tkill(k, number, signal) if is_thread_of(k, int_of(number), int_of(group)) else -ESRCH


@kernel
def is_thread_of(k: Kernel, number: word, process: word) -> bool:
    """Whether a number is that of a thread of a process; init is one of its own."""
    if number == INIT_NUMBER:
        return process == INIT_NUMBER
    at = find(k, number)
    return at != 0 and leader_of(Task(k.m, at)).number == process


@apart
@kernel
def rt_sigqueueinfo(k: Kernel, number: word, signal: word, source: word) -> word:
    """With a siginfo_t of the sender's making; one that looks as if the kernel had made it goes to itself alone."""
    return queue_info(k, int_of(number), signal, source, OF_PROCESS)


@kernel
def queue_info(k: Kernel, number: word, signal: word, source: word, whose: word) -> word:
    """The same, to the process of a number, or to the thread alone."""
    info = k.files.piece
    if vm.copy_in(user_of(k), info, source, INFO_BYTES) != 0:
        return -EFAULT
    code = load64(k.m, VirtAddr(info + 8))
    if (int_of(code) >= 0 or int_of(code) == int_of(BY_THREAD_CALL)) and number != task_of(k).number:
        return -EPERM
    if number == INIT_NUMBER:
        return signal_init(k, signal)
    at = find(k, number)
    if at == 0:
        return -ESRCH
    if not is_signal(signal):
        return -EINVAL
    if not may_signal(k, Task(k.m, at), int_of(signal)):
        return -EPERM
    if int_of(signal) == 0:
        return 0
    errno = load64(k.m, info) & ~0xFFFF_FFFF
    whole = errno | code & 0xFFFF_FFFF
    first = load64(k.m, VirtAddr(info + 16))
    second = load64(k.m, VirtAddr(info + 24))
    if whose == OF_THREAD:
        code = task.send_to_thread(k, Task(k.m, at), int_of(signal), whole, first, second)
    else:
        code = task.send_with(k, Task(k.m, at), int_of(signal), whole, first, second)
    return 0 if code == OK else -EAGAIN


@apart
@kernel
def rt_tgsigqueueinfo(k: Kernel, group: word, number: word, signal: word, source: word) -> word:
    if int_of(group) <= 0 or int_of(number) <= 0:
        return -EINVAL
    if not is_thread_of(k, int_of(number), int_of(group)):
        return -ESRCH
    return queue_info(k, int_of(number), signal, source, OF_THREAD)
