"""Waits: how a call on a file says that it must wait, and that whoever waits on a file must look again.

Nobody here knows how tasks wait: both are noted in FilesState, and abi and task do it.

Unit: the object that is waited on, by its address.
"""

from incroos.kernel.codes import MUST_WAIT, WOULD_WAIT
from incroos.kernel.files.flags import NONBLOCK
from incroos.kernel.state import EVERYTHING, HAS_CHANGES, File, Kernel
from incroos.lang import VirtAddr, kernel, word


@kernel
def note_change(k: Kernel, thing: VirtAddr) -> None:
    """Something has happened to an object, and somebody else may wait for that."""
    if k.tasks.nr_tasks > 1:
        k.files.changed = thing if k.files.changed == 0 or k.files.changed == thing else VirtAddr(EVERYTHING)
        k.tasks.attention |= HAS_CHANGES


@kernel
def wait_on(k: Kernel, thing: VirtAddr, progress: word) -> word:
    """MUST_WAIT: the call has done so much that cannot be undone."""
    k.files.waits_on = thing
    k.files.progress = progress
    return MUST_WAIT


@kernel
def wait_unless_nonblocking(k: Kernel, file: File, thing: VirtAddr, done: word) -> word:
    """The same; of a file that nobody wants to wait for what is done, or WOULD_WAIT if that is nothing."""
    if file.flags & NONBLOCK == 0:
        return wait_on(k, thing, done)
    return done if done > 0 else WOULD_WAIT
