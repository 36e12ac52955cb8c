"""Tree: the design of frame allocators that keeps a zone's free frames in a frame tree, lowest first.

Unit: the block, named by the PFN of its first frame. The tree itself knows neither zones nor records (frame_tree.py).
"""

from typing import Final

from incroos.kernel.pmm.all.frame_database import open_all, open_record
from incroos.kernel.pmm.hot_list import SLOT_MASK, oldest
from incroos.kernel.pmm.tree import frame_tree, tree_batches
from incroos.kernel.pmm.tree.frame_tree import FrameTree
from incroos.kernel.pmm.tree.tree_levels import DIGIT_BITS, TOP_ORDER
from incroos.kernel.state import FrameDatabase, HotList, Zone
from incroos.lang import Pfn, VirtAddr, kernel, word

STATE_BYTES: Final = FrameTree.SIZE


@kernel
def tree_of(zone: Zone) -> FrameTree:
    """The tree of a zone."""
    return FrameTree(zone.m, zone.allocator.addr)


@kernel
def first_of(start: Pfn) -> Pfn:
    """Where the tree of a zone begins: at the start of a largest block."""
    return Pfn(start & -(1 << TOP_ORDER))


@kernel
def metadata_bytes(start: Pfn, end: Pfn) -> word:
    """The words of the tree."""
    return frame_tree.metadata_bytes(end - first_of(start))


@kernel
def init(zone: Zone, memory: VirtAddr) -> None:
    """No frame is free."""
    first = first_of(zone.start)
    frame_tree.init(tree_of(zone), memory, first, zone.end - first)


@kernel
def add(zone: Zone, database: FrameDatabase, start: Pfn, end: Pfn) -> None:
    """Call [start, end) free."""
    frame_tree.add(tree_of(zone), start, end)


@kernel
def put(zone: Zone, database: FrameDatabase, pfn: Pfn, order: word) -> None:
    """Take back a block."""
    frame_tree.put(tree_of(zone), pfn, order)


@kernel
def take(zone: Zone, database: FrameDatabase, order: word) -> Pfn:
    """The lowest block, as frame_tree.take says; NO_FRAME."""
    return frame_tree.take(tree_of(zone), order)


@kernel
def take_at(zone: Zone, database: FrameDatabase, pfn: Pfn, order: word) -> word:
    """This block: OK, or NOT_FREE."""
    return frame_tree.take_at(tree_of(zone), pfn, order)


@kernel
def is_free(zone: Zone, database: FrameDatabase, pfn: Pfn, order: word) -> bool:
    """Whether all frames of a block are free."""
    return frame_tree.is_free(tree_of(zone), pfn, order)


@kernel
def end_of_taken(zone: Zone, database: FrameDatabase, pfn: Pfn) -> Pfn:
    """The end of the largest block round a frame of which nothing is free."""
    return frame_tree.end_of_taken(tree_of(zone), pfn)


@kernel
def refill(zone: Zone, database: FrameDatabase, hot: HotList) -> None:
    """All blocks that one word of the tree has."""
    if tree_batches.refill(tree_of(zone), hot) != 0:
        if hot.order == 0:
            open_all(database, oldest(hot))  # all of them lie in one word
        else:
            open_records(database, hot)


@kernel
def open_records(database: FrameDatabase, hot: HotList) -> None:
    """Make the records readable of all blocks on a hot list."""
    for at in range(hot.bottom, hot.top):
        open_record(database, hot.slots[at & SLOT_MASK], hot.order)


@kernel
def take_back(zone: Zone, database: FrameDatabase, hot: HotList, nr_blocks: word) -> None:
    """A word of the tree at a time."""
    tree_batches.take_back(tree_of(zone), hot, nr_blocks)


@kernel
def part(zone: Zone, database: FrameDatabase, pfn: Pfn, order: word) -> None:
    """Let the words count that have a bit for each frame of the block."""
    tree = tree_of(zone)
    first = pfn - tree.start
    for at in range(first, first + (1 << order), 1 << DIGIT_BITS):
        frame_tree.open_word(tree, 0, at >> DIGIT_BITS)


@kernel
def nr_free_frames(zone: Zone) -> word:
    """How many frames are free."""
    return tree_of(zone).nr_free_frames


@kernel
def nr_free_blocks(zone: Zone, order: word) -> word:
    """Looks at all words of a level."""
    return frame_tree.nr_free_blocks(tree_of(zone), order)


@kernel
def nr_splits(zone: Zone) -> word:
    """How many blocks were split so far."""
    return tree_of(zone).nr_splits


@kernel
def nr_merges(zone: Zone) -> word:
    """How many words became a block of the level above so far."""
    return tree_of(zone).nr_merges


@kernel
def check(zone: Zone, database: FrameDatabase) -> word:
    """0, or the number of the first TREE invariant that does not hold."""
    return frame_tree.check(tree_of(zone))
