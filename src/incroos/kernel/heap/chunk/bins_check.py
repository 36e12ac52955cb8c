"""The checker of the bins: whether each has the chunks that it should have, and how many there are in all of them.

Unit: the chunk. Changes nothing. Reads only what lies between the first chunk and the top.
"""

from typing import Final

from incroos.kernel.codes import OK
from incroos.kernel.heap.block import ALIGNMENT
from incroos.kernel.heap.chunk.bins import FIRST_TREE_BYTES, key_of, tree_index
from incroos.kernel.heap.chunk.header import FIRST_CHUNK, USED, bytes_of, chunk_at, is_sealed
from incroos.kernel.heap.chunk.verified import masked
from incroos.kernel.state import NR_SMALL_BINS, NR_TREE_BINS, Heap
from incroos.lang import VirtAddr, kernel, shl_wrap, shr_logical, word

# BIN-1  the chunks of a small bin are free and have its size, and their links agree
# BIN-2  a chunk of a trie is free and has a size of its bin, the bits of which lead to it; parents and children agree
# BIN-3  chunks of a ring are free and have one size, and their links agree
# BIN-4  a bit of a map is set exactly where its bin is not empty

BROKEN: Final = -1  # in the place of a count of chunks, less the number of the invariant

FROM_ABOVE: Final = 0  # where a walk through a trie comes to a node from
FROM_LEFT: Final = 1
FROM_RIGHT: Final = 2


@kernel
def count_chunks(heap: Heap) -> word:
    """How many chunks are in bins; BROKEN less the number of the first BIN invariant that does not hold."""
    total = 0
    bins = heap.chunks.bins
    for index in range(NR_SMALL_BINS):
        count = count_small(heap, index)
        if count < 0:
            return count
        if (count != 0) != (shr_logical(bins.small_map, index) & 1 != 0):
            return BROKEN - 4
        total += count
    for index in range(NR_TREE_BINS):
        count = count_trie(heap, index)
        if count < 0:
            return count
        if (count != 0) != (bins.tree_map >> index & 1 != 0):
            return BROKEN - 4
        total += count
    return total


@kernel
def is_free_chunk(heap: Heap, addr: VirtAddr) -> bool:
    """Whether a free chunk begins at an address, which may be anything."""
    chunks = heap.chunks
    if addr & (ALIGNMENT - 1) != FIRST_CHUNK or addr < chunks.start + FIRST_CHUNK or addr >= chunks.top:
        return False
    chunk = chunk_at(heap, addr)
    return is_sealed(heap, chunk) and chunk.header & USED == 0


@kernel
def count_small(heap: Heap, index: word) -> word:
    """How many chunks a small bin has, or which invariant is broken."""
    count = 0
    previous = VirtAddr(0)
    at = heap.chunks.bins.small[index]
    while at != 0:
        if not is_free_chunk(heap, at):
            return BROKEN - 1
        chunk = chunk_at(heap, at)
        if bytes_of(chunk) != index << 4 or masked(heap, chunk, chunk.previous) != previous:
            return BROKEN - 1
        previous = at
        at = masked(heap, chunk, chunk.next)
        count += 1
    return count


@kernel
def count_trie(heap: Heap, index: word) -> word:
    """How many chunks a tree bin has, or which invariant is broken. Goes round each node: down left, down right, up."""
    root = heap.chunks.bins.trees[index]
    total = 0
    at = root
    origin = FROM_ABOVE
    while at != 0:
        if origin == FROM_ABOVE:
            count = count_node(heap, index, at)
            if count < 0:
                return count
            total += count
        node = chunk_at(heap, at)
        left = masked(heap, node, node.left)
        right = masked(heap, node, node.right)
        if origin == FROM_ABOVE and left != 0:
            at = left
        elif origin != FROM_RIGHT and right != 0:
            at = right
            origin = FROM_ABOVE
        elif at == root:
            return total
        else:
            parent = chunk_at(heap, masked(heap, node, node.parent))
            origin = FROM_LEFT if masked(heap, parent, parent.left) == at else FROM_RIGHT
            at = parent.addr
    return total


@kernel
def count_node(heap: Heap, index: word, addr: VirtAddr) -> word:
    """How many chunks a node and its ring are, or which invariant is broken. Its parent is known to be right."""
    if not is_free_chunk(heap, addr):
        return BROKEN - 2
    node = chunk_at(heap, addr)
    nbytes = bytes_of(node)
    if nbytes < FIRST_TREE_BYTES or tree_index(nbytes) != index or not leads_to(heap, index, addr):
        return BROKEN - 2
    return count_ring(heap, addr)


@kernel
def leads_to(heap: Heap, index: word, addr: VirtAddr) -> bool:
    """Whether the bits of the size lead from the root to a node, and back by its parents."""
    nbytes = bytes_of(chunk_at(heap, addr))
    key = key_of(nbytes, index)
    at = heap.chunks.bins.trees[index]
    parent = at
    while at != addr:
        if at == 0:
            return False
        node = chunk_at(heap, at)
        parent = at
        at = masked(heap, node, node.right if key < 0 else node.left)
        key = shl_wrap(key, 1)
    last = chunk_at(heap, addr)
    return masked(heap, last, last.parent) == parent


@kernel
def count_ring(heap: Heap, addr: VirtAddr) -> word:
    """How many chunks a node's ring has, itself among them, or which invariant is broken."""
    node = chunk_at(heap, addr)
    nbytes = bytes_of(node)
    count = 1
    previous = addr
    at = masked(heap, node, node.next)
    while at != addr:
        if not is_free_chunk(heap, at):
            return BROKEN - 3
        chunk = chunk_at(heap, at)
        if bytes_of(chunk) != nbytes or masked(heap, chunk, chunk.previous) != previous:
            return BROKEN - 3
        if masked(heap, chunk, chunk.parent) != 0:
            return BROKEN - 3
        previous = at
        at = masked(heap, chunk, chunk.next)
        count += 1
    return count if masked(heap, node, node.previous) == previous else BROKEN - 3


@kernel
def code_of(count: word) -> word:
    """The number of the broken invariant that a count stands for; OK for any other count."""
    return BROKEN - count if count < 0 else OK
