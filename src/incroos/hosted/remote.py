"""Blocks that come back from another thread than the one whose heap they are of.

Unit: the block. The heap has a list of them. Others put blocks in front with one atomic exchange and the owner takes
the whole list with one, so neither waits. A block on the list is still handed out by the metadata of its heap, and its
first word, which is nobody's any more, is the link. Before it becomes one, the metadata is asked whether the block is
handed out: they may change under the question, but not in what they say about a block that somebody has.

The owner may never look: it sleeps, or allocates no more. So bytes that wait are counted, about: when they are many,
whoever gives back a large block gives its inner pages back to the system first, which needs no metadata. Of a huge one
they go back in any case.
"""

from typing import Final

from incroos.hosted import pool
from incroos.hosted.pool import Pool
from incroos.kernel.codes import OK
from incroos.kernel.heap import front
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import HostedHeap
from incroos.lang import (
    VirtAddr,
    address_of,
    atomic_add64,
    atomic_compare_exchange64,
    atomic_exchange64,
    atomic_load64,
    cold,
    kernel,
    load64,
    store64,
    word,
)

LINKS_BYTES: Final = 16  # the link, and the mark of a block that kept.py has
LEAST_INSIDE: Final = 1 << 17  # bytes of a block whose inner pages can go back
LEAST_ALONE: Final = 1 << 25  # bytes of one whose inner pages go back whatever else waits
LEAST_WAITING: Final = 4 << 20  # bytes that are many, if they are
WAITING_SHIFT: Final = 4  # and more than this part of the heap's pages: one in 16


@kernel
def list_of(own: HostedHeap) -> VirtAddr:
    """The address of the list's first word."""
    return address_of(own.host, 'remote')


@kernel
def put(own: HostedHeap, ptr: VirtAddr) -> bool:
    """Give a block back to a heap that another thread may own; False when the heap has not handed it out.

    A block that is on the list already is seen here if it is the first, else by who takes the list.
    """
    nbytes = front.usable_bytes(own.heap, ptr)
    if nbytes == 0 or is_marked(own, ptr):
        return False
    first = atomic_load64(own.m, list_of(own))
    if first == ptr:
        return False
    if nbytes >= LEAST_INSIDE and (nbytes >= LEAST_ALONE or are_many_waiting(own)):
        nbytes -= release_inside(own, ptr, nbytes)
    if atomic_add64(own.m, address_of(own.host, 'remote_bytes'), nbytes) + nbytes > LEAST_WAITING:
        note_much_waiting(own)
    store64(own.m, ptr, first)
    found = atomic_compare_exchange64(own.m, list_of(own), first, ptr)
    while found != first:
        first = found
        store64(own.m, ptr, first)
        found = atomic_compare_exchange64(own.m, list_of(own), first, ptr)
    return True


@kernel
def are_many_waiting(own: HostedHeap) -> bool:
    """Whether so many bytes are on the list that the owner does not seem to look."""
    if own.host.remote_bytes <= LEAST_WAITING:  # before lines are read that the owner writes
        return False
    return own.host.remote_bytes > own.heap.config.objects.committed_bytes(own.heap) >> WAITING_SHIFT


@cold
@kernel
def release_inside(own: HostedHeap, ptr: VirtAddr, nbytes: word) -> word:
    """Give back the pages that lie wholly in a block, behind its links; how many bytes. PRE the block is nobody's."""
    start = VirtAddr((ptr + LINKS_BYTES + PAGE_BYTES - 1) & -PAGE_BYTES)
    end = VirtAddr((ptr + nbytes) & -PAGE_BYTES)
    return end - start if own.heap.config.pages.empty(own.heap, start, end) == OK else 0


@cold
@kernel
def take_back(own: HostedHeap) -> VirtAddr:
    """Free all blocks of the list, by the owner; 0, or the first one that was not handed out.

    It came back twice, or a link to it was written over after the block before it came back.
    """
    at = take_list(own)
    while at != 0:
        if front.usable_bytes(own.heap, at) == 0 or is_marked(own, at):  # before its link is read, which may be none
            return at
        following = VirtAddr(load64(own.m, at))
        if front.free(own.heap, at, front.NOBODY) != OK:
            return at
        at = following
    return VirtAddr(0)


@kernel
def take_list(own: HostedHeap) -> VirtAddr:
    """Empty the list, by anybody; the first block that was on it."""
    own.host.remote_bytes = 0
    return VirtAddr(atomic_exchange64(own.m, list_of(own), 0))


@cold
@kernel
def take_some(own: HostedHeap, most_bytes: word) -> VirtAddr:
    """Take blocks off the list, by anybody, until they have so many bytes or more; the first of them."""
    waiting = own.host.remote_bytes
    first = take_list(own)
    at = first
    last = first
    nbytes = 0
    while at != 0 and nbytes < most_bytes:
        room = front.room_at(own.heap, at)
        if room == 0:  # so its link is not one, which is for the taker to say
            return first
        nbytes += room
        last = at
        at = VirtAddr(load64(own.m, at))
    if at != 0:
        store64(own.m, last, 0)
        put_list(own, at)
        atomic_add64(own.m, address_of(own.host, 'remote_bytes'), max(waiting - nbytes, 0))
    return first


@kernel
def put_list(own: HostedHeap, first: VirtAddr) -> None:
    """Put blocks back that were taken off the list, behind those that came meanwhile: they are few."""
    while atomic_compare_exchange64(own.m, list_of(own), 0, first) != 0:
        newer = VirtAddr(atomic_exchange64(own.m, list_of(own), 0))
        last = newer
        while last != 0 and load64(own.m, last) != 0:
            last = VirtAddr(load64(own.m, last))
        if newer != 0:
            store64(own.m, last, first)
            first = newer


@kernel
def note_much_waiting(own: HostedHeap) -> None:
    """Let all heaps look around when they need pages; most of the time they are told already."""
    p = Pool(own.m, own.host.pool)
    if p.is_much_waiting != 0:
        return
    p.is_much_waiting = 1
    for number in range(p.nr_slots):
        other = HostedHeap(own.m, pool.heap_at(p, number))
        if other.addr != 0:
            other.host.look_wanted = 1


# ------------------------------------------------------------------ marks of kept.py
@kernel
def mark_of(own: HostedHeap, ptr: VirtAddr) -> word:
    """The second word of a block that is kept: no user has it there but by writing to a block that he gave back."""
    return ~(own.heap.hardening.secret ^ ptr)


@kernel
def is_marked(own: HostedHeap, ptr: VirtAddr) -> bool:
    """Whether a block of this heap is kept by another."""
    return load64(own.m, VirtAddr(ptr + 8)) == mark_of(own, ptr)


@kernel
def mark(own: HostedHeap, ptr: VirtAddr) -> None:
    """Say that a block is kept."""
    store64(own.m, VirtAddr(ptr + 8), mark_of(own, ptr))


@kernel
def unmark(own: HostedHeap, ptr: VirtAddr) -> None:
    """Say that it is not."""
    store64(own.m, VirtAddr(ptr + 8), 0)


# ------------------------------------------------------------------ what the owner looks at
@kernel
def is_waiting(own: HostedHeap) -> bool:
    """Whether the owner has more to do than to allocate; ordinary loads of one line, since nobody waits for the answer.

    Blocks may have come back, others may want something, or there are blocks of theirs to be handed out.
    """
    host = own.host
    return (host.remote | host.trim_wanted | host.look_wanted | host.nr_kept | host.unsorted) != 0


@kernel
def ask_to_trim(own: HostedHeap) -> None:
    """Let the owner give back pages when it next looks."""
    own.host.trim_wanted = 1
