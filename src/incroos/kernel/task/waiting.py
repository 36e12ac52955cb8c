"""Waits: how a call waits for something, and how whoever changes it wakes the task.

    wait_on       nothing has changed that the task does not keep (progress, deadline): its call is made anew when it
                  runs again, and looks again
    hold_on       the call is done; the task goes on behind it when it is woken

Unit: the task, and what it waits on: an object's address, or a number that says who wakes it. A task may be woken
though nothing has changed for it.
"""

from incroos.kernel.devices import timer
from incroos.kernel.state import (
    ANYTHING,
    CANNOT_RUN,
    EVERYTHING,
    HAS_CHANGES,
    HAS_WAITED,
    HELD,
    INPUT,
    IS_INTERRUPTED,
    READY,
    RESTARTS,
    WAITING,
    Kernel,
    Task,
)
from incroos.kernel.task.ring import current
from incroos.lang import VirtAddr, apart, kernel, word


@kernel
def wait_on(k: Kernel, thing: word) -> None:
    """Let the task that runs wait; its call will be made anew. An object's address, NOBODY, ANYTHING or INPUT.

    The last thing that the call does: what it sends itself behind it would wake it before it has waited.
    A handler with SA_RESTART lets it be made anew, too; another one ends it.
    """
    wait(k, thing, RESTARTS)


@kernel
def wait_once(k: Kernel, thing: word) -> None:
    """The same of a call that any handler ends."""
    wait(k, thing, IS_INTERRUPTED)


@kernel
def wait(k: Kernel, thing: word, how: word) -> None:
    """The same, as has_waited says."""
    task = current(k)
    task.state = WAITING
    task.waits_on = VirtAddr(thing)
    task.has_waited = how
    k.tasks.attention |= CANNOT_RUN


@kernel
def hold_on(k: Kernel, thing: word) -> None:
    """Let the task that runs go on behind its call, which is done, when it is woken."""
    task = current(k)
    task.state = HELD
    task.waits_on = VirtAddr(thing)
    k.tasks.attention |= CANNOT_RUN


@kernel
def wake(k: Kernel, thing: word) -> None:
    """Something has happened to an object: whoever waits on it looks again."""
    if k.tasks.nr_tasks > 1 or thing == INPUT:
        wake_all(k, thing)


@apart
@kernel
def wake_all(k: Kernel, thing: word) -> None:
    """The same where somebody may wait."""
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        is_for_it = task.waits_on == thing
        is_woken = task.state == HELD and is_for_it
        if task.state == WAITING and (is_for_it or task.waits_on == ANYTHING or thing == EVERYTHING):
            is_woken = True
        if is_woken:
            make_ready(k, task)
        at = task.next


@kernel
def wake_changed(k: Kernel) -> None:
    """Wake whoever waits on what files say that has changed."""
    thing = k.files.changed
    k.files.changed = VirtAddr(0)
    k.tasks.attention &= ~HAS_CHANGES
    if thing != 0:
        wake_all(k, thing)


@kernel
def make_ready(k: Kernel, task: Task) -> None:
    """Let a task that waits look again. It must not wait until the one that runs makes a call: the timer runs."""
    task.state = READY
    task.waits_on = VirtAddr(0)
    timer.start(k)


@kernel
def end_wait(task: Task) -> None:
    """The call that waited has ended; what it blocked for its time is blocked as it was before."""
    task.has_waited = 0
    task.progress = 0
    task.comes_to = 0
    task.deadline = 0
    task.rest = VirtAddr(0)
    task.rest_unit = 0
    task.awaited = 0
    if task.has_saved_blocked != 0:
        task.blocked = task.saved_blocked
        task.has_saved_blocked = 0


@kernel
def block_for_call(k: Kernel, mask: word) -> None:
    """Have a set of signals blocked in the place of those that are, until the call of the task that runs ends."""
    task = current(k)
    k.tasks.attention |= HAS_WAITED
    if task.has_saved_blocked == 0:
        task.saved_blocked = task.blocked
        task.has_saved_blocked = 1
    task.blocked = mask
