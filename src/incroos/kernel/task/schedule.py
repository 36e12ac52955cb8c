"""The schedule: which task runs. Round robin on one kernel stack; a call is never suspended (waiting.py).

A task can run if it is READY and not stopped. The way back to ring 3 is the short one as long as TaskState.attention
is 0; else go_on decides who runs. The timer runs while a tick may matter to anybody but the task that runs; it is
started by whoever makes that so, and stopped by the tick that finds it otherwise.
Bryan Ford and others, "Interface and Execution Models in the Fluke Kernel", has the model.
"""

from incroos.kernel import files
from incroos.kernel.devices import idle, timer
from incroos.kernel.state import (
    ANYTHING,
    CANNOT_RUN,
    ENDED,
    HAS_CHANGES,
    HAS_SIGNAL,
    HAS_WAITED,
    INPUT,
    READY,
    SLICE_IS_OVER,
    WAITING,
    Kernel,
    Task,
)
from incroos.kernel.task import clock, contexts, family, report, sending, signals, timers
from incroos.kernel.task.ring import current, following
from incroos.kernel.task.terminal import end_rest, has_rest, look_at_terminal
from incroos.kernel.task.waiting import make_ready, wake_all, wake_changed
from incroos.lang import VirtAddr, apart, cold, kernel, word


@kernel
def can_run(task: Task) -> bool:
    """Whether it is ready and not stopped."""
    return task.state == READY and task.is_stopped == 0


@kernel
def attention_of(task: Task) -> word:
    """What is to be looked at before the task goes on, as it stands."""
    attention = 0 if can_run(task) else CANNOT_RUN
    if task.state != ENDED and sending.deliverable(task) != 0:
        attention |= HAS_SIGNAL
    if task.has_waited != 0:
        attention |= HAS_WAITED
    return attention


@kernel
def next_ready(k: Kernel, start: Task) -> VirtAddr:
    """The first task behind one that can run, that one last; 0: there is none."""
    task = start
    for _index in range(k.tasks.nr_tasks):
        task = following(task)
        if can_run(task):
            return task.addr
    return VirtAddr(0)


@kernel
def tick(k: Kernel) -> None:
    """The timer has interrupted ring 3: the slice is over."""
    clock.pass_tick(k)
    timers.charge(k)
    if needs_ticks(k):
        k.tasks.attention |= SLICE_IS_OVER
    else:
        timer.stop(k)


@kernel
def needs_ticks(k: Kernel) -> bool:
    """Whether a tick may let another task run, wake one, or ring; at a terminal each is a look for Ctrl-C."""
    if clock.is_real(k) or timers.is_any_set(k):
        return True
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if at != k.tasks.current and (can_run(task) or may_be_woken(k, task)):
            return True
        at = task.next
    return False


@kernel
def may_be_woken(k: Kernel, task: Task) -> bool:
    """Whether time or input alone may wake it."""
    if task.state != WAITING:
        return False
    return task.deadline != 0 or (waits_for_input(task) and files.is_input_asked(k))


@kernel
def waits_for_input(task: Task) -> bool:
    """Whether input wakes it."""
    return task.state == WAITING and (task.waits_on == INPUT or task.waits_on == ANYTHING)


@apart
@kernel
def go_on(k: Kernel) -> None:
    """Decide who goes on: user_registers(k) are that task's. PRE attention is not 0, and a task runs.

    Comes back only with a task that can run and has no signal to be delivered; else the machine ends.
    """
    if current(k).state == WAITING and sending.deliverable(current(k)) != 0:  # also one that its call unblocks
        make_ready(k, current(k))
    if k.tasks.attention & HAS_CHANGES != 0:
        wake_changed(k)
    if k.tasks.attention & SLICE_IS_OVER != 0:
        family.tell_parents(k)
        look_around(k)
        change_to(k, next_ready(k, current(k)))
    k.tasks.attention = attention_of(current(k))
    while k.tasks.attention & (CANNOT_RUN | HAS_SIGNAL) != 0 or k.tasks.news != 0:
        family.tell_parents(k)
        if k.tasks.attention & CANNOT_RUN != 0:
            change_to(k, find_work(k))
        if k.tasks.attention & HAS_SIGNAL != 0 and can_run(current(k)):
            signals.deliver_pending(k, current(k))
        k.tasks.attention = attention_of(current(k))
    if not timer.is_running(k) and needs_ticks(k):
        timer.start(k)


@kernel
def change_to(k: Kernel, at: VirtAddr) -> None:
    """Let another task run, if it is another one."""
    before = k.tasks.current
    if at != 0 and at != before:
        timers.charge(k)
        if before != 0 and current(k).state != ENDED:
            contexts.save(k, current(k))
        k.tasks.current = at
        contexts.load(k, Task(k.m, at))
        if before != 0:
            family.bury(k, Task(k.m, before))
    k.tasks.attention = attention_of(current(k))


# ------------------------------------------------------------------ nobody can
@cold
@kernel
def find_work(k: Kernel) -> VirtAddr:
    """A task that can run, waited for if need be. Ends the machine when there is no task left.

    Where all wait for what cannot happen any more, they are ended, and the host is told why.
    """
    timers.charge(k)
    while True:
        family.tell_parents(k)
        if k.tasks.nr_live == 0:
            report.finish(k)
        look_around(k)
        at = next_ready(k, current(k))
        if at != 0:
            k.tasks.slice_start = clock.now(k)
            return at
        deadline = least_deadline(k)
        if has_rest(k):
            end_rest(k)
        elif deadline >= 0 and not comes_input_first(k, deadline):
            clock.wait_until(k, deadline)
        elif deadline < 0 and can_input_help(k):
            clock.wait_for_input(k)
        elif deadline < 0:
            signals.end_all(k)


@kernel
def comes_input_first(k: Kernel, deadline: word) -> bool:
    """Whether input that somebody waits for comes in the time that virtual time would jump over."""
    if clock.is_real(k) or not can_input_help(k):
        return False
    left = deadline - clock.now(k)
    while left > 0:
        nr_passed = idle.idle(k, left)
        if nr_passed == 0:
            return True
        left -= nr_passed
    return False


@kernel
def can_input_help(k: Kernel) -> bool:
    """Whether input may come that somebody waits for; at a terminal it may be Ctrl-C."""
    if not files.is_input_asked(k):
        return False
    if clock.is_real(k):
        return True
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        if waits_for_input(Task(k.m, at)):
            return True
        at = Task(k.m, at).next
    return False


@kernel
def look_around(k: Kernel) -> None:
    """Wake whoever waits for input that has come, for a time that is over, or for what an end has changed."""
    if k.files.changed != 0:
        wake_changed(k)
    now = clock.now(k)
    timers.ring(k, now)
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if task.state == WAITING and task.deadline != 0 and task.deadline <= now:
            make_ready(k, task)
        at = task.next
    look_at_terminal(k)
    if k.files.terminal == 0 and files.is_input_asked(k) and files.has_input(k):
        wake_all(k, INPUT)


@kernel
def least_deadline(k: Kernel) -> word:
    """When the first of those that wait looks again by itself, or the first alarm rings; timers.NO_TIME: none does."""
    least = timers.least(k)
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if task.state == WAITING and task.is_stopped == 0 and task.deadline != 0:
            least = task.deadline if least < 0 else min(least, task.deadline)
        at = task.next
    return least
