"""Calls about sockets: there are none, as on a Linux without a network; programs ask whether a descriptor is one."""

from incroos.kernel.abi.arguments import file_of
from incroos.kernel.abi.errno import EAFNOSUPPORT, EBADF, ENOTSOCK
from incroos.kernel.state import Kernel
from incroos.lang import apart, kernel, word


@apart
@kernel
def make(k: Kernel) -> word:
    """socket, socketpair: no family of addresses is known."""
    return -EAFNOSUPPORT


@apart
@kernel
def refuse(k: Kernel, descriptor: word) -> word:
    """All other calls: what is open is something else."""
    return -ENOTSOCK if file_of(k, descriptor) != 0 else -EBADF
