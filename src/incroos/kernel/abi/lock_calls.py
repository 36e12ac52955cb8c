"""Calls that keep memory: mlock and its kin. Root may lock as much as there is, others as RLIMIT_MEMLOCK says."""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.abi.arguments import WRAPS, int_of, span_end, task_of, user_of
from incroos.kernel.abi.errno import EAGAIN, EINVAL, ENOMEM, EPERM, result_of
from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.files.rights import is_root
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import IS_LOCKED, LOCKS_LATE, Kernel, Range, UserSpace
from incroos.kernel.task.limits import LOCKED
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
    if flags != 0 and not may_lock(k):
        return -EPERM
    if flags != 0 and end > first and not may_lock_more(k, nr_new_pages(user, first, end)):
        return -ENOMEM
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
def may_lock(k: Kernel) -> bool:
    """Whether the task may lock anything."""
    return is_root(task_of(k).credentials) or task_of(k).limits[2 * LOCKED] != 0


@kernel
def may_lock_more(k: Kernel, nr_pages: word) -> bool:
    """Whether the task may lock so many more pages."""
    limit = task_of(k).limits[2 * LOCKED]
    if nr_pages == 0 or limit < 0 or is_root(task_of(k).credentials):
        return True
    return user_of(k).nr_locked_pages + nr_pages <= limit >> PAGE_SHIFT


@kernel
def nr_new_pages(user: UserSpace, start: word, end: word) -> word:
    """How many pages of [start, end) are not locked, those in no range too."""
    nr_pages = (end - start) >> PAGE_SHIFT
    at = vm.find_range_behind(user, VirtAddr(start))
    while at != 0 and Range(user.m, at).start < end:
        node = Range(user.m, at)
        if node.flags & IS_LOCKED != 0:
            nr_pages -= (min(node.end, end) - max(node.start, start)) >> PAGE_SHIFT
        at = vm.next_range(user, at)
    return nr_pages


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
    if not may_lock(k):
        return -EPERM
    if wanted & CURRENT != 0 and not may_lock_more(k, user.nr_pages - user.nr_locked_pages):
        return -ENOMEM
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
