"""Calls about interval timers: alarm, setitimer, getitimer."""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.abi.arguments import half, task_of, user_of
from incroos.kernel.abi.errno import EFAULT, EINVAL, result_of
from incroos.kernel.abi.time_calls import MOST_SECONDS
from incroos.kernel.state import NR_TIMERS, Kernel, leader_of
from incroos.kernel.task.clock import SECOND
from incroos.kernel.task.timers import REAL, left, set_timer
from incroos.lang import VirtAddr, apart, kernel, load64, store64, word

MICROSECOND: Final = 1000
VALUE_BYTES: Final = 32  # struct itimerval: every, left


@apart
@kernel
def alarm(k: Kernel, seconds: word) -> word:
    """What is left of the one before is told in whole seconds, at least 1."""
    own = leader_of(task_of(k))
    before = left(k, own, REAL)
    set_timer(k, own, REAL, half(seconds) * SECOND, 0)
    return max((before + SECOND // 2) // SECOND, 1) if before != 0 else 0


@apart
@kernel
def getitimer(k: Kernel, which: word, to: word) -> word:
    if half(which) >= NR_TIMERS:
        return -EINVAL
    return put_value(k, half(which), to)


@kernel
def put_value(k: Kernel, which: word, to: word) -> word:
    """Give the program a struct itimerval: 0 or -EFAULT."""
    at = k.files.piece
    own = leader_of(task_of(k))
    put_time(k, at, own.timers[which].every)
    put_time(k, VirtAddr(at + 16), left(k, own, which))
    return result_of(vm.copy_out(user_of(k), to, at, VALUE_BYTES))


@kernel
def put_time(k: Kernel, at: VirtAddr, nanoseconds: word) -> None:
    """A struct timeval in the kernel's buffer; what is more than nothing is at least a microsecond."""
    microseconds = (nanoseconds + MICROSECOND - 1) // MICROSECOND
    store64(k.m, at, microseconds // 1_000_000)
    store64(k.m, VirtAddr(at + 8), microseconds % 1_000_000)


@kernel
def time_at(k: Kernel, at: VirtAddr) -> word:
    """The nanoseconds of a struct timeval in the kernel's buffer; -EINVAL."""
    seconds = load64(k.m, at)
    microseconds = load64(k.m, VirtAddr(at + 8))
    if seconds < 0 or not 0 <= microseconds < 1_000_000:
        return -EINVAL
    return min(seconds, MOST_SECONDS - 1) * SECOND + microseconds * MICROSECOND


@apart
@kernel
def setitimer(k: Kernel, which: word, source: word, to: word) -> word:
    """Without a value the timer is switched off."""
    at = k.files.piece
    every = 0
    span = 0
    if source != 0:
        if vm.copy_in(user_of(k), at, source, VALUE_BYTES) != 0:
            return -EFAULT
        every = time_at(k, at)
        span = time_at(k, VirtAddr(at + 16))
    if every < 0 or span < 0 or half(which) >= NR_TIMERS:
        return -EINVAL
    code = put_value(k, half(which), to) if to != 0 else 0
    if code == 0:
        set_timer(k, leader_of(task_of(k)), half(which), span, every)
    return code
