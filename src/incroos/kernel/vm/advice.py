"""madvise: what a program says about its ranges, and what it has done with their pages, by Linux's rules.

Unit: the range. An advice does what it says to one range after the other, holes left out; the first range for which it
cannot be done ends it, and what comes before is done. Advice about swapping, reading ahead and equal pages is taken and
changes nothing here.
"""

from incroos.kernel.codes import BAD_RANGE, NO_ACCESS, NOT_COVERED, OK
from incroos.kernel.state import (
    EMPTY_IN_CHILD,
    IS_LOCKED,
    IS_RANDOM,
    IS_SEQUENTIAL,
    IS_SHARED,
    NOT_IN_CHILD,
    NOT_IN_DUMP,
    REFUSES_LARGE,
    WANTS_LARGE,
    WRITE,
    Content,
    Range,
    UserSpace,
    kernel_of,
)
from incroos.kernel.vm import advice_kinds, pages, ranges, tree
from incroos.kernel.vm.cutting import punch
from incroos.lang import VirtAddr, kernel, word


@kernel
def is_advice(advice: word) -> bool:
    """Whether advise knows it."""
    if advice_kinds.NORMAL <= advice <= advice_kinds.DONT_NEED or advice == advice_kinds.DONT_NEED_LOCKED:
        return True
    return advice_kinds.FREE <= advice <= advice_kinds.PAGE_OUT


@kernel
def advise(user: UserSpace, start: VirtAddr, end: VirtAddr, advice: word) -> word:
    """Do what the advice says in [start, end): OK; NOT_COVERED, when there are holes and the rest is done.

    BAD_RANGE, NO_ACCESS: it cannot be done for a range of that kind; NO_ROOM, NO_FRAME.
    """
    code = OK
    done = start
    at = tree.find_behind(user, start)
    while at != 0 and done < end and Range(user.m, at).start < end:
        node = Range(user.m, at)
        if node.start > done:
            code = NOT_COVERED
        first = VirtAddr(max(node.start, start))
        done = VirtAddr(min(node.end, end))
        its_code = advise_range(user, node, first, done, advice)
        if its_code != OK:
            return its_code
        at = tree.find_behind(user, done)  # ranges may have been split and merged
    return code if done >= end else NOT_COVERED


@kernel
def advise_range(user: UserSpace, node: Range, start: VirtAddr, end: VirtAddr, advice: word) -> word:
    """The same for a part of one range."""
    match advice:
        case advice_kinds.DONT_NEED | advice_kinds.FREE | advice_kinds.DONT_NEED_LOCKED:
            return drop_pages(user, node, start, end, advice)
        case advice_kinds.REMOVE:
            return remove_pages(user, node, start, end)
        case advice_kinds.COLD | advice_kinds.PAGE_OUT:
            return BAD_RANGE if node.flags & IS_LOCKED != 0 else OK
        case advice_kinds.WIPE_ON_FORK:
            if node.content != 0:
                return BAD_RANGE
            return ranges.change_flags(user, start, end, 0, EMPTY_IN_CHILD)
        case _:
            removed, added = flags_for(advice)
            return ranges.change_flags(user, start, end, removed, added)


@kernel
def flags_for(advice: word) -> tuple[word, word]:
    """Flags of a range that an advice takes away, and those that it gives."""
    match advice:
        case advice_kinds.NORMAL:
            return IS_RANDOM | IS_SEQUENTIAL, 0
        case advice_kinds.RANDOM:
            return IS_SEQUENTIAL, IS_RANDOM
        case advice_kinds.SEQUENTIAL:
            return IS_RANDOM, IS_SEQUENTIAL
        case advice_kinds.DONT_FORK:
            return 0, NOT_IN_CHILD
        case advice_kinds.DO_FORK:
            return NOT_IN_CHILD, 0
        case advice_kinds.HUGE_PAGES:
            return REFUSES_LARGE, WANTS_LARGE
        case advice_kinds.NO_HUGE_PAGES:
            return WANTS_LARGE, REFUSES_LARGE
        case advice_kinds.DONT_DUMP:
            return 0, NOT_IN_DUMP
        case advice_kinds.DO_DUMP:
            return NOT_IN_DUMP, 0
        case advice_kinds.KEEP_ON_FORK:
            return EMPTY_IN_CHILD, 0
        case _:
            return 0, 0


@kernel
def drop_pages(user: UserSpace, node: Range, start: VirtAddr, end: VirtAddr, advice: word) -> word:
    """Let the pages be as they were when they were mapped: zeros, or the object's."""
    if node.flags & IS_LOCKED != 0 and advice != advice_kinds.DONT_NEED_LOCKED:
        return BAD_RANGE
    if advice == advice_kinds.FREE and node.content != 0:
        return BAD_RANGE
    pages.clear(user, start, end)
    return OK


@kernel
def remove_pages(user: UserSpace, node: Range, start: VirtAddr, end: VirtAddr) -> word:
    """Let the object's pages be zeros, for all that have it."""
    if node.flags & IS_LOCKED != 0 or node.content == 0:
        return BAD_RANGE
    if node.flags & IS_SHARED == 0 or node.most_rights & WRITE == 0:
        return NO_ACCESS
    offset = node.offset + (start - node.start)
    return punch(kernel_of(user.space), Content(user.m, node.content), offset, offset + (end - start))
