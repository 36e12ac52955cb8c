"""How a call waits: for a thing, for a time, or for whichever comes first."""

from typing import Final

from incroos.kernel import task
from incroos.kernel.abi.arguments import task_of
from incroos.kernel.state import Kernel
from incroos.lang import kernel, word

NO_TIME: Final = -1


@kernel
def wait_for(k: Kernel, span: word, thing: word, result: word) -> word:
    """Wait on a thing, at most so many nanoseconds, or without an end if they are below 0; then this is the result.

    The call is made anew when the task is woken, and comes here again if the thing has not happened. A handler ends it.
    """
    own = task_of(k)
    if span < 0:
        task.wait_once(k, thing)
        return 0
    if own.deadline == 0:
        own.deadline = max(task.after(k, span), 1)
    if task.now(k) >= own.deadline:
        own.deadline = 0
        return result
    task.wait_once(k, thing)
    return 0
