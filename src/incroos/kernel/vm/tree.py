"""The tree of a space's ranges: balanced (AVL) in the order of addresses, its nodes the ranges themselves.

Unit: the range, named by its address in the kernel's heap; 0 is none. Each node knows the gap right before it and the
largest gap of its subtree, so that the highest gap of a length is found on the way down. A gap ends 1 MiB before a
range that grows down. No recursion: nodes have links to their parents.

Owns links, heights and gaps; start and end change through set_bounds alone. Knows nothing of rights, pages or counts.
"""

# TREE-1  links to parents and children agree, in the order of addresses, and ranges do not overlap
# TREE-2  height == 1 + the larger height of the children, and those differ by at most 1
# TREE-3  gap and largest_gap are what the ranges say

from typing import Final

from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import EMPTY_IN_CHILD, GROWS_DOWN, IS_SHARED, NOT_IN_CHILD, Range, UserSpace
from incroos.kernel.vm.addresses import LOWEST, STACK_GAP
from incroos.lang import VirtAddr, kernel, word

NO_RANGE: Final = VirtAddr(0)
NOT_BORROWED: Final = IS_SHARED | NOT_IN_CHILD | EMPTY_IN_CHILD  # a child gets no page of such a range at fork
NEAR_BYTES: Final = 64 * PAGE_BYTES  # ranges so close to each other are gone through as one


# ------------------------------------------------------------------ finding
@kernel
def find(user: UserSpace, va: VirtAddr) -> VirtAddr:
    """The range that the address lies in."""
    at = user.root
    while at != 0:
        node = Range(user.m, at)
        if va < node.start:
            at = node.left
        elif va >= node.end:
            at = node.right
        else:
            return at
    return NO_RANGE


@kernel
def find_behind(user: UserSpace, va: VirtAddr) -> VirtAddr:
    """The first range that ends behind the address: the one that it lies in, or the next one."""
    at = user.root
    found = NO_RANGE
    while at != 0:
        node = Range(user.m, at)
        if va < node.end:
            found = at
            at = node.left
        else:
            at = node.right
    return found


@kernel
def lowest_under(user: UserSpace, top: VirtAddr) -> VirtAddr:
    """The first range of a subtree; none in an empty one."""
    at = top
    while at != 0 and Range(user.m, at).left != 0:
        at = Range(user.m, at).left
    return at


@kernel
def highest_under(user: UserSpace, top: VirtAddr) -> VirtAddr:
    """The last range of a subtree; none in an empty one."""
    at = top
    while at != 0 and Range(user.m, at).right != 0:
        at = Range(user.m, at).right
    return at


@kernel
def following(user: UserSpace, before: VirtAddr) -> VirtAddr:
    """The range behind one."""
    if Range(user.m, before).right != 0:
        return lowest_under(user, Range(user.m, before).right)
    at = before
    parent = Range(user.m, at).parent
    while parent != 0 and Range(user.m, parent).right == at:
        at = parent
        parent = Range(user.m, at).parent
    return parent


@kernel
def preceding(user: UserSpace, behind: VirtAddr) -> VirtAddr:
    """The range before one."""
    if Range(user.m, behind).left != 0:
        return highest_under(user, Range(user.m, behind).left)
    at = behind
    parent = Range(user.m, at).parent
    while parent != 0 and Range(user.m, parent).left == at:
        at = parent
        parent = Range(user.m, at).parent
    return parent


# ------------------------------------------------------------------ gaps
@kernel
def bound_of(node: Range) -> word:
    """Where the gap before a range ends."""
    return node.start - STACK_GAP if node.flags & GROWS_DOWN != 0 else node.start


@kernel
def gap_before(user: UserSpace, node: Range) -> word:
    """How many bytes are nobody's right before a range."""
    before = preceding(user, node.addr)
    return gap_from(Range(user.m, before).end if before != 0 else LOWEST, node)


@kernel
def gap_from(start: VirtAddr, node: Range) -> word:
    """The same, where what is nobody's begins at an address."""
    return max(bound_of(node) - start, 0)


@kernel
def find_gap(user: UserSpace, nbytes: word, end: VirtAddr) -> VirtAddr:
    """The highest address below end at which so many bytes are nobody's; 0: there is none."""
    at = find_behind(user, VirtAddr(end - 1))
    if at != 0 and Range(user.m, at).start < end:
        at = following(user, at)  # the range that end lies in: the gap before that is met in its turn
    high = end
    start = highest_end(user) if at == 0 else VirtAddr(bound_of(Range(user.m, at)) - Range(user.m, at).gap)
    if at != 0:
        high = VirtAddr(min(end, bound_of(Range(user.m, at))))
    if high - start >= nbytes:
        return VirtAddr(high - nbytes)
    at = with_gap_before(user, at, nbytes) if at != 0 else last_with_gap(user, user.root, nbytes)
    return VirtAddr(bound_of(Range(user.m, at)) - nbytes) if at != 0 else NO_RANGE


@kernel
def highest_end(user: UserSpace) -> VirtAddr:
    """The end of the last range."""
    last = highest_under(user, user.root)
    return Range(user.m, last).end if last != 0 else LOWEST


@kernel
def largest_gap_under(user: UserSpace, top: VirtAddr) -> word:
    """The largest gap before ranges of a subtree; -1 in an empty one."""
    return Range(user.m, top).largest_gap if top != 0 else -1


@kernel
def last_with_gap(user: UserSpace, top: VirtAddr, nbytes: word) -> VirtAddr:
    """The last range of a subtree with a gap of so many bytes before it."""
    at = top
    if largest_gap_under(user, at) < nbytes:
        return NO_RANGE
    while True:
        node = Range(user.m, at)
        if largest_gap_under(user, node.right) >= nbytes:
            at = node.right
        elif node.gap >= nbytes:
            return at
        else:
            at = node.left


@kernel
def with_gap_before(user: UserSpace, behind: VirtAddr, nbytes: word) -> VirtAddr:
    """The last range before one that has a gap of so many bytes before it."""
    at = behind
    found = last_with_gap(user, Range(user.m, at).left, nbytes)
    while found == 0:
        parent = Range(user.m, at).parent
        if parent == 0:
            return NO_RANGE
        if Range(user.m, parent).right == at:
            if Range(user.m, parent).gap >= nbytes:
                return parent
            found = last_with_gap(user, Range(user.m, parent).left, nbytes)
        at = parent
    return found


@kernel
def span_from(user: UserSpace, first: Range) -> tuple[VirtAddr, VirtAddr]:
    """Where ranges that lie near each other and are as the first one at fork end, and the range behind them."""
    end = first.end
    at = following(user, VirtAddr(first.addr))
    while at != 0:
        node = Range(user.m, at)
        if (node.flags ^ first.flags) & NOT_BORROWED != 0 or node.start - end > NEAR_BYTES:
            return end, at
        end = node.end
        at = following(user, at)
    return end, at


# ------------------------------------------------------------------ rows
@kernel
def make_row(user: UserSpace) -> VirtAddr:
    """Take all ranges out, as a row in the order of addresses, each right of the one before: the first one.

    Nodes that have a left child are rotated until none has (Q. F. Stout and B. L. Warren, "Tree Rebalancing in Optimal
    Time and Space", 1986).
    """
    first = NO_RANGE
    last = NO_RANGE
    at = user.root
    while at != 0:
        node = Range(user.m, at)
        if node.left != 0:
            left = Range(user.m, node.left)
            node.left = left.right
            left.right = at
            at = left.addr
        else:
            if last != 0:
                Range(user.m, last).right = at
            else:
                first = at
            last = at
            at = node.right
    user.root = NO_RANGE
    user.last_found = NO_RANGE
    return first


@kernel
def row_from(user: UserSpace, first: Range) -> tuple[VirtAddr, VirtAddr]:
    """Where ranges of a row that lie near each other end, and the range behind them."""
    end = first.end
    at = first.right
    while at != 0 and Range(user.m, at).start - end <= NEAR_BYTES:
        end = Range(user.m, at).end
        at = Range(user.m, at).right
    return end, at


# ------------------------------------------------------------------ changing
@kernel
def insert(user: UserSpace, node: Range) -> tuple[VirtAddr, VirtAddr]:
    """Put in a range that overlaps none: those right before it and behind it."""
    before = NO_RANGE
    behind = NO_RANGE
    parent = NO_RANGE
    at = user.root
    while at != 0:
        parent = at
        if node.start < Range(user.m, at).start:
            behind = at
            at = Range(user.m, at).left
        else:
            before = at
            at = Range(user.m, at).right
    node.left = NO_RANGE
    node.right = NO_RANGE
    node.parent = parent
    node.height = 1
    node.gap = gap_from(Range(user.m, before).end if before != 0 else LOWEST, node)
    node.largest_gap = node.gap
    if parent == 0:
        user.root = node.addr
    elif parent == behind:
        Range(user.m, parent).left = node.addr
    else:
        Range(user.m, parent).right = node.addr
    if behind != 0:
        Range(user.m, behind).gap = gap_from(node.end, Range(user.m, behind))
    settle(user, parent)
    if behind != parent:
        settle(user, behind)
    return before, behind


@kernel
def remove(user: UserSpace, node: Range) -> None:
    """Take a range out."""
    behind = following(user, node.addr)
    if node.left != 0 and node.right != 0:
        start = replace_by_heir(user, node, Range(user.m, behind))
    else:
        start = node.parent
        put_in_place(user, node, node.left if node.left != 0 else node.right)
    if user.last_found == node.addr:
        user.last_found = NO_RANGE
    settle(user, start)
    measure(user, behind)


@kernel
def replace_by_heir(user: UserSpace, node: Range, heir: Range) -> VirtAddr:
    """Put the range behind one with two children in its place: the lowest node whose subtree has changed."""
    start = heir.addr
    if heir.parent != node.addr:
        start = heir.parent
        put_in_place(user, heir, heir.right)
        heir.right = node.right
        Range(user.m, heir.right).parent = heir.addr
    heir.left = node.left
    Range(user.m, heir.left).parent = heir.addr
    heir.height = node.height
    heir.largest_gap = node.largest_gap
    put_in_place(user, node, heir.addr)
    return start


@kernel
def put_in_place(user: UserSpace, node: Range, other: VirtAddr) -> None:
    """Let the parent of a node, or the tree, have another one in its place, or none."""
    if node.parent == 0:
        user.root = other
    elif Range(user.m, node.parent).left == node.addr:
        Range(user.m, node.parent).left = other
    else:
        Range(user.m, node.parent).right = other
    if other != 0:
        Range(user.m, other).parent = node.parent


@kernel
def set_bounds(user: UserSpace, node: Range, start: VirtAddr, end: VirtAddr) -> None:
    """Let a range begin or end elsewhere, within the gaps beside it."""
    node.start = start
    node.end = end
    measure(user, node.addr)
    measure(user, following(user, node.addr))


@kernel
def measure(user: UserSpace, at: VirtAddr) -> None:
    """See how large the gap before a range is, if there is a range; the way up follows."""
    if at != 0:
        Range(user.m, at).gap = gap_before(user, Range(user.m, at))
        settle(user, at)


# ------------------------------------------------------------------ balance
@kernel
def settle(user: UserSpace, start: VirtAddr) -> None:
    """Restore balance, heights and largest gaps from a node on upwards, until nothing changes."""
    at = start
    while at != 0:
        node = Range(user.m, at)
        height = node.height
        largest_gap = node.largest_gap
        top = Range(user.m, balance(user, node))
        if top.addr == at and node.height == height and node.largest_gap == largest_gap:
            return
        at = top.parent


@kernel
def height_of(user: UserSpace, at: VirtAddr) -> word:
    """The height of a subtree; 0 of an empty one."""
    return Range(user.m, at).height if at != 0 else 0


@kernel
def update(user: UserSpace, node: Range) -> None:
    """Height and largest gap of a node from those of its children."""
    put_height(user, node, height_of(user, node.left), height_of(user, node.right))


@kernel
def put_height(user: UserSpace, node: Range, left: word, right: word) -> None:
    """The same, where the heights of the children are known."""
    node.height = 1 + max(left, right)
    below = max(largest_gap_under(user, node.left), largest_gap_under(user, node.right))
    node.largest_gap = max(node.gap, below)


@kernel
def balance(user: UserSpace, node: Range) -> VirtAddr:
    """Let the heights of a node's children differ by 1 at most: the root of the subtree then."""
    left = height_of(user, node.left)
    right = height_of(user, node.right)
    if left > right + 1:
        child = Range(user.m, node.left)
        if height_of(user, child.right) > height_of(user, child.left):
            rotate_left(user, child)
        return rotate_right(user, node)
    if right > left + 1:
        child = Range(user.m, node.right)
        if height_of(user, child.left) > height_of(user, child.right):
            rotate_right(user, child)
        return rotate_left(user, node)
    put_height(user, node, left, right)
    return node.addr


@kernel
def rotate_right(user: UserSpace, node: Range) -> VirtAddr:
    """Put the left child in a node's place, the node to its right."""
    pivot = Range(user.m, node.left)
    node.left = pivot.right
    if node.left != 0:
        Range(user.m, node.left).parent = node.addr
    put_in_place(user, node, pivot.addr)
    pivot.right = node.addr
    node.parent = pivot.addr
    update(user, node)
    update(user, pivot)
    return pivot.addr


@kernel
def rotate_left(user: UserSpace, node: Range) -> VirtAddr:
    """Put the right child in a node's place, the node to its left."""
    pivot = Range(user.m, node.right)
    node.right = pivot.left
    if node.right != 0:
        Range(user.m, node.right).parent = node.addr
    put_in_place(user, node, pivot.addr)
    pivot.left = node.addr
    node.parent = pivot.addr
    update(user, node)
    update(user, pivot)
    return pivot.addr


# ------------------------------------------------------------------ the check
@kernel
def check(user: UserSpace) -> word:
    """0, or the number of the first TREE invariant that does not hold."""
    at = lowest_under(user, user.root)
    if user.root != 0 and Range(user.m, user.root).parent != 0:
        return 1
    end = LOWEST
    while at != 0:
        node = Range(user.m, at)
        if not end <= node.start < node.end or not are_children_right(user, node):
            return 1
        left = height_of(user, node.left)
        right = height_of(user, node.right)
        if node.height != 1 + max(left, right) or not -1 <= left - right <= 1:
            return 2
        below = max(largest_gap_under(user, node.left), largest_gap_under(user, node.right))
        if node.gap != max(bound_of(node) - end, 0) or node.largest_gap != max(node.gap, below):
            return 3
        end = node.end
        at = following(user, at)
    return 0


@kernel
def are_children_right(user: UserSpace, node: Range) -> bool:
    """Whether the children name the node as their parent."""
    if node.left != 0 and Range(user.m, node.left).parent != node.addr:
        return False
    return node.right == 0 or Range(user.m, node.right).parent == node.addr
