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
from incroos.kernel.state import NR_SMALL_BINS, NR_TREE_BINS, BinState, Kernel, SizedChunk
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
def insert(k: Kernel, chunk: SizedChunk, nbytes: word) -> None:
    """Put a free chunk of so many bytes into its bin."""
    if nbytes < FIRST_TREE_BYTES:
        insert_small(k, chunk, nbytes >> 4)
    else:
        insert_large(k, chunk, nbytes)


@kernel
def remove(k: Kernel, chunk: SizedChunk, nbytes: word) -> None:
    """Take a free chunk of so many bytes out of its bin."""
    if nbytes < FIRST_TREE_BYTES:
        remove_small(k, chunk, nbytes >> 4)
    else:
        remove_large(k, chunk, nbytes)


@kernel
def insert_small(k: Kernel, chunk: SizedChunk, index: word) -> None:
    """Put a chunk in front of a small bin."""
    bins = k.chunks.bins
    first = bins.small[index]
    chunk.next = masked(k, chunk, first)
    chunk.previous = masked(k, chunk, VirtAddr(0))
    if first != 0:
        following = chunk_at(k, first)
        following.previous = masked(k, following, chunk.addr)
    bins.small[index] = chunk.addr
    bins.small_map = bins.small_map | shl_wrap(1, index)


@kernel
def remove_small(k: Kernel, chunk: SizedChunk, index: word) -> None:
    """Take a chunk out of a small bin; panics where the links do not agree."""
    bins = k.chunks.bins
    next_addr = masked(k, chunk, chunk.next)
    previous_addr = masked(k, chunk, chunk.previous)
    if next_addr != 0:
        following = linked(k, chunk, next_addr)
        require_link(k, following, following.previous, chunk.addr)
        following.previous = masked(k, following, previous_addr)
    if previous_addr != 0:
        previous = linked(k, chunk, previous_addr)
        require_link(k, previous, previous.next, chunk.addr)
        previous.next = masked(k, previous, next_addr)
        return
    if k.config.hardening != NO_HARDENING and bins.small[index] != chunk.addr:
        report_link(k, chunk, previous_addr)
    bins.small[index] = next_addr
    if next_addr == 0:
        bins.small_map = bins.small_map & ~shl_wrap(1, index)


@kernel
def remove_first(k: Kernel, chunk: SizedChunk, index: word) -> None:
    """Take the first chunk out of a small bin; panics where the links do not agree."""
    bins = k.chunks.bins
    next_addr = masked(k, chunk, chunk.next)
    bins.small[index] = next_addr
    if next_addr == 0:
        bins.small_map = bins.small_map & ~shl_wrap(1, index)
        return
    following = linked(k, chunk, next_addr)
    require_link(k, following, following.previous, chunk.addr)
    following.previous = masked(k, following, VirtAddr(0))


@kernel
def insert_large(k: Kernel, chunk: SizedChunk, nbytes: word) -> None:
    """Put a chunk into a trie, or into the ring of the node that has its size."""
    bins = k.chunks.bins
    index = tree_index(nbytes)
    none = masked(k, chunk, VirtAddr(0))
    itself = masked(k, chunk, chunk.addr)
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
    node = chunk_at(k, bins.trees[index])
    parent = node.addr
    depth = 0
    while bytes_of(node) != nbytes:
        child = masked(k, node, node.right if key < 0 else node.left)
        if child == 0:
            require_link(k, node, node.parent, parent)
            if key < 0:
                node.right = masked(k, node, chunk.addr)
            else:
                node.left = masked(k, node, chunk.addr)
            chunk.parent = masked(k, chunk, node.addr)
            return
        key = shl_wrap(key, 1)
        parent = node.addr
        node = linked(k, node, child)
        depth += 1
        require_end(k, node, depth)
    require_link(k, node, node.parent, parent)
    join_ring(k, node, chunk)


@kernel
def join_ring(k: Kernel, node: SizedChunk, chunk: SizedChunk) -> None:
    """Put a chunk behind a node of its size."""
    following = linked(k, node, masked(k, node, node.next))
    require_link(k, following, following.previous, node.addr)
    chunk.parent = masked(k, chunk, VirtAddr(0))
    chunk.next = masked(k, chunk, following.addr)
    chunk.previous = masked(k, chunk, node.addr)
    following.previous = masked(k, following, chunk.addr)
    node.next = masked(k, node, chunk.addr)


@kernel
def remove_large(k: Kernel, chunk: SizedChunk, nbytes: word) -> None:
    """Take a chunk out of its trie; another of its size, or else a leaf below it, takes its place."""
    heir = masked(k, chunk, chunk.next)
    if heir != chunk.addr:
        leave_ring(k, chunk, linked(k, chunk, heir))
        if masked(k, chunk, chunk.parent) == 0:
            return
    else:
        heir = cut_leaf(k, chunk)
    replace(k, chunk, heir, tree_index(nbytes))


@kernel
def leave_ring(k: Kernel, chunk: SizedChunk, following: SizedChunk) -> None:
    """Take a chunk out of the ring of its size, in which another follows; panics where the links do not agree."""
    previous = linked(k, chunk, masked(k, chunk, chunk.previous))
    require_link(k, following, following.previous, chunk.addr)
    require_link(k, previous, previous.next, chunk.addr)
    following.previous = masked(k, following, previous.addr)
    previous.next = masked(k, previous, following.addr)


@kernel
def cut_leaf(k: Kernel, chunk: SizedChunk) -> VirtAddr:
    """Take the rightmost leaf below a node from its parent; 0 when the node has no child."""
    parent = chunk
    link = child_of(k, chunk)
    if link == 0:
        return link
    leaf = linked(k, chunk, link)
    link = child_of(k, leaf)
    depth = 0
    while link != 0:
        parent = leaf
        leaf = linked(k, leaf, link)
        link = child_of(k, leaf)
        depth += 1
        require_end(k, parent, depth)
    require_link(k, leaf, leaf.parent, parent.addr)
    replace_child(k, parent, leaf, VirtAddr(0))
    return leaf.addr


@kernel
def child_of(k: Kernel, node: SizedChunk) -> VirtAddr:
    """The right child, or the left one where there is no other; 0 without children."""
    right = masked(k, node, node.right)
    return right if right != 0 else masked(k, node, node.left)


@kernel
def replace(k: Kernel, chunk: SizedChunk, heir: VirtAddr, index: word) -> None:
    """Put a chunk, or nothing, where another one is in the trie."""
    bins = k.chunks.bins
    parent_addr = masked(k, chunk, chunk.parent)
    is_root = parent_addr == chunk.addr
    if is_root:
        if k.config.hardening != NO_HARDENING and bins.trees[index] != chunk.addr:
            report_link(k, chunk, parent_addr)
        bins.trees[index] = heir
        if heir == 0:
            bins.tree_map = bins.tree_map & ~(1 << index)
    else:
        replace_child(k, linked(k, chunk, parent_addr), chunk, heir)
    if heir != 0:
        node = chunk_at(k, heir)
        node.parent = masked(k, node, heir if is_root else parent_addr)
        adopt(k, node, chunk)


@kernel
def replace_child(k: Kernel, parent: SizedChunk, chunk: SizedChunk, heir: VirtAddr) -> None:
    """Put a chunk, or nothing, where another one is below its parent."""
    if masked(k, parent, parent.right) == chunk.addr:
        parent.right = masked(k, parent, heir)
    else:
        require_link(k, parent, parent.left, chunk.addr)
        parent.left = masked(k, parent, heir)


@kernel
def adopt(k: Kernel, node: SizedChunk, chunk: SizedChunk) -> None:
    """Give a node the children of another."""
    left = masked(k, chunk, chunk.left)
    right = masked(k, chunk, chunk.right)
    node.left = masked(k, node, left)
    node.right = masked(k, node, right)
    if left != 0:
        adopt_child(k, node, chunk, linked(k, chunk, left))
    if right != 0:
        adopt_child(k, node, chunk, linked(k, chunk, right))


@kernel
def adopt_child(k: Kernel, node: SizedChunk, chunk: SizedChunk, child: SizedChunk) -> None:
    """Give the child of one node another parent."""
    require_link(k, child, child.parent, chunk.addr)
    child.parent = masked(k, child, node.addr)


# ------------------------------------------------------------------ the best fit
@kernel
def find_small(k: Kernel, nbytes: word) -> VirtAddr:
    """The smallest chunk of the small bins that has so many bytes; 0 when none has."""
    bins = k.chunks.bins
    suitable = shr_logical(bins.small_map, nbytes >> 4)
    if suitable == 0:
        return VirtAddr(0)
    return bins.small[(nbytes >> 4) + count_trailing_zeros(suitable)]


@kernel
def find_least(k: Kernel, index: word) -> VirtAddr:
    """The smallest chunk of a trie, which is not empty."""
    best = k.chunks.bins.trees[index]
    node = chunk_at(k, best)
    best_bytes = bytes_of(node)
    link = left_or_right(k, node)
    depth = 0
    while link != 0:
        node = linked(k, node, link)
        nbytes = bytes_of(node)
        if nbytes < best_bytes:
            best = node.addr
            best_bytes = nbytes
        link = left_or_right(k, node)
        depth += 1
        require_end(k, node, depth)
    return best


@kernel
def left_or_right(k: Kernel, node: SizedChunk) -> VirtAddr:
    """The left child, or the right one where there is no other; 0 without children."""
    left = masked(k, node, node.left)
    return left if left != 0 else masked(k, node, node.right)


@kernel
def find_large(k: Kernel, nbytes: word) -> VirtAddr:
    """The smallest chunk of the tree bins that has so many bytes; 0 when none has."""
    bins = k.chunks.bins
    first = 0
    if nbytes >= FIRST_TREE_BYTES:
        first = tree_index(nbytes)
        best = find_in_trie(k, first, nbytes)
        if best != 0:
            return best
        first += 1
        if first == NR_TREE_BINS:
            return best
    suitable = bins.tree_map >> first
    if suitable == 0:
        return VirtAddr(0)
    return find_least(k, first + count_trailing_zeros(suitable))


@kernel
def mate_of(k: Kernel, addr: VirtAddr) -> VirtAddr:
    """Of a chunk and those of its size, one that leaves its bin most cheaply."""
    node = chunk_at(k, addr)
    return linked(k, node, masked(k, node, node.next)).addr if bytes_of(node) >= FIRST_TREE_BYTES else addr


@kernel
def find_in_trie(k: Kernel, index: word, nbytes: word) -> VirtAddr:
    """The smallest chunk of this trie with so many bytes; 0 when none has.

    Goes the way of the size. What hangs right of it is larger, and the last such subtree has the smallest of these.
    """
    best = VirtAddr(0)
    best_bytes = BYTES_MASK
    key = key_of(nbytes, index)
    link = k.chunks.bins.trees[index]
    node = chunk_at(k, link)
    larger = VirtAddr(0)
    above = node  # the node that `larger` hangs at
    depth = 0
    while link != 0:
        node = linked(k, node, link)
        size = bytes_of(node)
        if nbytes <= size < best_bytes:
            best = link
            best_bytes = size
            if size == nbytes:
                return best
        right = masked(k, node, node.right)
        if key < 0:
            link = right
        else:
            if right != 0:
                larger = right
                above = node
            link = masked(k, node, node.left)
        key = shl_wrap(key, 1)
        depth += 1
        require_end(k, node, depth)
    while larger != 0:
        above = linked(k, above, larger)
        size = bytes_of(above)
        if nbytes <= size < best_bytes:
            best = larger
            best_bytes = size
        larger = left_or_right(k, above)
        depth += 1
        require_end(k, above, depth)
    return best
