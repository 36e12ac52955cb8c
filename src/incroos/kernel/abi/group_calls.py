"""Calls about process groups, sessions and priorities."""

from typing import Final

from incroos.kernel.abi.arguments import half, int_of, task_of
from incroos.kernel.abi.errno import EACCES, EINVAL, EPERM, ESRCH
from incroos.kernel.state import ENDED, MAX_TASKS, SLICE_IS_OVER, Kernel, Task, leader_of
from incroos.kernel.task import ring
from incroos.kernel.task.threads import is_leader
from incroos.lang import VirtAddr, apart, kernel, word

# Whom getpriority and setpriority mean
OF_TASK: Final = 0
OF_GROUP: Final = 1
OF_USER: Final = 2
LEAST_NICE: Final = -20
MOST_NICE: Final = 19
USUAL: Final = 20  # what getpriority answers where nice is 0


@kernel
def task_at(k: Kernel, number: word) -> VirtAddr:
    """The Task of a number, 0 being that of the one that calls; 0: there is none."""
    if int_of(number) == 0:
        return k.tasks.current
    return ring.find(k, int_of(number))


# ------------------------------------------------------------------ groups
@apart
@kernel
def setpgid(k: Kernel, number: word, group: word) -> word:
    own = task_of(k)
    at = task_at(k, number)
    if int_of(group) < 0:
        return -EINVAL
    if at == 0:
        return -ESRCH
    task = Task(k.m, at)
    if int_of(number) == 0:
        task = leader_of(own)
    elif not is_leader(task):
        return -EINVAL
    if task.parent == own.leader:
        if task.session != own.session:
            return -EPERM
        if task.has_executed != 0:
            return -EACCES
    elif task.addr != own.leader:
        return -ESRCH
    wanted = int_of(group) if int_of(group) != 0 else task.number
    if task.number == task.session:
        return -EPERM
    if wanted != task.number and not has_group(k, task.session, wanted):
        return -EPERM
    set_group(task, task.session, wanted)
    return 0


@kernel
def set_group(leader: Task, session: word, group: word) -> None:
    """Put all threads of a process into a session and a group."""
    at = leader.addr
    for _index in range(MAX_TASKS):
        each = Task(leader.m, at)
        each.session = session
        each.group = group
        at = each.next_thread
        if at == leader.addr:
            return


@kernel
def has_group(k: Kernel, session: word, group: word) -> bool:
    """Whether a session has the group."""
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if task.group == group and task.session == session:
            return True
        at = task.next
    return False


@apart
@kernel
def getpgid(k: Kernel, number: word) -> word:
    at = task_at(k, number)
    return Task(k.m, at).group if at != 0 else -ESRCH


@kernel
def getpgrp(k: Kernel) -> word:
    return task_of(k).group


@apart
@kernel
def getsid(k: Kernel, number: word) -> word:
    at = task_at(k, number)
    return Task(k.m, at).session if at != 0 else -ESRCH


@apart
@kernel
def setsid(k: Kernel) -> word:
    own = leader_of(task_of(k))
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        if Task(k.m, at).group == own.number:
            return -EPERM
        at = Task(k.m, at).next
    set_group(own, own.number, own.number)
    return own.number


# ------------------------------------------------------------------ priorities
@kernel
def is_meant(k: Kernel, task: Task, kind: word, number: word) -> bool:
    """Whether a task is one of those that are named."""
    own = task_of(k)
    if task.state == ENDED:
        return False
    if kind == OF_TASK:
        return task.number == (number if number != 0 else own.number)
    if kind == OF_GROUP:
        return task.group == (number if number != 0 else own.group)
    return task.credentials.user.real == (number if number != 0 else own.credentials.user.real)


@apart
@kernel
def getpriority(k: Kernel, kind: word, number: word) -> word:
    if half(kind) > OF_USER:
        return -EINVAL
    found = -ESRCH
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if is_meant(k, task, half(kind), int_of(number)):
            found = max(found, USUAL - task.nice)
        at = task.next
    return found


@apart
@kernel
def setpriority(k: Kernel, kind: word, number: word, nice: word) -> word:
    if half(kind) > OF_USER:
        return -EINVAL
    result = -ESRCH
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if is_meant(k, task, half(kind), int_of(number)):
            if not may_set_nice(k, task, int_of(nice)):
                return -EACCES if is_same_user(k, task) else -EPERM
            task.nice = min(max(int_of(nice), LEAST_NICE), MOST_NICE)
            result = 0
        at = task.next
    return result


@kernel
def is_same_user(k: Kernel, task: Task) -> bool:
    """Whether a task acts for the caller's user."""
    user = task_of(k).credentials.user.effective
    return user == task.credentials.user.effective or user == task.credentials.user.real


@kernel
def may_set_nice(k: Kernel, task: Task, nice: word) -> bool:
    """Root may set any; others let their own tasks be nicer."""
    if task_of(k).credentials.user.effective == 0:
        return True
    return is_same_user(k, task) and max(nice, LEAST_NICE) >= task.nice


@apart
@kernel
def sched_yield(k: Kernel) -> word:
    k.tasks.attention |= SLICE_IS_OVER
    return 0
