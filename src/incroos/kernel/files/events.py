"""Event counters (eventfd): a write adds to a count, a read takes it, and waits while it is 0.

Unit: the event. The count is a word without a sign, and at most MOST. Whoever reads and writes needs 8 bytes.
"""

from typing import Final

from incroos.kernel import heap, vm
from incroos.kernel.codes import BAD_ARGUMENT, BAD_POINTER, OK
from incroos.kernel.files.bytes import take_some
from incroos.kernel.files.waits import note_change, wait_unless_nonblocking
from incroos.kernel.state import EventCounter, File, Kernel, UserSpace
from incroos.lang import VirtAddr, add_wrap, kernel, load64, sub_wrap, unsigned_less, word

WORD_BYTES: Final = 8
MOST: Final = -2  # 2**64 - 2
TOO_MUCH: Final = -1


@kernel
def create(k: Kernel, count: word, takes_one: word) -> VirtAddr:
    """A counter; 0 without memory."""
    at = heap.kzalloc(k, EventCounter.SIZE)
    if at != 0:
        EventCounter(k.m, at).count = count
        EventCounter(k.m, at).takes_one = takes_one
    return at


@kernel
def read(k: Kernel, user: UserSpace, file: File, to: word, nbytes: word) -> word:
    """Take the count, or one of it: 8. BAD_ARGUMENT for less room, BAD_POINTER, MUST_WAIT, WOULD_WAIT."""
    counter = EventCounter(k.m, file.pipe)
    if nbytes < WORD_BYTES:
        return BAD_ARGUMENT
    if counter.count == 0:
        return wait_unless_nonblocking(k, file, counter.addr, 0)
    taken = 1 if counter.takes_one != 0 else counter.count
    if vm.store64(user, to, taken) != OK:
        return BAD_POINTER
    counter.count = sub_wrap(counter.count, taken)
    counter.nr_departures += 1
    note_change(k, counter.addr)
    return WORD_BYTES


@kernel
def write(k: Kernel, user: UserSpace, file: File, source: word, nbytes: word) -> word:
    """Add to the count: 8. BAD_ARGUMENT, BAD_POINTER; MUST_WAIT, WOULD_WAIT where it would be more than MOST."""
    counter = EventCounter(k.m, file.pipe)
    if nbytes < WORD_BYTES:
        return BAD_ARGUMENT
    if take_some(user, k.files.piece, source, WORD_BYTES) < WORD_BYTES:
        return BAD_POINTER
    more = load64(k.m, k.files.piece)
    if more == TOO_MUCH:
        return BAD_ARGUMENT
    if unsigned_less(sub_wrap(MOST, counter.count), more):
        return wait_unless_nonblocking(k, file, counter.addr, 0)
    counter.count = add_wrap(counter.count, more)
    counter.nr_arrivals += 1
    note_change(k, counter.addr)
    return WORD_BYTES
