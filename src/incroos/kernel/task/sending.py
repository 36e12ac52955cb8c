"""Signals on their way: sent to tasks, kept while they wait, taken when they are delivered.

    standard        1 to 31: waits once, with what was told when it was sent first
    real-time       32 to 64: each waits in the order in which it was sent, at most MAX_QUEUED of all tasks
    ignored         is not kept, unless it is blocked: the action may change
    stop, continue  each takes back the other; to continue works though it is blocked or ignored

Unit: the signal; bit n - 1 of a set is signal n.
"""

from typing import Final

from incroos.kernel import heap
from incroos.kernel.codes import NO_KERNEL_MEMORY, OK
from incroos.kernel.devices import timer
from incroos.kernel.state import (
    ENDED,
    HAS_SIGNAL,
    HELD,
    MAX_QUEUED,
    NR_STANDARD_SIGNALS,
    WAITING,
    Kernel,
    QueuedSignal,
    SignalInfo,
    Task,
)
from incroos.kernel.task import news
from incroos.kernel.task.actions import SIGCONT, SIGKILL, STOPPING, SYNCHRONOUS, bit_of, is_ignored
from incroos.kernel.task.waiting import make_ready
from incroos.lang import VirtAddr, cold, count_trailing_zeros, kernel, word

# SignalInfo.code
BY_CALL: Final = 0  # SI_USER: kill
BY_KERNEL: Final = 0x80  # SI_KERNEL
BY_THREAD_CALL: Final = 0xFFFF_FFFA  # SI_TKILL


# ------------------------------------------------------------------ sending
@kernel
def send(k: Kernel, task: Task, signal: word) -> None:
    """Send a task a signal that the kernel itself has a reason for. PRE 1 <= signal <= NR_SIGNALS."""
    send_with(k, task, signal, BY_KERNEL, 0, 0)


@cold
@kernel
def send_with(k: Kernel, task: Task, signal: word, code: word, first: word, second: word) -> word:
    """Send a task a signal with the words of a SignalInfo: OK.

    NO_KERNEL_MEMORY: a real-time signal that cannot be queued, and is not sent; that of kill is, and waits once without
    its words. PRE as of send.
    """
    if task.state == ENDED:
        return OK
    bit = bit_of(signal)
    if bit & STOPPING != 0:
        take_back(k, task, bit_of(SIGCONT))
    elif signal == SIGCONT:
        take_back(k, task, STOPPING)
        if task.is_stopped != 0:
            news.end_stop(k, task)
    elif signal == SIGKILL and task.is_stopped != 0:
        task.is_stopped = 0
        timer.start(k)
    if is_ignored(task, signal) and task.blocked & bit == 0:
        return OK
    if signal > NR_STANDARD_SIGNALS:
        if queue(k, task, signal, code, first, second) != OK and code != BY_CALL:
            return NO_KERNEL_MEMORY
    elif task.pending & bit == 0:
        put(task.infos[signal - 1], code, first, second)
    task.pending |= bit
    notice(k, task)
    return OK


@kernel
def put(info: SignalInfo, code: word, first: word, second: word) -> None:
    """Fill in what is told of a signal."""
    info.code = code
    info.first = first
    info.second = second


@kernel
def notice(k: Kernel, task: Task) -> None:
    """See whether a task has a signal to be delivered: it looks at it before it goes on.

    SIGKILL wakes also a task whose call is done, and that is held.
    """
    ready = deliverable(task)
    if task.addr == k.tasks.current and ready != 0:
        k.tasks.attention |= HAS_SIGNAL
    if task.state == WAITING or task.state == HELD:
        waking = ready | (task.pending & task.awaited) if task.state == WAITING else ready & bit_of(SIGKILL)
        if waking != 0:
            make_ready(k, task)


@kernel
def deliverable(task: Task) -> word:
    """The signals that are pending and neither blocked nor taken by a call that waits for them."""
    return task.pending & ~(task.blocked | task.awaited)


# ------------------------------------------------------------------ the queue
@cold
@kernel
def queue(k: Kernel, task: Task, signal: word, code: word, first: word, second: word) -> word:
    """Put a real-time signal behind all others of the task: OK or NO_KERNEL_MEMORY."""
    if k.tasks.nr_queued >= MAX_QUEUED:
        return NO_KERNEL_MEMORY
    at = heap.kmalloc(k, QueuedSignal.SIZE)
    if at == 0:
        return NO_KERNEL_MEMORY
    fresh = QueuedSignal(k.m, at)
    fresh.next = VirtAddr(0)
    fresh.signal = signal
    put(fresh.info, code, first, second)
    k.tasks.nr_queued += 1
    if task.queued == 0:
        task.queued = at
        return OK
    last = QueuedSignal(k.m, task.queued)
    while last.next != 0:
        last = QueuedSignal(k.m, last.next)
    last.next = at
    return OK


@cold
@kernel
def unqueue(k: Kernel, task: Task, signal: word) -> tuple[word, word, word, bool]:
    """Take the first real-time signal of a number: the words of its info, and whether another one waits."""
    code = BY_CALL
    first = 0
    second = 0
    nr_found = 0
    before = VirtAddr(0)
    at = task.queued
    while at != 0:
        each = QueuedSignal(k.m, at)
        at = each.next
        nr_found += 1 if each.signal == signal else 0
        if each.signal == signal and nr_found == 1:
            code = each.info.code
            first = each.info.first
            second = each.info.second
            unlink(k, task, before, each)
        else:
            before = VirtAddr(each.addr)
    return code, first, second, nr_found > 1


@cold
@kernel
def unlink(k: Kernel, task: Task, before: VirtAddr, queued: QueuedSignal) -> None:
    """Take a signal out of the list, in which it is behind another one, or 0: the first."""
    if before == 0:
        task.queued = queued.next
    else:
        QueuedSignal(k.m, before).next = queued.next
    k.tasks.nr_queued -= 1
    heap.kfree(k, VirtAddr(queued.addr))


# ------------------------------------------------------------------ taking
@kernel
def first_of(signals: word) -> word:
    """Which of several signals is delivered first. SIGKILL; those of the program's own faults; the lowest."""
    if signals & bit_of(SIGKILL) != 0:
        return SIGKILL
    synchronous = signals & SYNCHRONOUS
    return count_trailing_zeros(synchronous if synchronous != 0 else signals) + 1


@cold
@kernel
def take(k: Kernel, task: Task, signal: word) -> tuple[word, word, word]:
    """Take a signal that is pending: the words of its info."""
    if signal > NR_STANDARD_SIGNALS:
        code, first, second, is_more = unqueue(k, task, signal)
        if not is_more:
            task.pending &= ~bit_of(signal)
        return code, first, second
    task.pending &= ~bit_of(signal)
    info = task.infos[signal - 1]
    return info.code, info.first, info.second


@cold
@kernel
def take_back(k: Kernel, task: Task, signals: word) -> None:
    """Forget signals that are pending, all that are queued of them included."""
    task.pending &= ~signals
    before = VirtAddr(0)
    at = task.queued
    while at != 0:
        each = QueuedSignal(k.m, at)
        at = each.next
        if bit_of(each.signal) & signals != 0:
            unlink(k, task, before, each)
        else:
            before = VirtAddr(each.addr)


@cold
@kernel
def forget_all(k: Kernel, task: Task) -> None:
    """A task has ended: nothing is delivered any more."""
    take_back(k, task, -1)


@kernel
def begin_child(task: Task) -> None:
    """A task has been copied from another one: what waits is the other one's."""
    task.pending = 0
    task.queued = VirtAddr(0)
    task.has_saved_blocked = 0
