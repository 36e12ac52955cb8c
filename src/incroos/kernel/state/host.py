"""The process that a hosted heap is in."""

from typing import Annotated, Final

from incroos.kernel.state.heap import Heap
from incroos.lang import Array, Struct, VirtAddr, i64, kernel, u8, u64

NR_KEPT_LISTS: Final = 76  # four for each power of two, from 16 bytes to 8 MiB
HOST_TEXT_BYTES: Final = 1024  # a report of damage to the heap and the line of a panic


class Host(Struct):
    """The process that a hosted heap is in: what it gave, and C functions that call4 calls. Owner: hosted."""

    slot_bytes: u64  # from the HostedHeap struct on, all of them the heap's
    map: u64  # (start, nbytes): OK, and there are pages of zeros; NO_ADDRESSES if some were there before; NO_FRAME
    unmap: u64  # (start, nbytes): OK, and the addresses are free
    release: u64  # (start, nbytes): OK, and the pages were given back, and read as zeros when they are next touched
    renew: u64  # (start, nbytes): OK, and other pages of zeros are there; else nobody knows what is there
    move: u64  # (start, nbytes, to, to_bytes): OK, and pages went there, with zeros behind; else a code of `pages.move`
    no_room: u64  # (heap, alignment, nbytes, site): a block of another heap, or 0 with errno
    answer: i64  # of `map`, the last one: whether addresses or memory ran out
    stop: u64  # (text, nbytes): ends the process with a sentence
    nr_chars: u64  # of the sentence
    text: Annotated[Array[u8], HOST_TEXT_BYTES]
    peak_bytes: u64  # of chunks that were in use at most, since all pages inside free ones were given back
    nr_retaken: u64  # pages of slabs that were given back and then wanted again, since the last trim
    bytes_before: u64  # of the heap's pages, when it last looked for blocks of other heaps, or had less
    kept_bytes: u64  # in the blocks on the lists that follow
    kept: Annotated[Array[VirtAddr], NR_KEPT_LISTS]
    pool: VirtAddr
    holder: VirtAddr  # the word of the pool that says who holds the slot
    line_before_remote: Annotated[
        Array[u64], 8
    ]  # padding: other threads write what follows, and their line is not the owner's
    remote: VirtAddr  # the first of the blocks that other threads freed; each has the next one's address in it
    remote_bytes: u64  # in the pages of these blocks, about
    trim_wanted: u64  # not 0: the owner is asked to give back pages
    look_wanted: u64  # not 0: much waits in some heap, and the owner looks for it when it needs pages
    nr_kept: u64  # blocks of other heaps on the lists in `kept`
    unsorted: VirtAddr  # the first of more of them
    line_after_remote: Annotated[Array[u64], 8]  # padding


class HostedHeap(Struct):
    """A heap in a process, at the start of its slot. Owner: hosted."""

    heap: Heap
    host: Host


@kernel
def host_of(heap: Heap) -> Host:
    """The process that a heap is in. PRE the heap is a HostedHeap's."""
    return HostedHeap(heap.m, heap.addr).host
