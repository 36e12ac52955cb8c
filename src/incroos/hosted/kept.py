"""Blocks of other heaps that a heap hands out: what was freed far from its owner, who does not take it back.

Unit: the block. A heap that grows looks whether much waits on another heap's list (remote.py), takes some blocks off
that list, and serves requests from them. To the metadata of its heap such a block is handed out all the time, whoever
has it: nothing is read but what they say of a block that somebody has. So the owner may sleep, work, or be lost in a
fork.

    unsorted    what was taken and is on no list yet: so many blocks are put on lists at a time that no request waits
    lists       by the room of a block, four for each power of two; each block has the next one's address in it
    mark        in the second word of a block that is on a list here: by it a second free of the block is seen

What is left over goes back to the lists of its heaps when the thread ends or trims, or when it is too much: the owner
may look again, and would have to grow. What a thread has here that a fork leaves behind is lost in the child.
"""

from typing import Final

from incroos.hosted import pool, remote, text
from incroos.hosted.pool import Pool
from incroos.kernel.heap import front
from incroos.kernel.state import NR_KEPT_LISTS, HostedHeap
from incroos.lang import VirtAddr, cold, count_leading_zeros, kernel, load64, store64, word

LEAST_GROWTH: Final = 1 << 18  # bytes by which a heap grows before it looks at the others
LEAST_TAKEN: Final = 1 << 21  # bytes that are taken then, about
TAKEN_FACTOR: Final = 4  # and so many times the growth: it would have grown on
LEAST_KEPT: Final = 1 << 22  # bytes that may be kept, and as many as the heap has pages for: else all go back
LEAST_WORTH: Final = 1 << 16  # bytes that wait, for which a list is taken
NR_SORTED: Final = 512  # blocks at a time
LEAST_SHIFT: Final = 4  # of the first four lists
NR_WASTEFUL: Final = 2  # lists behind the one for a request that serve it too
MOST_ROOM: Final = 2  # so many times what is asked for: the last list has all that is larger


@cold
@kernel
def take(own: HostedHeap, nbytes: word, site: word) -> VirtAddr:
    """A block of another heap for a request, or 0."""
    growth = growth_of(own) if own.host.look_wanted != 0 and own.host.unsorted == 0 else 0
    if growth != 0:
        if own.host.kept_bytes > max(own.heap.config.objects.committed_bytes(own.heap), LEAST_KEPT):
            give_back(own)
        look_around(own, max(LEAST_TAKEN, TAKEN_FACTOR * growth))
    if (own.host.nr_kept | own.host.unsorted) == 0:
        return VirtAddr(0)
    ptr = find(own, nbytes, site)
    if ptr == 0 and own.host.unsorted != 0:
        sort(own)
        ptr = find(own, nbytes, site)
    return ptr


@kernel
def growth_of(own: HostedHeap) -> word:
    """How many bytes of pages the heap has got since it was last seen to be small, or to have grown; 0 if few."""
    pages_bytes = own.heap.config.objects.committed_bytes(own.heap)
    before = min(own.host.bytes_before, pages_bytes)
    has = pages_bytes - before >= LEAST_GROWTH
    own.host.bytes_before = pages_bytes if has else before
    return pages_bytes - before if has else 0


@kernel
def look_around(own: HostedHeap, most_bytes: word) -> None:
    """Take about so many bytes of blocks off the list of one heap in which much waits."""
    own.host.look_wanted = 0
    p = Pool(own.m, own.host.pool)
    for number in range(p.nr_slots):
        other = HostedHeap(own.m, pool.heap_at(p, number))
        if other.addr != 0 and other.addr != own.addr and other.host.remote_bytes >= LEAST_WORTH:
            own.host.look_wanted = 1  # there may be more
            own.host.unsorted = remote.take_some(other, most_bytes)
            return
    p.is_much_waiting = 0


# ------------------------------------------------------------------ lists
@kernel
def list_for(nbytes: word) -> word:
    """The number of the list of blocks with so much room."""
    shift = 63 - count_leading_zeros(max(nbytes, 1 << LEAST_SHIFT))
    return min((shift - LEAST_SHIFT) * 4 + (nbytes >> (shift - 2) & 3), NR_KEPT_LISTS - 1)


@kernel
def sort(own: HostedHeap) -> None:
    """Put some of the unsorted blocks on lists."""
    for _ in range(NR_SORTED):
        at = own.host.unsorted
        if at == 0:
            return
        owner = HostedHeap(own.m, pool.heap_of(Pool(own.m, own.host.pool), at))
        room = front.room_at(owner.heap, at)
        if room == 0 or remote.is_marked(owner, at):  # so its link is not one
            own.host.unsorted = VirtAddr(0)
            if not pool.is_lost(owner):
                text.refuse(own, at)
            return
        own.host.unsorted = VirtAddr(load64(own.m, at))
        remote.mark(owner, at)
        store64(own.m, at, own.host.kept[list_for(room)])
        own.host.kept[list_for(room)] = at
        own.host.nr_kept += 1
        own.host.kept_bytes += room


@kernel
def find(own: HostedHeap, nbytes: word, site: word) -> VirtAddr:
    """The first block of a list, where it has room for a request and not much more; 0."""
    number = list_for(nbytes)
    for which in range(number, min(number + NR_WASTEFUL + 1, NR_KEPT_LISTS)):
        at = own.host.kept[which]
        if at != 0:
            owner = HostedHeap(own.m, pool.heap_of(Pool(own.m, own.host.pool), at))
            room = front.room_at(owner.heap, at)
            if nbytes <= room <= MOST_ROOM * max(nbytes, 1 << LEAST_SHIFT):
                pull(own, which)
                own.host.kept_bytes -= room
                front.reuse(owner.heap, at, nbytes, site)
                return at
    return VirtAddr(0)


@kernel
def pull(own: HostedHeap, which: word) -> VirtAddr:
    """Take the first block off a list, which has one."""
    at = own.host.kept[which]
    own.host.kept[which] = VirtAddr(load64(own.m, at))
    own.host.nr_kept -= 1
    remote.unmark(own, at)
    return at


@cold
@kernel
def give_back(own: HostedHeap) -> None:
    """Let all blocks wait for their owners again."""
    for which in range(NR_KEPT_LISTS):
        while own.host.kept[which] != 0:
            put_back(own, pull(own, which))
    own.host.kept_bytes = 0
    while own.host.unsorted != 0:
        at = own.host.unsorted
        own.host.unsorted = VirtAddr(load64(own.m, at))
        put_back(own, at)


@kernel
def put_back(own: HostedHeap, ptr: VirtAddr) -> None:
    """Put a block on the list of its heap."""
    owner = HostedHeap(own.m, pool.heap_of(Pool(own.m, own.host.pool), ptr))
    if not remote.put(owner, ptr):
        text.refuse(own, ptr)
