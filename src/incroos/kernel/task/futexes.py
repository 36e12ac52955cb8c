"""Futexes: tasks that wait on a word of their memory, until somebody names that word.

    a private word    is known by its space, and its address
    a shared word     by the Content in which it lies, and where it is in that

Unit: the task. Whoever was named does not look at the word again: progress says so.
"""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.state import FUTEX, IS_SHARED, WAITING, Kernel, Range, Task, UserSpace
from incroos.kernel.task.ring import current
from incroos.kernel.task.waiting import make_ready
from incroos.lang import VirtAddr, kernel, word

NAMED: Final = -1  # Task.progress of one that was woken; the call answers 0


@kernel
def key_of(user: UserSpace, at: word) -> tuple[VirtAddr, VirtAddr]:
    """By what a word is known, whoever names it."""
    found = vm.find_range(user, VirtAddr(at))
    if found != 0 and Range(user.m, found).flags & IS_SHARED != 0:
        place = Range(user.m, found)
        return place.content, VirtAddr(place.offset + at - place.start)
    return VirtAddr(user.addr), VirtAddr(at)


@kernel
def take_name(k: Kernel, at: word) -> bool:
    """Whether somebody has named the word for which the task that runs waits; else the word is noted.

    PRE the task waits on FUTEX if it waits.
    """
    task = current(k)
    if task.progress == NAMED:
        return True
    owner, place = key_of(UserSpace(k.m, task.space), at)
    task.futex_owner = owner
    task.futex = place
    return False


@kernel
def wake_futex(k: Kernel, user: UserSpace, at: word, most: word) -> word:
    """Wake at most so many of those who wait on a word: how many."""
    nr_woken = 0
    owner, place = key_of(user, at)
    here = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, here)
        is_waiting = task.state == WAITING and task.waits_on == FUTEX
        if nr_woken < most and is_waiting and task.futex == place and task.futex_owner == owner:
            task.progress = NAMED
            make_ready(k, task)
            nr_woken += 1
        here = task.next
    return nr_woken
