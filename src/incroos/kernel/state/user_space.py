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
IS_SHARED: Final = 1 << 2  # its content is a SharedMemory, and what is written there is seen by all that have it
IS_LOCKED: Final = 1 << 3  # its pages are to be there
LOCKS_LATE: Final = 1 << 4  # and IS_LOCKED: those that somebody touched
NOT_IN_CHILD: Final = 1 << 5  # fork leaves it out
EMPTY_IN_CHILD: Final = 1 << 6  # a child has zeros there
WANTS_LARGE: Final = 1 << 7  # pages of 2 MiB, where they fit
REFUSES_LARGE: Final = 1 << 8
NOT_IN_DUMP: Final = 1 << 9
IS_RANDOM: Final = 1 << 10  # how a program will use it
IS_SEQUENTIAL: Final = 1 << 11

MAX_FAMILIES: Final = 4096  # numbers fit below a page's address; the first is nobody's
SHARED_SLOTS: Final = 64  # of a node of a SharedMemory


class Range(Struct):
    """A range of pages with equal rights (a VMA), a node of its space's tree. Owner: vm.ranges. Lock: space."""

    start: VirtAddr
    end: VirtAddr
    rights: u64
    most_rights: u64  # that mprotect may give
    flags: u64
    content: VirtAddr  # the Content whose bytes it begins with, privately; or a SharedMemory; 0: zeros
    offset: u64  # of `start` in the content
    left: VirtAddr  # nodes of the tree, and its parent; 0: none
    right: VirtAddr
    parent: VirtAddr
    height: u64
    gap: u64  # bytes that nobody has right before it, the stack's own gap left out
    largest_gap: u64  # of the ranges of the subtree


class Content(Struct):
    """The bytes of a file, in a row in the kernel's address space. Owner: files.archive."""

    data: VirtAddr
    nbytes: u64
    nr_users: u64  # ranges; of a text of the kernel, the open file


class SharedMemory(Struct):
    """Anonymous memory that spaces share: pages by index, in a tree of SharedNodes. Owner: vm.shared. Lock: object."""

    content: Content  # without data; nr_users are ranges
    height: u64  # levels of the tree when it has any, 1 at least
    root: VirtAddr  # SharedNode; 0: there is no page yet
    nodes: VirtAddr  # all of them, the last one first
    nr_frames: u64
    next: VirtAddr  # of the list of all
    previous: VirtAddr


class SharedNode(Struct):
    """A node of the tree. Owner: vm.shared. Lock: object."""

    next: VirtAddr  # of the list of nodes
    level: u64  # 0: the slots name frames, else nodes of the level below
    slots: Annotated[Array[u64], SHARED_SLOTS]  # 0: none


class UserSpace(Struct):
    """An address space of programs. Owner: vm.spaces. Lock: space."""

    space: Space
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
    seen_flags: u64  # that any range ever had by advice or a lock
    nr_resident: u64  # pages that are present, the zero page left out
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
    free_family: u64  # no lower number is free
    end_family: u64  # no number from here on was ever given
    memories: VirtAddr  # the first SharedMemory
    nr_memories: u64
