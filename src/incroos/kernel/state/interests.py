"""Interest lists (epoll): which open files somebody wants to hear of."""

from incroos.lang import Struct, VirtAddr, i64, u64


class InterestList(Struct):
    """What epoll_create makes. Owner: files.interests."""

    first: VirtAddr  # Interest: in the turn in which they are told
    last: VirtAddr


class Interest(Struct):
    """An open file of which a list tells. Owner: files.interests."""

    list: VirtAddr  # InterestList
    next: VirtAddr  # in the list
    previous: VirtAddr
    next_of_file: VirtAddr  # in those of the file
    file: VirtAddr  # File
    descriptor: u64  # by which it was named
    events: u64  # of epoll: those that are wanted, and EDGE, ONCE
    data: i64  # the program's
    changes: u64  # of the file when it was told last
    ready: u64  # what could be done then
    is_new: u64  # 1: nothing was told since it was asked for
    is_spent: u64  # 1: it was told once, and was wanted once
