"""A design of a heap outside of the package: blocks of powers of two, cut from one range, and a list for each size.

Unit: the byte. A block that came back is never split, joined or given to the system.

    block   order | its address ^ USED, or 0 | payload; of a free block it begins with the next one's address
"""

from typing import Annotated, Final

from incroos.kernel.codes import BAD_FREE, OK
from incroos.kernel.heap import ranges
from incroos.kernel.heap.defaults import *  # noqa: F403
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Heap, design_state
from incroos.lang import Array, Struct, VirtAddr, count_leading_zeros, kernel, load64, shl_wrap, store64, u64, word

# POWERS-1  block follows block from the start of the range to the top, which has pages
# POWERS-2  used_bytes == the bytes of the blocks that are handed out
# POWERS-3  the lists have the other blocks

HEADER_BYTES: Final = 16
LEAST_ORDER: Final = 5
NR_ORDERS: Final = 32
MOST_BYTES: Final = 1 << 30  # of a request
USED: Final = 0x5EED_0F_B10C


class PowersState(Struct):
    """See the head of this file."""

    top: VirtAddr  # the end of the last block
    committed_end: VirtAddr  # the addresses below it have pages
    used_bytes: u64
    free: Annotated[Array[VirtAddr], NR_ORDERS]  # the first free block of each order


STATE_BYTES: Final = PowersState.SIZE


@kernel
def state_of(heap: Heap) -> PowersState:
    return PowersState(heap.m, design_state(heap))


@kernel
def init(heap: Heap) -> None:
    state = state_of(heap)
    state.top = ranges.chunks_start(heap)
    state.committed_end = state.top


@kernel
def alloc(heap: Heap, nbytes: word) -> VirtAddr:
    if nbytes <= 0 or nbytes > MOST_BYTES:
        return VirtAddr(0)
    order = max(64 - count_leading_zeros(nbytes + HEADER_BYTES - 1), LEAST_ORDER)
    state = state_of(heap)
    block = state.free[order]
    if block != 0:
        state.free[order] = VirtAddr(load64(heap.m, VirtAddr(block + HEADER_BYTES)))
    else:
        block = cut(heap, shl_wrap(1, order))
        if block == 0:
            return block
    store64(heap.m, block, order)
    store64(heap.m, VirtAddr(block + 8), block ^ USED)
    state.used_bytes += shl_wrap(1, order)
    return VirtAddr(block + HEADER_BYTES)


@kernel
def cut(heap: Heap, nbytes: word) -> VirtAddr:
    """A new block at the top; 0 without addresses or pages for it."""
    state = state_of(heap)
    block = state.top
    end = VirtAddr((block + nbytes + PAGE_BYTES - 1) & -PAGE_BYTES)
    if end > state.committed_end:
        limit = VirtAddr(ranges.chunks_start(heap) + ranges.chunks_bytes(heap))
        if ranges.map_fresh(heap, state.committed_end, end, limit) != OK:
            return VirtAddr(0)
        state.committed_end = end
    state.top = VirtAddr(block + nbytes)
    return block


@kernel
def free(heap: Heap, ptr: VirtAddr) -> word:
    if ptr == 0:
        return OK
    nbytes = usable_bytes(heap, ptr)
    if nbytes == 0:
        return BAD_FREE
    block = VirtAddr(ptr - HEADER_BYTES)
    state = state_of(heap)
    order = load64(heap.m, block)
    store64(heap.m, VirtAddr(block + 8), 0)
    store64(heap.m, ptr, state.free[order])
    state.free[order] = block
    state.used_bytes -= shl_wrap(1, order)
    return OK


@kernel
def usable_bytes(heap: Heap, ptr: VirtAddr) -> word:
    if ptr & 15 != 0 or ptr <= ranges.chunks_start(heap) or ptr >= state_of(heap).top:
        return 0
    block = VirtAddr(ptr - HEADER_BYTES)
    if load64(heap.m, VirtAddr(block + 8)) != block ^ USED:
        return 0
    return shl_wrap(1, load64(heap.m, block)) - HEADER_BYTES


@kernel  # type: ignore[no-redef]
def cost_of(heap: Heap, ptr: VirtAddr, usable: word) -> word:
    return usable + HEADER_BYTES


@kernel
def used_bytes(heap: Heap) -> word:
    return state_of(heap).used_bytes


@kernel
def check(heap: Heap) -> word:
    state = state_of(heap)
    used = 0
    nr_free = 0
    block = ranges.chunks_start(heap)
    while block < state.top:
        order = load64(heap.m, block)
        if order < LEAST_ORDER or order >= NR_ORDERS:
            return 1
        if usable_bytes(heap, VirtAddr(block + HEADER_BYTES)) != 0:
            used += shl_wrap(1, order)
        else:
            nr_free += 1
        block = VirtAddr(block + shl_wrap(1, order))
    if block != state.top or state.top > state.committed_end:
        return 1
    if used != state.used_bytes:
        return 2
    for order in range(LEAST_ORDER, NR_ORDERS):
        block = state.free[order]
        while block != 0:
            if load64(heap.m, block) != order or usable_bytes(heap, VirtAddr(block + HEADER_BYTES)) != 0:
                return 3
            nr_free -= 1
            block = VirtAddr(load64(heap.m, VirtAddr(block + HEADER_BYTES)))
    return OK if nr_free == 0 else 3
