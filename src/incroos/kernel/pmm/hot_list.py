"""Hot list: the blocks of one order that were freed last, in front of an allocator. Most requests go no further.

Unit: the block, named by the PFN of its first frame. Knows neither the allocator nor the frame database. Blocks on the
list are free, but the allocator counts them as handed out.

    slots   ... 5  9  2  7 ...        a ring: blocks are pushed and popped at the top, and when it is full the oldest
                ^        ^            half goes back to the allocator from the bottom
             bottom     top - 1
"""

from typing import Final

from incroos.kernel.codes import OK
from incroos.kernel.state import NR_SLOTS, HotList
from incroos.lang import Pfn, kernel, word

# HOT-1  bottom <= top <= bottom + limit, limit <= NR_SLOTS
# HOT-2  no block is on the list twice, and each is a multiple of its size

SLOT_MASK: Final = NR_SLOTS - 1


@kernel
def init(hot: HotList, order: word, limit: word, frontier: word) -> None:
    """Empty."""
    hot.order = order
    hot.limit = limit
    hot.top = 0
    hot.bottom = 0
    hot.frontier = frontier
    for slot in range(NR_SLOTS):
        hot.slots[slot] = 0


@kernel
def nr_blocks(hot: HotList) -> word:
    """How many blocks are on the list."""
    return hot.top - hot.bottom


@kernel
def push(hot: HotList, pfn: word) -> None:
    """Put a block on a list that is not full."""
    top = hot.top
    hot.slots[top & SLOT_MASK] = pfn
    hot.top = top + 1


@kernel
def pop(hot: HotList) -> Pfn:
    """Take the newest block off a list that is not empty."""
    top = hot.top - 1
    hot.top = top
    return Pfn(hot.slots[top & SLOT_MASK])


@kernel
def pop_oldest(hot: HotList) -> Pfn:
    """Take the oldest block off a list that is not empty."""
    bottom = hot.bottom
    hot.bottom = bottom + 1
    return Pfn(hot.slots[bottom & SLOT_MASK])


@kernel
def newest(hot: HotList) -> Pfn:
    """The newest block of a list that is not empty."""
    return Pfn(hot.slots[(hot.top - 1) & SLOT_MASK])


@kernel
def oldest(hot: HotList) -> Pfn:
    """The oldest block of a list that is not empty."""
    return Pfn(hot.slots[hot.bottom & SLOT_MASK])


@kernel
def has(hot: HotList, pfn: word) -> bool:
    """Whether a frame lies in a block on the list. Looks at all of them: not for every day."""
    first = pfn & -(1 << hot.order)
    for at in range(hot.bottom, hot.top):
        if hot.slots[at & SLOT_MASK] == first:
            return True
    return False


@kernel
def check(hot: HotList) -> word:
    """0, or the number of the first HOT invariant that does not hold."""
    if not (0 <= hot.bottom <= hot.top <= hot.bottom + hot.limit and hot.limit <= NR_SLOTS):
        return 1
    for at in range(hot.bottom, hot.top):
        pfn = hot.slots[at & SLOT_MASK]
        if pfn % (1 << hot.order) != 0:
            return 2
        for later in range(at + 1, hot.top):
            if hot.slots[later & SLOT_MASK] == pfn:
                return 2
    return OK
