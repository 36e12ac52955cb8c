"""The end of a process, or of one of its threads: the host is told, and what it had is given back.

What is left of a process is its leader, with its number and its status, until its parent asks for them. That parent
hears of it (family) before another task runs.

Unit: the task.
"""

from typing import Final

from incroos.kernel import files, vm
from incroos.kernel.codes import OK
from incroos.kernel.files.nodes import sweep
from incroos.kernel.state import (
    BY_SIGNAL,
    CANNOT_RUN,
    ENDED,
    EXITED,
    FIRST_NUMBER,
    GONE,
    NOT_STARTED,
    PUT_CALLS,
    RECORD_END,
    Kernel,
    Range,
    Record,
    Registers,
    Task,
    UserSpace,
    leader_of,
)
from incroos.kernel.task import actions, contexts, news, report, robust, sending, threads, timers
from incroos.kernel.task.futexes import EVERY_BIT, SHARED, wake_futex
from incroos.kernel.task.ring import current
from incroos.kernel.task.waiting import end_wait
from incroos.lang import VirtAddr, cold, kernel, store32, word

RIGHTS_BYTES: Final = 4


# ------------------------------------------------------------------ why
@cold
@kernel
def end(k: Kernel, status: word) -> None:
    """The process that runs has ended itself with this status, 0 to 255: all of its threads."""
    end_task(k, current(k), EXITED, status)


@cold
@kernel
def end_thread(k: Kernel, status: word) -> None:
    """The thread that runs has ended itself; with the last one the process ends, with the status of its leader."""
    own = current(k)
    leader = leader_of(own)
    if own.addr == leader.addr:
        leader.status = status
    if leader.nr_threads == 1:
        end_task(k, own, EXITED, leader.status)
    else:
        timers.charge(k)
        leave_process(k, own)
        if own.addr == leader.addr:
            sending.notice_all(k, leader)


@cold
@kernel
def end_unstarted(k: Kernel, errno: word) -> None:
    """The first program could not be started: Linux's number says why. Ends the machine."""
    record = report.new_record(k, RECORD_END, NOT_STARTED)
    record.a = errno
    report.put(k, record)
    report.finish(k)


@cold
@kernel
def end_by_signal(k: Kernel, task: Task, signal: word) -> None:
    """A signal has ended a task's process, whichever."""
    end_task(k, task, BY_SIGNAL, signal)


@cold
@kernel
def end_by_fault(k: Kernel, signal: word, regs: Registers, va: VirtAddr) -> None:
    """An exception at an address has ended the process that runs."""
    task = current(k)
    if is_told(k, leader_of(task)):
        record = end_record(k, leader_of(task), BY_SIGNAL, signal)
        record.b = va
        record.c = regs.vector
        record.d = regs.error
        record.e = regs.rip
        at = vm.find_range(UserSpace(k.m, task.space), va)
        if at != 0:
            found = Range(k.m, at)
            record.f = found.start
            record.result = found.end
            record.nbytes = RIGHTS_BYTES
            store32(k.m, VirtAddr(k.tasks.record_text.addr), found.rights)
        report.put(k, record)
    close(k, task, BY_SIGNAL, signal)


@cold
@kernel
def end_task(k: Kernel, task: Task, how: word, value: word) -> None:
    """A task's process has ended: one word says it all."""
    if is_told(k, leader_of(task)):
        report.put(k, end_record(k, leader_of(task), how, value))
    close(k, task, how, value)


@cold
@kernel
def is_told(k: Kernel, task: Task) -> bool:
    """Whether the host hears of the end: of the first program, and with --calls of all."""
    return task.number == FIRST_NUMBER or k.tasks.flags & PUT_CALLS != 0


@cold
@kernel
def end_record(k: Kernel, task: Task, how: word, value: word) -> Record:
    """A record about the end of a task."""
    record = report.new_record(k, RECORD_END, how)
    record.task = task.number
    record.a = value
    return record


# ------------------------------------------------------------------ what follows
@cold
@kernel
def close(k: Kernel, task: Task, how: word, value: word) -> None:
    """Give back what a task's process has; its parent will hear of it, and may ask how it ended."""
    leader = leader_of(task)
    timers.charge(k)
    if leader.number == FIRST_NUMBER:
        report.note_end(k, task)
    end_others(k, leader)
    if leader.state != GONE:
        leave_process(k, leader)
    sending.take_back(k, leader, -1)
    timers.forget_all(k, leader)
    actions.drop_table(k, leader.actions)
    leader.actions = VirtAddr(0)
    leader.state = ENDED
    leader.how_ended = how
    leader.status = value
    k.tasks.nr_live -= 1
    news.put(k, leader)


@cold
@kernel
def end_others(k: Kernel, own: Task) -> None:
    """End all threads of a process but one; a leader who has ended already stays."""
    at = own.next_thread
    while at != own.addr:
        task = Task(k.m, at)
        at = task.next_thread
        if task.state != GONE:
            leave_process(k, task)


@cold
@kernel
def leave_process(k: Kernel, task: Task) -> None:
    """A thread has ended: give back what it has. A leader is GONE then, another one is nobody any more."""
    leader_of(task).nr_threads -= 1
    clear_words(k, task)
    files.drop_table(k, task.table)
    task.table = VirtAddr(0)
    files.drop_whereabouts(k, task.whereabouts)
    task.whereabouts = VirtAddr(0)
    leave_space(k, task)
    sending.forget(k, task.pending, -1)
    end_wait(task)
    task.state = GONE
    if task.leader != task.addr:
        bury_thread(k, task)
    if task.addr == k.tasks.current:
        k.tasks.attention |= CANNOT_RUN


@cold
@kernel
def bury_thread(k: Kernel, task: Task) -> None:
    """A thread that is no leader, and has nothing but its actions, is nobody any more."""
    actions.drop_table(k, task.actions)
    task.actions = VirtAddr(0)
    threads.leave(task)
    task.state = ENDED
    k.tasks.nr_live -= 1
    news.put(k, task)


@cold
@kernel
def clear_words(k: Kernel, task: Task) -> None:
    """Tell those who share a space with a task that has ended, or got another one, by words of that space."""
    if task.robust != 0 and task.space != 0:
        robust.give_up_all(k, task)
    clear_word(k, task)


@cold
@kernel
def clear_word(k: Kernel, task: Task) -> None:
    """Clear the word that set_tid_address named, and wake who waits on it, if another task has the space, too."""
    if task.clear_on_exit != 0 and task.space != 0:
        user = UserSpace(k.m, task.space)
        if user.nr_tasks > 1 and vm.store32(user, task.clear_on_exit, 0) == OK:
            wake_futex(k, user, task.clear_on_exit, SHARED, 1, EVERY_BIT)


@cold
@kernel
def leave_space(k: Kernel, task: Task) -> None:
    """Let the task have no space any more; the last one that has it ends it."""
    if task.space != 0:
        user = UserSpace(k.m, task.space)
        if task.addr == k.tasks.current:
            contexts.leave(k)
        task.space = VirtAddr(0)
        drop_space(k, user)


@kernel
def drop_space(k: Kernel, user: UserSpace) -> None:
    """A task less has a space that is not loaded; the last one ends it, and files that it alone still had mapped."""
    if user.nr_tasks == 1:
        report.add_space(k, user)
    vm.drop(k, user)
    if k.files.lost != 0:
        sweep(k)
