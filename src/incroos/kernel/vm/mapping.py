"""Mapping calls: mmap, munmap and brk, by Linux's rules.

Unit: the range of pages; lengths are rounded up. Content is a Content's address, or 0 for zeros. A call that fails has
changed nothing: nodes are had first, then nothing can fail. In one thing that is not Linux: a mapping that replaces
another leaves that one when it fails.
"""

from typing import Final

from incroos.kernel.codes import BAD_RANGE, EXISTS, NO_ROOM, OK, TOO_LOW
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import IS_HEAP, READ, WRITE, Range, UserSpace
from incroos.kernel.vm import pages, ranges, tree
from incroos.kernel.vm.addresses import (
    LOWEST,
    USER_END,
    end_of_search,
    is_user,
    may_grow,
    page_up,
)
from incroos.lang import VirtAddr, kernel, word

MOST_OFFSET: Final = 1 << 62


# ------------------------------------------------------------------ mmap
@kernel
def map_anywhere(
    user: UserSpace, hint: word, nbytes: word, rights: word, flags: word, content: VirtAddr, offset: word
) -> word:
    """Map so many bytes where there is room, at the hint if it is not 0 and free: the address.

    BAD_RANGE; NO_ROOM: no addresses, limits, no memory for the range.
    """
    code = check_request(nbytes, rights, offset)
    if code != OK:
        return code
    start = find_place(user, hint, page_up(nbytes))
    if start == 0:
        return NO_ROOM
    return put_free_range(user, start, page_up(nbytes), rights, flags, content, offset)


@kernel
def map_at(
    user: UserSpace, start: word, nbytes: word, rights: word, flags: word, content: VirtAddr, offset: word
) -> word:
    """Map so many bytes there, in the place of whatever is there: the address.

    BAD_RANGE; TOO_LOW; NO_ROOM: beyond the user's addresses, limits, no memory for ranges.
    """
    code = check_request(nbytes, rights, offset)
    if code == OK:
        code = check_place(start, nbytes)
    if code != OK:
        return code
    return put_range(user, VirtAddr(start), page_up(nbytes), rights, flags, content, offset)


@kernel
def map_at_free(
    user: UserSpace, start: word, nbytes: word, rights: word, flags: word, content: VirtAddr, offset: word
) -> word:
    """The same where nothing is; EXISTS."""
    code = check_request(nbytes, rights, offset)
    if code == OK:
        code = check_place(start, nbytes)
    if code != OK:
        return code
    at = tree.find_behind(user, VirtAddr(start))
    if at != 0 and Range(user.m, at).start < start + page_up(nbytes):
        return EXISTS
    return put_free_range(user, VirtAddr(start), page_up(nbytes), rights, flags, content, offset)


@kernel
def check_request(nbytes: word, rights: word, offset: word) -> word:
    """OK if what is asked for can be at all."""
    if nbytes == 0 or rights & ~ranges.ALL_RIGHTS != 0:
        return BAD_RANGE
    if offset % PAGE_BYTES != 0 or not 0 <= offset <= MOST_OFFSET:
        return BAD_RANGE
    return OK if 0 < nbytes <= USER_END else NO_ROOM


@kernel
def check_place(start: word, nbytes: word) -> word:
    """OK if [start, start + nbytes) may be mapped."""
    if not is_user(start, page_up(nbytes)):
        return NO_ROOM
    if start % PAGE_BYTES != 0:
        return BAD_RANGE
    return TOO_LOW if start < LOWEST else OK


@kernel
def find_place(user: UserSpace, hint: word, nbytes: word) -> VirtAddr:
    """The hint if it is free, else the highest gap below the room of the stack, else the highest of all; 0: none."""
    if hint >= PAGE_BYTES:
        start = VirtAddr(max(hint & -PAGE_BYTES, LOWEST))
        if is_user(start, nbytes) and is_free(user, start, VirtAddr(start + nbytes)):
            return start
    start = tree.find_gap(user, nbytes, end_of_search(user))
    return start if start != 0 else tree.find_gap(user, nbytes, USER_END)


@kernel
def is_free(user: UserSpace, start: VirtAddr, end: VirtAddr) -> bool:
    """Whether nothing is mapped in [start, end), and no stack may grow into it."""
    at = tree.find_behind(user, start)
    return at == 0 or end <= tree.bound_of(Range(user.m, at))


@kernel
def put_range(
    user: UserSpace, start: VirtAddr, nbytes: word, rights: word, flags: word, content: VirtAddr, offset: word
) -> word:
    """Let [start, start + nbytes) be a range, and nothing else there: start; NO_ROOM."""
    end = VirtAddr(start + nbytes)
    nr_new = (nbytes >> PAGE_SHIFT) - ranges.nr_pages_in(user, start, end)
    if not may_grow(user, nr_new, rights, flags):
        return NO_ROOM
    first = tree.find_behind(user, start)
    nr_nodes = 1 + ranges.has_middle(user, first, start, end)
    code, at, spare = ranges.new_nodes(user, nr_nodes)
    if code != OK:
        return code
    pages.clear(user, start, end)
    ranges.cut(user, first, start, end, spare)
    put_node(user, Range(user.m, at), start, end, rights, flags, content, offset)
    return start


@kernel
def put_free_range(
    user: UserSpace, start: VirtAddr, nbytes: word, rights: word, flags: word, content: VirtAddr, offset: word
) -> word:
    """The same where nothing is: no page is there either, and nothing is looked for."""
    if not may_grow(user, nbytes >> PAGE_SHIFT, rights, flags):
        return NO_ROOM
    at = ranges.new_node(user)
    if at == 0:
        return NO_ROOM
    put_node(user, Range(user.m, at), start, VirtAddr(start + nbytes), rights, flags, content, offset)
    return start


@kernel
def put_node(
    user: UserSpace,
    node: Range,
    start: VirtAddr,
    end: VirtAddr,
    rights: word,
    flags: word,
    content: VirtAddr,
    offset: word,
) -> None:
    """Let a fresh node be the range [start, end), in which no range is; or a part of its neighbours."""
    ranges.describe(node, start, end, rights, flags)
    node.content = content
    node.offset = offset if content != 0 else 0
    before, behind = ranges.add(user, node)
    ranges.merge_one(user, node, before, behind)


# ------------------------------------------------------------------ munmap
@kernel
def unmap(user: UserSpace, start: word, nbytes: word) -> word:
    """Let nothing be mapped in [start, start + nbytes): OK, also where nothing is; BAD_RANGE, NO_ROOM for a node."""
    if start % PAGE_BYTES != 0 or nbytes <= 0 or not is_user(start, nbytes):
        return BAD_RANGE
    end = VirtAddr(start + page_up(nbytes))
    first = tree.find_behind(user, VirtAddr(start))
    if first == 0 or Range(user.m, first).start >= end:
        return OK
    nr_nodes = 0 + ranges.has_middle(user, first, VirtAddr(start), end)
    code, spare, _none = ranges.new_nodes(user, nr_nodes)
    if code == OK:
        pages.clear(user, VirtAddr(start), end)
        ranges.cut(user, first, VirtAddr(start), end, spare)
    return code


# ------------------------------------------------------------------ brk
@kernel
def set_break(user: UserSpace, wanted: word) -> word:
    """Let the heap end at the wanted address, if that can be: where it ends then."""
    if not user.brk_start <= wanted <= USER_END:
        return user.brk
    if user.limit_data >= 0 and wanted - user.brk_start + user.data_bytes > user.limit_data:
        return user.brk
    old_end = VirtAddr(page_up(user.brk))
    new_end = VirtAddr(page_up(wanted))
    code = OK
    if new_end < old_end:
        at = tree.find_behind(user, new_end)
        if at == 0 or Range(user.m, at).start >= old_end:
            return user.brk  # somebody has unmapped all of it: Linux refuses, too
        code = unmap(user, new_end, old_end - new_end)
    elif new_end > old_end:
        code = grow_heap(user, old_end, new_end)
    if code == OK:
        user.brk = VirtAddr(wanted)
    return user.brk


@kernel
def grow_heap(user: UserSpace, start: VirtAddr, end: VirtAddr) -> word:
    """Map [start, end) behind the heap, if a page is left up to what comes next: OK or NO_ROOM."""
    if not is_user(start, end - start) or not is_free(user, start, VirtAddr(end + PAGE_BYTES)):
        return NO_ROOM
    code = put_free_range(user, start, end - start, READ | WRITE, IS_HEAP | user.new_flags, VirtAddr(0), 0)
    return OK if code >= 0 else code
