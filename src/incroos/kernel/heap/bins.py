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

from incroos.kernel.heap.chunks import BYTES_MASK, bytes_of, chunk_at
from incroos.kernel.panic import panic
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
    chunk.next = first
    chunk.previous = VirtAddr(0)
    if first != 0:
        chunk_at(k, first).previous = chunk.addr
    bins.small[index] = chunk.addr
    bins.small_map = bins.small_map | shl_wrap(1, index)


@kernel
def remove_small(k: Kernel, chunk: SizedChunk, index: word) -> None:
    """Take a chunk out of a small bin; panics where the links do not agree."""
    bins = k.chunks.bins
    if chunk.next != 0:
        following = chunk_at(k, chunk.next)
        require_link(k, following.previous, chunk)
        following.previous = chunk.previous
    if chunk.previous != 0:
        previous = chunk_at(k, chunk.previous)
        require_link(k, previous.next, chunk)
        previous.next = chunk.next
        return
    require_link(k, bins.small[index], chunk)
    bins.small[index] = chunk.next
    if chunk.next == 0:
        bins.small_map = bins.small_map & ~shl_wrap(1, index)


@kernel
def require_link(k: Kernel, link: VirtAddr, chunk: SizedChunk) -> None:
    """Panic where a neighbour in a bin does not point back: something wrote over a free chunk."""
    if link != chunk.addr:
        panic(k, b'heap: link of a free chunk overwritten: chunk, link found', chunk.addr, link, 0)


@kernel
def insert_large(k: Kernel, chunk: SizedChunk, nbytes: word) -> None:
    """Put a chunk into a trie, or into the ring of the node that has its size."""
    bins = k.chunks.bins
    index = tree_index(nbytes)
    chunk.left = VirtAddr(0)
    chunk.right = VirtAddr(0)
    chunk.next = chunk.addr
    chunk.previous = chunk.addr
    if bins.trees[index] == 0:
        bins.trees[index] = chunk.addr
        bins.tree_map = bins.tree_map | 1 << index
        chunk.parent = chunk.addr
        return
    key = key_of(nbytes, index)
    node = chunk_at(k, bins.trees[index])
    while bytes_of(node) != nbytes:
        child = node.right if key < 0 else node.left
        if child == 0:
            if key < 0:
                node.right = chunk.addr
            else:
                node.left = chunk.addr
            chunk.parent = node.addr
            return
        key = shl_wrap(key, 1)
        node = chunk_at(k, child)
    join_ring(k, node, chunk)


@kernel
def join_ring(k: Kernel, node: SizedChunk, chunk: SizedChunk) -> None:
    """Put a chunk behind a node of its size."""
    following = chunk_at(k, node.next)
    chunk.parent = VirtAddr(0)
    chunk.next = following.addr
    chunk.previous = node.addr
    following.previous = chunk.addr
    node.next = chunk.addr


@kernel
def remove_large(k: Kernel, chunk: SizedChunk, nbytes: word) -> None:
    """Take a chunk out of its trie; another of its size, or else a leaf below it, takes its place."""
    heir = VirtAddr(0)
    if chunk.next != chunk.addr:
        heir = chunk.next
        leave_ring(k, chunk)
        if chunk.parent == 0:
            return
    elif chunk.right != 0 or chunk.left != 0:
        heir = cut_leaf(k, chunk)
    replace(k, chunk, heir, tree_index(nbytes))


@kernel
def leave_ring(k: Kernel, chunk: SizedChunk) -> None:
    """Take a chunk out of the ring of its size; panics where the links do not agree."""
    following = chunk_at(k, chunk.next)
    previous = chunk_at(k, chunk.previous)
    require_link(k, following.previous, chunk)
    require_link(k, previous.next, chunk)
    following.previous = previous.addr
    previous.next = following.addr


@kernel
def cut_leaf(k: Kernel, chunk: SizedChunk) -> VirtAddr:
    """Take the rightmost leaf below a node, which has a child, from its parent."""
    node = chunk
    child = child_of(node)
    while child != 0:
        parent = node
        node = chunk_at(k, child)
        require_link(k, node.parent, parent)
        child = child_of(node)
    parent = chunk_at(k, node.parent)
    if parent.right == node.addr:
        parent.right = VirtAddr(0)
    else:
        parent.left = VirtAddr(0)
    return node.addr


@kernel
def child_of(node: SizedChunk) -> VirtAddr:
    """The right child, or the left one where there is no other; 0 without children."""
    return node.right if node.right != 0 else node.left


@kernel
def replace(k: Kernel, chunk: SizedChunk, heir: VirtAddr, index: word) -> None:
    """Put a chunk, or nothing, where another one is in the trie."""
    bins = k.chunks.bins
    is_root = chunk.parent == chunk.addr
    if is_root:
        require_link(k, bins.trees[index], chunk)
        bins.trees[index] = heir
        if heir == 0:
            bins.tree_map = bins.tree_map & ~(1 << index)
    else:
        parent = chunk_at(k, chunk.parent)
        if parent.right == chunk.addr:
            parent.right = heir
        else:
            require_link(k, parent.left, chunk)
            parent.left = heir
    if heir != 0:
        node = chunk_at(k, heir)
        node.parent = heir if is_root else chunk.parent
        adopt(k, node, chunk)


@kernel
def adopt(k: Kernel, node: SizedChunk, chunk: SizedChunk) -> None:
    """Give a node the children of another."""
    node.left = chunk.left
    node.right = chunk.right
    if node.left != 0:
        chunk_at(k, node.left).parent = node.addr
    if node.right != 0:
        chunk_at(k, node.right).parent = node.addr


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
    """The smallest chunk of a trie; 0 when it is empty."""
    at = k.chunks.bins.trees[index]
    best = at
    best_bytes = 0
    while at != 0:
        node = chunk_at(k, at)
        nbytes = bytes_of(node)
        if best_bytes == 0 or nbytes < best_bytes:
            best = at
            best_bytes = nbytes
        at = node.left if node.left != 0 else node.right
    return best


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
    return node.next if bytes_of(node) >= FIRST_TREE_BYTES else addr


@kernel
def find_in_trie(k: Kernel, index: word, nbytes: word) -> VirtAddr:
    """The smallest chunk of this trie with so many bytes; 0 when none has.

    Goes the way of the size. What hangs right of it is larger, and the last such subtree has the smallest of these.
    """
    best = VirtAddr(0)
    best_bytes = BYTES_MASK
    larger = VirtAddr(0)
    key = key_of(nbytes, index)
    at = k.chunks.bins.trees[index]
    while at != 0:
        node = chunk_at(k, at)
        size = bytes_of(node)
        if nbytes <= size < best_bytes:
            best = at
            best_bytes = size
            if size == nbytes:
                return best
        if key < 0:
            at = node.right
        else:
            if node.right != 0:
                larger = node.right
            at = node.left
        key = shl_wrap(key, 1)
    while larger != 0:
        node = chunk_at(k, larger)
        size = bytes_of(node)
        if nbytes <= size < best_bytes:
            best = larger
            best_bytes = size
        larger = node.left if node.left != 0 else node.right
    return best
