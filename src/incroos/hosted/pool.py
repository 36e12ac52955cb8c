"""The pool: the slots of a process and the heaps in them, one for each thread.

Unit: the slot. Knows nothing of what is in a heap.

    base
      | slot 0: heap of all who have none | slots 1 to 4: heap of a thread | slot 5: another | ... | never used |

The slots are addresses that Linux does not choose by itself, and no more: a heap maps what it uses, and nothing is
reserved. Where somebody else has mapped something, a slot is left out, or a heap ends there, and its thread goes on
with another heap. The heap of the first thread, and one for whom a slot is too narrow, is wide: it has slots for all
memory that there is.

A heap has an owner, who alone works on it and needs no lock. When a thread ends, its heap waits for the next thread
that begins, with all the blocks that live in it. Who finds no slot shares the heap of slot 0, behind a lock. After a
fork only the thread that forked goes on: in the child the heaps of the others are lost, in whatever state they were.
Nobody gets one of those again, and what is freed into it stays there.

Order of locks: the pool's before that of the shared heap. Nobody who holds the latter asks for the former.
"""

from typing import Annotated, Final

from incroos.kernel.codes import NO_ADDRESSES, NO_FRAME, OK
from incroos.kernel.heap import lifecycle
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import HostedHeap
from incroos.kernel.sync import spinlock
from incroos.lang import Array, Struct, VirtAddr, call4, kernel, offset_of, u8, u64, unsigned_less, word

# POOL-1  slots [1, nr_used) have had a heap or were taken, those behind never; nr_used <= nr_slots
# POOL-2  on the list of abandoned heaps is each heap whose ownership is ABANDONED, once, and no other
# POOL-3  the heap of slot 0 is SHARED from when somebody first wanted it
# POOL-4  place is 1 where a heap begins, and one more in each slot of it behind; 0 where no heap is

MAX_SLOTS: Final = 1024

OWNED: Final = 1  # ownership of a heap
ABANDONED: Final = 2
LOST: Final = 3
SHARED: Final = 4


class Pool(Struct):
    """All heaps of a process. Owner: hosted.pool."""

    lock: u64  # of what follows
    shared_lock: u64  # of the heap in slot 0
    base: VirtAddr  # of slot 0; 0 when there are no slots
    slot_bytes: u64
    nr_slots: u64
    nr_used: u64
    abandoned: VirtAddr  # the first heap that waits for a thread
    nr_wide: u64  # slots of a wide heap
    give_way: u64  # C functions, as in Host
    map: u64
    unmap: u64
    release: u64
    no_room: u64
    stop: u64
    secret: u64  # random, from the system
    place: Annotated[Array[u8], MAX_SLOTS]  # of each slot in its heap, counted from 1; 0: it has none


@kernel
def init(pool: Pool, base: VirtAddr, slot_bytes: word, nr_slots: word, nr_wide: word) -> None:
    """Begin without heaps in addresses where nothing is mapped; the C functions and the secret are there already."""
    pool.lock = spinlock.FREE
    pool.shared_lock = spinlock.FREE
    pool.base = base
    pool.slot_bytes = slot_bytes
    pool.nr_slots = nr_slots
    pool.nr_wide = nr_wide
    pool.nr_used = 1
    pool.abandoned = VirtAddr(0)


@kernel
def slot(pool: Pool, number: word) -> HostedHeap:
    """The heap of a slot."""
    return HostedHeap(pool.m, VirtAddr(pool.base + number * pool.slot_bytes))


@kernel
def lock_of(pool: Pool) -> VirtAddr:
    """The lock of the pool."""
    return VirtAddr(pool.addr + offset_of(Pool, 'lock'))


@kernel
def shared_lock_of(pool: Pool) -> VirtAddr:
    """The lock of the shared heap."""
    return VirtAddr(pool.addr + offset_of(Pool, 'shared_lock'))


# ------------------------------------------------------------------ getting and leaving a heap
@kernel
def get(pool: Pool) -> VirtAddr:
    """A heap for the thread that calls; 0 when there is none for it alone."""
    spinlock.acquire(pool.m, lock_of(pool), pool.give_way)
    own = HostedHeap(pool.m, pool.abandoned)
    if own.addr != 0:
        pool.abandoned = own.host.next
        own.host.ownership = OWNED
    else:
        own = fresh(pool, pool.nr_wide if pool.nr_used == 1 else 1)
    spinlock.release(pool.m, lock_of(pool))
    return own.addr


@kernel
def exchange(pool: Pool, ptr: VirtAddr, alignment: word, nbytes: word) -> VirtAddr:
    """A wide heap for the thread whose own, at ptr, has no addresses for a request, and is left.

    0, and it keeps its heap, when that is for another reason, or no heap has addresses for it.
    """
    most = (pool.nr_wide * pool.slot_bytes >> 1) - PAGE_BYTES  # that chunks have in an empty heap
    own = HostedHeap(pool.m, ptr)
    answer = own.host.answer
    own.host.answer = OK
    if answer != NO_ADDRESSES or alignment > most or nbytes > most - alignment or own.heap.config.objects.HAS_FIRST_FIT:
        return VirtAddr(0)
    spinlock.acquire(pool.m, lock_of(pool), pool.give_way)
    other = fresh(pool, pool.nr_wide)
    if other.addr != 0:
        abandon(pool, own)
    spinlock.release(pool.m, lock_of(pool))
    return other.addr


@kernel
def fresh(pool: Pool, nr_wanted: word) -> HostedHeap:
    """An empty heap in slots that were never used, as many as wanted or one; at address 0 when that cannot be.

    PRE the pool's lock is held.
    """
    while pool.nr_used < pool.nr_slots:
        number = pool.nr_used
        nr_slots = nr_wanted if number + nr_wanted <= pool.nr_slots else 1
        code = begin(pool, number, nr_slots)
        if code == NO_FRAME:
            break
        pool.nr_used += nr_slots if code == OK else 1  # where somebody else has mapped something, a slot is left out
        if code == OK:
            slot(pool, number).host.ownership = OWNED
            return slot(pool, number)
    return HostedHeap(pool.m, VirtAddr(0))


@kernel
def begin(pool: Pool, number: word, nr_slots: word) -> word:
    """Make an empty heap in slots that were never used; a code when the system refuses the memory or the addresses."""
    own = slot(pool, number)
    code = call4(own.m, pool.map, own.addr, PAGE_BYTES + HostedHeap.SIZE & -PAGE_BYTES, 1, 0)
    if code != OK:
        return code
    for index in range(nr_slots):
        pool.place[number + index] = index + 1
    host = own.host
    host.slot_bytes = nr_slots * pool.slot_bytes
    host.map = pool.map
    host.unmap = pool.unmap
    host.release = pool.release
    host.no_room = pool.no_room
    host.stop = pool.stop
    host.pool = pool.addr
    lifecycle.init(own.heap, VirtAddr(0))
    own.heap.hardening.secret = pool.secret
    own.heap.hardening.generator = pool.secret ^ own.addr
    return OK


@kernel
def leave(pool: Pool, own: HostedHeap) -> None:
    """The thread that owns a heap ends."""
    spinlock.acquire(pool.m, lock_of(pool), pool.give_way)
    abandon(pool, own)
    spinlock.release(pool.m, lock_of(pool))


@kernel
def abandon(pool: Pool, own: HostedHeap) -> None:
    """Let a heap wait for the next thread. PRE the pool's lock is held."""
    own.host.ownership = ABANDONED
    own.host.next = pool.abandoned
    pool.abandoned = own.addr


# ------------------------------------------------------------------ the heap of those who have none
@kernel
def enter_shared(pool: Pool) -> VirtAddr:
    """Get the shared heap for a while; 0, and it is not entered, when there is no memory for it."""
    spinlock.acquire(pool.m, shared_lock_of(pool), pool.give_way)
    own = slot(pool, 0)
    if pool_has_shared(pool):
        return own.addr
    if pool.base != 0 and begin(pool, 0, 1) == OK:
        own.host.ownership = SHARED
        return own.addr
    spinlock.release(pool.m, shared_lock_of(pool))
    return VirtAddr(0)


@kernel
def leave_shared(pool: Pool) -> None:
    """Let others have it."""
    spinlock.release(pool.m, shared_lock_of(pool))


# ------------------------------------------------------------------ whose is an address?
@kernel
def heap_of(pool: Pool, ptr: VirtAddr) -> VirtAddr:
    """The heap in whose slot an address lies; 0 when it lies in none that was ever used."""
    if ptr < pool.base or not unsigned_less(ptr - pool.base, pool.nr_used * pool.slot_bytes):
        return VirtAddr(0)
    number = (ptr - pool.base) // pool.slot_bytes
    place = pool.place[number]
    return slot(pool, number - place + 1).addr if place != 0 else VirtAddr(0)


@kernel
def pool_has_shared(pool: Pool) -> bool:
    """Whether the heap of slot 0 is one."""
    return pool.place[0] != 0


# ------------------------------------------------------------------ fork
@kernel
def before_fork(pool: Pool) -> VirtAddr:
    """Let nobody change the pool or the shared heap while the process is copied.

    The shared heap, which whoever forks may use until then; 0 when there is none.
    """
    spinlock.acquire(pool.m, lock_of(pool), pool.give_way)
    spinlock.acquire(pool.m, shared_lock_of(pool), pool.give_way)
    return pool.base if pool_has_shared(pool) else VirtAddr(0)


@kernel
def after_fork(pool: Pool) -> None:
    """Let others go on, in the parent."""
    spinlock.release(pool.m, shared_lock_of(pool))
    spinlock.release(pool.m, lock_of(pool))


@kernel
def after_fork_in_child(pool: Pool, own: VirtAddr) -> None:
    """Only the thread with this heap, or 0, goes on: the heaps of the others are lost."""
    for number in range(1, pool.nr_used):
        other = slot(pool, number)
        if pool.place[number] == 1 and other.host.ownership == OWNED and other.addr != own:
            other.host.ownership = LOST
    after_fork(pool)


@kernel
def check(pool: Pool) -> word:
    """0, or the number of the first invariant that does not hold. PRE nobody changes the pool."""
    if not 1 <= pool.nr_used <= pool.nr_slots:
        return 1
    nr_abandoned = 0
    for number in range(1, pool.nr_used):
        if pool.place[number] == 1:
            ownership = slot(pool, number).host.ownership
            if not OWNED <= ownership <= LOST:
                return 1
            nr_abandoned += ownership == ABANDONED
        elif pool.place[number] != 0 and pool.place[number] != pool.place[number - 1] + 1:
            return 4
    for number in range(pool.nr_used, pool.nr_slots):
        if pool.place[number] != 0:
            return 4
    at = pool.abandoned
    while at != 0 and nr_abandoned >= 0:
        if HostedHeap(pool.m, at).host.ownership != ABANDONED:
            return 2
        nr_abandoned -= 1
        at = HostedHeap(pool.m, at).host.next
    if nr_abandoned != 0:
        return 2
    return 0 if not pool_has_shared(pool) or slot(pool, 0).host.ownership == SHARED else 3
