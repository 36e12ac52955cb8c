"""Bytes of a caller: a program's memory, or the kernel's own where sendfile and its kin copy from file to file.

Unit: the byte. What is copied before a bad page stays copied.
"""

from incroos.kernel import vm
from incroos.kernel.state import Kernel, UserSpace
from incroos.lang import VirtAddr, copy, kernel, word


@kernel
def no_user(k: Kernel) -> UserSpace:
    """Stands for the kernel's own memory, where a space is asked for."""
    return UserSpace(k.m, VirtAddr(0))


@kernel
def take_some(user: UserSpace, to: VirtAddr, source: word, nbytes: word) -> word:
    """Copy a caller's bytes to the kernel's memory, up to the first that cannot be read: how many."""
    if user.addr != 0:
        return vm.copy_in_some(user, to, source, nbytes)
    copy(user.m, to, VirtAddr(source), nbytes)
    return nbytes
