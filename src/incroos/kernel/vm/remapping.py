"""mremap: a range becomes shorter or longer where it is, moves, or is seen a second time.

Unit: the range of pages; the caller rounds lengths up. What moves is a part of one range. A call that fails has changed
nothing; but what lay at a place that was named is gone when only then memory is missing, as on Linux.
"""

from typing import Final

from incroos.kernel.codes import BAD_POINTER, BAD_RANGE, NO_ROOM, OK, TOO_LOW
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import IS_LOCKED, IS_SHARED, LOCKS_LATE, Range, UserSpace
from incroos.kernel.vm import moving, pages, ranges, tree
from incroos.kernel.vm.addresses import LOWEST, is_user, may_grow
from incroos.kernel.vm.mapping import MOST_OFFSET, find_place, unmap
from incroos.kernel.vm.populating import populate
from incroos.lang import VirtAddr, kernel, word

MAY_MOVE: Final = 1  # flags
TO_PLACE: Final = 2
KEEPS_RANGE: Final = 4  # the old place stays a range, without its pages


@kernel
def remap(user: UserSpace, start: VirtAddr, nbytes: word, wanted: word, flags: word, place: word) -> word:
    """Let the nbytes from start on be so many as wanted: where they are then.

    PRE lengths are multiples of a page. BAD_POINTER: not in one range; BAD_RANGE; NO_ROOM; TOO_LOW.
    """
    if flags & (TO_PLACE | KEEPS_RANGE) != 0 and not may_be_at(start, nbytes, wanted, place):
        return BAD_RANGE
    if tree.find(user, start) == 0:
        return BAD_POINTER
    if flags & (TO_PLACE | KEEPS_RANGE) != 0:
        return remap_to(user, start, nbytes, wanted, flags, place)
    if wanted <= nbytes:
        code = unmap(user, start + wanted, nbytes - wanted) if wanted < nbytes else OK
        return start if code == OK else code
    code = check_growth(user, start, nbytes, wanted)
    if code != OK:
        return code
    if grow(user, start, nbytes, wanted):
        return start
    found = find_place(user, 0, wanted) if flags & MAY_MOVE != 0 else VirtAddr(0)
    return move_range(user, start, nbytes, wanted, found, 0) if found != 0 else NO_ROOM


@kernel
def may_be_at(start: word, nbytes: word, wanted: word, place: word) -> bool:
    """Whether so many bytes as wanted can be at a place, and the nbytes from start on are not a part of that."""
    if place % PAGE_BYTES != 0 or not is_user(place, wanted):
        return False
    return start + nbytes <= place or place + wanted <= start


@kernel
def check_growth(user: UserSpace, start: VirtAddr, nbytes: word, wanted: word) -> word:
    """OK if the nbytes from start on are in one range that may become so long."""
    node = Range(user.m, tree.find(user, start))
    if nbytes == 0 and node.flags & IS_SHARED == 0:
        return BAD_RANGE
    if nbytes > node.end - start:
        return BAD_POINTER
    if node.content != 0 and node.offset + (start - node.start) > MOST_OFFSET - wanted:
        return BAD_RANGE
    return OK if may_grow(user, (wanted - nbytes) >> PAGE_SHIFT, node.rights, node.flags) else NO_ROOM


@kernel
def grow(user: UserSpace, start: VirtAddr, nbytes: word, wanted: word) -> bool:
    """Let a range become longer where it is, if it ends there and nothing is behind it: whether it could."""
    node = Range(user.m, tree.find(user, start))
    end = VirtAddr(start + wanted)
    behind = tree.following(user, VirtAddr(node.addr))
    if node.end != start + nbytes or not is_user(start, wanted):
        return False
    if behind != 0 and Range(user.m, behind).start < end:
        return False
    ranges.resize(user, node, node.start, end)
    ranges.merge(user, start, end)
    bring_new(user, VirtAddr(start + nbytes), end)
    return True


@kernel
def bring_new(user: UserSpace, start: VirtAddr, end: VirtAddr) -> None:
    """Bring the pages by which a range became longer, if it is locked, as far as there are frames."""
    if start < end and Range(user.m, tree.find(user, start)).flags & (IS_LOCKED | LOCKS_LATE) == IS_LOCKED:
        populate(user, start, end)


# ------------------------------------------------------------------ moving
@kernel
def remap_to(user: UserSpace, start: VirtAddr, nbytes: word, wanted: word, flags: word, place: word) -> word:
    """Move to a place that is named, and end what is there; or with KEEPS_RANGE alone there if it is free."""
    moved = min(nbytes, wanted)
    code = check_growth(user, start, moved, wanted)
    node = Range(user.m, tree.find(user, start))
    if code == OK and flags & KEEPS_RANGE != 0 and not may_grow(user, moved >> PAGE_SHIFT, node.rights, node.flags):
        code = NO_ROOM
    if code == OK and flags & TO_PLACE != 0:
        code = unmap(user, place, wanted) if place >= LOWEST else TOO_LOW
        if code == OK and tree.find(user, start) == 0:
            return BAD_POINTER  # what was to be seen a second time, at the place where it is
    if code == OK and wanted < nbytes:
        code = unmap(user, start + wanted, nbytes - wanted)
    if code != OK:
        return code
    found = VirtAddr(place) if flags & TO_PLACE != 0 else find_place(user, place, wanted)
    return move_range(user, start, moved, wanted, found, flags) if found != 0 else NO_ROOM


@kernel
def move_range(user: UserSpace, start: VirtAddr, nbytes: word, wanted: word, place: VirtAddr, flags: word) -> word:
    """Make a range as long as wanted at a place where nothing is, with the pages of nbytes from start on: place.

    PRE those are in one range. NO_ROOM, and nothing has changed.
    """
    end = VirtAddr(start + nbytes)
    node = Range(user.m, tree.find(user, start))
    is_cut = nbytes != 0 and flags & KEEPS_RANGE == 0
    code, at, spare = ranges.new_nodes(user, 1 + (is_cut and ranges.has_middle(user, VirtAddr(node.addr), start, end)))
    if code != OK:
        return code
    if node.flags & IS_SHARED == 0 and moving.move(user, start, end, place, node.rights) != OK:
        ranges.free_node(user, spare)
        ranges.free_node(user, at)
        return NO_ROOM
    pages.clear(user, start, end)  # of shared memory; they come back by faults
    add_like(user, Range(user.m, at), node, start, place, wanted)
    if is_cut:
        ranges.cut(user, VirtAddr(node.addr), start, end, spare)
    else:
        unlock(user, node, nbytes)
        ranges.merge(user, node.start, node.end)  # all of it lost its lock
    ranges.merge(user, start, VirtAddr(start + nbytes))
    ranges.merge(user, place, VirtAddr(place + wanted))
    bring_new(user, VirtAddr(place + nbytes), VirtAddr(place + wanted))
    return place


@kernel
def add_like(user: UserSpace, made: Range, node: Range, start: VirtAddr, place: VirtAddr, nbytes: word) -> None:
    """Put in a range at a place that shows what another one does from start on."""
    ranges.describe(made, place, VirtAddr(place + nbytes), node.rights, node.flags)
    made.most_rights = node.most_rights
    made.content = node.content
    made.offset = node.offset + (start - node.start) if node.content != 0 else 0
    ranges.add(user, made)


@kernel
def unlock(user: UserSpace, node: Range, nbytes: word) -> None:
    """A range that stays without its pages is locked no more."""
    if nbytes != 0 and node.flags & IS_LOCKED != 0:
        user.nr_locked_pages -= ranges.nr_pages_of(node)
        node.flags &= ~(IS_LOCKED | LOCKS_LATE)
