"""News of tasks: those whose parent is to hear of them, in a list. family.tell_parents goes through it.

Unit: the task. Anybody may put a task into the list at any time; nothing else happens then.
"""

from typing import Final

from incroos.kernel.devices import timer
from incroos.kernel.state import BY_SIGNAL, ENDED, HAS_NEWS, MAX_TASKS, Kernel, Task, leader_of
from incroos.kernel.task.actions import SIGCONT
from incroos.lang import cold, kernel, word

STOPPED: Final = 0x7F  # the low byte of what wait4 tells; the signal is in the next one
CONTINUED: Final = 0xFFFF

# What happened, as waitid and SIGCHLD tell it: CLD_EXITED, CLD_KILLED, CLD_STOPPED, CLD_CONTINUED
LEFT: Final = 1
KILLED: Final = 2
HALTED: Final = 5
GONE_ON: Final = 6


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
    """A signal has stopped a task's process, all threads of it."""
    leader = leader_of(task)
    set_stopped(leader, 1)
    leader.news = signal << 8 | STOPPED
    put(k, leader)


@cold
@kernel
def end_stop(k: Kernel, leader: Task) -> None:
    """Let a process that is stopped go on, and its parent hear of it."""
    let_go_on(k, leader)
    leader.news = CONTINUED
    put(k, leader)


@cold
@kernel
def let_go_on(k: Kernel, leader: Task) -> None:
    """Let a process that is stopped go on."""
    set_stopped(leader, 0)
    timer.start(k)


@cold
@kernel
def set_stopped(leader: Task, is_stopped: word) -> None:
    """Have all threads of a process stopped, or none."""
    at = leader.addr
    for _index in range(MAX_TASKS):
        Task(leader.m, at).is_stopped = is_stopped
        at = Task(leader.m, at).next_thread
        if at == leader.addr:
            return


@kernel
def told_of(task: Task) -> tuple[word, word]:
    """What waitid and SIGCHLD tell of a child: what happened to it, and with which status or signal."""
    if task.state == ENDED:
        return KILLED if task.how_ended == BY_SIGNAL else LEFT, task.status
    if task.news == CONTINUED:
        return GONE_ON, SIGCONT
    return HALTED, task.news >> 8
