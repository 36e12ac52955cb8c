"""The pages of a Content: which have a frame, by index, in a tree of nodes of 64 slots, as high as its pages need.

    level 0     the slots name frames, beside IS_CHANGED where the bytes may differ from those without a frame
    above       the slots name nodes of the level below; the root has more in it than its first slot

Unit: the page, by its index in the content. Branches are built from the lowest node up and linked with one store, so
that what fails has changed nothing. A node that is empty goes. The reverse map has the lowest node at each frame.
"""

from typing import Final

from incroos.kernel import heap, pmm
from incroos.kernel.arch.pte import ADDRESS
from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.state import PAGE_SLOTS, Content, Kernel, PageNode
from incroos.kernel.vm import reverse_map
from incroos.lang import PhysAddr, VirtAddr, kernel, word

# PAGES-1  a node is in the slot of its parent that `first` says, its level one below; nr_slots are not 0, 1 at least
# PAGES-2  the frames are pages, and the reverse map has their nodes
# PAGES-3  nr_frames, and nr_changed of them, are in the slots

SLOT_BITS: Final = 6
SLOT_MASK: Final = PAGE_SLOTS - 1
IS_CHANGED: Final = 1


# ------------------------------------------------------------------ finding
@kernel
def slot_of(index: word, level: word) -> word:
    """Which slot of a node of the level leads to a page."""
    return (index >> (SLOT_BITS * level)) & SLOT_MASK


@kernel
def first_of(index: word, level: word) -> word:
    """The first page to which a node of the level leads that leads to this one."""
    return index >> (SLOT_BITS * (level + 1)) << (SLOT_BITS * (level + 1))


@kernel
def is_within(content: Content, index: word) -> bool:
    """Whether the tree is as high as a page needs. PRE it has a root."""
    return index >> (SLOT_BITS * (PageNode(content.m, content.root).level + 1)) == 0


@kernel
def find_node(content: Content, index: word) -> VirtAddr:
    """The lowest node on the way to a page; 0 where there is none."""
    at = content.root
    if at == 0 or not is_within(content, index):
        return VirtAddr(0)
    node = PageNode(content.m, at)
    while node.level != 0 and node.slots[slot_of(index, node.level)] != 0:
        node = PageNode(content.m, VirtAddr(node.slots[slot_of(index, node.level)]))
    return VirtAddr(node.addr)


@kernel
def entry_at(content: Content, index: word) -> word:
    """The frame of a page, perhaps with IS_CHANGED; 0: it has none."""
    at = find_node(content, index)
    if at == 0 or PageNode(content.m, at).level != 0:
        return 0
    return PageNode(content.m, at).slots[slot_of(index, 0)]


@kernel
def frame_at(content: Content, index: word) -> PhysAddr:
    """The frame of a page; 0: it has none."""
    return PhysAddr(entry_at(content, index) & ADDRESS)


@kernel
def next_page(content: Content, start: word, end: word) -> word:
    """The first page of [start, end) that has a frame; end where none has."""
    at = start
    while at < end:
        found = find_node(content, at)
        if found == 0:
            return end
        node = PageNode(content.m, found)
        if node.level == 0:
            slot = slot_of(at, 0)
            while slot < PAGE_SLOTS and node.slots[slot] == 0:
                slot += 1
            at = node.first + slot
            if slot < PAGE_SLOTS:
                return min(at, end)
        else:
            at = ((at >> (SLOT_BITS * node.level)) + 1) << (SLOT_BITS * node.level)
    return end


# ------------------------------------------------------------------ putting and taking
@kernel
def put_frame(k: Kernel, content: Content, index: word, frame: PhysAddr) -> word:
    """Give a page, which has none, a frame: OK; NO_FRAME, for a node, and nothing has changed."""
    if content.root == 0:
        return put_first(k, content, index, frame)
    if not grow(k, content, index):
        return NO_FRAME
    node = PageNode(k.m, find_node(content, index))
    branch, lowest = new_branch(k, content, index, node.level, frame)
    if branch == 0:
        shrink(k, content)
        return NO_FRAME
    node.slots[slot_of(index, node.level)] = branch
    node.nr_slots += 1
    if node.level == 0:
        lowest = VirtAddr(node.addr)
    else:
        PageNode(k.m, VirtAddr(branch)).parent = node.addr
    reverse_map.note_node(k, frame, lowest)
    content.nr_frames += 1
    return OK


@kernel
def put_first(k: Kernel, content: Content, index: word, frame: PhysAddr) -> word:
    """The same when no page has a frame yet; the content is on the list of all from now on."""
    height = 1
    while index >> (SLOT_BITS * height) != 0:
        height += 1
    branch, lowest = new_branch(k, content, index, height, frame)
    if branch == 0:
        return NO_FRAME
    content.root = VirtAddr(branch)
    content.nr_frames = 1
    content.previous = VirtAddr(0)
    content.next = k.vm.contents
    if content.next != 0:
        Content(k.m, content.next).previous = content.addr
    k.vm.contents = content.addr
    k.vm.nr_contents += 1
    reverse_map.note_node(k, frame, lowest)
    return OK


@kernel
def new_branch(k: Kernel, content: Content, index: word, level: word, frame: PhysAddr) -> tuple[word, VirtAddr]:
    """What a slot of a node of the level is to have, so that it leads to the frame, and the lowest node; 0, 0."""
    entry = 0 + frame
    lowest = VirtAddr(0)
    for below in range(level):
        made = new_node(k, content, below, index)
        if made == 0:
            free_branch(k, entry, below)
            return 0, VirtAddr(0)
        PageNode(k.m, made).slots[slot_of(index, below)] = entry
        if below == 0:
            lowest = made
        else:
            PageNode(k.m, VirtAddr(entry)).parent = made
        entry = 0 + made
    return entry, lowest


@kernel
def new_node(k: Kernel, content: Content, level: word, index: word) -> VirtAddr:
    """A node on the way to a page, whose slot for that is to be filled; 0 without memory."""
    node = PageNode(k.m, heap.kzalloc(k, PageNode.SIZE))
    if node.addr != 0:
        node.content = content.addr
        node.level = level
        node.first = first_of(index, level)
        node.nr_slots = 1
    return VirtAddr(node.addr)


@kernel
def free_branch(k: Kernel, top: word, level: word) -> None:
    """Give back the nodes below a level that lead to one frame alone."""
    entry = top
    for below in range(level - 1, -1, -1):
        node = PageNode(k.m, VirtAddr(entry))
        entry = node.slots[slot_of_only(node)] if below > 0 else 0
        heap.kfree(k, VirtAddr(node.addr))


@kernel
def slot_of_only(node: PageNode) -> word:
    """Which slot of a node is not 0, of which one is not."""
    slot = 0
    while node.slots[slot] == 0:
        slot += 1
    return slot


@kernel
def grow(k: Kernel, content: Content, index: word) -> bool:
    """Let the tree be as high as a page needs, unless there is no memory for it: then it is as before."""
    while not is_within(content, index):
        below = PageNode(k.m, content.root)
        made = new_node(k, content, below.level + 1, 0)
        if made == 0:
            shrink(k, content)
            return False
        PageNode(k.m, made).slots[0] = below.addr
        below.parent = made
        content.root = made
    return True


@kernel
def shrink(k: Kernel, content: Content) -> None:
    """Let the tree be as low as its pages allow."""
    root = PageNode(k.m, content.root)
    while root.level > 0 and root.nr_slots == 1 and root.slots[0] != 0:
        content.root = VirtAddr(root.slots[0])
        heap.kfree(k, VirtAddr(root.addr))
        root = PageNode(k.m, content.root)
        root.parent = VirtAddr(0)


@kernel
def take_frame(k: Kernel, content: Content, index: word) -> PhysAddr:
    """Take a page's frame, which nobody maps, out of the tree. PRE it has one."""
    node = PageNode(k.m, find_node(content, index))
    entry = node.slots[slot_of(index, 0)]
    frame = PhysAddr(entry & ADDRESS)
    content.nr_frames -= 1
    if entry & IS_CHANGED != 0:
        count_changed(k, content, -1)
    reverse_map.forget_node(k, frame)
    clear_slot(k, content, node, index)
    return frame


@kernel
def clear_slot(k: Kernel, content: Content, lowest: PageNode, index: word) -> None:
    """Let a slot of a node be empty, and free the nodes that are empty then."""
    node = lowest
    node.slots[slot_of(index, node.level)] = 0
    node.nr_slots -= 1
    while node.nr_slots == 0:
        parent = node.parent
        level = node.level + 1
        heap.kfree(k, VirtAddr(node.addr))
        if parent == 0:
            leave_list(k, content)
            return
        node = PageNode(k.m, parent)
        node.slots[slot_of(index, level)] = 0
        node.nr_slots -= 1
    shrink(k, content)


@kernel
def leave_list(k: Kernel, content: Content) -> None:
    """No page has a frame any more."""
    content.root = VirtAddr(0)
    if content.next != 0:
        Content(k.m, content.next).previous = content.previous
    if content.previous != 0:
        Content(k.m, content.previous).next = content.next
    else:
        k.vm.contents = content.next
    content.next = VirtAddr(0)
    content.previous = VirtAddr(0)
    k.vm.nr_contents -= 1


@kernel
def note_changed(k: Kernel, content: Content, index: word) -> None:
    """The bytes of a page may differ from now on from what they would be without its frame."""
    node = PageNode(k.m, find_node(content, index))
    slot = slot_of(index, 0)
    if node.slots[slot] & IS_CHANGED == 0:
        node.slots[slot] |= IS_CHANGED
        count_changed(k, content, 1)


@kernel
def count_changed(k: Kernel, content: Content, nr_pages: word) -> None:
    """So many more pages are changed."""
    content.nr_changed += nr_pages
    if content.is_anonymous == 0:
        k.vm.nr_changed += nr_pages


# ------------------------------------------------------------------ the check
@kernel
def check(k: Kernel, content: Content) -> word:
    """0, or the number of the first PAGES invariant that does not hold. PRE there is a root."""
    nr_frames = 0
    nr_changed = 0
    most = 1 << (SLOT_BITS * (PageNode(k.m, content.root).level + 1))
    index = next_page(content, 0, most)
    before = VirtAddr(0)
    while index < most:
        node = PageNode(k.m, find_node(content, index))
        if node.addr != before and not is_chain_right(k, content, node):
            return 1
        before = node.addr
        entry = node.slots[slot_of(index, 0)]
        frame = PhysAddr(entry & ADDRESS)
        if not pmm.is_page(k, frame) or reverse_map.word_of(k, frame) != node.addr:
            return 2
        nr_frames += 1
        nr_changed += entry & IS_CHANGED
        index = next_page(content, index + 1, most)
    return 0 if nr_frames == content.nr_frames and nr_changed == content.nr_changed else 3


@kernel
def is_chain_right(k: Kernel, content: Content, lowest: PageNode) -> bool:
    """PAGES-1 of a node of level 0 and of those above it."""
    node = lowest
    while True:
        nr_slots = 0
        for slot in range(PAGE_SLOTS):
            nr_slots += node.slots[slot] != 0
        if nr_slots != node.nr_slots or nr_slots == 0 or node.content != content.addr:
            return False
        if node.parent == 0:
            return content.root == node.addr
        above = PageNode(k.m, node.parent)
        if above.level != node.level + 1 or above.slots[slot_of(node.first, above.level)] != node.addr:
            return False
        node = above
