"""Process groups and sessions: who is in one, signals to all of one.

Unit: the group, by its number; 0 is none.
"""

from incroos.kernel.state import ENDED, Kernel, Task
from incroos.kernel.task import signals
from incroos.lang import cold, kernel, word


@cold
@kernel
def send_to_group(k: Kernel, group: word, signal: word) -> None:
    """Send all tasks of a group a signal that the kernel itself has a reason for."""
    if group == 0:
        return
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if task.group == group and task.state != ENDED:
            signals.send(k, task, signal)
        at = task.next


@cold
@kernel
def session_of_group(k: Kernel, group: word) -> word:
    """The session of a group; 0 if nobody is in it."""
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if task.group == group:
            return task.session
        at = task.next
    return 0


@cold
@kernel
def is_orphaned(k: Kernel, own: Task) -> bool:
    """Whether no member of a task's group has a parent of its session that is in another group."""
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if task.group == own.group and task.state != ENDED and task.parent != 0:
            parent = Task(k.m, task.parent)
            if parent.group != own.group and parent.session == own.session:
                return False
        at = task.next
    return True
