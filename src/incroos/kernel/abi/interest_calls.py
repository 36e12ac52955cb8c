"""epoll: lists of open files of which a program wants to hear, and the wait for that."""

from typing import Final

from incroos.kernel import files, state, vm
from incroos.kernel.abi.arguments import file_of, half, int_of, task_of, used_file_of, user_of
from incroos.kernel.abi.errno import EBADF, EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM, EPERM, result_of
from incroos.kernel.abi.time_calls import get_most
from incroos.kernel.abi.waiting import NO_TIME, block_given, wait_for
from incroos.kernel.files import interests, reading, ready
from incroos.kernel.files.descriptors import closing_of
from incroos.kernel.files.flags import CLOSE_AT_EXEC
from incroos.kernel.files.poll_events import BROKEN, HUNG_UP, IN, OUT
from incroos.kernel.files.waits import note_change
from incroos.kernel.state import ANYTHING, INTEREST_KIND, File, Interest, InterestList, Kernel
from incroos.lang import VirtAddr, apart, kernel, load32, load64, store32, store64, word

EVENT_BYTES: Final = 12  # struct epoll_event: events, and 8 bytes of data
MOST_EVENTS: Final = 0x7FFF_FFFF // EVENT_BYTES
ADD: Final = 1
DELETE: Final = 2
MODIFY: Final = 3
ALONE: Final = 1 << 28  # EPOLLEXCLUSIVE: whoever waits looks by itself here
KEPT_AWAKE: Final = 1 << 29  # EPOLLWAKEUP
WITH_ALONE: Final = IN | OUT | BROKEN | HUNG_UP | interests.EDGE | ALONE | KEPT_AWAKE
MILLISECOND: Final = 1_000_000


# ------------------------------------------------------------------ lists
@apart
@kernel
def epoll_create(k: Kernel, nr: word) -> word:
    return epoll_create1(k, 0) if int_of(nr) > 0 else -EINVAL


@apart
@kernel
def epoll_create1(k: Kernel, flags: word) -> word:
    if half(flags) & ~CLOSE_AT_EXEC != 0:
        return -EINVAL
    return result_of(files.open_interests(k, task_of(k), closing_of(half(flags))))


@apart
@kernel
def epoll_ctl(k: Kernel, own: word, operation: word, descriptor: word, event: word) -> word:
    at = k.files.piece
    wanted = int_of(operation)
    if wanted != DELETE and vm.copy_in(user_of(k), at, event, EVENT_BYTES) != 0:
        return -EFAULT
    place, target = used_file_of(k, own), used_file_of(k, descriptor)
    if place == 0 or target == 0:
        return -EBADF
    file = File(k.m, target)
    if not can_wait(file):
        return -EPERM
    if place == target or File(k.m, place).kind != INTEREST_KIND or file.kind == INTEREST_KIND:
        return -EINVAL
    events = load32(k.m, at) if wanted != DELETE else 0
    if events & ALONE != 0 and (wanted != ADD or events & ~WITH_ALONE != 0):
        return -EINVAL
    return change(k, InterestList(k.m, File(k.m, place).pipe), wanted, file, half(descriptor), events)


@kernel
def can_wait(file: File) -> bool:
    """Whether it is a file that one can wait for: none with a position, nor a device that is always ready."""
    match file.kind:
        case state.INPUT_KIND | state.OUTPUT_KIND:
            return not reading.is_regular(file)
        case state.PIPE_KIND | state.EVENT_KIND | state.TERMINAL_KIND | state.INTEREST_KIND:
            return True
        case _:
            return False


@kernel
def change(k: Kernel, own: InterestList, operation: word, file: File, descriptor: word, events: word) -> word:
    """Add, modify or delete an interest; the program's data is at k.files.piece. 0, or an error."""
    found = interests.find(k, own, file, descriptor)
    if operation == ADD and found != 0:
        return -EEXIST
    if operation != ADD and operation != DELETE and operation != MODIFY:
        return -EINVAL
    if operation != ADD and found == 0:
        return -ENOENT
    if operation == DELETE:
        interests.remove(k, own, Interest(k.m, found))
        return 0
    if operation == ADD:
        found = interests.add(k, own, file, descriptor)
        if found == 0:
            return -ENOMEM
    wanted = events | BROKEN | HUNG_UP
    interests.ask(Interest(k.m, found), wanted, load64(k.m, VirtAddr(k.files.piece + 4)))
    note_change(k, own.addr)
    return 0


# ------------------------------------------------------------------ waiting
@apart
@kernel
def epoll_wait(k: Kernel, own: word, to: word, most: word, timeout: word) -> word:
    return wait(k, own, to, int_of(most), int_of(timeout) * MILLISECOND)


@apart
@kernel
def epoll_pwait(k: Kernel, own: word, to: word, most: word, timeout: word, mask: word, mask_bytes: word) -> word:
    code = block_given(k, mask, mask_bytes)
    return wait(k, own, to, int_of(most), int_of(timeout) * MILLISECOND) if code == 0 else code


@apart
@kernel
def epoll_pwait2(k: Kernel, own: word, to: word, most: word, timeout: word, mask: word, mask_bytes: word) -> word:
    span = get_most(k, timeout)
    if span < NO_TIME:
        return span
    code = block_given(k, mask, mask_bytes)
    return wait(k, own, to, int_of(most), span) if code == 0 else code


@kernel
def wait(k: Kernel, own: word, to: word, most: word, span: word) -> word:
    """Tell of at most so many files; if there is nothing to tell, time passes, or the program would wait for ever."""
    if not 0 < most <= MOST_EVENTS:
        return -EINVAL
    if not vm.is_user(to, most * EVENT_BYTES):
        return -EFAULT
    at = file_of(k, own)
    if at == 0:
        return -EBADF
    if File(k.m, at).kind != INTEREST_KIND:
        return -EINVAL
    nr_told = tell(k, InterestList(k.m, File(k.m, at).pipe), to, most)
    return nr_told if nr_told != 0 else wait_for(k, span, ANYTHING, 0)


@kernel
def tell(k: Kernel, own: InterestList, to: word, most: word) -> word:
    """Copy out what there is to tell: of how many files; -EFAULT if not even the first could be."""
    nr_told = 0
    at = own.first
    last = own.last
    while at != 0 and nr_told < most:
        interest = Interest(k.m, at)
        is_last = at == last
        at = interest.next if not is_last else VirtAddr(0)
        can_do = ready.ready_alone(k, File(k.m, interest.file))
        found = interests.to_tell(k, interest, can_do)
        if found != 0:
            if not put_event(k, to + nr_told * EVENT_BYTES, found, interest.data):
                return nr_told if nr_told != 0 else -EFAULT
            nr_told += 1
        interests.see(k, interest, can_do, found)
    return nr_told


@kernel
def put_event(k: Kernel, to: word, events: word, data: word) -> bool:
    """Copy out an event, if that can be done."""
    at = k.files.piece
    store32(k.m, at, events)
    store64(k.m, VirtAddr(at + 4), data)
    return vm.copy_out(user_of(k), to, at, EVENT_BYTES) == 0
