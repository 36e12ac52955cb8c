"""Chunks: a header in front of each payload, and how free ones are found."""

from typing import Annotated, Final

from incroos.lang import Array, Struct, VirtAddr, u64

NR_SMALL_BINS: Final = 64
NR_TREE_BINS: Final = 32


class Chunk(Struct):
    """What the heap keeps in front of a payload, and in the payload while it is nobody's. Owner: heap. Lock: heap."""

    header: u64  # a tag, the chunk's bytes, flags
    next: VirtAddr  # the neighbours on the list of free chunks
    previous: VirtAddr


class FirstFitState(Struct):
    """Owner: heap.chunk.first_fit. Lock: heap."""

    top: VirtAddr  # the end of the last chunk
    committed_end: VirtAddr  # the addresses below it have frames
    end: VirtAddr  # the addresses below it are the heap's
    used_bytes: u64  # of the chunks that are handed out
    queue: Chunk  # the head of the list of free chunks
    start: VirtAddr  # of the range, where the configuration does not say it; else 0


class SizedChunk(Struct):
    """A chunk of best fit; all but the header only while it is free. Owner: heap.chunk. Lock: heap."""

    header: u64  # a tag, the chunk's bytes, flags
    next: VirtAddr  # the neighbours of its bin, or of the ring of its size
    previous: VirtAddr
    left: VirtAddr  # from 1,024 bytes on: children in the trie of its bin
    right: VirtAddr
    parent: VirtAddr  # itself at the root; 0 for a chunk on a ring that is no node


class BinState(Struct):
    """Free chunks by size. Owner: heap.chunk.bins. Lock: heap."""

    small_map: u64  # a bit for each bin: is it not empty?
    tree_map: u64
    small: Annotated[Array[VirtAddr], NR_SMALL_BINS]  # the first chunk of 16 * index bytes
    trees: Annotated[Array[VirtAddr], NR_TREE_BINS]  # the root of the trie


class ChunkState(Struct):
    """Owner: heap.chunk.best_fit. Lock: heap."""

    start: VirtAddr
    top: VirtAddr  # the end of the last chunk
    committed_end: VirtAddr  # the addresses below it have frames
    used_end: VirtAddr  # pages from there and from top on have not been used since they were mapped
    end: VirtAddr
    reach_bytes: u64  # a chunk less far behind the start has frames for all of its links
    remainder: VirtAddr  # what was left of the chunk that was split last; 0 when it is gone
    remainder_bytes: u64
    used_bytes: u64  # of the chunks that are handed out
    release_from: u64  # in a process: bytes of a chunk that ends from which on its pages are given back
    bins: BinState
