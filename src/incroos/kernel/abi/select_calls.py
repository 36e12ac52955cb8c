"""select and pselect6: they wait for files that three sets name, and tell how much of the time is left.

The sets are written when the call ends, not before: a call that waits is made anew, and reads them again.
"""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.abi.arguments import half, int_of, task_of, user_of
from incroos.kernel.abi.errno import EBADF, EFAULT, EINVAL
from incroos.kernel.abi.time_calls import get_most
from incroos.kernel.abi.wait_calls import ready_events
from incroos.kernel.abi.waiting import NO_TIME, block_given, wait_for
from incroos.kernel.files.poll_events import BROKEN, CAN_READ, CAN_WRITE, HUNG_UP, NOT_OPEN
from incroos.kernel.state import ANYTHING, MAX_FILES, WAITING, Kernel
from incroos.kernel.task import interruption
from incroos.kernel.task.clock import SECOND
from incroos.kernel.task.interruption import MICROSECONDS, NANOSECONDS
from incroos.lang import VirtAddr, apart, kernel, load64, shl_wrap, word

NR_SETS: Final = 3
SET_BITS: Final = 64  # of a word


@apart
@kernel
def select(k: Kernel, nr: word, reads: word, writes: word, others: word, timeout: word) -> word:
    span = NO_TIME
    if timeout != 0:
        if vm.copy_in(user_of(k), k.files.piece, timeout, 16) != 0:
            return -EFAULT
        seconds = load64(k.m, k.files.piece)
        microseconds = load64(k.m, VirtAddr(k.files.piece + 8))
        if seconds < 0 or microseconds < 0:
            return -EINVAL
        span = min(seconds, 1 << 31) * SECOND + min(microseconds, 1_000_000) * 1000
    return select_for(k, nr, reads, writes, others, span, timeout, MICROSECONDS)


@apart
@kernel
def pselect6(k: Kernel, nr: word, reads: word, writes: word, others: word, timeout: word, mask: word) -> word:
    span = get_most(k, timeout)
    if span < NO_TIME:
        return span
    code = 0
    if mask != 0:
        if vm.copy_in(user_of(k), k.files.piece, mask, 16) != 0:
            return -EFAULT
        code = block_given(k, load64(k.m, k.files.piece), load64(k.m, VirtAddr(k.files.piece + 8)))
    return select_for(k, nr, reads, writes, others, span, timeout, NANOSECONDS) if code == 0 else code


@kernel
def select_for(
    k: Kernel, nr: word, reads: word, writes: word, others: word, span: word, timeout: word, unit: word
) -> word:
    """Say what is ready in three sets; if nothing is, wait at most so many nanoseconds, or for ever below 0."""
    if int_of(nr) < 0:
        return -EINVAL
    most = min(half(nr), MAX_FILES)
    found = count_all(k, most, reads, writes, others)
    if found < 0:
        return found
    own = task_of(k)
    deadline = own.deadline
    if found == 0:
        wait_for(k, span, ANYTHING, 0)
        if own.state == WAITING:
            own.rest = VirtAddr(timeout)
            own.rest_unit = unit
            return 0
    if deadline != 0:
        interruption.put_time(k, own, timeout, unit, deadline)
    for kind in range(NR_SETS):
        at = set_of(kind, reads, writes, others)
        if at != 0 and keep_ready(k, most, at, kind) != 0:
            return -EFAULT
    return found


@kernel
def count_all(k: Kernel, nr: word, reads: word, writes: word, others: word) -> word:
    """How much is ready in three sets: -EBADF, -EFAULT."""
    nr_ready = 0
    for kind in range(NR_SETS):
        at = set_of(kind, reads, writes, others)
        found = count_ready(k, nr, at, kind) if at != 0 else 0
        if found < 0:
            return found
        nr_ready += found
    return nr_ready


@kernel
def set_of(kind: word, reads: word, writes: word, others: word) -> word:
    """One of three sets."""
    if kind == 0:
        return reads
    return writes if kind == 1 else others


@kernel
def events_of(kind: word) -> word:
    """What a descriptor must be ready for to stay in a set."""
    if kind == 0:
        return CAN_READ | HUNG_UP | BROKEN
    return CAN_WRITE | BROKEN if kind == 1 else 0


@kernel
def count_ready(k: Kernel, nr: word, at: word, kind: word) -> word:
    """How many of a set are ready: -EBADF, -EFAULT."""
    nr_ready = 0
    if not vm.is_user(at, (nr + SET_BITS - 1) // SET_BITS * 8):
        return -EFAULT
    for index in range((nr + SET_BITS - 1) // SET_BITS):
        code, given = vm.load64(user_of(k), at + 8 * index)
        if code != 0:
            return -EFAULT
        for bit in range(min(nr - SET_BITS * index, SET_BITS)):
            if given & shl_wrap(1, bit) != 0:
                ready = ready_events(k, SET_BITS * index + bit)
                if ready == NOT_OPEN:
                    return -EBADF
                nr_ready += 1 if ready & events_of(kind) != 0 else 0
    return nr_ready


@kernel
def keep_ready(k: Kernel, nr: word, at: word, kind: word) -> word:
    """Keep in a set what is ready: 0 or -EFAULT. PRE count_ready has looked at it."""
    for index in range((nr + SET_BITS - 1) // SET_BITS):
        _code, given = vm.load64(user_of(k), at + 8 * index)
        kept = 0
        for bit in range(min(nr - SET_BITS * index, SET_BITS)):
            if given & shl_wrap(1, bit) != 0 and ready_events(k, SET_BITS * index + bit) & events_of(kind) != 0:
                kept |= shl_wrap(1, bit)
        if vm.store64(user_of(k), at + 8 * index, kept) != 0:
            return -EFAULT
    return 0
