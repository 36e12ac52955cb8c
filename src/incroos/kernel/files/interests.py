"""Interest lists (epoll): open files of which somebody wants to hear, and what is told of them.

    by default      a file is told as long as something that is wanted can be done with it
    EDGE            once for each thing that happens to it: it can be done what could not, bytes come though some are
                    there, bytes are read from a full pipe, the other end is closed
    ONCE            once, until it is asked for again

An interest names the open file, and ends with it or with its list. Who was told goes to the end of its list, so that
everybody's turn comes. No list tells of another list.

Unit: the interest.
"""

from typing import Final

from incroos.kernel import heap, state
from incroos.kernel.codes import OK
from incroos.kernel.files.poll_events import CAN_READ, CAN_WRITE
from incroos.kernel.state import EventCounter, File, Interest, InterestList, Kernel, Pipe
from incroos.lang import VirtAddr, kernel, word

# Events, as poll's, and beside them
EDGE: Final = 1 << 31  # EPOLLET
ONCE: Final = 1 << 30  # EPOLLONESHOT
WRONG_INTEREST: Final = 41

# INTERESTS-1  each interest of a list is in that of its file's, which is open


@kernel
def create(k: Kernel) -> VirtAddr:
    """A list of nothing; 0 without memory."""
    return heap.kzalloc(k, InterestList.SIZE)


@kernel
def find(k: Kernel, own: InterestList, file: File, descriptor: word) -> VirtAddr:
    """The interest in a file by a descriptor; 0: there is none."""
    at = own.first
    while at != 0:
        interest = Interest(k.m, at)
        if interest.file == file.addr and interest.descriptor == descriptor:
            return at
        at = interest.next
    return at


@kernel
def add(k: Kernel, own: InterestList, file: File, descriptor: word) -> VirtAddr:
    """One more interest, in which nothing is wanted yet; 0 without memory."""
    at = heap.kzalloc(k, Interest.SIZE)
    if at != 0:
        interest = Interest(k.m, at)
        interest.list = own.addr
        interest.file = file.addr
        interest.descriptor = descriptor
        interest.next_of_file = file.first_interest
        file.first_interest = at
        put_last(own, interest)
    return at


@kernel
def ask(interest: Interest, events: word, data: word) -> None:
    """Have events told from now on, with the program's data."""
    interest.events = events
    interest.data = data
    interest.is_new = 1
    interest.is_spent = 0


@kernel
def remove(k: Kernel, own: InterestList, interest: Interest) -> None:
    """End an interest."""
    file = File(k.m, interest.file)
    if file.first_interest == interest.addr:
        file.first_interest = interest.next_of_file
    else:
        before = Interest(k.m, file.first_interest)
        while before.next_of_file != interest.addr:
            before = Interest(k.m, before.next_of_file)
        before.next_of_file = interest.next_of_file
    take_out(own, interest)
    heap.kfree(k, interest.addr)


@kernel
def forget_file(k: Kernel, file: File) -> None:
    """An open file ends, and all interest in it."""
    while file.first_interest != 0:
        interest = Interest(k.m, file.first_interest)
        remove(k, InterestList(k.m, interest.list), interest)


@kernel
def destroy(k: Kernel, own: InterestList) -> None:
    """End a list."""
    while own.first != 0:
        remove(k, own, Interest(k.m, own.first))
    heap.kfree(k, own.addr)


# ------------------------------------------------------------------ the turn
@kernel
def put_last(own: InterestList, interest: Interest) -> None:
    """Let an interest, which is not in its list, be the last one there."""
    interest.next = VirtAddr(0)
    interest.previous = own.last
    if own.last != 0:
        Interest(own.m, own.last).next = interest.addr
    else:
        own.first = interest.addr
    own.last = interest.addr


@kernel
def take_out(own: InterestList, interest: Interest) -> None:
    """Take an interest out of its list."""
    if interest.previous != 0:
        Interest(own.m, interest.previous).next = interest.next
    else:
        own.first = interest.next
    if interest.next != 0:
        Interest(own.m, interest.next).previous = interest.previous
    else:
        own.last = interest.previous


# ------------------------------------------------------------------ what is told
@kernel
def to_tell(k: Kernel, interest: Interest, ready: word) -> word:
    """Which events are to be told, if so many can be done; 0: none."""
    found = ready & interest.events
    if found == 0 or interest.is_spent != 0:
        return 0
    if interest.events & EDGE == 0 or interest.is_new != 0 or ready & ~interest.ready & interest.events != 0:
        return found
    return found if changes_of(k, File(k.m, interest.file), interest.events) != interest.changes else 0


@kernel
def see(k: Kernel, interest: Interest, ready: word, told: word) -> None:
    """Note what can be done with the file, and whether that was told."""
    interest.ready = ready
    interest.changes = changes_of(k, File(k.m, interest.file), interest.events)
    if told != 0:
        interest.is_new = 0
        interest.is_spent = 1 if interest.events & ONCE != 0 else 0
        own = InterestList(k.m, interest.list)
        take_out(own, interest)
        put_last(own, interest)


@kernel
def changes_of(k: Kernel, file: File, events: word) -> word:
    """A number that is another one when something has happened to a file that an interest at its edges tells."""
    nr_arrivals = k.files.nr_input_reads
    nr_departures = 0
    if file.kind == state.PIPE_KIND:
        nr_arrivals = Pipe(k.m, file.pipe).nr_arrivals
        nr_departures = Pipe(k.m, file.pipe).nr_departures
    elif file.kind == state.EVENT_KIND:
        nr_arrivals = EventCounter(k.m, file.pipe).nr_arrivals
        nr_departures = EventCounter(k.m, file.pipe).nr_departures
    changes = nr_arrivals if events & CAN_READ != 0 else 0
    return changes + (nr_departures if events & CAN_WRITE != 0 else 0)


@kernel
def check(k: Kernel, own: InterestList) -> word:
    """OK, or WRONG_INTEREST if INTERESTS-1 does not hold."""
    at = own.first
    before = VirtAddr(0)
    while at != 0:
        interest = Interest(k.m, at)
        here = File(k.m, interest.file).first_interest
        while here != 0 and here != at:
            here = Interest(k.m, here).next_of_file
        if here != at or interest.list != own.addr or interest.previous != before:
            return WRONG_INTEREST
        if File(k.m, interest.file).nr_users == 0:
            return WRONG_INTEREST
        before = at
        at = interest.next
    return OK if own.last == before else WRONG_INTEREST
