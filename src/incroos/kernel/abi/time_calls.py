"""Calls about time: clocks, and sleep, in which virtual time passes."""

from typing import Final

from incroos.kernel import task, vm
from incroos.kernel.abi.arguments import half, task_of, user_of
from incroos.kernel.abi.errno import EFAULT, EINVAL, result_of
from incroos.kernel.abi.waiting import NO_TIME, wait_for
from incroos.kernel.state import NOBODY, WAITING, Kernel, leader_of
from incroos.kernel.task.clock import MOST, SECOND
from incroos.lang import VirtAddr, apart, fill, kernel, load64, store64, word

REALTIME: Final = 0
THREAD_TIME: Final = 3
REALTIME_COARSE: Final = 5
BOOT_TIME: Final = 7
TAI: Final = 11
ABSOLUTE: Final = 1  # TIMER_ABSTIME
TICK: Final = 10_000_000  # nanoseconds, of times
USAGE_BYTES: Final = 144
OF_THREAD: Final = 1  # RUSAGE_THREAD
OF_CHILDREN: Final = 0xFFFF_FFFF  # RUSAGE_CHILDREN
MOST_SECONDS: Final = MOST // SECOND


@kernel
def is_real(clock: word) -> bool:
    """Does the clock count from 1970?"""
    return clock == REALTIME or clock == REALTIME_COARSE or clock == TAI


@kernel
def is_clock(clock: word) -> bool:
    """Is there such a clock?"""
    return 0 <= clock <= BOOT_TIME or clock == TAI


@kernel
def look_at(k: Kernel, clock: word) -> tuple[word, word]:
    """Seconds and nanoseconds of a clock."""
    now = task.look(k)
    start = k.tasks.start_seconds if is_real(clock) else 0
    return start + now // SECOND, now % SECOND


@kernel
def put_pair(k: Kernel, to: word, first: word, second: word) -> word:
    """Two words for the program."""
    at = k.files.piece
    store64(k.m, at, first)
    store64(k.m, VirtAddr(at + 8), second)
    return result_of(vm.copy_out(user_of(k), to, at, 16))


@apart
@kernel
def clock_gettime(k: Kernel, clock: word, to: word) -> word:
    if not is_clock(half(clock)):
        return -EINVAL
    seconds, nanoseconds = look_at(k, half(clock))
    return put_pair(k, to, seconds, nanoseconds)


@apart
@kernel
def clock_getres(k: Kernel, clock: word, to: word) -> word:
    if not is_clock(half(clock)):
        return -EINVAL
    return put_pair(k, to, 0, 1) if to != 0 else 0


@apart
@kernel
def gettimeofday(k: Kernel, to: word, zone: word) -> word:
    seconds, nanoseconds = look_at(k, REALTIME)
    code = put_pair(k, to, seconds, nanoseconds // 1000) if to != 0 else 0
    if code == 0 and zone != 0:
        code = result_of(vm.store64(user_of(k), zone, 0))
    return code


@apart
@kernel
def time(k: Kernel, to: word) -> word:
    seconds, _nanoseconds = look_at(k, REALTIME)
    if to != 0 and vm.store64(user_of(k), to, seconds) != 0:
        return -EFAULT
    return seconds


@kernel
def get_span(k: Kernel, source: word) -> word:
    """A struct timespec in nanoseconds; -EFAULT, -EINVAL."""
    at = k.files.piece
    if vm.copy_in(user_of(k), at, source, 16) != 0:
        return -EFAULT
    seconds = load64(k.m, at)
    nanoseconds = load64(k.m, VirtAddr(at + 8))
    if seconds < 0 or not 0 <= nanoseconds < SECOND:
        return -EINVAL
    return min(seconds, MOST_SECONDS - 1) * SECOND + nanoseconds


@kernel
def get_most(k: Kernel, source: word) -> word:
    """How long a call may wait: the nanoseconds of a struct timespec, NO_TIME if there is none; -EFAULT, -EINVAL."""
    return get_span(k, source) if source != 0 else NO_TIME


@kernel
def span_until(k: Kernel, end: word, is_from_1970: bool) -> word:
    """The nanoseconds until a clock says so; 0 if it has been so already."""
    if is_from_1970:
        end -= min(k.tasks.start_seconds, MOST_SECONDS) * SECOND
    return max(end - task.look(k), 0)


@apart
@kernel
def nanosleep(k: Kernel, source: word, rest: word) -> word:
    span = get_span(k, source)
    return sleep(k, span, rest) if span >= 0 else span


@apart
@kernel
def clock_nanosleep(k: Kernel, clock: word, flags: word, source: word, rest: word) -> word:
    if not is_clock(half(clock)) or half(clock) == THREAD_TIME:
        return -EINVAL
    span = get_span(k, source)
    if span < 0:
        return span
    if half(flags) & ABSOLUTE == 0:
        return sleep(k, span, rest)
    return sleep(k, span_until(k, span, is_real(half(clock))), 0)


@kernel
def sleep(k: Kernel, span: word, rest: word) -> word:
    """Wait so many nanoseconds; a handler ends it, and `rest` is where the program wants to know what is left, or 0."""
    result = wait_for(k, span, NOBODY, 0)
    own = task_of(k)
    own.rest = VirtAddr(rest if own.state == WAITING else 0)
    return result


@kernel
def own_time(k: Kernel) -> word:
    """Nanoseconds that the process that calls has run."""
    return leader_of(task_of(k)).user_time + task.now(k) - k.tasks.slice_start


@apart
@kernel
def times(k: Kernel, to: word) -> word:
    ticks = task.look(k) // TICK
    at = k.files.piece
    fill(k.m, at, 0, 32)
    store64(k.m, at, own_time(k) // TICK)
    store64(k.m, VirtAddr(at + 16), leader_of(task_of(k)).children_time // TICK)
    if to != 0 and vm.copy_out(user_of(k), to, at, 32) != 0:
        return -EFAULT
    return ticks


@apart
@kernel
def getrusage(k: Kernel, who: word, to: word) -> word:
    whose = half(who)
    if whose != 0 and whose != OF_THREAD and whose != OF_CHILDREN:
        return -EINVAL
    task.look(k)
    if whose == OF_CHILDREN:
        return put_usage(k, to, leader_of(task_of(k)).children_time, 0, 0)
    user = user_of(k)
    most_resident = max(user.most_resident, user.nr_resident)
    if whose == OF_THREAD:
        spent = task_of(k).thread_time + task.now(k) - k.tasks.slice_start
        return put_usage(k, to, spent, most_resident, 0)
    return put_usage(k, to, own_time(k), most_resident, user.nr_faults)


@kernel
def put_usage(k: Kernel, to: word, nanoseconds: word, nr_resident: word, nr_faults: word) -> word:
    """struct rusage: 0 or -EFAULT."""
    at = k.files.piece
    fill(k.m, at, 0, USAGE_BYTES)
    store64(k.m, at, nanoseconds // SECOND)
    store64(k.m, VirtAddr(at + 8), nanoseconds % SECOND // 1000)
    store64(k.m, VirtAddr(at + 32), nr_resident * 4)
    store64(k.m, VirtAddr(at + 64), nr_faults)
    return result_of(vm.copy_out(user_of(k), to, at, USAGE_BYTES))
