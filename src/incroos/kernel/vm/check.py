"""The checker of user spaces, of all that there are.

Unit: the space, then the frame. Looks at each page of each space and at the whole reverse map: not for every day.
"""

from typing import Final

from incroos.kernel import pmm, vmm
from incroos.kernel.arch.pte import ADDRESS
from incroos.kernel.codes import OK
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import MAX_SPACES, Kernel, Range, UserSpace
from incroos.kernel.vm import pages, ranges, reverse_map, tree
from incroos.kernel.vm.addresses import USER_END
from incroos.lang import PhysAddr, VirtAddr, kernel, load64, word

# VM-1  the tree of each space is in order                                               11 to 13: 10 + TREE invariant
# VM-2  its ranges are                                                                   21 to 23: 20 + RANGES
# VM-3  its tables are                                                                   31 on: 30 + VMM invariant
# VM-4  a page that is there lies in a range, and has the bits that follow from it
# VM-5  the reverse map names the page at its frame, and pmm counts one mapping of that
# VM-6  nr_resident == its pages that are there, those with the frame of zeros left out
# VM-7  the reverse map names no more frames than that; the frame of zeros is full of zeros

TREE: Final = 10
RANGES: Final = 20
TABLES: Final = 30
WRONG_BITS: Final = 4
WRONG_NAME: Final = 5
WRONG_RESIDENT: Final = 6
WRONG_TOTAL: Final = 7


@kernel
def check(k: Kernel) -> word:
    """0, or the number, listed at the head of this file, of the first invariant that does not hold."""
    if k.vm.is_ready == 0:
        return OK
    nr_resident = 0
    for number in range(1, MAX_SPACES):
        if k.vm.spaces[number] != 0:
            user = UserSpace(k.m, VirtAddr(k.vm.spaces[number]))
            code = check_space(k, user)
            if code != OK:
                return code
            nr_resident += user.nr_resident
    return check_frames(k, nr_resident)


@kernel
def check_space(k: Kernel, user: UserSpace) -> word:
    """The invariants of one space."""
    code = tree.check(user)
    if code != OK:
        return TREE + code
    code = ranges.check(user)
    if code != OK:
        return RANGES + code
    code = vmm.check_in(user.space)
    return TABLES + code if code != OK else check_pages(k, user)


@kernel
def check_pages(k: Kernel, user: UserSpace) -> word:
    """VM-4 to VM-6 of one space."""
    nr_resident = 0
    page, entry = vmm.next_leaf_in(user.space, VirtAddr(0), USER_END)
    while page < USER_END:
        at = tree.find(user, page)
        if at == 0 or not are_bits_right(k, entry, Range(user.m, at).rights):
            return WRONG_BITS
        if entry & vmm.UNCOUNTED == 0:
            frame = PhysAddr(entry & ADDRESS)
            if reverse_map.word_of(k, frame) != page | user.number or not has_one_mapping(k, frame):
                return WRONG_NAME
            nr_resident += 1
        page, entry = vmm.next_leaf_in(user.space, VirtAddr(page + PAGE_BYTES), USER_END)
    return OK if nr_resident == user.nr_resident else WRONG_RESIDENT


@kernel
def are_bits_right(k: Kernel, entry: word, rights: word) -> bool:
    """Whether an entry grants what a range with these rights does."""
    flags = pages.flags_of(rights)
    if entry & vmm.UNCOUNTED != 0:
        flags = flags & ~vmm.WRITABLE | vmm.UNCOUNTED | k.vm.zero_page
        return entry & ~(vmm.ACCESSED | vmm.DIRTY) == flags
    return entry & ~(ADDRESS | vmm.ACCESSED | vmm.DIRTY) == flags


@kernel
def has_one_mapping(k: Kernel, frame: PhysAddr) -> bool:
    """Whether a frame is a page's that is mapped once."""
    return pmm.is_page(k, frame) and pmm.nr_mappings(k, frame) == 1


@kernel
def check_frames(k: Kernel, nr_resident: word) -> word:
    """VM-7."""
    nr_named = 0
    start = k.vm.reverse_map
    for at in range(start, start + 8 * k.vm.nr_frames, 8):
        if load64(k.m, VirtAddr(at)) != 0:
            nr_named += 1
    zeros = pmm.address_of(k, k.vm.zero_page)
    for offset in range(0, PAGE_BYTES, 8):
        if load64(k.m, VirtAddr(zeros + offset)) != 0:
            return WRONG_TOTAL
    return OK if nr_named == nr_resident else WRONG_TOTAL
