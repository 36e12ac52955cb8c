"""fork: a space like another one, with its ranges and with its pages.

Unit: the space. Each page that is there is copied.
"""

from incroos.kernel import pmm, vmm
from incroos.kernel.arch.pte import ADDRESS
from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Kernel, Range, UserSpace, kernel_of
from incroos.kernel.vm import pages, ranges, spaces, tree
from incroos.lang import PhysAddr, VirtAddr, copy, kernel, word


@kernel
def fork(k: Kernel, user: UserSpace) -> VirtAddr:
    """A space with the same ranges, limits and bytes: a UserSpace's address; 0 when there is no memory for it."""
    at = spaces.create(k)
    if at == 0:
        return at
    child = UserSpace(k.m, at)
    copy_numbers(user, child)
    if not copy_ranges(user, child):
        spaces.destroy(child)
        return VirtAddr(0)
    return at


@kernel
def copy_numbers(user: UserSpace, child: UserSpace) -> None:
    """Let the child have the limits and the break."""
    child.brk_start = user.brk_start
    child.brk = user.brk
    child.data_bytes = user.data_bytes
    child.limit_address_space = user.limit_address_space
    child.limit_data = user.limit_data
    child.limit_stack = user.limit_stack


@kernel
def copy_ranges(user: UserSpace, child: UserSpace) -> bool:
    """Let the child have all ranges and their pages, unless there is no memory for them."""
    at = tree.lowest_under(user, user.root)
    while at != 0:
        found = Range(user.m, at)
        made = ranges.new_node(child)
        if made == 0:
            return False
        node = Range(user.m, made)
        ranges.describe(node, found.start, found.end, found.rights, found.flags)
        node.most_rights = found.most_rights
        node.content = found.content
        node.offset = found.offset
        ranges.add(child, node)
        if not copy_pages(user, child, node):
            return False
        at = tree.following(user, at)
    return True


@kernel
def copy_pages(user: UserSpace, child: UserSpace, node: Range) -> bool:
    """Let the child have copies of a range's pages."""
    page, entry = vmm.next_leaf_in(user.space, node.start, node.end)
    while page < node.end:
        if copy_page(child, page, entry, node.rights) != OK:
            return False
        page, entry = vmm.next_leaf_in(user.space, VirtAddr(page + PAGE_BYTES), node.end)
    return True


@kernel
def copy_page(child: UserSpace, page: VirtAddr, entry: word, rights: word) -> word:
    """Let the child have a copy of a page: OK or NO_FRAME."""
    if entry & vmm.UNCOUNTED != 0:
        return pages.put_zero_page(child, page, rights)
    k = kernel_of(child.space)
    frame = pmm.take_frame(k)
    if frame < 0:
        return NO_FRAME
    copy(k.m, pmm.address_of(k, frame), pmm.address_of(k, PhysAddr(entry & ADDRESS)), PAGE_BYTES)
    return pages.put_frame(child, page, frame, rights)
