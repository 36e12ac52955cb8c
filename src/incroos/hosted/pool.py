"""The pool: the slots of a process and the heaps in them, one for each thread.

Unit: the slot. Knows nothing of what is in a heap.

    base
      | slots 0 to 3: heap of a thread | slot 4: another | slot 5: shared heap | ... | never used |

The slots are addresses that Linux does not choose by itself, and no more: a heap maps what it uses, and nothing is
reserved. Where somebody else has mapped something, a slot is left out, or a heap ends there, and its thread goes on
with another heap. The heap of the first thread, and one for whom a slot is too narrow, is wide: it has slots for all
memory that there is.

A heap has an owner, who alone works on it and needs no lock. When a thread ends, its heap waits for the next thread
that begins, with all the blocks that live in it. A thread that finds no slot enters the shared heap for each call.

There is no lock. One word for each slot says who holds it, and changes in one step, so that a process can be copied
between any two instructions, also by a signal handler that interrupted a call here. In the child only the thread that
forked goes on, and the heaps of the others are lost, in whatever state they are: no thread gets one of them again, and
what is freed into them goes from hand to hand (kept.py). If one of the others was in the shared heap, that heap is lost
too, and another slot takes its part. A thread that finds it held by another process sees this by itself, without a fork
handler; only in a child that has its parent's number, in another namespace, it needs one. A slot in which a heap is
being begun stays so: by the thread that forked, whose code goes on after its signal handler, or by nobody.

The copy is as the process was at one instant: while it is made, Linux lets no thread write to a page that it has been
through. So what a lost heap says of a block that somebody had is right, although its owner was in the middle of a call.
"""

from typing import Final

from incroos.kernel.codes import NO_ADDRESSES, NO_FRAME, OK
from incroos.kernel.heap import lifecycle
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import HostedHeap
from incroos.lang import (
    Struct,
    VirtAddr,
    atomic_compare_exchange64,
    atomic_load64,
    atomic_store64,
    call4,
    cold,
    kernel,
    offset_of,
    pause,
    u64,
    unsigned_less,
    word,
)

# POOL-1  a slot where a heap begins is ABANDONED, LOST, SHARED, OWNED or ENTERED, and the heap knows the slot's word
# POOL-2  a PART belongs to a heap that begins as many slots before it as it says, and that has so many slots,
#         or it is BEGINNING there
# POOL-3  the shared slot, if there is one, is SHARED, ENTERED or LOST, and no other is SHARED or ENTERED

KEPT_SHIFT: Final = 4  # threads do not get the last sixteenth of the slots: a shared heap may be lost in each fork

# The holder of a slot: what it is, and above it, from BEGINNING on, the process whose thread works on it.
UNUSED: Final = 0
LEFT_OUT: Final = 1  # somebody else has mapped something
PART: Final = 2  # of a heap that begins before it, as many slots as it says above
ABANDONED: Final = 3
LOST: Final = 4
SHARED: Final = 5  # and in no call
BEGINNING: Final = 6
OWNED: Final = 7
ENTERED: Final = 8  # shared, for a call
KINDS: Final = 15
ABOVE_SHIFT: Final = 4

ROUNDS: Final = 64  # of waiting, before others are let run


class Pool(Struct):
    """All heaps of a process. Owner: hosted.pool."""

    base: VirtAddr  # of slot 0; 0 when there are no slots
    slot_bytes: u64
    nr_slots: u64
    nr_wide: u64  # slots of a wide heap
    shared: u64  # the number of the shared slot; nr_slots when there is none
    holders: VirtAddr  # nr_slots words, each of which says who holds a slot
    give_way: u64  # C functions, as in Host
    map: u64
    unmap: u64
    release: u64
    renew: u64
    move: u64
    no_room: u64
    stop: u64
    secret: u64  # random, from the system
    is_much_waiting: u64  # about: on the list of some heap are many bytes that other threads freed


@kernel
def init(pool: Pool, base: VirtAddr, slot_bytes: word, nr_slots: word, nr_wide: word, holders: VirtAddr) -> None:
    """Begin without heaps in addresses where nothing is mapped; the C functions and the secret are there already.

    PRE the words for holders are zeros.
    """
    pool.base = base
    pool.slot_bytes = slot_bytes
    pool.nr_slots = nr_slots
    pool.nr_wide = nr_wide
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
    return kind | process << ABOVE_SHIFT


# ------------------------------------------------------------------ getting and leaving a heap
@kernel
def end_for_threads(pool: Pool) -> word:
    """The number of the first slot that threads do not get."""
    return pool.nr_slots - max(pool.nr_slots >> KEPT_SHIFT, 1)


@kernel
def get(pool: Pool, process: word) -> VirtAddr:
    """A heap for the thread that calls, of the process with this number; 0 when there is none for it alone."""
    return take(pool, end_for_threads(pool), OWNED, process).addr


@kernel
def exchange(pool: Pool, ptr: VirtAddr, alignment: word, nbytes: word, process: word) -> VirtAddr:
    """A wide heap for the thread whose own, at ptr, has no addresses for a request, and is left.

    0, and it keeps its heap, when that is for another reason, or no heap has addresses for it.
    """
    most = (pool.nr_wide * pool.slot_bytes >> 1) - PAGE_BYTES  # that chunks have in an empty heap
    own = HostedHeap(pool.m, ptr)
    answer = own.host.answer
    own.host.answer = OK
    if answer != NO_ADDRESSES or alignment > most or nbytes > most - alignment or own.heap.config.objects.HAS_FIRST_FIT:
        return VirtAddr(0)
    other = take_wide(pool, (own.host.holder - pool.holders >> 3) + 1, process)
    if other.addr == 0:
        other = begin_in(pool, 0, end_for_threads(pool), pool.nr_wide, OWNED, process)
    if other.addr != 0:
        leave(own)
    return other.addr


@kernel
def take(pool: Pool, end: word, kind: word, process: word) -> HostedHeap:
    """Hold the first heap before slot number `end` that was abandoned or can be begun; at address 0: there is none."""
    can_begin = True
    for number in range(end):
        at = holder_of(pool, number)
        before = atomic_load64(pool.m, at)
        if before == ABANDONED and atomic_compare_exchange64(pool.m, at, before, held(kind, process)) == before:
            return slot(pool, number)
        if before == UNUSED and can_begin:
            own = begin_in(pool, number, end, pool.nr_wide if number == 0 else 1, kind, process)
            if own.addr != 0:
                return own
            can_begin = False  # there is no memory, but a heap may have been left behind this slot
    return HostedHeap(pool.m, VirtAddr(0))


@cold
@kernel
def take_wide(pool: Pool, start: word, process: word) -> HostedHeap:
    """Hold the first wide heap from slot number `start` on that was abandoned; at address 0: there is none.

    So who finds no room there either goes on behind it, and never comes back to where he was.
    """
    for number in range(start, end_for_threads(pool)):
        at = holder_of(pool, number)
        if (
            atomic_load64(pool.m, at) == ABANDONED
            and slot(pool, number).host.slot_bytes >= pool.nr_wide * pool.slot_bytes
            and atomic_compare_exchange64(pool.m, at, ABANDONED, held(OWNED, process)) == ABANDONED
        ):
            return slot(pool, number)
    return HostedHeap(pool.m, VirtAddr(0))


@kernel
def begin_in(pool: Pool, start: word, end: word, nr_wanted: word, kind: word, process: word) -> HostedHeap:
    """Hold an empty heap in the first slots from `start` on that are unused, as many as wanted or fewer.

    At address 0 when the system has no memory for it, or no slot is unused.
    """
    for number in range(start, end):
        at = holder_of(pool, number)
        if atomic_compare_exchange64(pool.m, at, UNUSED, held(BEGINNING, process)) == UNUSED:
            nr_slots = hold_parts(pool, number, min(nr_wanted, end - number))
            code = begin(pool, number, nr_slots)
            if code == OK:
                atomic_store64(pool.m, at, held(kind, process))
                return slot(pool, number)
            for index in range(1, nr_slots):
                atomic_store64(pool.m, holder_of(pool, number + index), UNUSED)
            atomic_store64(pool.m, at, UNUSED if code == NO_FRAME else LEFT_OUT)
            if code == NO_FRAME:
                break
    return HostedHeap(pool.m, VirtAddr(0))


@kernel
def hold_parts(pool: Pool, number: word, nr_wanted: word) -> word:
    """Hold the slots behind one as parts of its heap; how many there are with it."""
    nr_slots = 1
    while nr_slots < nr_wanted:
        at = holder_of(pool, number + nr_slots)
        if atomic_compare_exchange64(pool.m, at, UNUSED, PART | nr_slots << ABOVE_SHIFT) != UNUSED:
            break
        nr_slots += 1
    return nr_slots


@kernel
def begin(pool: Pool, number: word, nr_slots: word) -> word:
    """Make an empty heap in slots without one; a code when the system refuses the memory or the addresses."""
    own = slot(pool, number)
    code = call4(own.m, pool.map, own.addr, PAGE_BYTES + HostedHeap.SIZE & -PAGE_BYTES, 0, 0)
    if code != OK:
        return code
    host = own.host
    host.slot_bytes = nr_slots * pool.slot_bytes
    host.map = pool.map
    host.unmap = pool.unmap
    host.release = pool.release
    host.renew = pool.renew
    host.move = pool.move
    host.no_room = pool.no_room
    host.stop = pool.stop
    host.pool = pool.addr
    host.holder = holder_of(pool, number)
    host.look_wanted = pool.is_much_waiting
    lifecycle.init(own.heap, VirtAddr(0))
    own.heap.hardening.secret = pool.secret
    own.heap.hardening.generator = pool.secret ^ own.addr
    return OK


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
    return atomic_load64(own.m, own.host.holder) >> ABOVE_SHIFT


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
    """The heap in whose slots an address lies; 0 when it lies in none."""
    if ptr < pool.base or not unsigned_less(ptr - pool.base, pool.nr_slots * pool.slot_bytes):
        return VirtAddr(0)
    number = (ptr - pool.base) // pool.slot_bytes
    holder = atomic_load64(pool.m, holder_of(pool, number))
    if holder & KINDS == PART:
        number -= holder >> ABOVE_SHIFT
    return heap_at(pool, number)


@kernel
def heap_at(pool: Pool, number: word) -> VirtAddr:
    """The heap that begins in a slot; 0 when none does."""
    return slot(pool, number).addr if has_heap(atomic_load64(pool.m, holder_of(pool, number))) else VirtAddr(0)


@kernel
def has_heap(holder: word) -> bool:
    """Whether a heap begins in a slot with this holder."""
    kind = holder & KINDS
    return kind >= ABANDONED and kind != BEGINNING


# ------------------------------------------------------------------ fork
@kernel
def after_fork_in_child(pool: Pool, own: VirtAddr, parent: word, process: word) -> None:
    """Of the threads that were copied only the one with this heap, or 0, goes on.

    Threads that other fork handlers began before may be at work, in their heaps and in the pool. They are told by the
    number of their process, the child. Where the parent has the same number, in another namespace, their heaps count as
    lost: that harms none that works on, and who ends leaves it for the next thread.
    """
    for number in range(pool.nr_slots):
        at = holder_of(pool, number)
        before = atomic_load64(pool.m, at)
        kind = before & KINDS
        if kind == OWNED and slot(pool, number).addr == own:
            atomic_store64(pool.m, at, held(OWNED, process))
        elif kind >= OWNED and (before != held(kind, process) or parent == process):
            atomic_compare_exchange64(pool.m, at, before, LOST)


@kernel
def check(pool: Pool) -> word:
    """0, or the number of the first invariant that does not hold. PRE nobody changes the pool."""
    if not 0 <= pool.shared <= pool.nr_slots:
        return 3
    for number in range(pool.nr_slots):
        holder = atomic_load64(pool.m, holder_of(pool, number))
        kind = holder & KINDS
        if has_heap(holder) and slot(pool, number).host.holder != holder_of(pool, number):
            return 1
        if kind == PART and not is_part(pool, number, holder >> ABOVE_SHIFT):
            return 2
        is_shared = kind == SHARED or kind == ENTERED
        if is_shared != (number == pool.shared) and not (number == pool.shared and kind == LOST):
            return 3
    return 0


@kernel
def is_part(pool: Pool, number: word, place: word) -> bool:
    """Whether a slot is in this place of a heap that begins before it."""
    if not 0 < place <= number:
        return False
    holder = atomic_load64(pool.m, holder_of(pool, number - place))
    if not has_heap(holder):
        return holder & KINDS == BEGINNING
    return place < slot(pool, number - place).host.slot_bytes // pool.slot_bytes
