"""Calls that wait for files."""

from typing import Final

from incroos.kernel import files, vm
from incroos.kernel.abi.arguments import file_of, half, int_of, user_of
from incroos.kernel.abi.errno import EFAULT, EINVAL
from incroos.kernel.abi.time_calls import get_most
from incroos.kernel.abi.waiting import NO_TIME, block_given, wait_for
from incroos.kernel.files.poll_events import NOT_OPEN, UNASKED
from incroos.kernel.state import ANYTHING, MAX_FILES, File, Kernel
from incroos.lang import VirtAddr, apart, kernel, load64, store16, word

POLL_BYTES: Final = 8  # struct pollfd


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
    span = get_most(k, timeout)
    if span < NO_TIME:
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
