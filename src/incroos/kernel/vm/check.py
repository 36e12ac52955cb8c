"""The checker of user spaces, of all that there are.

Unit: the space, then the frame. Looks at each page of each space and at the whole reverse map: not for every day.
"""

from typing import Final

from incroos.kernel import pmm, vmm
from incroos.kernel.arch.pte import ADDRESS, HUGE_BYTES
from incroos.kernel.codes import OK
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import IS_SHARED, Content, Kernel, Range, UserSpace
from incroos.kernel.vm import families, page_tree, pages, ranges, reverse_map, tree
from incroos.kernel.vm.addresses import USER_END
from incroos.lang import PhysAddr, VirtAddr, kernel, load64, word

# VM-1  the tree of each space is in order                                               11 to 13: 10 + TREE invariant
# VM-2  its ranges are                                                                   21 to 23: 20 + RANGES
# VM-3  its tables are                                                                   31 on: 30 + VMM invariant
# VM-4  a page that is there lies in a range, and has the bits that follow from it; a borrowed one is never writable
# VM-5  the reverse map names the page and the family at its frame; a frame that is neither borrowed nor held is mapped
#       once; a held one is what the content of the range has there, borrowed where the range is private
# VM-6  nr_resident == its pages that are there, those with the frame of zeros left out
# VM-7  of each frame that the reverse map names, pmm counts as many mappings as pages lead to it, all of them found by
#       that name, and together as many as are resident; the frame of zeros is full of zeros
# VM-8  families are in order
# VM-9  contents with frames are on the list of all, and PAGES holds; the ranges that show a content are on its list,
#       as many as it has users; nr_changed is a sum over contents of files
# VM-10 a large page lies in one private range without a content, and has a table in reserve; nr_large counts them
# VM-11 spare spaces are as many as are counted, have tables that are in order, and map nothing (14)

SEEN: Final = vmm.ACCESSED | vmm.DIRTY
TREE: Final = 10
RANGES: Final = 20
TABLES: Final = 30
WRONG_BITS: Final = 4
WRONG_NAME: Final = 5
WRONG_RESIDENT: Final = 6
WRONG_TOTAL: Final = 7
WRONG_FAMILY: Final = 8
WRONG_CONTENT: Final = 9
WRONG_LARGE: Final = 10
WRONG_SPARE: Final = 14


@kernel
def check(k: Kernel) -> word:
    """0, or the number, listed at the head of this file, of the first invariant that does not hold."""
    if k.vm.is_ready == 0:
        return OK
    if families.check(k) != 0:
        return WRONG_FAMILY
    nr_resident = 0
    family, at = first_from(k, 1)
    while at != 0:
        user = UserSpace(k.m, at)
        code = check_space(k, user)
        if code != OK:
            return code
        nr_resident += user.nr_resident
        at = user.next_in_family
        if at == families.member_of(k, family):
            family, at = first_from(k, family + 1)
    code = check_frames(k, nr_resident)
    if code == OK:
        code = check_contents(k)
    return code if code != OK else check_spares(k)


@kernel
def first_from(k: Kernel, family: word) -> tuple[word, VirtAddr]:
    """The first family from a number on that there is, and a space of it; 0 as the space: there is none."""
    number = family
    while number < k.vm.end_family and families.member_of(k, number) == 0:
        number += 1
    return number, families.member_of(k, number) if number < k.vm.end_family else VirtAddr(0)


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
    if code != OK:
        return TABLES + code
    code = check_pages(k, user)
    if code == OK and user.space.nr_large != 0:
        code = check_large(user)
    return code if code != OK else check_shown(user)


# ------------------------------------------------------------------ pages
@kernel
def check_pages(k: Kernel, user: UserSpace) -> word:
    """VM-4 to VM-6 of one space."""
    nr_resident = 0
    page, entry = vmm.next_leaf_in(user.space, VirtAddr(0), USER_END)
    while page < USER_END:
        at = tree.find(user, page)
        if at == 0 or not are_bits_right(k, entry, Range(user.m, at)):
            return WRONG_BITS
        if entry & vmm.UNCOUNTED == 0:
            if not is_name_right(k, user, page, entry) or not is_frame_right(k, Range(user.m, at), page, entry):
                return WRONG_NAME
            nr_resident += 1
        page, entry = vmm.next_leaf_in(user.space, VirtAddr(page + PAGE_BYTES), USER_END)
    return OK if nr_resident == user.nr_resident else WRONG_RESIDENT


@kernel
def are_bits_right(k: Kernel, entry: word, node: Range) -> bool:
    """Whether an entry grants what its range does."""
    flags = pages.flags_of(node.rights)
    if entry & vmm.UNCOUNTED != 0:
        flags |= vmm.UNCOUNTED | k.vm.zero_page
        if entry & vmm.BORROWED == 0 or node.content != 0:
            return False
    else:
        flags |= entry & ADDRESS
    flags |= entry & vmm.HELD
    if node.flags & IS_SHARED != 0:
        return entry & ~SEEN == flags | vmm.HELD
    if entry & (vmm.BORROWED | vmm.HELD) != 0:
        flags = flags & ~vmm.WRITABLE | vmm.BORROWED
    return entry & ~SEEN == flags


@kernel
def is_name_right(k: Kernel, user: UserSpace, page: VirtAddr, entry: word) -> bool:
    """Whether the reverse map has at a page's frame what leads to it."""
    name = reverse_map.word_of(k, PhysAddr(entry & ADDRESS))
    return name < 0 if entry & vmm.HELD != 0 else name == page | user.family


@kernel
def is_frame_right(k: Kernel, node: Range, page: VirtAddr, entry: word) -> bool:
    """Whether a counted page may have its frame."""
    frame = PhysAddr(entry & ADDRESS)
    if not pmm.is_page(k, frame):
        return False
    if entry & vmm.HELD != 0:
        index = (node.offset + (page - node.start)) >> PAGE_SHIFT
        return node.content != 0 and page_tree.frame_at(Content(k.m, node.content), index) == frame
    return entry & vmm.BORROWED != 0 or pmm.nr_mappings(k, frame) == 1


@kernel
def check_large(user: UserSpace) -> word:
    """VM-10 of a space."""
    if vmm.check_large_in(user.space) != OK:
        return WRONG_LARGE
    start, slot, _entry = vmm.find_large(user.space, VirtAddr(0), USER_END)
    while slot != 0:
        at = tree.find(user, start)
        if at == 0 or Range(user.m, at).end < start + HUGE_BYTES or Range(user.m, at).content != 0:
            return WRONG_LARGE
        start, slot, _entry = vmm.find_large(user.space, VirtAddr(start + HUGE_BYTES), USER_END)
    return OK


# ------------------------------------------------------------------ frames
@kernel
def check_frames(k: Kernel, nr_resident: word) -> word:
    """VM-7."""
    nr_mapped = 0
    for index in range(k.vm.nr_frames):
        frame = PhysAddr(index << PAGE_SHIFT)
        if reverse_map.word_of(k, frame) != 0:
            nr_found = reverse_map.nr_mappers(k, frame)
            is_held = reverse_map.word_of(k, frame) < 0
            if (nr_found == 0 and not is_held) or not pmm.is_page(k, frame) or nr_found != pmm.nr_mappings(k, frame):
                return WRONG_TOTAL
            nr_mapped += nr_found
    zeros = pmm.address_of(k, k.vm.zero_page)
    for offset in range(0, PAGE_BYTES, 8):
        if load64(k.m, VirtAddr(zeros + offset)) != 0:
            return WRONG_TOTAL
    return OK if nr_mapped == nr_resident else WRONG_TOTAL


# ------------------------------------------------------------------ contents
@kernel
def check_shown(user: UserSpace) -> word:
    """VM-9 of the contents that the ranges of a space show."""
    at = tree.lowest_under(user, user.root)
    while at != 0:
        node = Range(user.m, at)
        if node.content != 0 and (node.user != user.addr or not is_listed(Content(user.m, node.content), at)):
            return WRONG_CONTENT
        at = tree.following(user, at)
    return OK


@kernel
def is_listed(content: Content, wanted: VirtAddr) -> bool:
    """Whether a range is on the list of a content, all ranges of which show it."""
    nr_ranges = 0
    is_found = False
    before = VirtAddr(0)
    at = content.first_range
    while at != 0 and nr_ranges <= content.nr_users:
        node = Range(content.m, at)
        if node.content != content.addr or node.previous_of_content != before:
            return False
        is_found = is_found or at == wanted
        nr_ranges += 1
        before = at
        at = node.next_of_content
    return is_found and nr_ranges == content.nr_users


@kernel
def check_contents(k: Kernel) -> word:
    """VM-9 of the contents with frames."""
    nr_contents = 0
    nr_changed = 0
    at = k.vm.contents
    before = VirtAddr(0)
    while at != 0:
        content = Content(k.m, at)
        if content.previous != before or content.root == 0 or page_tree.check(k, content) != 0:
            return WRONG_CONTENT
        if content.is_anonymous == 0:
            nr_changed += content.nr_changed
        elif content.nr_users == 0:
            return WRONG_CONTENT
        nr_contents += 1
        before = at
        at = content.next
    return OK if nr_contents == k.vm.nr_contents and nr_changed == k.vm.nr_changed else WRONG_CONTENT


# ------------------------------------------------------------------ spare spaces
@kernel
def check_spares(k: Kernel) -> word:
    """VM-11."""
    nr_spares = 0
    at = k.vm.spares
    while at != 0:
        user = UserSpace(k.m, at)
        page, _entry = vmm.next_leaf_in(user.space, VirtAddr(0), USER_END)
        if page < USER_END or vmm.check_in(user.space) != OK:
            return WRONG_SPARE
        nr_spares += 1
        at = user.next_in_family
    return OK if nr_spares == k.vm.nr_spares else WRONG_SPARE
