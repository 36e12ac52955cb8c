"""Blocks that come back from another thread than the one whose heap they are of.

Unit: the block. The heap has a list of them. Others put blocks in front with one atomic exchange and the owner takes
the whole list with one, so neither waits. A block on the list is still handed out by the metadata of its heap, and its
first word, which is nobody's any more, is the link. Before it becomes one, the metadata is asked whether the block is
handed out: they may change under the question, but not in what they say about a block that somebody has.
"""

from incroos.kernel.codes import OK
from incroos.kernel.heap import front
from incroos.kernel.state import HostedHeap
from incroos.lang import (
    VirtAddr,
    address_of,
    atomic_compare_exchange64,
    atomic_exchange64,
    atomic_load64,
    cold,
    kernel,
    load64,
    store64,
    word,
)


@kernel
def list_of(own: HostedHeap) -> VirtAddr:
    """The address of the list's first word."""
    return address_of(own.host, 'remote')


@kernel
def put(own: HostedHeap, ptr: VirtAddr) -> bool:
    """Give a block back to a heap that another thread may own; False when the heap has not handed it out.

    A block that is on the list already is seen here if it is the first, else by who takes the list.
    """
    if front.usable_bytes(own.heap, ptr) == 0:
        return False
    first = atomic_load64(own.m, list_of(own))
    if first == ptr:
        return False
    store64(own.m, ptr, first)
    found = atomic_compare_exchange64(own.m, list_of(own), first, ptr)
    while found != first:
        first = found
        store64(own.m, ptr, first)
        found = atomic_compare_exchange64(own.m, list_of(own), first, ptr)
    return True


@cold
@kernel
def take_back(own: HostedHeap) -> VirtAddr:
    """Free all blocks of the list, by the owner; 0, or the first one that was not handed out.

    It came back twice, or a link to it was written over after the block before it came back.
    """
    at = VirtAddr(atomic_exchange64(own.m, list_of(own), 0))
    while at != 0:
        if front.usable_bytes(own.heap, at) == 0:  # before its word is read: somebody may have written over the link
            return at
        following = VirtAddr(load64(own.m, at))
        if front.free(own.heap, at, front.NOBODY) != OK:
            return at
        at = following
    return VirtAddr(0)


@kernel
def is_waiting(own: HostedHeap) -> word:
    """The first block of the list, or 0; an ordinary load, since nobody waits for the answer."""
    return own.host.remote
