"""Job control: what becomes of a task in the background that would use the terminal.

It gets a signal with all of its group, and makes its call anew when it goes on; or -EIO where nobody would let it go
on: a parent of the session, in another group, does that.
"""

from typing import Final

from incroos.kernel import task
from incroos.kernel.abi.arguments import task_of
from incroos.kernel.abi.errno import EIO
from incroos.kernel.files.terminal import SIGTTOU, ignores, is_in_background
from incroos.kernel.state import NOBODY, Kernel
from incroos.kernel.state.terminal import Terminal
from incroos.lang import cold, kernel, word

MADE_ANEW: Final = -512  # nobody sees it: the task waits, and its call will be made anew


@cold
@kernel
def stop_background(k: Kernel, signal: word) -> word:
    """Send the group of the task that calls SIGTTIN or SIGTTOU: MADE_ANEW, or -EIO."""
    own = task_of(k)
    if task.is_orphaned(k, own.group):
        return -EIO
    task.send_to_group(k, own.group, signal)
    task.wait_on(k, NOBODY)  # behind it: the signal is its end
    return MADE_ANEW


@kernel
def check_foreground(k: Kernel, terminal: Terminal) -> word:
    """0 if the task that calls may change the terminal; MADE_ANEW, -EIO."""
    own = task_of(k)
    if not is_in_background(terminal, own) or ignores(own, SIGTTOU):
        return 0
    return stop_background(k, SIGTTOU)
