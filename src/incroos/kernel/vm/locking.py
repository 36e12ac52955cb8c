"""Locks: ranges whose pages are to be there. Nothing is ever swapped out, so a lock brings pages, and is told.

Unit: the range. Locks are not counted: one call unlocks, however often a range was locked.
"""

from incroos.kernel.codes import NOT_COVERED, OK
from incroos.kernel.state import IS_LOCKED, LOCKS_LATE, Range, UserSpace
from incroos.kernel.vm import ranges, tree
from incroos.lang import VirtAddr, kernel, word


@kernel
def lock(user: UserSpace, start: VirtAddr, end: VirtAddr, flags: word) -> word:
    """Let the ranges in [start, end) have these flags of IS_LOCKED and LOCKS_LATE: OK.

    NOT_COVERED from the first hole on, NO_ROOM: what comes before has them.
    """
    done = start
    at = tree.find(user, start)
    while at != 0 and done < end:
        upto = VirtAddr(min(Range(user.m, at).end, end))
        code = ranges.change_flags(user, done, upto, IS_LOCKED | LOCKS_LATE, flags)
        if code != OK:
            return code
        done = upto
        at = tree.find(user, done)
    return OK if done >= end else NOT_COVERED


@kernel
def lock_all(user: UserSpace, flags: word) -> None:
    """Let all ranges have these flags of IS_LOCKED and LOCKS_LATE."""
    at = tree.lowest_under(user, user.root)
    while at != 0:
        node = Range(user.m, at)
        end = node.end
        ranges.change_flags(user, node.start, end, IS_LOCKED | LOCKS_LATE, flags)  # no split: it cannot fail
        at = tree.find_behind(user, end)
