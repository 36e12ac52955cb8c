"""Calls on memory: mmap and its kin, brk."""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.abi.arguments import MOST_WORD, WRAPS, file_of, span_end, user_of
from incroos.kernel.abi.errno import (
    EACCES,
    EAGAIN,
    EBADF,
    EEXIST,
    EFAULT,
    EINVAL,
    ENODEV,
    ENOMEM,
    EOPNOTSUPP,
    EOVERFLOW,
    EPERM,
    result_of,
)
from incroos.kernel.abi.lock_calls import may_lock, may_lock_more
from incroos.kernel.codes import OK
from incroos.kernel.files import seals, times
from incroos.kernel.files.flags import PATH_ONLY
from incroos.kernel.files.reading import is_readable
from incroos.kernel.files.writing import is_writable
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import (
    CONTENT_KIND,
    GROWS_DOWN,
    IS_LOCKED,
    IS_SHARED,
    LOCKS_LATE,
    NEVER_WRITABLE,
    WRITE,
    ZERO_KIND,
    Content,
    File,
    Kernel,
    Node,
    Range,
    UserSpace,
)
from incroos.kernel.vm.remapping import KEEPS_RANGE, MAY_MOVE, TO_PLACE
from incroos.lang import VirtAddr, apart, kernel, word

KNOWN_RIGHTS: Final = 7
ATOMIC: Final = 8  # PROT_SEM: says nothing here
DOWNWARDS: Final = 0x100_0000  # PROT_GROWSDOWN: from where the range begins
UPWARDS: Final = 0x200_0000
LOW_END: Final = 1 << 31
KNOWN_MOVES: Final = MAY_MOVE | TO_PLACE | KEEPS_RANGE  # flags of mremap

# Flags of mmap
KIND: Final = 0xF
SHARED: Final = 1
PRIVATE: Final = 2
SHARED_CHECKED: Final = 3
FIXED: Final = 0x10
ANONYMOUS: Final = 0x20
LOW: Final = 0x40  # MAP_32BIT
DOWN: Final = 0x100  # MAP_GROWSDOWN
LOCKED: Final = 0x2000
POPULATE: Final = 0x8000
LATER: Final = 0x1_0000  # MAP_NONBLOCK: POPULATE does nothing
HUGE_PAGES: Final = 0x4_0000
FIXED_FREE: Final = 0x10_0000
CHECKED: Final = 0x7C07_F9F3  # what MAP_SHARED_VALIDATE lets pass, by a file


# ------------------------------------------------------------------ mmap
@apart
@kernel
def mmap(k: Kernel, hint: word, nbytes: word, rights: word, flags: word, descriptor: word, offset: word) -> word:
    at = file_of(k, descriptor) if flags & ANONYMOUS == 0 else VirtAddr(0)
    if offset % PAGE_BYTES != 0:
        return -EINVAL
    if flags & ANONYMOUS == 0 and (at == 0 or File(k.m, at).flags & PATH_ONLY != 0):
        return -EBADF
    if flags & HUGE_PAGES != 0:
        return -EINVAL if at != 0 else -ENOMEM
    code, start = choose_place(user_of(k), hint, nbytes, flags)
    if code != 0:
        return code
    locked = IS_LOCKED if flags & LOCKED != 0 else user_of(k).new_flags & IS_LOCKED
    if flags & LOCKED != 0 and not may_lock(k):
        return -EPERM
    if locked != 0 and not may_lock_more(k, vm.page_up(nbytes) >> PAGE_SHIFT):
        return -EAGAIN
    if at != 0:
        return map_file(k, start, nbytes, rights, flags, File(k.m, at), offset)
    return map_zeros(k, start, nbytes, rights, flags) if flags & KIND != SHARED_CHECKED else -EINVAL


@kernel
def choose_place(user: UserSpace, hint: word, nbytes: word, flags: word) -> tuple[word, VirtAddr]:
    """0, and where so many bytes are to be mapped; or Linux's error, negative."""
    if nbytes == 0:
        return -EINVAL, VirtAddr(0)
    if not 0 < nbytes <= vm.USER_END:
        return -ENOMEM, VirtAddr(0)
    if flags & (FIXED | FIXED_FREE) != 0:
        code = vm.check_place(hint, nbytes)
        if code == OK and flags & FIXED_FREE != 0 and not is_empty(user, hint, nbytes):
            return -EEXIST, VirtAddr(0)
        return result_of(code), VirtAddr(hint)
    if flags & LOW != 0:
        start = vm.find_gap(user, vm.page_up(nbytes), VirtAddr(LOW_END)) if nbytes < LOW_END else VirtAddr(0)
    else:
        start = vm.find_place(user, max(hint, 0), vm.page_up(nbytes))
    return 0 if start != 0 else -ENOMEM, start


@kernel
def is_empty(user: UserSpace, start: word, nbytes: word) -> bool:
    """Whether no range is in [start, start + nbytes)."""
    at = vm.find_range_behind(user, VirtAddr(start))
    return at == 0 or Range(user.m, at).start >= start + nbytes


@kernel
def map_file(k: Kernel, start: VirtAddr, nbytes: word, rights: word, flags: word, file: File, offset: word) -> word:
    """Map pages of an open file, privately or shared; that of zeros as none."""
    kind = flags & KIND
    if not 0 <= offset <= MOST_WORD - vm.page_up(nbytes):
        return -EOVERFLOW
    if kind != PRIVATE and kind != SHARED and kind != SHARED_CHECKED:
        return -EINVAL
    if kind == SHARED_CHECKED and flags & ~CHECKED != 0:
        return -EOPNOTSUPP
    if (kind != PRIVATE and rights & WRITE != 0 and not is_writable(file)) or not is_readable(file):
        return -EACCES
    if file.kind == ZERO_KIND:
        return map_zeros(k, start, nbytes, rights, flags)
    if file.kind != CONTENT_KIND:
        return -ENODEV
    if flags & DOWN != 0:
        return -EINVAL
    shown = 0
    if kind != PRIVATE:
        sealed = Node(k.m, file.node).seals & seals.NO_WRITE if is_writable(file) else seals.LATER_WRITE
        if sealed != 0 and rights & WRITE != 0:
            return -EPERM
        shown = IS_SHARED if sealed == 0 else IS_SHARED | NEVER_WRITABLE
    times.note_read(k, Node(k.m, file.node))
    return map_content(k, start, nbytes, rights, flags, shown, file.content, offset)


@kernel
def map_zeros(k: Kernel, start: VirtAddr, nbytes: word, rights: word, flags: word) -> word:
    """Map zeros: private ones, which may grow down, or memory that stays shared over fork."""
    if flags & KIND == PRIVATE:
        kind = GROWS_DOWN if flags & DOWN != 0 else 0
        return map_content(k, start, nbytes, rights, flags, kind, VirtAddr(0), 0)
    if (flags & KIND != SHARED and flags & KIND != SHARED_CHECKED) or flags & DOWN != 0:
        return -EINVAL
    memory = vm.create_shared(k, nbytes)
    if memory == 0:
        return -ENOMEM
    result = map_content(k, start, nbytes, rights, flags, IS_SHARED, memory, 0)
    if result < 0:
        vm.destroy_shared(k, Content(k.m, memory))
    return result


@kernel
def map_content(
    k: Kernel, start: VirtAddr, nbytes: word, rights: word, flags: word, kind: word, content: VirtAddr, offset: word
) -> word:
    """Map pages of a content or shared memory, or zeros where it is 0. `kind` is what Range.flags is to be at least."""
    user = user_of(k)
    wanted = rights & KNOWN_RIGHTS
    kinds = kind | user.new_flags | (IS_LOCKED if flags & LOCKED != 0 else 0)
    if flags & (FIXED | FIXED_FREE) == FIXED:
        found = vm.map_at(user, start, nbytes, wanted, kinds, content, offset)
    else:
        found = vm.put_free_range(user, start, vm.page_up(nbytes), wanted, kinds, content, offset)
    if found > 0 and (kinds & (IS_LOCKED | LOCKS_LATE) == IS_LOCKED or flags & (POPULATE | LATER) == POPULATE):
        vm.populate(user, start, VirtAddr(start + vm.page_up(nbytes)))  # as far as there are frames
    return result_of(found)


# ------------------------------------------------------------------ munmap, mprotect, brk
@apart
@kernel
def munmap(k: Kernel, start: word, nbytes: word) -> word:
    return result_of(vm.unmap(user_of(k), start, nbytes))


@apart
@kernel
def mprotect(k: Kernel, start: word, nbytes: word, rights: word) -> word:
    directions = rights & (DOWNWARDS | UPWARDS)
    if directions == DOWNWARDS | UPWARDS or start % PAGE_BYTES != 0:
        return -EINVAL
    if nbytes == 0:
        return 0
    end = span_end(start, nbytes)
    if end == start or end == WRAPS:
        return -ENOMEM
    wanted = rights & ~(ATOMIC | DOWNWARDS | UPWARDS)
    if directions == 0 or wanted & ~KNOWN_RIGHTS != 0 or not 0 <= start < vm.USER_END:
        return result_of(vm.protect(user_of(k), start, nbytes, wanted))
    return protect_whole(user_of(k), start, end, wanted, directions)


@kernel
def protect_whole(user: UserSpace, start: word, end: word, rights: word, direction: word) -> word:
    """Give a range that grows rights from where it begins on. None grows upwards."""
    at = vm.find_range_behind(user, VirtAddr(start))
    if at == 0 or Range(user.m, at).start >= (end if direction == DOWNWARDS else start + 1):
        return -ENOMEM
    node = Range(user.m, at)
    if direction == UPWARDS or node.flags & GROWS_DOWN == 0:
        return -EINVAL
    return result_of(vm.protect(user, node.start, end - node.start, rights))


@apart
@kernel
def brk(k: Kernel, wanted: word) -> word:
    user = user_of(k)
    before = user.brk
    nr_pages = (vm.page_up(wanted) - vm.page_up(before)) >> PAGE_SHIFT if 0 < wanted <= vm.USER_END else 0
    if user.new_flags & IS_LOCKED != 0 and nr_pages > 0 and not may_lock_more(k, nr_pages):
        return before
    now = vm.set_break(user, wanted)
    if now > before and user.new_flags & (IS_LOCKED | LOCKS_LATE) == IS_LOCKED:
        vm.populate(user, VirtAddr(before & -PAGE_BYTES), VirtAddr(vm.page_up(now)))
    return now


# ------------------------------------------------------------------ mremap
@apart
@kernel
def mremap(k: Kernel, start: word, nbytes: word, wanted: word, flags: word, place: word) -> word:
    if flags & ~KNOWN_MOVES != 0 or start % PAGE_BYTES != 0:
        return -EINVAL
    old = whole_pages(nbytes)
    new = whole_pages(wanted)
    if new == 0 or new > vm.USER_END:
        return -EINVAL
    if flags & TO_PLACE != 0 and flags & MAY_MOVE == 0:
        return -EINVAL
    if flags & KEEPS_RANGE != 0 and (flags & MAY_MOVE == 0 or old != new):
        return -EINVAL
    if not 0 <= start < vm.USER_END:
        return -EINVAL if flags & (TO_PLACE | KEEPS_RANGE) != 0 and place % PAGE_BYTES != 0 else -EFAULT
    if not may_lock_more(k, nr_more_locked(user_of(k), start, old, new)):
        return -EAGAIN
    return result_of(vm.remap(user_of(k), VirtAddr(start), old, new, flags, place))


@kernel
def nr_more_locked(user: UserSpace, start: word, nbytes: word, wanted: word) -> word:
    """How many more pages are locked when what lies in one range becomes as long as wanted."""
    at = vm.find_range(user, VirtAddr(start))
    if at == 0 or Range(user.m, at).flags & IS_LOCKED == 0 or nbytes > Range(user.m, at).end - start:
        return 0
    return max(wanted - nbytes, 0) >> PAGE_SHIFT


@kernel
def whole_pages(nbytes: word) -> word:
    """An unsigned number of bytes, rounded up to pages; more than all addresses if it is more."""
    if -PAGE_BYTES < nbytes <= 0:
        return 0
    return vm.page_up(nbytes) if 0 < nbytes <= vm.USER_END else vm.USER_END + PAGE_BYTES
