"""Signals on their way: sent to tasks, kept while they wait, taken when they are delivered.

    standard        1 to 31: waits once, with what was told when it was sent first
    real-time       32 to 64: each waits in the order in which it was sent, at most MAX_QUEUED of all tasks
    ignored         is not kept, unless it is blocked: the action may change
    stop, continue  each takes back the other; to continue works though it is blocked or ignored
    a thread's      of faults, SIGPIPE, tkill: it alone takes it
    a process's     the first of its threads takes it that does not block it, its leader before all others

Unit: the signal; bit n - 1 of a set is signal n.
"""

from typing import Final

from incroos.kernel import heap
from incroos.kernel.codes import NO_KERNEL_MEMORY, OK
from incroos.kernel.state import (
    ENDED,
    GONE,
    HAS_SIGNAL,
    HELD,
    MAX_QUEUED,
    MAX_TASKS,
    NR_STANDARD_SIGNALS,
    WAITING,
    Kernel,
    Pending,
    QueuedSignal,
    SignalInfo,
    Task,
    leader_of,
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
    """Send a task's process a signal that the kernel itself has a reason for. PRE 1 <= signal <= NR_SIGNALS."""
    send_with(k, task, signal, BY_KERNEL, 0, 0)


@cold
@kernel
def send_with(k: Kernel, task: Task, signal: word, code: word, first: word, second: word) -> word:
    """Send a task's process a signal with the words of a SignalInfo: OK.

    NO_KERNEL_MEMORY: a real-time signal that cannot be queued, and is not sent; that of kill is, and waits once without
    its words. PRE as of send.
    """
    leader = leader_of(task)
    if leader.state == ENDED or not begin(k, leader, leader, signal):
        return OK
    if add(k, leader.shared, signal, code, first, second) != OK:
        return NO_KERNEL_MEMORY
    notice_all(k, leader)
    return OK


@cold
@kernel
def send_to_thread(k: Kernel, task: Task, signal: word, code: word, first: word, second: word) -> word:
    """The same of one thread; SIGKILL is always sent to the process."""
    if signal == SIGKILL:
        return send_with(k, task, signal, code, first, second)
    if task.state == ENDED or not begin(k, leader_of(task), task, signal):
        return OK
    if add(k, task.pending, signal, code, first, second) != OK:
        return NO_KERNEL_MEMORY
    notice(k, task)
    return OK


@cold
@kernel
def begin(k: Kernel, leader: Task, task: Task, signal: word) -> bool:
    """What a signal does as soon as it is sent; False: a task ignores it, and that is all."""
    bit = bit_of(signal)
    if bit & STOPPING != 0:
        take_back(k, leader, bit_of(SIGCONT))
    elif signal == SIGCONT:
        take_back(k, leader, STOPPING)
        if leader.is_stopped != 0:
            news.end_stop(k, leader)
    elif signal == SIGKILL and leader.is_stopped != 0:
        news.let_go_on(k, leader)
    return not is_ignored(task, signal) or task.blocked & bit != 0


@cold
@kernel
def add(k: Kernel, pending: Pending, signal: word, code: word, first: word, second: word) -> word:
    """Let a signal wait: OK, NO_KERNEL_MEMORY."""
    if signal > NR_STANDARD_SIGNALS:
        if queue(k, pending, signal, code, first, second) != OK and code != BY_CALL:
            return NO_KERNEL_MEMORY
    elif pending.signals & bit_of(signal) == 0:
        put(pending.infos[signal - 1], code, first, second)
    pending.signals |= bit_of(signal)
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
    if not has_pending(task):
        return
    ready = deliverable(task)
    if task.addr == k.tasks.current and ready != 0:
        k.tasks.attention |= HAS_SIGNAL
    if task.state == WAITING or task.state == HELD:
        waking = ready | awaited(task) if task.state == WAITING else ready & bit_of(SIGKILL)
        if waking != 0:
            make_ready(k, task)


@cold
@kernel
def notice_all(k: Kernel, leader: Task) -> None:
    """The same of all threads of a process."""
    at = leader.addr
    for _index in range(MAX_TASKS):
        notice(k, Task(k.m, at))
        at = Task(k.m, at).next_thread
        if at == leader.addr:
            return


@kernel
def notice_others(k: Kernel, task: Task) -> None:
    """A thread may take other signals than it did: what waits for its process may be another one's now."""
    leader = leader_of(task)
    if leader.nr_threads > 1 and leader.shared.signals != 0:
        notice_all(k, leader)


# ------------------------------------------------------------------ who takes what
@kernel
def own_ready(task: Task) -> word:
    """The signals that wait for a thread and are neither blocked nor taken by a call that waits for them."""
    return task.pending.signals & ~(task.blocked | task.awaited)


@kernel
def deliverable(task: Task) -> word:
    """The same, and those of the process that this thread is to take."""
    if not has_pending(task):
        return 0
    return own_ready(task) | (shared_for(task) & ~task.awaited)


@kernel
def has_pending(task: Task) -> bool:
    """Whether any signal waits for a thread or its process. Most often none does."""
    return task.pending.signals | leader_of(task).shared.signals != 0


@kernel
def awaited(task: Task) -> word:
    """The signals that wait, and that the call of the task waits for."""
    return (task.pending.signals | leader_of(task).shared.signals) & task.awaited


@kernel
def shared_for(task: Task) -> word:
    """Of the signals that wait for a process those that this thread takes: no thread before it does."""
    leader = leader_of(task)
    signals = leader.shared.signals & ~(task.blocked & ~task.awaited)
    if signals == 0 or leader.addr == task.addr:
        return signals
    at = leader.addr
    while at != task.addr:
        other = Task(task.m, at)
        if other.state != GONE:
            signals &= other.blocked & ~other.awaited
        at = other.next_thread
    return signals | (leader.shared.signals & bit_of(SIGKILL))


# ------------------------------------------------------------------ the queue
@cold
@kernel
def queue(k: Kernel, pending: Pending, signal: word, code: word, first: word, second: word) -> word:
    """Put a real-time signal behind all others: OK or NO_KERNEL_MEMORY."""
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
    if pending.queued == 0:
        pending.queued = at
        return OK
    last = QueuedSignal(k.m, pending.queued)
    while last.next != 0:
        last = QueuedSignal(k.m, last.next)
    last.next = at
    return OK


@cold
@kernel
def unqueue(k: Kernel, pending: Pending, signal: word) -> tuple[word, word, word, bool]:
    """Take the first real-time signal of a number: the words of its info, and whether another one waits."""
    code = BY_CALL
    first = 0
    second = 0
    nr_found = 0
    before = VirtAddr(0)
    at = pending.queued
    while at != 0:
        each = QueuedSignal(k.m, at)
        at = each.next
        nr_found += 1 if each.signal == signal else 0
        if each.signal == signal and nr_found == 1:
            code = each.info.code
            first = each.info.first
            second = each.info.second
            unlink(k, pending, before, each)
        else:
            before = VirtAddr(each.addr)
    return code, first, second, nr_found > 1


@cold
@kernel
def unlink(k: Kernel, pending: Pending, before: VirtAddr, queued: QueuedSignal) -> None:
    """Take a signal out of the list, in which it is behind another one, or 0: the first."""
    if before == 0:
        pending.queued = queued.next
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


@kernel
def next_of(task: Task, ready: word) -> word:
    """Which of those that a task is to take is delivered first: those of the thread before those of the process."""
    own = own_ready(task)
    return first_of(own if own != 0 and ready & bit_of(SIGKILL) == 0 else ready)


@cold
@kernel
def take(k: Kernel, task: Task, signal: word) -> tuple[word, word, word]:
    """Take a signal that waits for a task or its process: the words of its info."""
    if task.pending.signals & bit_of(signal) != 0:
        return take_from(k, task.pending, signal)
    return take_from(k, leader_of(task).shared, signal)


@cold
@kernel
def take_from(k: Kernel, pending: Pending, signal: word) -> tuple[word, word, word]:
    """The same of one of the two."""
    if signal > NR_STANDARD_SIGNALS:
        code, first, second, is_more = unqueue(k, pending, signal)
        if not is_more:
            pending.signals &= ~bit_of(signal)
        return code, first, second
    pending.signals &= ~bit_of(signal)
    info = pending.infos[signal - 1]
    return info.code, info.first, info.second


@cold
@kernel
def take_back(k: Kernel, leader: Task, signals: word) -> None:
    """Forget signals that wait for a process or a thread of it, all that are queued of them included."""
    forget(k, leader.shared, signals)
    at = leader.addr
    for _index in range(MAX_TASKS):
        forget(k, Task(k.m, at).pending, signals)
        at = Task(k.m, at).next_thread
        if at == leader.addr:
            return


@cold
@kernel
def forget(k: Kernel, pending: Pending, signals: word) -> None:
    """The same of those that wait in one place."""
    pending.signals &= ~signals
    before = VirtAddr(0)
    at = pending.queued
    while at != 0:
        each = QueuedSignal(k.m, at)
        at = each.next
        if bit_of(each.signal) & signals != 0:
            unlink(k, pending, before, each)
        else:
            before = VirtAddr(each.addr)


@kernel
def begin_child(task: Task) -> None:
    """A task has been copied from another one: what waits is the other one's."""
    task.pending.signals = 0
    task.pending.queued = VirtAddr(0)
    task.shared.signals = 0
    task.shared.queued = VirtAddr(0)
    task.has_saved_blocked = 0
