"""Addresses of user spaces, and the limits of what may be mapped.

    0x0000_0000_0001_0000   LOWEST    nothing is mapped below, so that a null pointer with an offset faults, too
    ...
    end_of_search           mmap without an address goes down from here: 128 MiB below the stack's end, or more where
                            the stack may grow longer. With the usual limit of 8 MiB it is 0x7FFF_F7FF_F000
    stack                   grows down; 1 MiB below it is nobody's (STACK_GAP)
    0x0000_7FFF_FFFF_F000   USER_END  the last page below the hole of addresses is never mapped: a `syscall` in its last
                            bytes would return to an address that is not canonical

With five levels of tables the same.
"""

from typing import Final

from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import GROWS_DOWN, IS_SHARED, WRITE, UserSpace
from incroos.lang import VirtAddr, kernel, word

LOWEST: Final = VirtAddr(0x1_0000)
USER_END: Final = VirtAddr(0x7FFF_FFFF_F000)
STACK_GAP: Final = 1 << 20
LEAST_STACK_ROOM: Final = 128 << 20
MOST_STACK_ROOM: Final = USER_END // 6 * 5 & -PAGE_BYTES
DEFAULT_STACK_LIMIT: Final = 8 << 20


@kernel
def page_up(nbytes: word) -> word:
    """The next multiple of a page. PRE it is a word."""
    return (nbytes + PAGE_BYTES - 1) & -PAGE_BYTES


@kernel
def is_user(start: word, nbytes: word) -> bool:
    """Whether [start, start + nbytes) is below the end of user addresses."""
    return 0 <= start <= USER_END and 0 <= nbytes <= USER_END - start


@kernel
def end_of(start: word, nbytes: word) -> VirtAddr:
    """Where the pages of [start, start + nbytes) end; behind USER_END, where no range is, for all that goes beyond it.

    PRE start is a user's address. A negative nbytes is an unsigned number beyond all addresses.
    """
    return VirtAddr(start + page_up(nbytes) if 0 <= nbytes <= USER_END - start else USER_END + PAGE_BYTES)


@kernel
def end_of_search(user: UserSpace) -> VirtAddr:
    """Below which mmap looks for a gap first."""
    if user.limit_stack < 0 or user.limit_stack > MOST_STACK_ROOM - STACK_GAP:
        return VirtAddr(USER_END - MOST_STACK_ROOM)
    return VirtAddr((USER_END - max(user.limit_stack + STACK_GAP, LEAST_STACK_ROOM)) & -PAGE_BYTES)


# ------------------------------------------------------------------ limits
@kernel
def is_within(nr_pages: word, limit: word) -> bool:
    """Whether so many pages are allowed by a limit in bytes; a negative one is none."""
    return limit < 0 or nr_pages <= limit >> PAGE_SHIFT


@kernel
def is_data(rights: word, flags: word) -> bool:
    """Whether pages count for the limit of data: private ones that can be written, the stack aside."""
    return rights & WRITE != 0 and flags & (GROWS_DOWN | IS_SHARED) == 0


@kernel
def may_grow(user: UserSpace, nr_pages: word, rights: word, flags: word) -> bool:
    """Whether the limits allow so many more pages in ranges of these rights."""
    if not is_within(user.nr_pages + nr_pages, user.limit_address_space):
        return False
    return not is_data(rights, flags) or is_within(user.nr_data_pages + nr_pages, user.limit_data)
