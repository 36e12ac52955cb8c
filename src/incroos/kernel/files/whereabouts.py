"""Whereabouts: the working directory and the umask, which tasks may share.

Unit: the Whereabouts.
"""

from incroos.kernel import heap
from incroos.kernel.state import Kernel, Whereabouts
from incroos.lang import VirtAddr, kernel, word


@kernel
def new_whereabouts(k: Kernel, folder: VirtAddr, umask: word) -> VirtAddr:
    """Whereabouts with one user; 0 without memory."""
    at = heap.kmalloc(k, Whereabouts.SIZE)
    if at != 0:
        made = Whereabouts(k.m, at)
        made.nr_users = 1
        made.folder = folder
        made.umask = umask
    return at


@kernel
def drop_whereabouts(k: Kernel, at: VirtAddr) -> None:
    """One task less has them. 0: nothing happens."""
    if at != 0:
        left = Whereabouts(k.m, at)
        left.nr_users -= 1
        if left.nr_users == 0:
            heap.kfree(k, at)
