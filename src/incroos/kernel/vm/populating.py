"""Bringing pages before anybody touches them: MAP_POPULATE, mlock, and the advice to do so.

Unit: the page. All is done by the fault function, as if a program touched each page.
"""

from incroos.kernel import vmm
from incroos.kernel.arch.x86 import FAULT_USER, FAULT_WRITE
from incroos.kernel.codes import FAULT_NO_RIGHT, NOT_COVERED, OK
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import IS_SHARED, LOCKS_LATE, READ, WRITE, Range, UserSpace
from incroos.kernel.vm import tree
from incroos.kernel.vm.fault import fault
from incroos.lang import VirtAddr, kernel, word


@kernel
def populate(user: UserSpace, start: VirtAddr, end: VirtAddr) -> word:
    """Bring the pages of all ranges in [start, end) but those that lock late: OK, or the code of the first that fails.

    Private pages that can be written are the program's own then. What is in no range is passed over.
    """
    at = tree.find_behind(user, start)
    while at != 0 and Range(user.m, at).start < end:
        node = Range(user.m, at)
        if node.flags & LOCKS_LATE == 0:
            code = bring(user, VirtAddr(max(node.start, start)), VirtAddr(min(node.end, end)), error_of(node))
            if code != OK:
                return code
        at = tree.following(user, at)
    return OK


@kernel
def populate_all(user: UserSpace) -> None:
    """The same of all ranges, as far as it can be."""
    at = tree.lowest_under(user, user.root)
    while at != 0:
        node = Range(user.m, at)
        populate(user, node.start, node.end)
        at = tree.following(user, at)


@kernel
def error_of(node: Range) -> word:
    """The kind of access by which pages of a range come."""
    return FAULT_USER | FAULT_WRITE if node.rights & WRITE != 0 and node.flags & IS_SHARED == 0 else FAULT_USER


@kernel
def bring(user: UserSpace, start: VirtAddr, end: VirtAddr, error: word) -> word:
    """Let the access be possible to all pages of [start, end): OK, or the code of fault for the first that fails."""
    page = start
    while page < end:
        entry = vmm.leaf_in(user.space, page)
        if entry & vmm.USER == 0 or (error & FAULT_WRITE != 0 and entry & vmm.WRITABLE == 0):
            code = fault(user, page, error)
            if code != OK:
                return code
        has_large = user.space.nr_large != 0
        page = vmm.behind_page_in(user.space, page) if has_large else VirtAddr(page + PAGE_BYTES)
    return OK


@kernel
def bring_covered(user: UserSpace, start: VirtAddr, end: VirtAddr, error: word) -> word:
    """The same up to the first page that is in no range: NOT_COVERED then."""
    done = start
    at = tree.find(user, start)
    while at != 0 and done < end and Range(user.m, at).start <= done:
        if error & FAULT_WRITE == 0 and Range(user.m, at).rights & READ == 0:
            return FAULT_NO_RIGHT  # also where the processor would let it be read, since it may be written
        upto = VirtAddr(min(Range(user.m, at).end, end))
        code = bring(user, done, upto, error)
        if code != OK:
            return code
        done = upto
        at = tree.following(user, at)
    return OK if done >= end else NOT_COVERED
