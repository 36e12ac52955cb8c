"""Calls that keep memory: mlock and its kin. Root may lock as much as there is."""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.abi.arguments import WRAPS, int_of, span_end, user_of
from incroos.kernel.abi.errno import EAGAIN, EINVAL, ENOMEM, result_of
from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import IS_LOCKED, LOCKS_LATE, Kernel
from incroos.lang import VirtAddr, apart, kernel, word

LATE: Final = 1  # MLOCK_ONFAULT
CURRENT: Final = 1  # flags of mlockall
FUTURE: Final = 2
ALL_LATE: Final = 4


@apart
@kernel
def mlock(k: Kernel, start: word, nbytes: word) -> word:
    return change_lock(k, start, nbytes, IS_LOCKED)


@apart
@kernel
def mlock2(k: Kernel, start: word, nbytes: word, flags: word) -> word:
    if int_of(flags) & ~LATE != 0:
        return -EINVAL
    return change_lock(k, start, nbytes, IS_LOCKED | LOCKS_LATE if flags & LATE != 0 else IS_LOCKED)


@apart
@kernel
def munlock(k: Kernel, start: word, nbytes: word) -> word:
    return change_lock(k, start, nbytes, 0)


@kernel
def change_lock(k: Kernel, start: word, nbytes: word, flags: word) -> word:
    """Lock or unlock the pages in which the bytes are, and bring them if that is wanted."""
    user = user_of(k)
    first = start & -PAGE_BYTES
    end = span_end(first, whole_length(start, nbytes))
    if end == first or end == WRAPS:
        return 0 if end == first else -EINVAL
    if not 0 <= first < vm.USER_END:
        return -ENOMEM
    code = vm.lock(user, VirtAddr(first), VirtAddr(end), flags)
    if code == OK and flags == IS_LOCKED:
        code = vm.populate(user, VirtAddr(first), VirtAddr(end))
        return -lock_error(code) if code != OK else 0
    return result_of(code)


@kernel
def whole_length(start: word, nbytes: word) -> word:
    """The length from the start of the page on, an unsigned number as nbytes is; one that does not fit begins anew."""
    offset = start % PAGE_BYTES
    return nbytes + offset if nbytes <= vm.USER_END else nbytes


@kernel
def lock_error(code: word) -> word:
    """Linux's error for a page that did not come: POSIX has them the other way round."""
    return EAGAIN if code == NO_FRAME else ENOMEM


@apart
@kernel
def mlockall(k: Kernel, flags: word) -> word:
    """All ranges that there are, all that come, or both."""
    wanted = int_of(flags)
    if wanted & ~(CURRENT | FUTURE | ALL_LATE) != 0 or wanted & (CURRENT | FUTURE) == 0:
        return -EINVAL
    user = user_of(k)
    bits = IS_LOCKED | LOCKS_LATE if wanted & ALL_LATE != 0 else IS_LOCKED
    user.new_flags = bits if wanted & FUTURE != 0 else 0
    user.seen_flags |= user.new_flags
    if wanted & CURRENT != 0:
        vm.lock_all(user, bits)
        vm.populate_all(user)
    return 0


@apart
@kernel
def munlockall(k: Kernel) -> word:
    user_of(k).new_flags = 0
    vm.lock_all(user_of(k), 0)
    return 0
