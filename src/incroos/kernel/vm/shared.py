"""Shared memory: anonymous pages that several ranges show, in several spaces after fork.

    SharedMemory    nr_users ranges have it; all objects are on a list
                    a tree of nodes of 64 slots, as high as its pages need; on level 0 the slots name frames

Unit: the page, by its index in the object. A page gets its frame when somebody first touches it, and the object keeps
that until its last range goes, mapped or not, as Linux's shmem does. Branches are built from the lowest node up and
linked with one store, so that what fails has changed nothing.
"""

from typing import Final

from incroos.kernel import heap, pmm
from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import SHARED_SLOTS, Kernel, SharedMemory, SharedNode
from incroos.lang import PhysAddr, VirtAddr, kernel, word

SLOT_BITS: Final = 6
SLOT_MASK: Final = SHARED_SLOTS - 1


# ------------------------------------------------------------------ making and ending
@kernel
def create(k: Kernel, nbytes: word) -> VirtAddr:
    """Memory of so many bytes, whole pages, that no range has yet: a SharedMemory's address; 0 without memory."""
    memory = SharedMemory(k.m, heap.kzalloc(k, SharedMemory.SIZE))
    if memory.addr == 0:
        return VirtAddr(0)
    nr_pages = (nbytes + PAGE_BYTES - 1) >> PAGE_SHIFT
    memory.content.nbytes = nr_pages << PAGE_SHIFT
    memory.height = 1
    while (nr_pages - 1) >> (SLOT_BITS * memory.height) != 0:
        memory.height += 1
    memory.next = k.vm.memories
    if memory.next != 0:
        SharedMemory(k.m, memory.next).previous = VirtAddr(memory.addr)
    k.vm.memories = VirtAddr(memory.addr)
    k.vm.nr_memories += 1
    return VirtAddr(memory.addr)


@kernel
def destroy(k: Kernel, memory: SharedMemory) -> None:
    """Give back frames and nodes, and the object, which no range has."""
    at = memory.nodes
    while at != 0:
        node = SharedNode(k.m, at)
        at = node.next
        if node.level == 0:
            free_frames(k, node)
        heap.kfree(k, VirtAddr(node.addr))
    if memory.next != 0:
        SharedMemory(k.m, memory.next).previous = memory.previous
    if memory.previous != 0:
        SharedMemory(k.m, memory.previous).next = memory.next
    else:
        k.vm.memories = memory.next
    k.vm.nr_memories -= 1
    heap.kfree(k, VirtAddr(memory.addr))


@kernel
def free_frames(k: Kernel, node: SharedNode) -> None:
    """Give back the frames of a node."""
    for index in range(SHARED_SLOTS):
        if node.slots[index] != 0:
            code = pmm.free_page(k, PhysAddr(node.slots[index]))
            if code != OK:
                panic(k, b'vm: a frame of shared memory is not free: frame, code', node.slots[index], code, 0)


# ------------------------------------------------------------------ pages
@kernel
def slot_of(index: word, level: word) -> word:
    """Which slot of a node of the level leads to a page."""
    return (index >> (SLOT_BITS * level)) & SLOT_MASK


@kernel
def find_node(memory: SharedMemory, index: word) -> tuple[VirtAddr, word]:
    """The lowest node on the way to a page, and its level; 0 and the height where there is none."""
    at = memory.root
    level = memory.height
    while at != 0:
        node = SharedNode(memory.m, at)
        level = node.level
        if level == 0 or node.slots[slot_of(index, level)] == 0:
            return at, level
        at = VirtAddr(node.slots[slot_of(index, level)])
    return at, level


@kernel
def frame_at(memory: SharedMemory, index: word) -> PhysAddr:
    """The frame of a page; 0: it has none yet."""
    at, level = find_node(memory, index)
    if at == 0 or level != 0:
        return PhysAddr(0)
    return PhysAddr(SharedNode(memory.m, at).slots[slot_of(index, 0)])


@kernel
def put_frame(k: Kernel, memory: SharedMemory, index: word, frame: PhysAddr) -> word:
    """Give a page, which has none, a frame: OK; NO_FRAME, for a node, and nothing has changed."""
    at, level = find_node(memory, index)
    entry = VirtAddr(frame)
    for below in range(level):
        made = new_node(k, memory, below)
        if made == 0:
            free_nodes(k, memory, below)
            return NO_FRAME
        SharedNode(k.m, made).slots[slot_of(index, below)] = entry
        entry = made
    if at != 0:
        SharedNode(k.m, at).slots[slot_of(index, level)] = entry
    else:
        memory.root = entry
    memory.nr_frames += 1
    return OK


@kernel
def take_frame(memory: SharedMemory, index: word) -> None:
    """Let a page have no frame any more. PRE it has one, which nobody maps."""
    at, _level = find_node(memory, index)
    SharedNode(memory.m, at).slots[slot_of(index, 0)] = 0
    memory.nr_frames -= 1


@kernel
def new_node(k: Kernel, memory: SharedMemory, level: word) -> VirtAddr:
    """An empty node, on the list; 0 without memory."""
    node = SharedNode(k.m, heap.kzalloc(k, SharedNode.SIZE))
    if node.addr != 0:
        node.level = level
        node.next = memory.nodes
        memory.nodes = VirtAddr(node.addr)
    return VirtAddr(node.addr)


@kernel
def free_nodes(k: Kernel, memory: SharedMemory, nr_nodes: word) -> None:
    """Give back the nodes that were made last, which lead nowhere yet."""
    for _ in range(nr_nodes):
        last = memory.nodes
        memory.nodes = SharedNode(k.m, last).next
        heap.kfree(k, last)


# ------------------------------------------------------------------ the check
@kernel
def check(k: Kernel, memory: SharedMemory) -> bool:
    """Whether nodes lead to nodes of the level below, frames are pages, and nr_frames is how many there are."""
    nr_frames = 0
    at = memory.nodes
    while at != 0:
        node = SharedNode(k.m, at)
        for index in range(SHARED_SLOTS):
            entry = node.slots[index]
            if entry != 0 and node.level == 0:
                nr_frames += 1
                if not pmm.is_page(k, PhysAddr(entry)):
                    return False
            elif entry != 0 and SharedNode(k.m, VirtAddr(entry)).level != node.level - 1:
                return False
        at = node.next
    return nr_frames == memory.nr_frames
