"""Waits: how a call waits for something, and how whoever changes it wakes the task.

    wait_on       nothing has changed that the task does not keep (progress, deadline): its call is made anew when it
                  runs again, and looks again
    hold_on       the call is done; the task goes on behind it when it is woken

Unit: the task, and what it waits on: an object's address, or a number that says who wakes it. A task may be woken
though nothing has changed for it.
"""

from incroos.kernel.devices import timer
from incroos.kernel.state import ANYTHING, CANNOT_RUN, HELD, INPUT, READY, WAITING, Kernel, Task
from incroos.kernel.task.ring import current
from incroos.lang import VirtAddr, apart, kernel, word


@kernel
def wait_on(k: Kernel, thing: word) -> None:
    """Let the task that runs wait; its call will be made anew. An object's address, NOBODY, ANYTHING or INPUT."""
    task = current(k)
    task.state = WAITING
    task.waits_on = VirtAddr(thing)
    task.has_waited = 1
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
        if (task.state == WAITING or task.state == HELD) and (task.waits_on == thing or task.waits_on == ANYTHING):
            make_ready(task)
            timer.start(k)
        at = task.next


@kernel
def make_ready(task: Task) -> None:
    """Let a task that waits look again."""
    task.state = READY
    task.waits_on = VirtAddr(0)


@kernel
def end_wait(task: Task) -> None:
    """The call that waited has ended."""
    task.has_waited = 0
    task.progress = 0
    task.deadline = 0
