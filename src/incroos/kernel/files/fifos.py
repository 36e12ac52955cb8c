"""Who is coming to a FIFO: tasks whose open waits for somebody at the other end.

The call is made anew when it is woken, so that what it has begun is in Task.comes_to alone: the pipe's address with two
bits, READER or WRITER for the end that it will have, and MET once somebody came to the other end, who may have gone
again. Whoever ends the call or the task takes that back. Addresses are multiples of 8.

Unit: the task.
"""

from typing import Final

from incroos.kernel.state import ENDED, Kernel, Pipe, Task
from incroos.lang import kernel, word

READER: Final = 1
WRITER: Final = 2
MET: Final = 4
BITS: Final = 7


@kernel
def waits_for(task: Task, pipe: Pipe, side: word) -> bool:
    """Whether the task opens this end of the pipe, and has waited for that."""
    return task.state != ENDED and task.comes_to & ~BITS == pipe.addr and task.comes_to & side != 0


@kernel
def is_coming(k: Kernel, pipe: Pipe, side: word) -> bool:
    """Whether a task opens this end of a FIFO."""
    if pipe.node == 0:
        return False
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if waits_for(task, pipe, side):
            return True
        at = task.next
    return False


@kernel
def meet(k: Kernel, pipe: Pipe, side: word) -> None:
    """Somebody has come to the other end: whoever opens this one need not wait any more."""
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if waits_for(task, pipe, side):
            task.comes_to |= MET
        at = task.next


@kernel
def begin(k: Kernel, pipe: Pipe, side: word) -> None:
    """The task that runs opens this end, and waits."""
    Task(k.m, k.tasks.current).comes_to = pipe.addr | side


@kernel
def is_met(k: Kernel, pipe: Pipe, side: word) -> bool:
    """Whether the task that runs has waited for this end, and somebody came to the other one."""
    return Task(k.m, k.tasks.current).comes_to == pipe.addr | side | MET
