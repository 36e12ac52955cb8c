"""fork: a space like another one. Ranges are copied, pages are borrowed by both until one of them writes.

Unit: the space. What fails gives back all that it took, and the parent is as before; but pages that it would have
shared may be borrowed by it alone then, so that its next write to each is a fault (copy on write, last owner). Shared
memory stays shared: the child has the range, and faults its pages in as others do. Locks are the parent's own; what
madvise says of children is obeyed.
"""

from typing import Final

from incroos.kernel import pmm, vmm
from incroos.kernel.arch.pte import ADDRESS
from incroos.kernel.codes import OK
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import IS_LOCKED, LOCKS_LATE, NOT_IN_CHILD, WRITE, Kernel, Range, UserSpace
from incroos.kernel.vm import families, pages, ranges, spaces, tree
from incroos.kernel.vm.addresses import LOWEST, USER_END
from incroos.kernel.vmm.tlb import flush_all
from incroos.lang import PhysAddr, VirtAddr, copy, kernel, word

PARTED: Final = vmm.BORROWED | vmm.UNCOUNTED | vmm.HELD


@kernel
def fork(k: Kernel, user: UserSpace) -> VirtAddr:
    """A space with the same ranges, limits and bytes: a UserSpace's address; 0 when there is no memory for it."""
    at = try_fork(k, user)
    return at if at != 0 or spaces.give_up_pages(k) == 0 else try_fork(k, user)


@kernel
def try_fork(k: Kernel, user: UserSpace) -> VirtAddr:
    """The same with the frames that are free."""
    at = spaces.new_space(k)
    if at == 0:
        return at
    child = UserSpace(k.m, at)
    families.join(user, child)
    copy_numbers(user, child)
    is_whole = copy_ranges(user, child)
    if is_whole:
        is_whole = share_pages(user, child) == OK
    if not is_whole:
        spaces.destroy(child)
        return VirtAddr(0)
    if user.seen_flags & (IS_LOCKED | NOT_IN_CHILD) != 0:
        settle_ranges(child)
    return at


@kernel
def copy_numbers(user: UserSpace, child: UserSpace) -> None:
    """Let the child have the limits, the break, and the counts of the ranges that it is to have."""
    child.nr_ranges = user.nr_ranges
    child.nr_pages = user.nr_pages
    child.nr_data_pages = user.nr_data_pages
    child.brk_start = user.brk_start
    child.brk = user.brk
    child.data_bytes = user.data_bytes
    child.limit_address_space = user.limit_address_space
    child.limit_data = user.limit_data
    child.limit_stack = user.limit_stack
    child.seen_flags = user.seen_flags
    child.has_no_large = user.has_no_large


# ------------------------------------------------------------------ ranges
@kernel
def copy_ranges(user: UserSpace, child: UserSpace) -> bool:
    """Let the child have a tree of the same shape, unless there is no memory for it; then a part of that.

    Goes through both trees at once: down to where the child has no node yet, up where it has all.
    """
    if user.root == 0:
        return True
    at = user.root
    here = copy_node(user, child, at, VirtAddr(0))
    child.root = here
    while here != 0:
        node = Range(user.m, at)
        twin = Range(user.m, here)
        if node.left != 0 and twin.left == 0:
            at = node.left
            here = copy_node(user, child, at, here)
            twin.left = here
        elif node.right != 0 and twin.right == 0:
            at = node.right
            here = copy_node(user, child, at, here)
            twin.right = here
        elif node.parent == 0:
            return True
        else:
            at = node.parent
            here = twin.parent
    return False


@kernel
def copy_node(user: UserSpace, child: UserSpace, at: VirtAddr, parent: VirtAddr) -> VirtAddr:
    """A copy of a range for the child, without children yet; 0 without memory."""
    made = ranges.new_node(child)
    if made != 0:
        copy(user.m, made, at, Range.SIZE)
        twin = Range(user.m, made)
        twin.left = VirtAddr(0)
        twin.right = VirtAddr(0)
        twin.parent = parent
        twin.flags &= ~(IS_LOCKED | LOCKS_LATE)
        ranges.show_content(child, twin)
    return made


@kernel
def settle_ranges(child: UserSpace) -> None:
    """Take out what no child has, and merge what differed from its neighbour by a lock alone."""
    at = tree.lowest_under(child, child.root)
    while at != 0:
        node = Range(child.m, at)
        at = tree.following(child, at)
        if node.flags & NOT_IN_CHILD != 0:
            ranges.drop(child, node)
    ranges.merge(child, LOWEST, USER_END)


# ------------------------------------------------------------------ pages
@kernel
def share_pages(user: UserSpace, child: UserSpace) -> word:
    """Let both spaces borrow all pages of private ranges, but those that advice excludes: OK or NO_FRAME."""
    code = OK
    lost = 0
    at = tree.lowest_under(user, user.root)
    while at != 0 and code == OK:
        node = Range(user.m, at)
        end, at = tree.span_from(user, node)
        if node.flags & tree.NOT_BORROWED == 0:
            code, nr_counted, bits = vmm.share_in(user.space, child.space, node.start, end)
            child.nr_resident += nr_counted
            lost |= bits
    if lost != 0:
        flush_all(user.space, 0)
    return code


@kernel
def part(k: Kernel, user: UserSpace, child: UserSpace, va: VirtAddr) -> None:
    """Let the page at va be each one's own at once, if both would only borrow it: both are about to write it.

    Without a frame for the copy it stays as it is.
    """
    page = VirtAddr(va & -PAGE_BYTES)
    entry = vmm.leaf_in(user.space, page)
    at = tree.find(user, page)
    if at == 0 or Range(user.m, at).rights & WRITE == 0 or entry & PARTED != vmm.BORROWED:
        return
    frame = pmm.take_frame(k)
    if frame < 0:
        return
    borrowed = PhysAddr(entry & ADDRESS)
    copy(k.m, pmm.address_of(k, frame), pmm.address_of(k, borrowed), PAGE_BYTES)
    pages.part(user, child, page, frame, Range(user.m, at).rights)
