"""Robust lists: words that a thread had locked when it ended. Whoever waits on one hears of that.

    head        address of the first entry; how far a word is behind its entry; an entry that is put in or taken out
    entry       address of the next one, with bit 0 if it is a lock with priorities; the last one names the head

Unit: the thread. The list is the program's: nothing in it is believed. Format: Linux, `linux/futex.h`.
"""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.codes import OK
from incroos.kernel.state import Kernel, Task, UserSpace
from incroos.kernel.task.futexes import EVERY_BIT, SHARED, wake_futex
from incroos.lang import add_wrap, cold, kernel, word

MOST_ENTRIES: Final = 2048
HAS_PRIORITIES: Final = 1
OFFSET_PLACE: Final = 8  # in the head
PENDING_PLACE: Final = 16

# A word
HAS_WAITERS: Final = 0x8000_0000
OWNER_DIED: Final = 0x4000_0000
OWNER: Final = 0x3FFF_FFFF

LISTED: Final = 0
PENDING: Final = 1


@cold
@kernel
def give_up_all(k: Kernel, task: Task) -> None:
    """Go through the list of a thread that ends, as far as it can be read."""
    user = UserSpace(k.m, task.space)
    head = task.robust
    code, entry = vm.load64(user, head)
    code_of_offset, offset = vm.load64(user, add_wrap(head, OFFSET_PLACE))
    code_of_pending, pending = vm.load64(user, add_wrap(head, PENDING_PLACE))
    if code != OK or code_of_offset != OK or code_of_pending != OK:
        return
    for _index in range(MOST_ENTRIES):
        here = entry & ~HAS_PRIORITIES
        if here == head:
            break
        code, following = vm.load64(user, here)
        if here != pending & ~HAS_PRIORITIES and not give_up(k, task, user, add_wrap(here, offset), LISTED):
            return
        if code != OK:
            return
        entry = following
    if pending & ~HAS_PRIORITIES != 0:
        give_up(k, task, user, add_wrap(pending & ~HAS_PRIORITIES, offset), PENDING)


@cold
@kernel
def give_up(k: Kernel, task: Task, user: UserSpace, at: word, which: word) -> bool:
    """Say in a word that its owner has ended, if that is the thread, and wake who waits; False: there is none."""
    if at % 4 != 0:
        return False
    code, found = vm.load32(user, at)
    if code != OK:
        return False
    if which == PENDING and found == 0:
        wake_futex(k, user, at, SHARED, 1, EVERY_BIT)
        return True
    if found & OWNER != task.number:
        return True
    if vm.store32(user, at, (found & HAS_WAITERS) | OWNER_DIED) != OK:
        return False
    if found & HAS_WAITERS != 0:
        wake_futex(k, user, at, SHARED, 1, EVERY_BIT)
    return True
