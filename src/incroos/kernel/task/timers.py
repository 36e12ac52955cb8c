"""Interval timers: alarm and setitimer. A timer that rings sends its task a signal.

    ITIMER_REAL                   by the clock: SIGALRM
    ITIMER_VIRTUAL, ITIMER_PROF   by the time that the task ran: SIGVTALRM, SIGPROF. What is its own and what the
                                  kernel's is not told apart, so both count the same

Unit: the nanosecond.
"""

from typing import Final

from incroos.kernel.state import ENDED, NEEDS_TIMER, NR_TIMERS, Kernel, Task, Timer, leader_of
from incroos.kernel.task import clock, sending
from incroos.kernel.task.actions import SIGALRM, SIGPROF, SIGVTALRM
from incroos.kernel.task.clock import MOST
from incroos.kernel.task.ring import current
from incroos.lang import cold, fill, kernel, word

# Which timer
REAL: Final = 0
VIRTUAL: Final = 1
PROFILE: Final = 2

NO_TIME: Final = -1


@kernel
def time_of(k: Kernel, task: Task, which: word) -> word:
    """What a timer's clock shows."""
    return clock.now(k) if which == REAL else task.user_time


@kernel
def left(k: Kernel, task: Task, which: word) -> word:
    """How long until a timer rings, at least 1; 0: it is off."""
    timer = task.timers[which]
    return max(timer.at - time_of(k, task, which), 1) if timer.at != 0 else 0


@kernel
def set_timer(k: Kernel, task: Task, which: word, span: word, every: word) -> None:
    """Let a timer ring after a time, and then each time that so much has passed; 0: never. Both at most MOST.

    The way back to the program is not the short one: the computer's timer may be needed.
    """
    k.tasks.attention |= NEEDS_TIMER
    timer = task.timers[which]
    k.tasks.nr_timers -= 1 if timer.at != 0 else 0
    timer.every = every
    timer.at = 0
    if span != 0:
        now = clock.look(k) if which == REAL else task.user_time
        timer.at = min(now, MOST - span) + span
        k.tasks.nr_timers += 1


@kernel
def is_any_set(k: Kernel) -> bool:
    """Whether a timer of any task will ring."""
    return k.tasks.nr_timers != 0


@cold
@kernel
def forget_all(k: Kernel, task: Task) -> None:
    """A task has ended: none of its timers rings any more."""
    for which in range(NR_TIMERS):
        set_timer(k, task, which, 0, 0)


@kernel
def begin_child(k: Kernel, task: Task) -> None:
    """A task has been copied from another one: the timers are the other one's."""
    fill(k.m, task.timers.addr, 0, NR_TIMERS * Timer.SIZE)
    task.user_time = 0
    task.thread_time = 0


@kernel
def check_timer(k: Kernel, task: Task, which: word, now: word, signal: word) -> None:
    """Send the signal of a timer whose time has come; what was missed of a repeated one is one signal."""
    timer = task.timers[which]
    if timer.at == 0 or timer.at > now:
        return
    if timer.every == 0:
        timer.at = 0
        k.tasks.nr_timers -= 1
    else:
        nr_missed = (now - timer.at) // timer.every
        timer.at = min(timer.at + nr_missed * timer.every, MOST - timer.every) + timer.every
    sending.send(k, task, signal)


@kernel
def ring(k: Kernel, now: word) -> None:
    """Send the signals of all alarms whose time has come."""
    if k.tasks.nr_timers == 0:
        return
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if task.state != ENDED:
            check_timer(k, task, REAL, now, SIGALRM)
        at = task.next


@kernel
def least(k: Kernel) -> word:
    """When the first alarm rings; NO_TIME: none does."""
    found = NO_TIME
    if k.tasks.nr_timers == 0:
        return found
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        when = task.timers[REAL].at
        if task.state != ENDED and when != 0:
            found = when if found < 0 else min(found, when)
        at = task.next
    return found


@kernel
def charge(k: Kernel) -> None:
    """Let the task that runs, and its process, have had the time since the slice began, or it was charged last."""
    now = clock.now(k)
    span = now - k.tasks.slice_start
    k.tasks.slice_start = now
    if current(k).state == ENDED:
        return
    own = current(k)
    own.thread_time = min(own.thread_time + span, MOST)
    task = leader_of(own)
    task.user_time = min(task.user_time + span, MOST)
    if k.tasks.nr_timers != 0:
        check_timer(k, task, VIRTUAL, task.user_time, SIGVTALRM)
        check_timer(k, task, PROFILE, task.user_time, SIGPROF)
