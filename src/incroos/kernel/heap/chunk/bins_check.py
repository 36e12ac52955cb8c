"""The checker of the bins: whether each has the chunks that it should have, and how many there are in all of them.

Unit: the chunk. Changes nothing. Reads only what lies between the first chunk and the top.
"""

from typing import Final

from incroos.kernel.codes import OK
from incroos.kernel.heap.chunk.bins import FIRST_TREE_BYTES, key_of, tree_index
from incroos.kernel.heap.chunk.header import ALIGNMENT, FIRST_CHUNK, USED, bytes_of, chunk_at, is_sealed
from incroos.kernel.heap.chunk.verified import masked
from incroos.kernel.state import NR_SMALL_BINS, NR_TREE_BINS, Kernel
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
def count_chunks(k: Kernel) -> word:
    """How many chunks are in bins; BROKEN less the number of the first BIN invariant that does not hold."""
    total = 0
    bins = k.chunks.bins
    for index in range(NR_SMALL_BINS):
        count = count_small(k, index)
        if count < 0:
            return count
        if (count != 0) != (shr_logical(bins.small_map, index) & 1 != 0):
            return BROKEN - 4
        total += count
    for index in range(NR_TREE_BINS):
        count = count_trie(k, index)
        if count < 0:
            return count
        if (count != 0) != (bins.tree_map >> index & 1 != 0):
            return BROKEN - 4
        total += count
    return total


@kernel
def is_free_chunk(k: Kernel, addr: VirtAddr) -> bool:
    """Whether a free chunk begins at an address, which may be anything."""
    chunks = k.chunks
    if addr & (ALIGNMENT - 1) != FIRST_CHUNK or addr < chunks.start + FIRST_CHUNK or addr >= chunks.top:
        return False
    chunk = chunk_at(k, addr)
    return is_sealed(k, chunk) and chunk.header & USED == 0


@kernel
def count_small(k: Kernel, index: word) -> word:
    """How many chunks a small bin has, or which invariant is broken."""
    count = 0
    previous = VirtAddr(0)
    at = k.chunks.bins.small[index]
    while at != 0:
        if not is_free_chunk(k, at):
            return BROKEN - 1
        chunk = chunk_at(k, at)
        if bytes_of(chunk) != index << 4 or masked(k, chunk, chunk.previous) != previous:
            return BROKEN - 1
        previous = at
        at = masked(k, chunk, chunk.next)
        count += 1
    return count


@kernel
def count_trie(k: Kernel, index: word) -> word:
    """How many chunks a tree bin has, or which invariant is broken. Goes round each node: down left, down right, up."""
    root = k.chunks.bins.trees[index]
    total = 0
    at = root
    origin = FROM_ABOVE
    while at != 0:
        if origin == FROM_ABOVE:
            count = count_node(k, index, at)
            if count < 0:
                return count
            total += count
        node = chunk_at(k, at)
        left = masked(k, node, node.left)
        right = masked(k, node, node.right)
        if origin == FROM_ABOVE and left != 0:
            at = left
        elif origin != FROM_RIGHT and right != 0:
            at = right
            origin = FROM_ABOVE
        elif at == root:
            return total
        else:
            parent = chunk_at(k, masked(k, node, node.parent))
            origin = FROM_LEFT if masked(k, parent, parent.left) == at else FROM_RIGHT
            at = parent.addr
    return total


@kernel
def count_node(k: Kernel, index: word, addr: VirtAddr) -> word:
    """How many chunks a node and its ring are, or which invariant is broken. Its parent is known to be right."""
    if not is_free_chunk(k, addr):
        return BROKEN - 2
    node = chunk_at(k, addr)
    nbytes = bytes_of(node)
    if nbytes < FIRST_TREE_BYTES or tree_index(nbytes) != index or not leads_to(k, index, addr):
        return BROKEN - 2
    return count_ring(k, addr)


@kernel
def leads_to(k: Kernel, index: word, addr: VirtAddr) -> bool:
    """Whether the bits of the size lead from the root to a node, and back by its parents."""
    nbytes = bytes_of(chunk_at(k, addr))
    key = key_of(nbytes, index)
    at = k.chunks.bins.trees[index]
    parent = at
    while at != addr:
        if at == 0:
            return False
        node = chunk_at(k, at)
        parent = at
        at = masked(k, node, node.right if key < 0 else node.left)
        key = shl_wrap(key, 1)
    last = chunk_at(k, addr)
    return masked(k, last, last.parent) == parent


@kernel
def count_ring(k: Kernel, addr: VirtAddr) -> word:
    """How many chunks a node's ring has, itself among them, or which invariant is broken."""
    node = chunk_at(k, addr)
    nbytes = bytes_of(node)
    count = 1
    previous = addr
    at = masked(k, node, node.next)
    while at != addr:
        if not is_free_chunk(k, at):
            return BROKEN - 3
        chunk = chunk_at(k, at)
        if bytes_of(chunk) != nbytes or masked(k, chunk, chunk.previous) != previous:
            return BROKEN - 3
        if masked(k, chunk, chunk.parent) != 0:
            return BROKEN - 3
        previous = at
        at = masked(k, chunk, chunk.next)
        count += 1
    return count if masked(k, node, node.previous) == previous else BROKEN - 3


@kernel
def code_of(count: word) -> word:
    """The number of the broken invariant that a count stands for; OK for any other count."""
    return BROKEN - count if count < 0 else OK
