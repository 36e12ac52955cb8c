"""Bins: the free chunks of the dlmalloc-style heap by size, and which of them fits best.

Unit: the chunk. Knows nothing of neighbours in memory, nor of the chunks that are in no bin: the one that is split
again and again, and the top.

    small bins   32, 48, ... 1,008 bytes      a list of chunks of one size; newest first
    tree bins    1,024, 1,536, 2,048, ...     chunks from this size to the next one, two bins for each power of two; a
                                              trie by the bits of the size below those that all of the bin share
    small_map, tree_map                       a bit for each bin: is it not empty?

In a trie each node has one size: left of it are the sizes whose next bit is 0, right of it those with 1, and chunks of
its own size hang on it in a ring. Depth is at most the number of bits, so every search and every change is bounded.
D. Lea, "A Memory Allocator"; tries by the bits of a key: D. E. Knuth, volume 3, section 6.3.
"""

from typing import Final

from incroos.kernel.config import NO_HARDENING
from incroos.kernel.heap.chunk.header import BYTES_MASK, bytes_of, chunk_at
from incroos.kernel.heap.chunk.verified import linked, masked, report_link, require_end, require_link
from incroos.kernel.state import NR_SMALL_BINS, NR_TREE_BINS, BinState, Heap, SizedChunk
from incroos.lang import VirtAddr, count_leading_zeros, count_trailing_zeros, kernel, shl_wrap, shr_logical, word

FIRST_TREE_SHIFT: Final = 10
FIRST_TREE_BYTES: Final = 1 << FIRST_TREE_SHIFT  # NR_SMALL_BINS * 16
LAST_TREE: Final = NR_TREE_BINS - 1
KEY_BITS: Final = 40  # of a size in the last bin, which has no upper end


@kernel
def init(bins: BinState) -> None:
    """All bins are empty."""
    bins.small_map = 0
    bins.tree_map = 0
    for index in range(NR_SMALL_BINS):
        bins.small[index] = VirtAddr(0)
    for index in range(NR_TREE_BINS):
        bins.trees[index] = VirtAddr(0)


@kernel
def tree_index(nbytes: word) -> word:
    """The tree bin for a size."""
    shift = 63 - count_leading_zeros(nbytes)
    return min((shift - FIRST_TREE_SHIFT) * 2 + (nbytes >> (shift - 1) & 1), LAST_TREE)


@kernel
def key_of(nbytes: word, index: word) -> word:
    """The size shifted so that the first bit in which sizes of the bin differ is the sign."""
    if index == LAST_TREE:
        return shl_wrap(nbytes, 64 - KEY_BITS)
    return shl_wrap(nbytes, 65 - FIRST_TREE_SHIFT - (index >> 1))


# ------------------------------------------------------------------ in and out
@kernel
def insert(heap: Heap, chunk: SizedChunk, nbytes: word) -> None:
    """Put a free chunk of so many bytes into its bin."""
    if nbytes < FIRST_TREE_BYTES:
        insert_small(heap, chunk, nbytes >> 4)
    else:
        insert_large(heap, chunk, nbytes)


@kernel
def remove(heap: Heap, chunk: SizedChunk, nbytes: word) -> None:
    """Take a free chunk of so many bytes out of its bin."""
    if nbytes < FIRST_TREE_BYTES:
        remove_small(heap, chunk, nbytes >> 4)
    else:
        remove_large(heap, chunk, nbytes)


@kernel
def insert_small(heap: Heap, chunk: SizedChunk, index: word) -> None:
    """Put a chunk in front of a small bin."""
    bins = heap.chunks.bins
    first = bins.small[index]
    chunk.next = masked(heap, chunk, first)
    chunk.previous = masked(heap, chunk, VirtAddr(0))
    if first != 0:
        following = chunk_at(heap, first)
        following.previous = masked(heap, following, chunk.addr)
    bins.small[index] = chunk.addr
    bins.small_map = bins.small_map | shl_wrap(1, index)


@kernel
def remove_small(heap: Heap, chunk: SizedChunk, index: word) -> None:
    """Take a chunk out of a small bin; panics where the links do not agree."""
    bins = heap.chunks.bins
    next_addr = masked(heap, chunk, chunk.next)
    previous_addr = masked(heap, chunk, chunk.previous)
    if next_addr != 0:
        following = linked(heap, chunk, next_addr)
        require_link(heap, following, following.previous, chunk.addr)
        following.previous = masked(heap, following, previous_addr)
    if previous_addr != 0:
        previous = linked(heap, chunk, previous_addr)
        require_link(heap, previous, previous.next, chunk.addr)
        previous.next = masked(heap, previous, next_addr)
        return
    if heap.config.hardening != NO_HARDENING and bins.small[index] != chunk.addr:
        report_link(heap, chunk, previous_addr)
    bins.small[index] = next_addr
    if next_addr == 0:
        bins.small_map = bins.small_map & ~shl_wrap(1, index)


@kernel
def remove_first(heap: Heap, chunk: SizedChunk, index: word) -> None:
    """Take the first chunk out of a small bin; panics where the links do not agree."""
    bins = heap.chunks.bins
    next_addr = masked(heap, chunk, chunk.next)
    bins.small[index] = next_addr
    if next_addr == 0:
        bins.small_map = bins.small_map & ~shl_wrap(1, index)
        return
    following = linked(heap, chunk, next_addr)
    require_link(heap, following, following.previous, chunk.addr)
    following.previous = masked(heap, following, VirtAddr(0))


@kernel
def insert_large(heap: Heap, chunk: SizedChunk, nbytes: word) -> None:
    """Put a chunk into a trie, or into the ring of the node that has its size."""
    bins = heap.chunks.bins
    index = tree_index(nbytes)
    none = masked(heap, chunk, VirtAddr(0))
    itself = masked(heap, chunk, chunk.addr)
    chunk.left = none
    chunk.right = none
    chunk.next = itself
    chunk.previous = itself
    if bins.trees[index] == 0:
        bins.trees[index] = chunk.addr
        bins.tree_map = bins.tree_map | 1 << index
        chunk.parent = itself
        return
    key = key_of(nbytes, index)
    node = chunk_at(heap, bins.trees[index])
    parent = node.addr
    depth = 0
    while bytes_of(node) != nbytes:
        child = masked(heap, node, node.right if key < 0 else node.left)
        if child == 0:
            require_link(heap, node, node.parent, parent)
            if key < 0:
                node.right = masked(heap, node, chunk.addr)
            else:
                node.left = masked(heap, node, chunk.addr)
            chunk.parent = masked(heap, chunk, node.addr)
            return
        key = shl_wrap(key, 1)
        parent = node.addr
        node = linked(heap, node, child)
        depth += 1
        require_end(heap, node, depth)
    require_link(heap, node, node.parent, parent)
    join_ring(heap, node, chunk)


@kernel
def join_ring(heap: Heap, node: SizedChunk, chunk: SizedChunk) -> None:
    """Put a chunk behind a node of its size."""
    following = linked(heap, node, masked(heap, node, node.next))
    require_link(heap, following, following.previous, node.addr)
    chunk.parent = masked(heap, chunk, VirtAddr(0))
    chunk.next = masked(heap, chunk, following.addr)
    chunk.previous = masked(heap, chunk, node.addr)
    following.previous = masked(heap, following, chunk.addr)
    node.next = masked(heap, node, chunk.addr)


@kernel
def remove_large(heap: Heap, chunk: SizedChunk, nbytes: word) -> None:
    """Take a chunk out of its trie; another of its size, or else a leaf below it, takes its place."""
    heir = masked(heap, chunk, chunk.next)
    if heir != chunk.addr:
        leave_ring(heap, chunk, linked(heap, chunk, heir))
        if masked(heap, chunk, chunk.parent) == 0:
            return
    else:
        heir = cut_leaf(heap, chunk)
    replace(heap, chunk, heir, tree_index(nbytes))


@kernel
def leave_ring(heap: Heap, chunk: SizedChunk, following: SizedChunk) -> None:
    """Take a chunk out of the ring of its size, in which another follows; panics where the links do not agree."""
    previous = linked(heap, chunk, masked(heap, chunk, chunk.previous))
    require_link(heap, following, following.previous, chunk.addr)
    require_link(heap, previous, previous.next, chunk.addr)
    following.previous = masked(heap, following, previous.addr)
    previous.next = masked(heap, previous, following.addr)


@kernel
def cut_leaf(heap: Heap, chunk: SizedChunk) -> VirtAddr:
    """Take the rightmost leaf below a node from its parent; 0 when the node has no child."""
    parent = chunk
    link = child_of(heap, chunk)
    if link == 0:
        return link
    leaf = linked(heap, chunk, link)
    link = child_of(heap, leaf)
    depth = 0
    while link != 0:
        parent = leaf
        leaf = linked(heap, leaf, link)
        link = child_of(heap, leaf)
        depth += 1
        require_end(heap, parent, depth)
    require_link(heap, leaf, leaf.parent, parent.addr)
    replace_child(heap, parent, leaf, VirtAddr(0))
    return leaf.addr


@kernel
def child_of(heap: Heap, node: SizedChunk) -> VirtAddr:
    """The right child, or the left one where there is no other; 0 without children."""
    right = masked(heap, node, node.right)
    return right if right != 0 else masked(heap, node, node.left)


@kernel
def replace(heap: Heap, chunk: SizedChunk, heir: VirtAddr, index: word) -> None:
    """Put a chunk, or nothing, where another one is in the trie."""
    bins = heap.chunks.bins
    parent_addr = masked(heap, chunk, chunk.parent)
    is_root = parent_addr == chunk.addr
    if is_root:
        if heap.config.hardening != NO_HARDENING and bins.trees[index] != chunk.addr:
            report_link(heap, chunk, parent_addr)
        bins.trees[index] = heir
        if heir == 0:
            bins.tree_map = bins.tree_map & ~(1 << index)
    else:
        replace_child(heap, linked(heap, chunk, parent_addr), chunk, heir)
    if heir != 0:
        node = chunk_at(heap, heir)
        node.parent = masked(heap, node, heir if is_root else parent_addr)
        adopt(heap, node, chunk)


@kernel
def replace_child(heap: Heap, parent: SizedChunk, chunk: SizedChunk, heir: VirtAddr) -> None:
    """Put a chunk, or nothing, where another one is below its parent."""
    if masked(heap, parent, parent.right) == chunk.addr:
        parent.right = masked(heap, parent, heir)
    else:
        require_link(heap, parent, parent.left, chunk.addr)
        parent.left = masked(heap, parent, heir)


@kernel
def adopt(heap: Heap, node: SizedChunk, chunk: SizedChunk) -> None:
    """Give a node the children of another."""
    left = masked(heap, chunk, chunk.left)
    right = masked(heap, chunk, chunk.right)
    node.left = masked(heap, node, left)
    node.right = masked(heap, node, right)
    if left != 0:
        adopt_child(heap, node, chunk, linked(heap, chunk, left))
    if right != 0:
        adopt_child(heap, node, chunk, linked(heap, chunk, right))


@kernel
def adopt_child(heap: Heap, node: SizedChunk, chunk: SizedChunk, child: SizedChunk) -> None:
    """Give the child of one node another parent."""
    require_link(heap, child, child.parent, chunk.addr)
    child.parent = masked(heap, child, node.addr)


# ------------------------------------------------------------------ the best fit
@kernel
def find_small(heap: Heap, nbytes: word) -> VirtAddr:
    """The smallest chunk of the small bins that has so many bytes; 0 when none has."""
    bins = heap.chunks.bins
    suitable = shr_logical(bins.small_map, nbytes >> 4)
    if suitable == 0:
        return VirtAddr(0)
    return bins.small[(nbytes >> 4) + count_trailing_zeros(suitable)]


@kernel
def find_least(heap: Heap, index: word) -> VirtAddr:
    """The smallest chunk of a trie, which is not empty."""
    best = heap.chunks.bins.trees[index]
    node = chunk_at(heap, best)
    best_bytes = bytes_of(node)
    link = left_or_right(heap, node)
    depth = 0
    while link != 0:
        node = linked(heap, node, link)
        nbytes = bytes_of(node)
        if nbytes < best_bytes:
            best = node.addr
            best_bytes = nbytes
        link = left_or_right(heap, node)
        depth += 1
        require_end(heap, node, depth)
    return best


@kernel
def left_or_right(heap: Heap, node: SizedChunk) -> VirtAddr:
    """The left child, or the right one where there is no other; 0 without children."""
    left = masked(heap, node, node.left)
    return left if left != 0 else masked(heap, node, node.right)


@kernel
def find_large(heap: Heap, nbytes: word) -> VirtAddr:
    """The smallest chunk of the tree bins that has so many bytes; 0 when none has."""
    bins = heap.chunks.bins
    first = 0
    if nbytes >= FIRST_TREE_BYTES:
        first = tree_index(nbytes)
        best = find_in_trie(heap, first, nbytes)
        if best != 0:
            return best
        first += 1
        if first == NR_TREE_BINS:
            return best
    suitable = bins.tree_map >> first
    if suitable == 0:
        return VirtAddr(0)
    return find_least(heap, first + count_trailing_zeros(suitable))


@kernel
def mate_of(heap: Heap, addr: VirtAddr) -> VirtAddr:
    """Of a chunk and those of its size, one that leaves its bin most cheaply."""
    node = chunk_at(heap, addr)
    return linked(heap, node, masked(heap, node, node.next)).addr if bytes_of(node) >= FIRST_TREE_BYTES else addr


@kernel
def find_in_trie(heap: Heap, index: word, nbytes: word) -> VirtAddr:
    """The smallest chunk of this trie with so many bytes; 0 when none has.

    Goes the way of the size. What hangs right of it is larger, and the last such subtree has the smallest of these.
    """
    best = VirtAddr(0)
    best_bytes = BYTES_MASK
    key = key_of(nbytes, index)
    link = heap.chunks.bins.trees[index]
    node = chunk_at(heap, link)
    larger = VirtAddr(0)
    above = node  # the node that `larger` hangs at
    depth = 0
    while link != 0:
        node = linked(heap, node, link)
        size = bytes_of(node)
        if nbytes <= size < best_bytes:
            best = link
            best_bytes = size
            if size == nbytes:
                return best
        right = masked(heap, node, node.right)
        if key < 0:
            link = right
        else:
            if right != 0:
                larger = right
                above = node
            link = masked(heap, node, node.left)
        key = shl_wrap(key, 1)
        depth += 1
        require_end(heap, node, depth)
    while larger != 0:
        above = linked(heap, above, larger)
        size = bytes_of(above)
        if nbytes <= size < best_bytes:
            best = larger
            best_bytes = size
        larger = left_or_right(heap, above)
        depth += 1
        require_end(heap, above, depth)
    return best
