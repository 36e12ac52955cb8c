"""Parents and children: who hears of an end or a stop, whom init takes, and when a task's last remains go.

    news      a task ends, is stopped or goes on: it is put into a list at once, and tell_parents goes through that
              before the next task runs: then nobody holds a task's address that may go
    ended     the parent gets its signal and looks again; wait takes the task away
    orphan    its parent is init (0): taken away at once

Unit: the task.
"""

from typing import Final

from incroos.kernel import files
from incroos.kernel.state import ENDED, HELD, Kernel, Task
from incroos.kernel.task import sending
from incroos.kernel.task.actions import IGNORE_HANDLER, NO_CHILD_STOP, SIGCHLD, SIGCONT, SIGHUP, flags_of, handler_of
from incroos.kernel.task.news import put, told_of
from incroos.kernel.task.ring import free, remove
from incroos.kernel.task.threads import is_leader
from incroos.kernel.task.waiting import make_ready, wake
from incroos.lang import VirtAddr, cold, kernel, word

NO_ZOMBIES: Final = 2  # SA_NOCLDWAIT


# ------------------------------------------------------------------ news
@cold
@kernel
def tell_parents(k: Kernel) -> None:
    """Let all parents hear what happened to their children since the last time."""
    while k.tasks.news != 0:
        task = Task(k.m, k.tasks.news)
        k.tasks.news = task.next_news
        task.next_news = VirtAddr(0)
        task.is_news = 0
        if task.state == ENDED:
            on_end(k, task)
        elif task.parent != 0:
            on_stop(k, task, Task(k.m, task.parent))


@cold
@kernel
def on_stop(k: Kernel, task: Task, parent: Task) -> None:
    """A child has been stopped, or goes on."""
    if flags_of(parent, SIGCHLD) & NO_CHILD_STOP == 0:
        happened, value = told_of(task)
        sending.send_with(k, parent, SIGCHLD, happened, task.number, value)
    wake(k, parent.addr)


@cold
@kernel
def on_end(k: Kernel, task: Task) -> None:
    """A task has ended: its children, its parent, and itself if nobody will ask for it."""
    release(k, task)
    if task.is_thread != 0:
        leave_held(k, task)
    else:
        leave_children(k, task)
    if task.parent != 0:
        parent = Task(k.m, task.parent)
        if is_let_go(task, parent):
            task.parent = VirtAddr(0)
        if task.exit_signal != 0:
            happened, value = told_of(task)
            sending.send_with(k, parent, task.exit_signal, happened, task.number, value)
        wake(k, parent.addr)
    if task.addr != k.tasks.current:
        bury(k, task)


@kernel
def is_let_go(task: Task, parent: Task) -> bool:
    """Whether a parent says by its action for SIGCHLD that it asks for nobody."""
    is_ignored = handler_of(parent, SIGCHLD) == IGNORE_HANDLER or flags_of(parent, SIGCHLD) & NO_ZOMBIES != 0
    return task.exit_signal == SIGCHLD and is_ignored


@cold
@kernel
def leave_children(k: Kernel, task: Task) -> None:
    """Let init be the parent of all children of a task that has ended; those that have ended are gone."""
    leave_held(k, task)
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        child = Task(k.m, at)
        at = child.next
        if child.parent == task.addr:
            child.parent = VirtAddr(0)
            if child.state == ENDED:
                put(k, child)  # is taken away in its turn: not while we go along the ring
            elif child.group != task.group and child.session == task.session:
                wake_orphans(k, child.group)
    if task.parent != 0:
        parent = Task(k.m, task.parent)
        if parent.group != task.group and parent.session == task.session:
            wake_orphans(k, task.group)


@cold
@kernel
def leave_held(k: Kernel, task: Task) -> None:
    """A task has ended: nobody holds it any more."""
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        child = Task(k.m, at)
        if child.holder == task.addr:
            child.holder = VirtAddr(0)
        at = child.next


# ------------------------------------------------------------------ orphaned groups
@cold
@kernel
def wake_orphans(k: Kernel, group: word) -> None:
    """A group has lost a parent: if nobody is left who would let its stopped members go on, all get SIGHUP and SIGCONT.

    POSIX, "General Concepts", orphaned process group: no member has a parent in another group of the same session.
    """
    if is_orphaned(k, group) and has_stopped(k, group):
        send_to_group(k, group, SIGHUP)
        send_to_group(k, group, SIGCONT)


@cold
@kernel
def is_orphaned(k: Kernel, group: word) -> bool:
    """Whether nobody is left who would let stopped members of a group go on."""
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if task.group == group and task.state != ENDED and has_guardian(task):
            return False
        at = task.next
    return True


@cold
@kernel
def has_stopped(k: Kernel, group: word) -> bool:
    """Whether a member of a group is stopped."""
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if task.group == group and task.state != ENDED and task.is_stopped != 0:
            return True
        at = task.next
    return False


@kernel
def has_guardian(task: Task) -> bool:
    """Whether the parent is in another group of the task's session."""
    if task.parent == 0:
        return False
    parent = Task(task.m, task.parent)
    return parent.group != task.group and parent.session == task.session and parent.state != ENDED


@cold
@kernel
def send_to_group(k: Kernel, group: word, signal: word) -> None:
    """Send all members of a group a signal."""
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if task.group == group and is_leader(task):
            sending.send(k, task, signal)
        at = task.next


# ------------------------------------------------------------------ the last of a task
@kernel
def release(k: Kernel, task: Task) -> None:
    """A child of vfork has its own space now, or has ended: its parent goes on."""
    if task.holder != 0:
        holder = Task(k.m, task.holder)
        task.holder = VirtAddr(0)
        if holder.state == HELD:
            make_ready(k, holder)


@cold
@kernel
def bury(k: Kernel, task: Task) -> None:
    """Take a task away that has ended, unless somebody may ask for it."""
    if task.state == ENDED and task.parent == 0 and task.is_news == 0:
        remove(k, task)
        files.forget_task(k, task.number)
        free(k, task)
