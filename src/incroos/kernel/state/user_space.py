"""User spaces: the lower half of an address space, with its ranges and counts."""

from typing import Annotated, Final

from incroos.kernel.state.space import Space
from incroos.lang import Array, PhysAddr, Struct, VirtAddr, u64

# Range.rights, the numbers of mmap's PROT_
READ: Final = 1
WRITE: Final = 2
EXECUTE: Final = 4

# Range.flags
GROWS_DOWN: Final = 1 << 0  # the stack
IS_HEAP: Final = 1 << 1  # of brk
IS_SHARED: Final = 1 << 2  # what is written there is seen by all that have the content
NEVER_WRITABLE: Final = 1 << 3  # shows a file that was opened for reading: mprotect must not give WRITE
IS_LOCKED: Final = 1 << 4  # its pages are to be there
LOCKS_LATE: Final = 1 << 5  # and IS_LOCKED: those that somebody touched
NOT_IN_CHILD: Final = 1 << 6  # fork leaves it out
EMPTY_IN_CHILD: Final = 1 << 7  # a child has zeros there
WANTS_LARGE: Final = 1 << 8  # pages of 2 MiB, where they fit
REFUSES_LARGE: Final = 1 << 9
NOT_IN_DUMP: Final = 1 << 10
IS_RANDOM: Final = 1 << 11  # how a program will use it
IS_SEQUENTIAL: Final = 1 << 12

MAX_FAMILIES: Final = 4096  # numbers fit below a page's address; the first is nobody's
PAGE_SLOTS: Final = 64  # of a PageNode


class Range(Struct):
    """A range of pages with equal rights (a VMA), a node of its space's tree. Owner: vm.ranges. Lock: space."""

    start: VirtAddr
    end: VirtAddr
    rights: u64
    most_rights: u64  # that mprotect may give
    flags: u64
    content: VirtAddr  # the Content that it shows; 0: zeros
    offset: u64  # of `start` in the content
    user: VirtAddr  # with a content: the UserSpace whose it is
    next_of_content: VirtAddr  # of the content's list of ranges
    previous_of_content: VirtAddr
    left: VirtAddr  # nodes of the tree, and its parent; 0: none
    right: VirtAddr
    parent: VirtAddr
    height: u64
    gap: u64  # bytes that nobody has right before it, the stack's own gap left out
    largest_gap: u64  # of the ranges of the subtree


class Content(Struct):
    """The bytes of a file, or of anonymous memory that spaces share: pages by index, in a tree. Owner: vm.objects.

    A page without a frame has the bytes that lie in a row at `data`, as far as these reach, and zeros. Lock: object.
    """

    data: VirtAddr
    data_bytes: u64
    nbytes: u64
    nr_users: u64  # ranges; of a text of the kernel, the open file
    first_range: VirtAddr  # of the list of ranges that show it
    is_anonymous: u64  # it is of no file: it ends with its last range
    is_lost: u64  # nobody can open its file any more: its frames go with its last range
    root: VirtAddr  # PageNode; 0: no page has a frame
    nr_frames: u64
    nr_changed: u64  # of them: those that may differ from what they would be without a frame
    written: u64  # when a program last got a page of a file to write to, since 1970; 0: its node knows
    nr_pins: u64  # somebody copies from its pages: none is given up
    next: VirtAddr  # of the list of all that have frames
    previous: VirtAddr


class PageNode(Struct):
    """A node of the tree. Owner: vm.page_tree. Lock: object."""

    content: VirtAddr
    parent: VirtAddr  # 0: it is the root
    level: u64  # 0: the slots name frames, else nodes of the level below
    first: u64  # index of the first page that it leads to
    nr_slots: u64  # that are not 0
    slots: Annotated[Array[u64], PAGE_SLOTS]  # 0: none; on level 0 IS_CHANGED beside the frame


class UserSpace(Struct):
    """An address space of programs. Owner: vm.spaces. Lock: space."""

    space: Space
    nodes: VirtAddr  # Ranges that were a spare space's: a list through `right`
    root: VirtAddr  # of the tree of ranges
    last_found: VirtAddr  # the range that a fault was in last; 0: none
    nr_ranges: u64
    nr_tasks: u64  # that have it
    family: u64  # the number of all spaces that descend from one by fork, from 1 on: the reverse map names them by it
    next_in_family: VirtAddr  # UserSpaces, a ring
    previous_in_family: VirtAddr
    nr_pages: u64  # in ranges
    nr_data_pages: u64  # of them private, writable, not the stack: what RLIMIT_DATA bounds
    nr_locked_pages: u64  # of them in ranges that are locked
    new_flags: u64  # that each new range gets: what mlockall asked for
    has_no_large: u64  # the program wants no large pages, whatever its ranges want
    seen_flags: u64  # that any range ever had by advice or a lock
    nr_resident: u64  # pages that are present, the zero page left out
    most_pages: u64  # before nr_pages last fell, and
    most_resident: u64  # before nr_resident did: what is higher now does not count yet
    brk_start: VirtAddr
    brk: VirtAddr
    data_bytes: u64  # of the program's own data, which the limit of brk counts too
    limit_address_space: u64  # bytes
    limit_data: u64
    limit_stack: u64
    nr_faults: u64  # that gave a page
    nr_zero_faults: u64  # of them: the zero page


class VmState(Struct):
    """Owner: vm."""

    is_ready: u64
    zero_page: PhysAddr  # the frame of zeros
    ranges: VirtAddr  # the heap's cache of Ranges
    nr_nodes: u64  # Ranges of all spaces, and those that are about to be
    most_nodes: u64
    reverse_map: VirtAddr  # a word for each frame, see vm.reverse_map
    nr_frames: u64  # that have one
    families: VirtAddr  # a word for each number: a UserSpace of the family; 0: none
    spares: VirtAddr  # UserSpaces that ended, with tables and nodes and nothing else: a list through next_in_family
    nr_spares: u64
    free_family: u64  # no lower number is free
    end_family: u64  # no number from here on was ever given
    contents: VirtAddr  # the first Content that has frames
    nr_contents: u64
    nr_changed: u64  # frames of files that cannot be made anew: the sum of nr_changed over Contents of files
