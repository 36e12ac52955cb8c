"""Reverse map: of each frame, who maps it. A word for each PFN, in memory of vmalloc:

    0                   nobody whose mappings are counted
    page | family       pages at this address in spaces of this family, as many as pmm counts mappings
    a PageNode          negative, as addresses of the kernel are: a frame of a content, which the ranges that show that
                        map, or nobody

An anonymous frame comes into another space by fork alone, and there it lies at the same address: so one word names all
who may map it, and who does is found by a look at that address in each space of the family (nr_mappers). The word is
written when the first mapping begins and when the last one ends; fork and copy-on-write leave it alone. That of a frame
of a content is written when it comes into the tree of pages, and cleared when it leaves: mappings change nothing.

Unit: the frame. Knows nothing of how tables change: vmm.sparse counts mappings, pages.py and page_tree.py write here.
"""

from typing import Final

from incroos.kernel import vmm
from incroos.kernel.arch.pte import ADDRESS
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import MAX_FAMILIES, PAGE_SLOTS, Content, Kernel, PageNode, Range, UserSpace, kernel_of
from incroos.lang import PhysAddr, VirtAddr, fill, kernel, load64, store64, word

FAMILY: Final = MAX_FAMILIES - 1


@kernel
def init(k: Kernel) -> bool:
    """Make the map, in which nobody maps a frame, unless there is no memory."""
    k.vm.nr_frames = k.blocks.database.nr_frames
    k.vm.reverse_map = vmm.vmalloc(k, 8 * k.vm.nr_frames)
    if k.vm.reverse_map == 0:
        return False
    fill(k.m, k.vm.reverse_map, 0, 8 * k.vm.nr_frames)
    return True


@kernel
def place_of(k: Kernel, frame: word) -> VirtAddr:
    """Where the word of a frame is."""
    return VirtAddr(k.vm.reverse_map + (frame >> PAGE_SHIFT << 3))


@kernel
def note(user: UserSpace, frame: PhysAddr, page: VirtAddr) -> None:
    """Pages at this address, in spaces of the space's family, are where the frame is mapped."""
    store64(user.m, place_of(kernel_of(user.space), frame), page | user.family)


@kernel
def note_row(user: UserSpace, frames: PhysAddr, page: VirtAddr, nbytes: word) -> None:
    """The same for frames and pages in a row."""
    place = place_of(kernel_of(user.space), frames)
    name = page | user.family
    for offset in range(0, nbytes, PAGE_BYTES):
        store64(user.m, VirtAddr(place + (offset >> PAGE_SHIFT << 3)), name + offset)


@kernel
def forget(k: Kernel, frame: PhysAddr) -> bool:
    """The frame is mapped nowhere any more: whether that makes it free, and it is no content's."""
    place = place_of(k, frame)
    if load64(k.m, place) < 0:
        return False
    store64(k.m, place, 0)
    return True


@kernel
def note_node(k: Kernel, frame: PhysAddr, node: VirtAddr) -> None:
    """The frame is one of a content's, in this PageNode."""
    store64(k.m, place_of(k, frame), node)


@kernel
def forget_node(k: Kernel, frame: PhysAddr) -> None:
    """The frame is no content's any more."""
    store64(k.m, place_of(k, frame), 0)


@kernel
def word_of(k: Kernel, frame: word) -> word:
    """What is known of a frame."""
    return load64(k.m, place_of(k, frame))


# ------------------------------------------------------------------ who maps a frame
@kernel
def nr_mappers(k: Kernel, frame: PhysAddr) -> word:
    """How many pages lead to a frame, by a look at all where it may be."""
    name = word_of(k, frame)
    if name < 0:
        return nr_mappers_of_content(k, PageNode(k.m, VirtAddr(name)), frame)
    page = VirtAddr(name & -PAGE_BYTES)
    first = VirtAddr(load64(k.m, VirtAddr(k.vm.families + 8 * (name & FAMILY))))
    at = first
    nr_found = 0
    while at != 0:
        user = UserSpace(k.m, at)
        nr_found += leads_to(user, page, frame)
        at = user.next_in_family if user.next_in_family != first else VirtAddr(0)
    return nr_found


@kernel
def leads_to(user: UserSpace, page: VirtAddr, frame: PhysAddr) -> bool:
    """Whether a page of a space has the frame."""
    return vmm.leaf_in(user.space, page) & ADDRESS == frame


@kernel
def nr_mappers_of_content(k: Kernel, node: PageNode, frame: PhysAddr) -> word:
    """The same of a frame in a node: a look at its page in all ranges."""
    offset = index_of(node, frame) << PAGE_SHIFT
    at = Content(k.m, node.content).first_range
    nr_found = 0
    while at != 0:
        range_ = Range(k.m, at)
        page = range_.start + (offset - range_.offset)
        if range_.start <= page < range_.end:
            nr_found += leads_to(UserSpace(k.m, range_.user), VirtAddr(page), frame)
        at = range_.next_of_content
    return nr_found


@kernel
def index_of(node: PageNode, frame: PhysAddr) -> word:
    """The index of the page that has a frame, of a node of level 0 in which it is."""
    slot = 0
    while slot < PAGE_SLOTS and node.slots[slot] & ADDRESS != frame:
        slot += 1
    return node.first + slot
