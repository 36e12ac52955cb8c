"""The process that a hosted heap is in."""

from typing import Annotated, Final

from incroos.kernel.state.heap import Heap
from incroos.lang import Array, Struct, VirtAddr, kernel, u8, u64

NR_KEPT_LISTS: Final = 76  # four for each power of two, from 16 bytes to 8 MiB
HOST_TEXT_BYTES: Final = 1024  # a report of damage to the heap and the line of a panic


class Host(Struct):
    """The process that a hosted heap is in: what it gave, and C functions that call4 calls. Owner: hosted."""

    slot_bytes: u64  # from the HostedHeap struct on, all of them the heap's
    release: u64  # (start, nbytes): the pages are given back, and read as zeros when they are next touched
    commit: u64  # (start, nbytes): 0 when the pages can be used; 0 where all can be from the start
    populate: u64  # (start, nbytes): the pages will be touched soon; 0 where the system is not told
    no_memory: u64  # (): there is none for a request; sets errno
    stop: u64  # (text, nbytes): ends the process with a sentence
    nr_chars: u64  # of the sentence
    text: Annotated[Array[u8], HOST_TEXT_BYTES]
    peak_bytes: u64  # of chunks that were in use at most, since all pages inside free ones were given back
    bytes_before: u64  # of the heap's pages, when it last looked for blocks of other heaps, or had less
    nr_kept: u64  # blocks of other heaps on the lists
    unsorted: VirtAddr  # the first of more of them
    kept: Annotated[Array[VirtAddr], NR_KEPT_LISTS]
    pool: VirtAddr
    holder: VirtAddr  # the word of the pool that says who holds the slot
    line_before_remote: Annotated[
        Array[u64], 8
    ]  # padding: other threads write what follows, and their line is not the owner's
    remote: VirtAddr  # the first of the blocks that other threads freed; each has the next one's address in it
    remote_bytes: u64  # in the pages of these blocks, about
    trim_wanted: u64  # not 0: the owner is asked to give back pages
    line_after_remote: Annotated[Array[u64], 8]  # padding


class HostedHeap(Struct):
    """A heap in a process, at the start of its slot. Owner: hosted."""

    heap: Heap
    host: Host


@kernel
def host_of(heap: Heap) -> Host:
    """The process that a heap is in. PRE the heap is a HostedHeap's."""
    return HostedHeap(heap.m, heap.addr).host
