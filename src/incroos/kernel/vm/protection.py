"""mprotect, by Linux's rules: what comes before a hole, or before a range that may not have the rights, is changed.

Unit: the range of pages; lengths are rounded up.
"""

from incroos.kernel.codes import BAD_RANGE, NO_ACCESS, NO_ROOM, NOT_COVERED, OK
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import IS_LOCKED, IS_SHARED, LOCKS_LATE, WRITE, Range, UserSpace
from incroos.kernel.vm import pages, ranges, tree
from incroos.kernel.vm.addresses import USER_END, end_of, is_data, is_within
from incroos.kernel.vm.populating import populate
from incroos.lang import VirtAddr, kernel, word


@kernel
def protect(user: UserSpace, start: word, nbytes: word, rights: word) -> word:
    """Give [start, start + nbytes) these rights: OK, also for 0 bytes of whatever rights.

    BAD_RANGE, and NO_ROOM without memory for ranges: nothing has changed. NOT_COVERED from where on a part is in no
    range, NO_ACCESS from the first range that may not have the rights, NO_ROOM from the limit of data on: what comes
    before has them.
    """
    if start % PAGE_BYTES != 0:
        return BAD_RANGE
    if nbytes == 0:
        return OK
    if rights & ~ranges.ALL_RIGHTS != 0:
        return BAD_RANGE
    if not 0 <= start < USER_END:
        return NOT_COVERED
    code, stop = find_stop(user, VirtAddr(start), end_of(start, nbytes), rights)
    if stop == start:
        return code
    its_code = ranges.isolate(user, VirtAddr(start), stop)
    if its_code != OK:
        return its_code
    change_rights(user, VirtAddr(start), stop, rights)
    return code


@kernel
def find_stop(user: UserSpace, start: VirtAddr, end: VirtAddr, rights: word) -> tuple[word, VirtAddr]:
    """What stops: OK, or a code of protect; and up to where [start, end) is in ranges that may have the rights."""
    nr_new_data = 0
    done = start
    at = tree.find(user, start)
    while at != 0 and done < end:
        node = Range(user.m, at)
        if node.start > done:
            return NOT_COVERED, done
        if rights & ~node.most_rights != 0:
            return NO_ACCESS, done
        upto = VirtAddr(min(node.end, end))
        if is_data(rights, node.flags) and not is_data(node.rights, node.flags):
            nr_new_data += (upto - done) >> PAGE_SHIFT
            if not is_within(user.nr_data_pages + nr_new_data, user.limit_data):
                return NO_ROOM, done
        done = upto
        at = tree.following(user, at)
    return NOT_COVERED if done < end else OK, done


@kernel
def is_locked_and_read(node: Range) -> bool:
    """Whether a range is locked, and its pages are the program's own as soon as they may be written."""
    return node.flags & (IS_LOCKED | LOCKS_LATE | IS_SHARED) == IS_LOCKED and node.rights & WRITE == 0


@kernel
def change_rights(user: UserSpace, start: VirtAddr, end: VirtAddr, rights: word) -> None:
    """Give whole ranges other rights, pages and all. Locked pages that may be written now are brought, as on Linux."""
    at = tree.find(user, start)
    while at != 0 and Range(user.m, at).start < end:
        node = Range(user.m, at)
        is_brought = rights & WRITE != 0 and is_locked_and_read(node)
        ranges.count(user, node, -ranges.nr_pages_of(node))
        node.rights = rights
        ranges.count(user, node, ranges.nr_pages_of(node))
        if is_brought:
            pages.protect(user, node.start, node.end, rights)
            populate(user, node.start, node.end)
        at = tree.following(user, at)
    pages.protect(user, start, end, rights)
    ranges.merge(user, start, end)
