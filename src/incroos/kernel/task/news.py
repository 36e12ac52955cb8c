"""News of tasks: those whose parent is to hear of them, in a list. family.tell_parents goes through it.

Unit: the task. Anybody may put a task into the list at any time; nothing else happens then.
"""

from typing import Final

from incroos.kernel.devices import timer
from incroos.kernel.state import HAS_NEWS, Kernel, Task
from incroos.lang import cold, kernel, word

STOPPED: Final = 0x7F  # the low byte of what wait4 tells; the signal is in the next one
CONTINUED: Final = 0xFFFF


@kernel
def put(k: Kernel, task: Task) -> None:
    """Let a task's parent hear of it before the next task runs."""
    if task.is_news == 0:
        task.is_news = 1
        task.next_news = k.tasks.news
        k.tasks.news = task.addr
        k.tasks.attention |= HAS_NEWS


@cold
@kernel
def stop(k: Kernel, task: Task, signal: word) -> None:
    """A signal has stopped a task."""
    task.is_stopped = 1
    task.news = signal << 8 | STOPPED
    put(k, task)


@cold
@kernel
def end_stop(k: Kernel, task: Task) -> None:
    """Let a task that is stopped go on."""
    task.is_stopped = 0
    timer.start(k)
    task.news = CONTINUED
    put(k, task)
