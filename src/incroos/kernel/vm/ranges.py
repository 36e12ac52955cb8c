"""Ranges: what of a user space may be used, and how. They tile without overlap; neighbours that are equal are one.

Unit: the range, a node of the tree (tree.py) from the heap's cache of ranges. Counts pages for the limits, and tells
contents which ranges show them. Knows nothing of page tables but that no large page lies in two ranges. What needs a
node gets it before anything changes (new_node), so that nothing fails half-way.
"""

from typing import Final

from incroos.kernel import heap, pmm, vmm
from incroos.kernel.codes import NO_ROOM, OK
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import (
    EXECUTE,
    IS_LOCKED,
    NEVER_WRITABLE,
    READ,
    WRITE,
    Content,
    Kernel,
    ObjectCache,
    Range,
    UserSpace,
    kernel_of,
)
from incroos.kernel.vm import objects, tree
from incroos.kernel.vm.addresses import LOWEST, USER_END, is_data
from incroos.lang import VirtAddr, kernel, word

# RANGES-1  starts and ends are multiples of a page, within the user's addresses
# RANGES-2  no two neighbours can be merged
# RANGES-3  nr_ranges, nr_pages, nr_data_pages and nr_locked_pages are sums over the ranges

RANGE_ALIGNMENT: Final = 8
ALL_RIGHTS: Final = READ | WRITE | EXECUTE
MEMORY_SHARE: Final = 4  # one part of so many of all memory may be ranges: a program cannot fill the kernel's heap


# ------------------------------------------------------------------ nodes
@kernel
def init(k: Kernel) -> bool:
    """Make the cache of ranges, unless there is no memory."""
    cache = heap.cache_create(k, b'ranges', Range.SIZE, RANGE_ALIGNMENT, VirtAddr(0), VirtAddr(0))
    k.vm.ranges = cache.addr
    k.vm.nr_nodes = 0
    k.vm.most_nodes = pmm.nr_total_frames(k) * PAGE_BYTES // MEMORY_SHARE // Range.SIZE
    return cache.addr != 0


@kernel
def deinit(k: Kernel) -> None:
    """End the cache, of which nobody has a node."""
    heap.cache_destroy(k, ObjectCache(k.m, k.vm.ranges))
    k.vm.ranges = VirtAddr(0)


@kernel
def cache_of(user: UserSpace) -> ObjectCache:
    """The cache of ranges."""
    return ObjectCache(user.m, kernel_of(user.space).vm.ranges)


@kernel
def new_node(user: UserSpace) -> VirtAddr:
    """A node that is in no tree; 0 without memory, or when ranges have their share of it."""
    if user.nodes != 0:
        return take_node(user)
    k = kernel_of(user.space)
    if k.vm.nr_nodes >= k.vm.most_nodes:
        return VirtAddr(0)
    at = heap.cache_alloc(k, cache_of(user))
    k.vm.nr_nodes += at != 0
    return at


@kernel
def take_node(user: UserSpace) -> VirtAddr:
    """One of those that were a spare space's. PRE there is one."""
    at = user.nodes
    user.nodes = Range(user.m, at).right
    return at


@kernel
def new_nodes(user: UserSpace, nr_nodes: word) -> tuple[word, VirtAddr, VirtAddr]:
    """OK and up to two nodes, those that are not wanted 0; or NO_ROOM, and nothing changed."""
    first = new_node(user) if nr_nodes > 0 else VirtAddr(0)
    second = new_node(user) if nr_nodes > 1 else VirtAddr(0)
    if (nr_nodes > 0 and first == 0) or (nr_nodes > 1 and second == 0):
        free_node(user, second)
        free_node(user, first)
        return NO_ROOM, VirtAddr(0), VirtAddr(0)
    return OK, first, second


@kernel
def free_node(user: UserSpace, at: VirtAddr) -> None:
    """Take back a node that is in no tree; 0 is none."""
    k = kernel_of(user.space)
    k.vm.nr_nodes -= at != 0
    heap.cache_free(k, cache_of(user), at)


@kernel
def describe(node: Range, start: VirtAddr, end: VirtAddr, rights: word, flags: word) -> None:
    """Say what a new range is; it has no content."""
    node.start = start
    node.end = end
    node.rights = rights
    node.most_rights = ALL_RIGHTS if flags & NEVER_WRITABLE == 0 else ALL_RIGHTS & ~WRITE
    node.flags = flags
    node.content = VirtAddr(0)
    node.offset = 0


# ------------------------------------------------------------------ counts
@kernel
def nr_pages_of(node: Range) -> word:
    """How many pages a range has."""
    return (node.end - node.start) >> PAGE_SHIFT


@kernel
def count(user: UserSpace, node: Range, nr_pages: word) -> None:
    """So many more pages are in ranges like this one."""
    if nr_pages < 0:
        user.most_pages = max(user.most_pages, user.nr_pages)
    user.nr_pages += nr_pages
    if is_data(node.rights, node.flags):
        user.nr_data_pages += nr_pages
    if node.flags & IS_LOCKED != 0:
        user.nr_locked_pages += nr_pages


@kernel
def show_content(user: UserSpace, node: Range) -> None:
    """A range begins to show its content, if it has one."""
    if node.content != 0:
        objects.add_range(user, Content(user.m, node.content), node)


@kernel
def hide_content(user: UserSpace, node: Range) -> None:
    """It ends to show it. Anonymous memory ends with its last range."""
    if node.content != 0:
        objects.remove_range(kernel_of(user.space), Content(user.m, node.content), node)


@kernel
def add(user: UserSpace, node: Range) -> tuple[VirtAddr, VirtAddr]:
    """Put in a range that overlaps none: those right before it and behind it."""
    before, behind = tree.insert(user, node)
    user.nr_ranges += 1
    count(user, node, nr_pages_of(node))
    show_content(user, node)
    return before, behind


@kernel
def drop(user: UserSpace, node: Range) -> None:
    """Take a range out and free its node."""
    tree.remove(user, node)
    user.nr_ranges -= 1
    count(user, node, -nr_pages_of(node))
    hide_content(user, node)
    free_node(user, node.addr)


@kernel
def resize(user: UserSpace, node: Range, start: VirtAddr, end: VirtAddr) -> None:
    """Let a range begin or end elsewhere."""
    count(user, node, -nr_pages_of(node))
    node.offset += start - node.start if node.content != 0 else 0
    tree.set_bounds(user, node, start, end)
    count(user, node, nr_pages_of(node))


@kernel
def nr_pages_in(user: UserSpace, start: VirtAddr, end: VirtAddr) -> word:
    """How many pages of [start, end) are in ranges."""
    nr_pages = 0
    at = tree.find_behind(user, start)
    while at != 0 and Range(user.m, at).start < end:
        node = Range(user.m, at)
        nr_pages += (min(node.end, end) - max(node.start, start)) >> PAGE_SHIFT
        at = tree.following(user, at)
    return nr_pages


# ------------------------------------------------------------------ cutting
@kernel
def has_middle(user: UserSpace, first: VirtAddr, start: VirtAddr, end: VirtAddr) -> bool:
    """Whether the first range behind start reaches beyond [start, end) at both sides, so that cut needs a node."""
    return first != 0 and Range(user.m, first).start < start and end < Range(user.m, first).end


@kernel
def is_inside(user: UserSpace, va: VirtAddr) -> bool:
    """Whether a range lies on both sides of an address, so that split needs a node."""
    at = tree.find(user, va)
    return at != 0 and Range(user.m, at).start < va


@kernel
def cut(user: UserSpace, first: VirtAddr, start: VirtAddr, end: VirtAddr, spare: VirtAddr) -> None:
    """Let nothing of [start, end) be in a range. PRE first is the first one behind; spare a node if has_middle."""
    at = first
    if has_middle(user, first, start, end):
        split(user, end, spare)
    while at != 0 and Range(user.m, at).start < end:
        node = Range(user.m, at)
        behind = tree.following(user, at)
        if node.start < start:
            resize(user, node, node.start, start)
        elif node.end > end:
            resize(user, node, end, node.end)
        else:
            drop(user, node)
        at = behind


@kernel
def split(user: UserSpace, va: VirtAddr, spare: VirtAddr) -> None:
    """Let a range end and another begin at an address that one range is on both sides of. PRE spare is a node.

    A large page that both would have a part of is large no more.
    """
    if user.space.nr_large != 0:
        vmm.split_large_at(user.space, va)
    node = Range(user.m, tree.find(user, va))
    upper = Range(user.m, spare)
    describe(upper, va, node.end, node.rights, node.flags)
    upper.most_rights = node.most_rights
    upper.content = node.content
    upper.offset = node.offset + (va - node.start) if node.content != 0 else 0
    resize(user, node, node.start, va)
    add(user, upper)


@kernel
def isolate(user: UserSpace, start: VirtAddr, end: VirtAddr) -> word:
    """Let no range lie on both sides of start or of end: OK; NO_ROOM, and nothing has changed."""
    is_low_inside = is_inside(user, start)
    is_high_inside = is_inside(user, end)
    code, first, second = new_nodes(user, is_low_inside + is_high_inside)
    if code != OK:
        return code
    if is_high_inside:
        split(user, end, second if is_low_inside else first)
    if is_low_inside:
        split(user, start, first)
    return OK


@kernel
def change_flags(user: UserSpace, start: VirtAddr, end: VirtAddr, removed: word, added: word) -> word:
    """Give [start, end), a part of one range, other flags: OK or NO_ROOM."""
    node = Range(user.m, tree.find(user, start))
    flags = node.flags & ~removed | added
    if flags == node.flags:
        return OK
    code = isolate(user, start, end)
    if code != OK:
        return code
    node = Range(user.m, tree.find(user, start))
    count(user, node, -nr_pages_of(node))
    node.flags = flags
    count(user, node, nr_pages_of(node))
    user.seen_flags |= added
    merge(user, start, end)
    return OK


# ------------------------------------------------------------------ merging
@kernel
def can_merge(lower: Range, upper: Range) -> bool:
    """Whether two ranges are one."""
    if lower.end != upper.start or lower.rights != upper.rights or lower.most_rights != upper.most_rights:
        return False
    if lower.flags != upper.flags or lower.content != upper.content:
        return False
    return lower.content == 0 or lower.offset + (lower.end - lower.start) == upper.offset


@kernel
def merge_one(user: UserSpace, node: Range, before: VirtAddr, behind: VirtAddr) -> None:
    """Merge a range with its neighbours, where they are one."""
    if before != 0 and can_merge(Range(user.m, before), node):
        merge_two(user, Range(user.m, before), node)
        node = Range(user.m, before)
    if behind != 0 and can_merge(node, Range(user.m, behind)):
        merge_two(user, node, Range(user.m, behind))


@kernel
def merge_two(user: UserSpace, lower: Range, upper: Range) -> None:
    """Let the lower one of two neighbours have both."""
    end = upper.end
    drop(user, upper)
    resize(user, lower, lower.start, end)


@kernel
def merge(user: UserSpace, start: VirtAddr, end: VirtAddr) -> None:
    """Merge what can be in [start, end), and with the neighbours of that."""
    at = tree.find_behind(user, VirtAddr(start - 1))
    while at != 0 and Range(user.m, at).start <= end:
        behind = tree.following(user, at)
        if behind != 0 and can_merge(Range(user.m, at), Range(user.m, behind)):
            merge_two(user, Range(user.m, at), Range(user.m, behind))
        else:
            at = behind


# ------------------------------------------------------------------ the check
@kernel
def check(user: UserSpace) -> word:
    """0, or the number of the first RANGES invariant that does not hold."""
    nr_ranges = 0
    nr_pages = 0
    nr_data_pages = 0
    nr_locked_pages = 0
    at = tree.lowest_under(user, user.root)
    while at != 0:
        node = Range(user.m, at)
        behind = tree.following(user, at)
        if (node.start | node.end) % PAGE_BYTES != 0 or not LOWEST <= node.start < node.end <= USER_END:
            return 1
        if behind != 0 and can_merge(node, Range(user.m, behind)):
            return 2
        nr_ranges += 1
        nr_pages += nr_pages_of(node)
        nr_data_pages += nr_pages_of(node) if is_data(node.rights, node.flags) else 0
        nr_locked_pages += nr_pages_of(node) if node.flags & IS_LOCKED != 0 else 0
        at = behind
    if nr_ranges != user.nr_ranges or nr_pages != user.nr_pages or nr_data_pages != user.nr_data_pages:
        return 3
    return 3 if nr_locked_pages != user.nr_locked_pages else 0
