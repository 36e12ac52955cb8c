"""Futexes: tasks that wait on a word of their memory, until somebody names that word.

    a private word    its space and its address
Unit: the task. Whoever was named does not look at the word again: progress says so.
"""

from typing import Final

from incroos.kernel.state import FUTEX, WAITING, Kernel, Task, UserSpace
from incroos.kernel.task.ring import current
from incroos.kernel.task.waiting import make_ready
from incroos.lang import VirtAddr, kernel, word

NAMED: Final = -1  # Task.progress of one that was woken: no bytes are done


@kernel
def take_name(k: Kernel, at: word) -> bool:
    """Whether somebody has named the word for which the task that runs waits; else the word is noted.

    PRE the task waits on FUTEX if it waits.
    """
    task = current(k)
    if task.progress == NAMED:
        return True
    task.futex = VirtAddr(at)
    return False


@kernel
def wake_futex(k: Kernel, user: UserSpace, at: word, most: word) -> word:
    """Wake at most so many of those who wait on a word: how many."""
    nr_woken = 0
    place = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, place)
        is_waiting = task.state == WAITING and task.waits_on == FUTEX
        if nr_woken < most and is_waiting and task.futex == at and task.space == user.addr:
            task.progress = NAMED
            make_ready(task)
            nr_woken += 1
        place = task.next
    return nr_woken
