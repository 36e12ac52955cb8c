"""wait: children that have ended, were stopped or go on, found and taken away.

Unit: the child.
"""

from typing import Final

from incroos.kernel.codes import NO_CHILD
from incroos.kernel.state import BY_SIGNAL, ENDED, Kernel, Task
from incroos.kernel.task.actions import SIGCHLD
from incroos.kernel.task.clock import MOST
from incroos.kernel.task.family import bury
from incroos.kernel.task.news import CONTINUED, STOPPED
from incroos.lang import VirtAddr, apart, kernel, word

# What is asked for, as wait4 and waitid name it
STOPS: Final = 2  # WUNTRACED, WSTOPPED
ENDS: Final = 4  # WEXITED
GOES_ON: Final = 8  # WCONTINUED
KEEP: Final = 0x0100_0000  # WNOWAIT
ALL_KINDS: Final = 0x4000_0000  # __WALL
OTHER_KIND: Final = 0x8000_0000  # __WCLONE: those that send no SIGCHLD

# Whom
ANY: Final = 0
NUMBER: Final = 1
GROUP: Final = 2


@apart
@kernel
def find_child(k: Kernel, own: Task, kind: word, number: word, options: word) -> tuple[word, VirtAddr]:
    """OK, and a child that there is something to tell of, or 0; NO_CHILD if none is meant at all."""
    found = VirtAddr(0)
    has_child = False
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if task.parent == own.leader and is_meant(task, kind, number, options):
            has_child = True
            if found == 0 and has_news(task, options):
                found = at
        at = task.next
    return 0 if has_child else NO_CHILD, found


@kernel
def is_meant(task: Task, kind: word, number: word, options: word) -> bool:
    """Whether a child is one of those that are asked for."""
    if options & ALL_KINDS == 0 and (task.exit_signal != SIGCHLD) != (options & OTHER_KIND != 0):
        return False
    if kind == NUMBER:
        return task.number == number
    return kind == ANY or task.group == number


@kernel
def has_news(task: Task, options: word) -> bool:
    """Whether there is something to tell of a child that is asked for."""
    if task.state == ENDED:
        return options & ENDS != 0
    if task.news == CONTINUED:
        return options & GOES_ON != 0
    return task.news & 0xFF == STOPPED and options & STOPS != 0


@kernel
def status_of(task: Task) -> word:
    """What wait4 tells of a child."""
    if task.state != ENDED:
        return task.news
    return task.status if task.how_ended == BY_SIGNAL else task.status << 8


@kernel
def take(k: Kernel, task: Task) -> None:
    """The parent has heard: a child that has ended is gone, of another there is nothing new."""
    if task.state == ENDED:
        own = Task(k.m, task.parent)
        own.children_time = min(own.children_time + task.user_time + task.children_time, MOST)
        task.parent = VirtAddr(0)
        bury(k, task)
    else:
        task.news = 0
