"""Futexes: tasks that wait on a word of their memory, until somebody names that word.

    a private word    is known by its space, and its address
    a shared word     by the Content in which it lies, and where it is in that; in private memory by space and address,
                      but it is another one than the private word there, as on Linux

Unit: the task. Whoever was named does not look at the word again: progress says so. Who waits longest is named first.
"""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.state import FUTEX, IS_SHARED, WAITING, Kernel, Range, Task, UserSpace
from incroos.kernel.task.ring import current
from incroos.kernel.task.waiting import make_ready
from incroos.lang import VirtAddr, kernel, word

NAMED: Final = -1  # Task.progress of one that was woken; the call answers 0
EVERY_BIT: Final = 0xFFFF_FFFF  # Task.futex_set of who did not say

# How a word is known
PRIVATE: Final = 0
SHARED: Final = 1


@kernel
def key_of(user: UserSpace, at: word, how: word) -> tuple[VirtAddr, VirtAddr]:
    """By what a word is known, whoever names it; what is shared is told by the last bit."""
    found = vm.find_range(user, VirtAddr(at)) if how == SHARED else VirtAddr(0)
    if found != 0 and Range(user.m, found).flags & IS_SHARED != 0:
        place = Range(user.m, found)
        return place.content, VirtAddr(place.offset + at - place.start)
    return VirtAddr(user.addr), VirtAddr(at | how)


@kernel
def take_name(k: Kernel, at: word, how: word, bits: word) -> bool:
    """Whether somebody has named the word for which the task that runs waits; else the word is noted.

    PRE the task waits on FUTEX if it waits.
    """
    task = current(k)
    if task.progress == NAMED:
        return True
    owner, place = key_of(UserSpace(k.m, task.space), at, how)
    task.futex_owner = owner
    task.futex = place
    task.futex_set = bits
    if task.has_waited == 0:
        k.tasks.last_turn += 1
        task.turn = k.tasks.last_turn
    return False


@kernel
def is_at(task: Task, owner: VirtAddr, place: VirtAddr, bits: word) -> bool:
    """Whether a task waits on a word for one of the bits."""
    is_waiting = task.state == WAITING and task.waits_on == FUTEX
    return is_waiting and task.futex == place and task.futex_owner == owner and task.futex_set & bits != 0


@kernel
def first_at(k: Kernel, owner: VirtAddr, place: VirtAddr, bits: word) -> VirtAddr:
    """Who waits longest on a word; 0: nobody does."""
    found = VirtAddr(0)
    here = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, here)
        if is_at(task, owner, place, bits) and (found == 0 or task.turn < Task(k.m, found).turn):
            found = here
        here = task.next
    return found


@kernel
def name(k: Kernel, task: Task) -> None:
    """Wake a task: its word was named."""
    task.progress = NAMED
    make_ready(k, task)


@kernel
def wake_futex(k: Kernel, user: UserSpace, at: word, how: word, most: word, bits: word) -> word:
    """Wake at most so many of those who wait on a word for one of the bits: how many."""
    owner, place = key_of(user, at, how)
    if most > k.tasks.nr_tasks:
        return wake_all(k, owner, place, bits)
    for nr_woken in range(most):
        found = first_at(k, owner, place, bits)
        if found == 0:
            return nr_woken
        name(k, Task(k.m, found))
    return most


@kernel
def wake_all(k: Kernel, owner: VirtAddr, place: VirtAddr, bits: word) -> word:
    """The same of all of them: in which turn they are woken nobody sees."""
    nr_woken = 0
    here = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, here)
        here = task.next
        if is_at(task, owner, place, bits):
            name(k, task)
            nr_woken += 1
    return nr_woken


@kernel
def requeue(k: Kernel, user: UserSpace, at: word, to: word, how: word, most_woken: word, most_moved: word) -> word:
    """Wake at most so many who wait on a word, and let at most so many others wait on another one: how many."""
    owner, place = key_of(user, at, how)
    new_owner, new_place = key_of(user, to, how)
    nr_woken = wake_futex(k, user, at, how, most_woken, EVERY_BIT)
    nr_moved = 0
    if nr_woken < most_woken or (owner == new_owner and place == new_place):
        return nr_woken + min(most_moved, nr_at(k, owner, place))
    while nr_moved < most_moved:
        found = first_at(k, owner, place, EVERY_BIT)
        if found == 0:
            return nr_woken + nr_moved
        moved = Task(k.m, found)
        moved.futex_owner = new_owner
        moved.futex = new_place
        k.tasks.last_turn += 1
        moved.turn = k.tasks.last_turn
        nr_moved += 1
    return nr_woken + nr_moved


@kernel
def nr_at(k: Kernel, owner: VirtAddr, place: VirtAddr) -> word:
    """How many wait on a word."""
    found = 0
    here = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        found += 1 if is_at(Task(k.m, here), owner, place, EVERY_BIT) else 0
        here = Task(k.m, here).next
    return found
