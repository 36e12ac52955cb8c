"""The pool: the slots of a process and the heaps in them, one for each thread.

Unit: the slot. Knows nothing of what is in a heap.

    base
      | slot 0: heap of all who have none | slot 1: heap of a thread | slot 2 | ... | slots that were never used |

A heap has an owner, who alone works on it and needs no lock. When a thread ends, its heap waits for the next thread
that begins, with all the blocks that live in it. Who finds no slot shares the heap of slot 0, behind a lock. After a
fork only the thread that forked goes on: in the child the heaps of the others are lost, in whatever state they were.
Nobody gets one of those again, and what is freed into it stays there.

Order of locks: the pool's before that of the shared heap. Nobody who holds the latter asks for the former.
"""

from typing import Final

from incroos.kernel.heap import lifecycle
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import HostedHeap
from incroos.kernel.sync import spinlock
from incroos.lang import Struct, VirtAddr, call4, kernel, offset_of, u64, unsigned_less, word

# POOL-1  slots [1, nr_used) have had a heap, those behind never; nr_used <= nr_slots
# POOL-2  on the list of abandoned heaps is each heap whose ownership is ABANDONED, once, and no other
# POOL-3  the heap of slot 0 is SHARED from when somebody first wanted it

UNUSED: Final = 0  # ownership of a heap: the slot was never used; its bytes are zeros
OWNED: Final = 1
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
    give_way: u64  # C functions, as in Host
    release: u64
    commit: u64
    populate: u64
    no_memory: u64
    stop: u64
    secret: u64  # random, from the system
    is_much_waiting: u64  # about: on the list of some heap are many bytes that other threads freed


@kernel
def init(pool: Pool, base: VirtAddr, slot_bytes: word, nr_slots: word) -> None:
    """Begin without heaps in addresses that read as zeros; the C functions and the secret are there already."""
    pool.lock = spinlock.FREE
    pool.shared_lock = spinlock.FREE
    pool.base = base
    pool.slot_bytes = slot_bytes
    pool.nr_slots = nr_slots
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
    elif pool.nr_used < pool.nr_slots:
        own = slot(pool, pool.nr_used)
        if begin(pool, own):
            pool.nr_used += 1
            own.host.ownership = OWNED
        else:
            own = HostedHeap(pool.m, VirtAddr(0))
    spinlock.release(pool.m, lock_of(pool))
    return own.addr


@kernel
def begin(pool: Pool, own: HostedHeap) -> bool:
    """Make an empty heap in a slot that was never used; False when the system has no memory for it."""
    if pool.commit != 0 and call4(own.m, pool.commit, own.addr, PAGE_BYTES + HostedHeap.SIZE & -PAGE_BYTES, 0, 0) != 0:
        return False
    host = own.host
    host.slot_bytes = pool.slot_bytes
    host.release = pool.release
    host.commit = pool.commit
    host.populate = pool.populate
    host.no_memory = pool.no_memory
    host.stop = pool.stop
    host.pool = pool.addr
    lifecycle.init(own.heap, VirtAddr(0))
    own.heap.hardening.secret = pool.secret
    own.heap.hardening.generator = pool.secret ^ own.addr
    return True


@kernel
def leave(pool: Pool, own: HostedHeap) -> None:
    """The thread that owns a heap ends."""
    spinlock.acquire(pool.m, lock_of(pool), pool.give_way)
    own.host.ownership = ABANDONED
    own.host.next = pool.abandoned
    pool.abandoned = own.addr
    spinlock.release(pool.m, lock_of(pool))


@kernel
def adopt(pool: Pool, own: HostedHeap) -> bool:
    """Let an abandoned heap be the caller's, who leaves it soon; False when it is not abandoned.

    Never called by who holds the lock of the shared heap.
    """
    spinlock.acquire(pool.m, lock_of(pool), pool.give_way)
    is_free = own.host.ownership == ABANDONED
    if is_free:
        unlink(pool, own)
        own.host.ownership = OWNED
    spinlock.release(pool.m, lock_of(pool))
    return is_free


@kernel
def unlink(pool: Pool, own: HostedHeap) -> None:
    """Take a heap off the list of the abandoned ones. PRE it is there, and the lock is held."""
    if pool.abandoned == own.addr:
        pool.abandoned = own.host.next
        return
    before = HostedHeap(pool.m, pool.abandoned)
    while before.host.next != own.addr:
        before = HostedHeap(pool.m, before.host.next)
    before.host.next = own.host.next


# ------------------------------------------------------------------ the heap of those who have none
@kernel
def enter_shared(pool: Pool) -> VirtAddr:
    """Get the shared heap for a while; 0, and it is not entered, when there is no memory for it."""
    spinlock.acquire(pool.m, shared_lock_of(pool), pool.give_way)
    own = slot(pool, 0)
    if pool.base != 0:
        if own.host.ownership == SHARED:
            return own.addr
        if begin(pool, own):
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
    own = slot(pool, (ptr - pool.base) // pool.slot_bytes)
    return own.addr if own.addr != pool.base or pool_has_shared(pool) else VirtAddr(0)


@kernel
def pool_has_shared(pool: Pool) -> bool:
    """Whether the heap of slot 0 is one."""
    return slot(pool, 0).host.ownership == SHARED


# ------------------------------------------------------------------ fork
@kernel
def before_fork(pool: Pool) -> VirtAddr:
    """Let nobody change the pool or the shared heap while the process is copied.

    The shared heap, which whoever forks may use until then; 0 when there is none.
    """
    spinlock.acquire(pool.m, lock_of(pool), pool.give_way)
    spinlock.acquire(pool.m, shared_lock_of(pool), pool.give_way)
    return pool.base if pool.base != 0 and pool_has_shared(pool) else VirtAddr(0)


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
        if other.host.ownership == OWNED and other.addr != own:
            other.host.ownership = LOST
    after_fork(pool)


@kernel
def check(pool: Pool) -> word:
    """0, or the number of the first invariant that does not hold. PRE nobody changes the pool."""
    if not 1 <= pool.nr_used <= pool.nr_slots:
        return 1
    nr_abandoned = 0
    for number in range(1, pool.nr_used):
        ownership = slot(pool, number).host.ownership
        if not OWNED <= ownership <= LOST:
            return 1
        nr_abandoned += ownership == ABANDONED
    if pool.nr_used < pool.nr_slots and slot(pool, pool.nr_used).host.ownership != UNUSED:
        return 1
    at = pool.abandoned
    while at != 0 and nr_abandoned >= 0:
        if HostedHeap(pool.m, at).host.ownership != ABANDONED:
            return 2
        nr_abandoned -= 1
        at = HostedHeap(pool.m, at).host.next
    if nr_abandoned != 0:
        return 2
    return 0 if slot(pool, 0).host.ownership == UNUSED or pool_has_shared(pool) else 3
