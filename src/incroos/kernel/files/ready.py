"""What can be done with an open file at once: the events of poll.

Unit: the event, a bit of POLLIN and its kin. Files that never wait are always ready.
"""

from incroos.kernel import state
from incroos.kernel.files import events, interests, pipes, reading, terminal
from incroos.kernel.files.flags import PATH_ONLY
from incroos.kernel.files.poll_events import BROKEN, CAN_READ, CAN_WRITE, HUNG_UP, NOT_OPEN
from incroos.kernel.state import EventCounter, File, Interest, InterestList, Kernel, Pipe
from incroos.lang import kernel, word


@kernel
def ready_events(k: Kernel, file: File) -> word:
    """What can be done at once."""
    if file.kind == state.INTEREST_KIND:
        return CAN_READ if has_something(k, InterestList(k.m, file.pipe)) else 0
    return ready_alone(k, file)


@kernel
def has_something(k: Kernel, own: InterestList) -> bool:
    """Whether there is something to tell."""
    at = own.first
    while at != 0:
        interest = Interest(k.m, at)
        if interests.to_tell(k, interest, ready_alone(k, File(k.m, interest.file))) != 0:
            return True
        at = interest.next
    return False


@kernel
def ready_alone(k: Kernel, file: File) -> word:
    """The same of what is no interest list."""
    if file.flags & PATH_ONLY != 0:
        return NOT_OPEN
    match file.kind:
        case state.INPUT_KIND:
            return CAN_READ if reading.may_read_input(k, file) else 0
        case state.OUTPUT_KIND:
            return CAN_WRITE
        case state.PIPE_KIND:
            return of_pipe(k, file, Pipe(k.m, file.pipe))
        case state.TERMINAL_KIND:
            return terminal.ready_events(k)
        case state.EVENT_KIND:
            return of_counter(EventCounter(k.m, file.pipe))
        case _:
            return CAN_READ | CAN_WRITE


@kernel
def of_pipe(k: Kernel, file: File, pipe: Pipe) -> word:
    """What can be done with an end of a pipe."""
    found = 0
    if pipes.reads(file) != 0:
        found |= CAN_READ if pipe.nbytes > 0 else 0
        if not pipes.has_writers(k, pipe) and pipe.nr_opened_to_write > 0:
            found |= HUNG_UP
    if pipes.writes(file) != 0:
        is_room = pipes.room_for(k, pipe, pipes.ATOMIC_BYTES) >= pipes.ATOMIC_BYTES
        found |= CAN_WRITE if is_room else 0
        found |= BROKEN if not pipes.has_readers(k, pipe) else 0
    return found


@kernel
def of_counter(counter: EventCounter) -> word:
    """What can be done with an event counter."""
    found = CAN_READ if counter.count != 0 else 0
    return found | (CAN_WRITE if counter.count != events.MOST else 0)
