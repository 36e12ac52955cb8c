"""Calls that wait for files, or for a word of memory."""

from typing import Final

from incroos.kernel import files, task, vm
from incroos.kernel.abi.arguments import file_of, half, int_of, user_of
from incroos.kernel.abi.errno import EAGAIN, EFAULT, EINVAL, ENOSYS, ETIMEDOUT
from incroos.kernel.abi.time_calls import get_span, span_until
from incroos.kernel.abi.waiting import NO_TIME, block_given, wait_for
from incroos.kernel.files.ready import NOT_OPEN, UNASKED
from incroos.kernel.state import ANYTHING, FUTEX, MAX_FILES, File, Kernel
from incroos.kernel.task.futexes import take_name, wake_futex
from incroos.lang import VirtAddr, apart, kernel, load64, store16, word

WAIT: Final = 0  # operations of futex
WAKE: Final = 1
WAIT_SET: Final = 9  # its timeout is a time of the clock
WAKE_SET: Final = 10
OPERATION: Final = 0x7F
BY_REAL_TIME: Final = 0x100  # a bit beside the operation

POLL_BYTES: Final = 8  # struct pollfd


@apart
@kernel
def futex(k: Kernel, at: word, operation: word, value: word, timeout: word) -> word:
    wanted = half(operation) & OPERATION
    if at % 4 != 0:
        return -EINVAL
    if wanted == WAKE or wanted == WAKE_SET:
        return wake_futex(k, user_of(k), at, max(int_of(value), 1)) if vm.is_user(at, 4) else -EFAULT
    if wanted != WAIT and wanted != WAIT_SET:
        return -ENOSYS
    if take_name(k, at):
        return 0
    span = 0
    if timeout != 0:
        span = get_span(k, timeout)
        if span < 0:
            return span
        if wanted == WAIT_SET:
            span = span_until(k, span, half(operation) & BY_REAL_TIME != 0)
    if vm.copy_in(user_of(k), k.files.piece, at, 4) != 0:
        return -EFAULT
    if load64(k.m, k.files.piece) & 0xFFFF_FFFF != half(value):
        return -EAGAIN
    if timeout != 0:
        return wait_for(k, span, FUTEX, -ETIMEDOUT)
    task.wait_on(k, FUTEX)
    return 0


@kernel
def ready_events(k: Kernel, descriptor: word) -> word:
    """What can be done with a descriptor at once, or NOT_OPEN."""
    at = file_of(k, descriptor)
    return files.ready_events(k, File(k.m, at)) if at != 0 else NOT_OPEN


@apart
@kernel
def poll(k: Kernel, places: word, nr_places: word, timeout: word) -> word:
    return poll_for(k, places, half(nr_places), int_of(timeout) * 1_000_000)


@apart
@kernel
def ppoll(k: Kernel, places: word, nr_places: word, timeout: word, mask: word, mask_bytes: word) -> word:
    span = NO_TIME
    if timeout != 0:
        span = get_span(k, timeout)
        if span < 0:
            return span
    code = block_given(k, mask, mask_bytes)
    return poll_for(k, places, half(nr_places), span) if code == 0 else code


@kernel
def poll_for(k: Kernel, places: word, nr_places: word, span: word) -> word:
    """Say what is ready; if nothing is, time passes, or the program would wait for ever."""
    if nr_places > MAX_FILES:
        return -EINVAL
    nr_ready = 0
    for index in range(nr_places):
        at = k.files.piece
        place = places + index * POLL_BYTES if vm.is_user(places, nr_places * POLL_BYTES) else -1
        if vm.copy_in(user_of(k), at, place, POLL_BYTES) != 0:
            return -EFAULT
        wanted = load64(k.m, at)
        ready = 0
        if int_of(wanted) >= 0:
            events = (wanted >> 32) & 0xFFFF
            ready = ready_events(k, half(wanted)) & (events | UNASKED)
        store16(k.m, VirtAddr(at + 6), ready)
        if vm.copy_out(user_of(k), place + 6, VirtAddr(at + 6), 2) != 0:
            return -EFAULT
        nr_ready += 1 if ready != 0 else 0
    return nr_ready if nr_ready != 0 else wait_for(k, span, ANYTHING, 0)
