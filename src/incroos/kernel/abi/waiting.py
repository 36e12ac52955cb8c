"""How a call waits: for a thing, for a time, or for whichever comes first; and what becomes of a call on files."""

from typing import Final

from incroos.kernel import task, vm
from incroos.kernel.abi.arguments import task_of, user_of
from incroos.kernel.abi.errno import EFAULT, EINVAL, EPIPE, result_of
from incroos.kernel.abi.job_control import stop_background
from incroos.kernel.codes import BROKEN_PIPE, IN_BACKGROUND, MUST_WAIT, OVER_LIMIT
from incroos.kernel.state import Kernel, leader_of
from incroos.kernel.task.actions import SIGPIPE, SIGXFSZ, UNBLOCKABLE
from incroos.kernel.task.sending import BY_CALL
from incroos.lang import kernel, word

NO_TIME: Final = -1
SET_BYTES: Final = 8  # of signals


@kernel
def finish(k: Kernel, code: word) -> word:
    """What a call answers that files did: its result; or it waits, or its task gets SIGPIPE or SIGXFSZ."""
    if k.files.changed != 0:
        task.wake_changed(k)
    if code == MUST_WAIT:
        task_of(k).progress = k.files.progress
        task.wait_on(k, k.files.waits_on)
        return 0
    if code == IN_BACKGROUND:
        return stop_background(k, k.files.signal)
    if code == BROKEN_PIPE:
        task.send_to_thread(k, task_of(k), SIGPIPE, BY_CALL, leader_of(task_of(k)).number, 0)
        return k.files.progress if k.files.progress > 0 else -EPIPE
    return end_of_change(k, code)


@kernel
def end_of_change(k: Kernel, code: word) -> word:
    """What a call answers that changed the size of a file: its result; its task may get SIGXFSZ."""
    if code == OVER_LIMIT:
        task.send_to_thread(k, task_of(k), SIGXFSZ, BY_CALL, leader_of(task_of(k)).number, 0)
    return result_of(code)


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


@kernel
def block_given(k: Kernel, source: word, set_bytes: word) -> word:
    """Have the signals of a program's set blocked until the call ends, if there is a set: 0, -EFAULT, -EINVAL."""
    if source == 0:
        return 0
    if set_bytes != SET_BYTES:
        return -EINVAL
    code, mask = vm.load64(user_of(k), source)
    if code != 0:
        return -EFAULT
    task.block_for_call(k, mask & ~UNBLOCKABLE)
    return 0
