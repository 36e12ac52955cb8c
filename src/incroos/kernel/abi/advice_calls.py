"""Calls that say or ask something about memory that is mapped: madvise, msync, mincore."""

from typing import Final

from incroos.kernel import vm, vmm
from incroos.kernel.abi.arguments import MOST_WORD, half, user_of
from incroos.kernel.abi.errno import EFAULT, EINVAL, ENOMEM
from incroos.kernel.arch.x86 import FAULT_USER, FAULT_WRITE
from incroos.kernel.codes import FAULT_NO_RIGHT, NO_FRAME
from incroos.kernel.files.reading import PIECE_BYTES
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Kernel, Range, UserSpace
from incroos.kernel.vm.pages import clear
from incroos.lang import VirtAddr, apart, fill, kernel, store8, word

# Advice
DONT_NEED: Final = 4
FREE: Final = 8
REMOVE: Final = 9
POPULATE_READ: Final = 22
POPULATE_WRITE: Final = 23
LAST_ADVICE: Final = 25
WRITE_FAULT: Final = FAULT_USER | FAULT_WRITE


@apart
@kernel
def madvise(k: Kernel, start: word, nbytes: word, advice: word) -> word:
    wanted = half(advice)
    if wanted > LAST_ADVICE or 5 <= wanted <= 7 or wanted == REMOVE:
        return -EINVAL
    if start % PAGE_BYTES != 0 or nbytes < 0 or nbytes > MOST_WORD - PAGE_BYTES:
        return -EINVAL
    if nbytes == 0:
        return 0
    if not vm.is_user(start, nbytes):
        return -ENOMEM
    end = vm.page_up(start + nbytes)
    if wanted == POPULATE_READ or wanted == POPULATE_WRITE:
        return bring_pages(user_of(k), start, end, WRITE_FAULT if wanted == POPULATE_WRITE else FAULT_USER)
    if wanted == DONT_NEED or wanted == FREE:
        drop_pages(k, start, end)
    return 0 if is_covered(user_of(k), start, end) else -ENOMEM


@kernel
def bring_pages(user: UserSpace, start: word, end: word, error: word) -> word:
    """Touch all pages: 0; -ENOMEM without a frame or in a hole, -EINVAL without the right, -EFAULT behind a file."""
    if not is_covered(user, start, end):
        return -ENOMEM
    at = start
    while at < end:
        code = vm.fault(user, VirtAddr(at), error)
        if code != 0:
            return bring_error(code)
        at += PAGE_BYTES
    return 0


@kernel
def bring_error(code: word) -> word:
    """Linux's error, negative, for a page that vm did not bring."""
    if code == NO_FRAME:
        return -ENOMEM
    return -EINVAL if code == FAULT_NO_RIGHT else -EFAULT


@kernel
def drop_pages(k: Kernel, start: word, end: word) -> None:
    """Let the pages be as they were when they were mapped: zeros, or the file's."""
    user = user_of(k)
    at = vm.find_range_behind(user, VirtAddr(start))
    while at != 0 and Range(k.m, at).start < end:
        found = Range(k.m, at)
        clear(user, VirtAddr(max(found.start, start)), VirtAddr(min(found.end, end)))
        at = vm.next_range(user, at)


@kernel
def is_covered(user: UserSpace, start: word, end: word) -> bool:
    """Is all of [start, end) in ranges?"""
    done = start
    at = vm.find_range(user, VirtAddr(start))
    while at != 0 and done < end and Range(user.m, at).start <= done:
        done = Range(user.m, at).end
        at = vm.next_range(user, at)
    return done >= end


@apart
@kernel
def msync(k: Kernel, start: word, nbytes: word, flags: word) -> word:
    if start % PAGE_BYTES != 0 or half(flags) & ~7 != 0 or half(flags) & 5 == 5:
        return -EINVAL
    if not vm.is_user(start, nbytes):
        return -ENOMEM
    end = vm.page_up(start + nbytes)
    return 0 if is_covered(user_of(k), start, end) else -ENOMEM


@apart
@kernel
def mincore(k: Kernel, start: word, nbytes: word, to: word) -> word:
    if start % PAGE_BYTES != 0:
        return -EINVAL
    if not vm.is_user(start, nbytes) or not is_covered(user_of(k), start, start + nbytes):
        return -ENOMEM
    nr_pages = vm.page_up(nbytes) // PAGE_BYTES
    if not vm.is_user(to, nr_pages):
        return -EFAULT
    done = 0
    while done < nr_pages:
        part = min(PIECE_BYTES, nr_pages - done)
        note_pages(k, VirtAddr(start + done * PAGE_BYTES), part)
        if vm.copy_out(user_of(k), to + done, k.files.piece, part) != 0:
            return -EFAULT
        done += part
    return 0


@kernel
def note_pages(k: Kernel, start: VirtAddr, nr_pages: word) -> None:
    """Put a byte for each page into the kernel's buffer: 1 where one is there. Pages that are not cost next to none."""
    space = user_of(k).space
    end = VirtAddr(start + nr_pages * PAGE_BYTES)
    fill(k.m, k.files.piece, 0, nr_pages)
    page, _entry = vmm.next_leaf_in(space, start, end)
    while page < end:
        store8(k.m, VirtAddr(k.files.piece + (page - start) // PAGE_BYTES), 1)
        page, _entry = vmm.next_leaf_in(space, VirtAddr(page + PAGE_BYTES), end)
