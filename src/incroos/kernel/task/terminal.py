"""The terminal and tasks: signals of keys, and the hang-up.

    a key           its signal goes to the group in the foreground
    a hang-up       nobody types any more, or the leader of the session has ended: SIGHUP and SIGCONT to the foreground
                    group, and nobody's terminal it is
    the first task  with its end the run does: who is left after the hang-up is killed once nobody can run, or after
                    GRACE

Unit: the task.
"""

from typing import Final

from incroos.kernel.files import terminal
from incroos.kernel.files.line_discipline import NO_SIGNAL
from incroos.kernel.state import ENDED, FIRST_NUMBER, Kernel, Task
from incroos.kernel.state.terminal import Terminal
from incroos.kernel.task import clock, ring, sending
from incroos.kernel.task.actions import SIGCONT, SIGHUP, SIGKILL
from incroos.kernel.task.clock import SECOND
from incroos.kernel.task.family import send_to_group
from incroos.kernel.task.waiting import wake_all
from incroos.lang import cold, kernel, word

GRACE: Final = SECOND


@kernel
def look_at_terminal(k: Kernel) -> None:
    """See what was typed, and whether the terminal is anybody's any more."""
    if k.files.terminal != 0:
        look_at(k, terminal.terminal_of(k))


@cold
@kernel
def look_at(k: Kernel, own: Terminal) -> None:
    """The same. PRE there is a terminal."""
    signal = terminal.look(k)
    while signal != NO_SIGNAL:
        if signal == terminal.HANG_UP:
            hang_up(k, own)
        else:
            send_to_group(k, own.foreground, signal)
        signal = terminal.look(k)
    if own.session != 0 and is_leader_gone(k, own):
        on_leader_end(k, own)
    if own.has_news != 0:
        own.has_news = 0
        wake_all(k, own.addr)
    if own.kill_time != 0 and clock.now(k) >= own.kill_time:
        end_rest(k)


@kernel
def is_leader_gone(k: Kernel, own: Terminal) -> bool:
    """Whether the leader of the session that has the terminal has ended."""
    at = ring.find(k, own.session)
    return at == 0 or Task(k.m, at).state == ENDED


@cold
@kernel
def hang_up(k: Kernel, own: Terminal) -> None:
    """Nobody types any more: the session's leader hears of it, and the group in the foreground."""
    at = ring.find(k, own.session)
    if at != 0 and Task(k.m, at).group != own.foreground:
        sending.send(k, Task(k.m, at), SIGHUP)
        sending.send(k, Task(k.m, at), SIGCONT)
    send_to_group(k, own.foreground, SIGHUP)
    send_to_group(k, own.foreground, SIGCONT)


@cold
@kernel
def on_leader_end(k: Kernel, own: Terminal) -> None:
    """The session's leader has ended: nobody has the terminal."""
    is_first = own.session == FIRST_NUMBER
    leave_terminal(k)
    if is_first:
        own.is_gone = 1
        own.has_news = 1
        own.kill_time = clock.now(k) + GRACE


@cold
@kernel
def leave_terminal(k: Kernel) -> None:
    """The session that has the terminal has it no longer."""
    own = terminal.terminal_of(k)
    group = own.foreground
    own.session = 0
    own.foreground = 0
    send_to_group(k, group, SIGHUP)
    send_to_group(k, group, SIGCONT)


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
def has_rest(k: Kernel) -> bool:
    """Whether the run is over but for tasks that are left. PRE nobody can run."""
    return k.files.terminal != 0 and terminal.terminal_of(k).kill_time != 0


@cold
@kernel
def end_rest(k: Kernel) -> None:
    """Kill all that are left."""
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if task.state != ENDED:
            sending.send(k, task, SIGKILL)
        at = task.next
