"""Contents of files: what they hold, and how much of the memory all of them may have.

    of the archive   the bytes lie in it; a page that is written or mapped gets a frame with its bytes
    all others       pages with frames, as far as they were written; holes have none, and read as zeros

Unit: the byte. The page is vm's (objects.py), so that mappings and files see the same. Frames of written pages
may have a share of the memory, and leave a reserve: so a program that writes for ever gets NO_SPACE, and the others go
on. What a program writes through a mapping counts, but is not refused here.
"""

from typing import Final

from incroos.kernel import pmm, vm
from incroos.kernel.codes import BAD_POINTER, FILE_TOO_LARGE, NO_SPACE, NOT_ALLOWED, OK, OVER_LIMIT
from incroos.kernel.files import nodes, seals, times
from incroos.kernel.files.bytes import take_some
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import NO_LIMIT, Content, Kernel, Node, Task, UserSpace
from incroos.lang import VirtAddr, kernel, word

SHARE: Final = 2  # of the RAM, at most, is in contents
RESERVE: Final = 16  # of it is left for others
MOST_BYTES: Final = 1 << 40
MOST_WORD: Final = (1 << 63) - 1
SIZE_LIMIT: Final = 2  # index in Task.limits


@kernel
def most_content_bytes(k: Kernel) -> word:
    """How many bytes all contents may have together."""
    return pmm.nr_total_frames(k) * PAGE_BYTES // SHARE


@kernel
def free_content_bytes(k: Kernel) -> word:
    """How many more they may have now."""
    left = most_content_bytes(k) - k.files.nr_content_bytes - k.vm.nr_changed * PAGE_BYTES
    reserve = pmm.nr_total_frames(k) // RESERVE
    return max(min(left, (pmm.nr_free_frames(k) - reserve) * PAGE_BYTES), 0)


@kernel
def has_space(k: Kernel, nbytes: word) -> bool:
    """Whether they may have so many more, perhaps after files have gone that nobody uses."""
    if free_content_bytes(k) >= nbytes:
        return True
    nodes.sweep(k)
    vm.give_up_pages(k)
    return free_content_bytes(k) >= nbytes


@kernel
def page_to_write(k: Kernel, content: Content, index: word) -> VirtAddr:
    """Where the bytes of a page are written, in a frame; 0: no space."""
    if not vm.is_page_changed(content, index) and not has_space(k, PAGE_BYTES):
        return VirtAddr(0)
    return vm.page_to_write(k, content, index)


@kernel
def size_limit(k: Kernel) -> word:
    """How many bytes a file may get by the task that runs."""
    limit = Task(k.m, k.tasks.current).limits[SIZE_LIMIT] if k.tasks.current != 0 else NO_LIMIT
    return limit if limit >= 0 else MOST_WORD


@kernel
def may_grow(k: Kernel, node: Node, nbytes: word) -> word:
    """Whether a file may get so many bytes: OK; OVER_LIMIT, FILE_TOO_LARGE."""
    if nbytes > node.content.nbytes and nbytes > size_limit(k):
        return OVER_LIMIT
    return OK if nbytes <= MOST_BYTES else FILE_TOO_LARGE


# ------------------------------------------------------------------ changes
@kernel
def write(k: Kernel, user: UserSpace, node: Node, source: word, nbytes: word, position: word) -> word:
    """Write a caller's bytes at a position: how many. If none: OVER_LIMIT, FILE_TOO_LARGE, or as write_in_page."""
    if nbytes == 0:
        return 0
    limit = size_limit(k)
    if position >= min(limit, MOST_BYTES):
        return OVER_LIMIT if position >= limit else FILE_TOO_LARGE
    wanted = min(nbytes, min(limit, MOST_BYTES) - position)
    if position > node.content.nbytes:
        vm.clear_behind_end(k, node.content)
    done = 0
    code = OK
    while done < wanted and code == OK:
        part = min(wanted - done, PAGE_BYTES - ((position + done) & (PAGE_BYTES - 1)))
        nr_written = write_in_page(k, user, node, source + done, part, position + done)
        done += max(nr_written, 0)
        if nr_written < part:
            code = nr_written if nr_written < 0 else BAD_POINTER
    if done == 0:
        return code
    times.touch(k, node)
    return done


@kernel
def write_in_page(k: Kernel, user: UserSpace, node: Node, source: word, nbytes: word, position: word) -> word:
    """Write bytes that lie in one page: how many, fewer before a bad pointer. NO_SPACE, BAD_POINTER, NOT_ALLOWED."""
    if not seals.may_write(node, position + nbytes):
        return NOT_ALLOWED
    at = page_to_write(k, node.content, position >> PAGE_SHIFT)
    if at == 0:
        return NO_SPACE
    done = take_some(user, VirtAddr(at + (position & (PAGE_BYTES - 1))), source, nbytes)
    if done > 0:
        k.files.is_changed = 1
        node.content.nbytes = max(node.content.nbytes, position + done)
        return done
    if position & -PAGE_BYTES >= node.content.nbytes:
        vm.free_content_pages(k, node.content, position >> PAGE_SHIFT)
    return BAD_POINTER


@kernel
def resize(k: Kernel, node: Node, nbytes: word) -> word:
    """Cut a file off, or let it end with zeros: OK; as may_grow, NOT_ALLOWED, and nothing has changed."""
    code = may_grow(k, node, nbytes)
    if code != OK:
        return code
    if not seals.may_resize(node, nbytes):
        return NOT_ALLOWED
    k.files.is_changed = 1
    vm.resize_content(k, node.content, nbytes)
    times.touch(k, node)
    return OK


@kernel
def reserve(k: Kernel, node: Node, start: word, end: word) -> word:
    """Let all pages of [start, end) have frames: OK; as may_grow, NOT_ALLOWED; NO_SPACE, and no byte has changed."""
    code = may_grow(k, node, end)
    if code != OK:
        return code
    if not seals.may_resize(node, max(end, node.content.nbytes)):
        return NOT_ALLOWED
    first = start >> PAGE_SHIFT
    last = vm.page_up(end) >> PAGE_SHIFT
    if not has_space(k, (last - first - node.content.nr_changed) * PAGE_BYTES):
        return NO_SPACE
    k.files.is_changed = 1
    for index in range(first, last):
        if page_to_write(k, node.content, index) == 0:
            return NO_SPACE
    return OK


@kernel
def clear(k: Kernel, node: Node, start: word, end: word) -> word:
    """Let [start, end) read as zeros, and have no memory where it can: OK, NO_SPACE, NOT_ALLOWED."""
    if node.seals & seals.NO_WRITE != 0:
        return NOT_ALLOWED
    k.files.is_changed = 1
    if vm.punch_content(k, node.content, start, end) != OK:
        return NO_SPACE
    times.touch(k, node)
    return OK
