"""The pool: the slots of a process and the heaps in them, one for each thread.

Unit: the slot. Knows nothing of what is in a heap.

    base
      | slot 0: heap of a thread | slot 1: shared heap | slot 2 | ... | slots that were never used |

A heap has an owner, who alone works on it and needs no lock. When a thread ends, its heap waits for the next thread
that begins, with all the blocks that live in it. A thread that finds no slot enters the shared heap for each call.

There is no lock. One word for each slot says who holds it, and changes in one step, so that a process can be copied
between any two instructions, also by a signal handler that interrupted a call here. In the child only the thread that
forked goes on, and the heaps of the others are lost, in whatever state they are: no thread gets one of them again, and
what is freed into them goes from hand to hand (kept.py). If one of the others was in the shared heap, that heap is lost
too, and another slot takes its part. A thread that finds it held by another process sees this by itself, without a fork
handler.

The copy is as the process was at one instant: while it is made, Linux lets no thread write to a page that it has been
through. So what a lost heap says of a block that somebody had is right, although its owner was in the middle of a call.
"""

from typing import Final

from incroos.kernel.heap import lifecycle
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Host, HostedHeap
from incroos.lang import (
    Struct,
    VirtAddr,
    atomic_compare_exchange64,
    atomic_load64,
    atomic_store64,
    call4,
    fill,
    kernel,
    offset_of,
    pause,
    u64,
    unsigned_less,
    word,
)

# POOL-1  a slot that is not UNUSED or BEGINNING has a heap, which knows the slot's word
# POOL-2  the shared slot, if there is one, is SHARED, ENTERED or LOST, and no other is SHARED or ENTERED

KEPT_SHIFT: Final = 4  # threads do not get the last sixteenth of the slots: a shared heap may be lost in each fork

# The holder of a slot: what it is, and in the kinds from BEGINNING on above it the process whose thread works on it.
UNUSED: Final = 0
ABANDONED: Final = 1
LOST: Final = 2
SHARED: Final = 3  # and in no call
BEGINNING: Final = 4
OWNED: Final = 5
ENTERED: Final = 6  # shared, for a call
KINDS: Final = 7
PROCESS_SHIFT: Final = 3

ROUNDS: Final = 64  # of waiting, before others are let run


class Pool(Struct):
    """All heaps of a process. Owner: hosted.pool."""

    base: VirtAddr  # of slot 0; 0 when there are no slots
    slot_bytes: u64
    nr_slots: u64
    shared: u64  # the number of the shared slot; nr_slots when there is none
    holders: VirtAddr  # nr_slots words, each of which says who holds a slot
    give_way: u64  # C functions, as in Host
    release: u64
    commit: u64
    populate: u64
    no_memory: u64
    stop: u64
    secret: u64  # random, from the system
    is_much_waiting: u64  # about: on the list of some heap are many bytes that other threads freed


@kernel
def init(pool: Pool, base: VirtAddr, slot_bytes: word, nr_slots: word, holders: VirtAddr) -> None:
    """Begin without heaps in addresses that read as zeros; the C functions and the secret are there already.

    PRE the words for holders are zeros.
    """
    pool.base = base
    pool.slot_bytes = slot_bytes
    pool.nr_slots = nr_slots
    pool.shared = nr_slots
    pool.holders = holders


@kernel
def slot(pool: Pool, number: word) -> HostedHeap:
    """The heap of a slot."""
    return HostedHeap(pool.m, VirtAddr(pool.base + number * pool.slot_bytes))


@kernel
def holder_of(pool: Pool, number: word) -> VirtAddr:
    """The address of the word that says who holds a slot."""
    return VirtAddr(pool.holders + 8 * number)


@kernel
def shared_of(pool: Pool) -> VirtAddr:
    """The address of the shared slot's number."""
    return VirtAddr(pool.addr + offset_of(Pool, 'shared'))


@kernel
def held(kind: word, process: word) -> word:
    """The word of a slot on which a thread of this process works."""
    return kind | process << PROCESS_SHIFT


# ------------------------------------------------------------------ getting and leaving a heap
@kernel
def get(pool: Pool, process: word) -> VirtAddr:
    """A heap for the thread that calls, of the process with this number; 0 when there is none for it alone."""
    nr_kept = max(pool.nr_slots >> KEPT_SHIFT, 1)
    return take(pool, pool.nr_slots - nr_kept, OWNED, process).addr


@kernel
def take(pool: Pool, end: word, kind: word, process: word) -> HostedHeap:
    """Hold the first heap before slot number `end` that was abandoned or can be begun; at address 0: there is none."""
    for number in range(end):
        at = holder_of(pool, number)
        before = atomic_load64(pool.m, at)
        if before == ABANDONED and atomic_compare_exchange64(pool.m, at, before, held(kind, process)) == before:
            return slot(pool, number)
        if before == UNUSED and atomic_compare_exchange64(pool.m, at, before, held(BEGINNING, process)) == before:
            has_begun = begin(pool, number)
            atomic_store64(pool.m, at, held(kind, process) if has_begun else UNUSED)
            return HostedHeap(pool.m, slot(pool, number).addr if has_begun else VirtAddr(0))
    return HostedHeap(pool.m, VirtAddr(0))


@kernel
def begin(pool: Pool, number: word) -> bool:
    """Make an empty heap in a slot without one; False when the system has no memory for it.

    A thread that was left behind by a fork may have begun one here. It got no further than these two structs.
    """
    own = slot(pool, number)
    if pool.commit != 0 and call4(own.m, pool.commit, own.addr, PAGE_BYTES + HostedHeap.SIZE & -PAGE_BYTES, 0, 0) != 0:
        return False
    host = own.host
    fill(own.m, host.addr, 0, Host.SIZE)
    host.slot_bytes = pool.slot_bytes
    host.release = pool.release
    host.commit = pool.commit
    host.populate = pool.populate
    host.no_memory = pool.no_memory
    host.stop = pool.stop
    host.pool = pool.addr
    host.holder = holder_of(pool, number)
    lifecycle.init(own.heap, VirtAddr(0))
    own.heap.hardening.secret = pool.secret
    own.heap.hardening.generator = pool.secret ^ own.addr
    return True


@kernel
def leave(own: HostedHeap) -> None:
    """Let the next thread have a heap, whose owner ends."""
    atomic_store64(own.m, own.host.holder, ABANDONED)


@kernel
def is_lost(own: HostedHeap) -> bool:
    """Whether the owner of a heap was left behind by a fork."""
    return atomic_load64(own.m, own.host.holder) == LOST


@kernel
def is_abandoned(own: HostedHeap) -> bool:
    """Whether a heap waits for the next thread."""
    return atomic_load64(own.m, own.host.holder) == ABANDONED


@kernel
def adopt(own: HostedHeap, process: word) -> bool:
    """Let an abandoned heap be the caller's, who leaves it soon; False when it is not abandoned."""
    return atomic_compare_exchange64(own.m, own.host.holder, ABANDONED, held(OWNED, process)) == ABANDONED


@kernel
def process_of(own: HostedHeap) -> word:
    """The process of the thread that works on a heap."""
    return atomic_load64(own.m, own.host.holder) >> PROCESS_SHIFT


# ------------------------------------------------------------------ the heap of those who have none
@kernel
def enter_shared(pool: Pool, process: word) -> VirtAddr:
    """Get the shared heap for a while; 0, and it is not entered, when there is no memory for it."""
    rounds = 0
    while True:
        number = atomic_load64(pool.m, shared_of(pool))
        before = LOST
        if number != pool.nr_slots:
            before = atomic_compare_exchange64(pool.m, holder_of(pool, number), SHARED, held(ENTERED, process))
        if before == SHARED:
            return slot(pool, number).addr
        if before != held(ENTERED, process):
            if not replace_shared(pool, number, before, process):
                return VirtAddr(0)
        else:
            rounds += 1
            if rounds % ROUNDS == 0:
                call4(pool.m, pool.give_way, 0, 0, 0, 0)
            else:
                pause(pool.m)


@kernel
def replace_shared(pool: Pool, number: word, before: word, process: word) -> bool:
    """Let another slot be the shared one where there is none, or it is lost, or held by another process.

    That process is the one whose copy this is, so that the holder never comes back. If it is one that shares its memory
    with this one (vfork), the heap is lost without need, but no two are ever in it. False: there is no other slot.
    """
    if before != LOST and atomic_compare_exchange64(pool.m, holder_of(pool, number), before, LOST) != before:
        return True  # it has changed: look again
    own = take(pool, pool.nr_slots, ENTERED, process)
    if own.addr == 0:
        return False
    other = (own.host.holder - pool.holders) >> 3
    if atomic_compare_exchange64(pool.m, shared_of(pool), number, other) == number:
        leave_shared(own)
    else:
        leave(own)  # another thread was faster
    return True


@kernel
def enter(own: HostedHeap, process: word) -> bool:
    """Enter a heap if it is the shared one and nobody is in it."""
    return atomic_compare_exchange64(own.m, own.host.holder, SHARED, held(ENTERED, process)) == SHARED


@kernel
def leave_shared(own: HostedHeap) -> None:
    """Let others have it, unless it was lost meanwhile."""
    before = atomic_load64(own.m, own.host.holder)
    if before & KINDS == ENTERED:
        atomic_compare_exchange64(own.m, own.host.holder, before, SHARED)


# ------------------------------------------------------------------ whose is an address?
@kernel
def heap_of(pool: Pool, ptr: VirtAddr) -> VirtAddr:
    """The heap in whose slot an address lies; 0 when it lies in none."""
    if ptr < pool.base or not unsigned_less(ptr - pool.base, pool.nr_slots * pool.slot_bytes):
        return VirtAddr(0)
    return heap_at(pool, (ptr - pool.base) // pool.slot_bytes)


@kernel
def heap_at(pool: Pool, number: word) -> VirtAddr:
    """The heap of a slot; 0 when it has none."""
    kind = atomic_load64(pool.m, holder_of(pool, number)) & KINDS
    return slot(pool, number).addr if kind != UNUSED and kind != BEGINNING else VirtAddr(0)


# ------------------------------------------------------------------ fork
@kernel
def after_fork_in_child(pool: Pool, own: VirtAddr, process: word) -> None:
    """Of the threads that were copied only the one with this heap, or 0, goes on; process is the child's number.

    Threads that other fork handlers began before may be at work, in their heaps and in the pool.
    """
    for number in range(pool.nr_slots):
        at = holder_of(pool, number)
        before = atomic_load64(pool.m, at)
        kind = before & KINDS
        if slot(pool, number).addr == own:
            atomic_store64(pool.m, at, held(OWNED, process))
        elif kind >= BEGINNING and before != held(kind, process):
            atomic_compare_exchange64(pool.m, at, before, UNUSED if kind == BEGINNING else LOST)


@kernel
def check(pool: Pool) -> word:
    """0, or the number of the first invariant that does not hold. PRE nobody changes the pool."""
    if not 0 <= pool.shared <= pool.nr_slots:
        return 2
    for number in range(pool.nr_slots):
        kind = atomic_load64(pool.m, holder_of(pool, number)) & KINDS
        if kind != UNUSED and kind != BEGINNING and slot(pool, number).host.holder != holder_of(pool, number):
            return 1
        is_shared = kind == SHARED or kind == ENTERED
        if is_shared != (number == pool.shared) and not (number == pool.shared and kind == LOST):
            return 2
    return 0
