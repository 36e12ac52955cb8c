"""Calls that say or ask something about memory that is mapped: madvise, msync, mincore."""

from typing import Final

from incroos.kernel import vm, vmm
from incroos.kernel.abi.arguments import WRAPS, half, int_of, span_end, user_of
from incroos.kernel.abi.errno import EAGAIN, EBUSY, EFAULT, EINVAL, ENOMEM, result_of
from incroos.kernel.arch.x86 import FAULT_USER, FAULT_WRITE
from incroos.kernel.codes import FAULT_NO_RIGHT, NO_FRAME, NO_ROOM, NOT_COVERED, OK
from incroos.kernel.files.reading import PIECE_BYTES
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import IS_LOCKED, Content, Kernel, Range
from incroos.kernel.vm.page_tree import frame_at
from incroos.lang import VirtAddr, apart, fill, kernel, store8, word

POPULATE_READ: Final = 22  # advice that is done by faults
POPULATE_WRITE: Final = 23
ASYNC: Final = 1  # flags of msync
INVALIDATE: Final = 2
SYNC: Final = 4


# ------------------------------------------------------------------ madvise
@apart
@kernel
def madvise(k: Kernel, start: word, nbytes: word, advice: word) -> word:
    wanted = int_of(advice)
    if not vm.is_advice(wanted) and wanted != POPULATE_READ and wanted != POPULATE_WRITE:
        return -EINVAL
    if start % PAGE_BYTES != 0:
        return -EINVAL
    end = span_end(start, nbytes)
    if end == WRAPS or (end == start and nbytes != 0):
        return -EINVAL
    if end == start:
        return 0
    if not 0 <= start < vm.USER_END:
        return -ENOMEM
    if wanted == POPULATE_READ or wanted == POPULATE_WRITE:
        error = FAULT_USER | FAULT_WRITE if wanted == POPULATE_WRITE else FAULT_USER
        return -bring_error(vm.bring_covered(user_of(k), VirtAddr(start), VirtAddr(end), error))
    code = vm.advise(user_of(k), VirtAddr(start), VirtAddr(end), wanted)
    return -EAGAIN if code == NO_ROOM or code == NO_FRAME else result_of(code)


@kernel
def bring_error(code: word) -> word:
    """Linux's error for a page that vm did not bring; 0 for OK."""
    if code == OK or code == NO_FRAME or code == NOT_COVERED:
        return 0 if code == OK else ENOMEM
    return EINVAL if code == FAULT_NO_RIGHT else EFAULT


# ------------------------------------------------------------------ msync
@apart
@kernel
def msync(k: Kernel, start: word, nbytes: word, flags: word) -> word:
    wanted = half(flags)
    if wanted & ~(ASYNC | INVALIDATE | SYNC) != 0 or start % PAGE_BYTES != 0 or wanted & (ASYNC | SYNC) == ASYNC | SYNC:
        return -EINVAL
    end = span_end(start, nbytes)
    if end == start:
        return 0
    if end == WRAPS or not 0 <= start < vm.USER_END:
        return -ENOMEM
    code = 0
    done = start
    at = vm.find_range_behind(user_of(k), VirtAddr(start))
    while at != 0 and done < end and Range(k.m, at).start < end:
        node = Range(k.m, at)
        if node.start > done:
            code = -ENOMEM
            if wanted == ASYNC:
                return code
        if wanted & INVALIDATE != 0 and node.flags & IS_LOCKED != 0:
            return -EBUSY
        done = node.end
        at = vm.next_range(user_of(k), at)
    return code if done >= end else -ENOMEM


# ------------------------------------------------------------------ mincore
@apart
@kernel
def mincore(k: Kernel, start: word, nbytes: word, to: word) -> word:
    if start % PAGE_BYTES != 0:
        return -EINVAL
    if not vm.is_user(start, nbytes):
        return -ENOMEM
    nr_pages = vm.page_up(nbytes) >> PAGE_SHIFT
    if not vm.is_user(to, nr_pages):
        return -EFAULT
    done = 0
    while done < nr_pages:
        page = VirtAddr(start + (done << PAGE_SHIFT))
        at = vm.find_range(user_of(k), page)
        if at == 0:
            return -ENOMEM
        part = min(min(PIECE_BYTES, nr_pages - done), (Range(k.m, at).end - page) >> PAGE_SHIFT)
        note_pages(k, page, part)
        if Range(k.m, at).content != 0:
            note_objects_pages(k, Range(k.m, at), page, part)
        if vm.copy_out(user_of(k), to + done, k.files.piece, part) != 0:
            return -EFAULT
        done += part
    return 0


@kernel
def note_objects_pages(k: Kernel, node: Range, start: VirtAddr, nr_pages: word) -> None:
    """Add those that a content has: of anonymous memory what was touched, of a file all."""
    content = Content(k.m, node.content)
    for index in range(nr_pages):
        offset = node.offset + (start - node.start) + (index << PAGE_SHIFT)
        is_files = content.is_anonymous == 0 and offset < content.nbytes
        if is_files or frame_at(content, offset >> PAGE_SHIFT) != 0:
            store8(k.m, VirtAddr(k.files.piece + index), 1)


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
