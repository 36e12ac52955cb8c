"""Zeroing ahead of time: a stock of free frames that are full of zeros, for who cannot wait until a frame is zeroed.

A second stock is of roots: tables of the highest level with nothing in their lower half. A new address space finds one
as it would have to make it.

Unit: the frame, named by its PFN. Each zone has both stocks beside its hot lists; frames in stock are free, count as
free, and go back to the allocator with the hot lists when memory gets tight. Knows nothing of page tables: the caller
says where frames are seen.

The kernel calls zero_ahead when it has nothing else to do, and gives back page tables that it has emptied, which are
full of zeros without any work; nothing here runs by itself. Frames are zeroed in ascending
order of addresses, as they come from the tree: processors fetch ahead upwards. The last one zeroed goes first, because
it may still be in the cache.
"""

from incroos.kernel.codes import NO_FRAME
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.pmm import hot_list
from incroos.kernel.pmm.all import zones
from incroos.kernel.pmm.all.frame_database import INSIDE, OWNER_SHIFT, USED_ONCE, record_of
from incroos.kernel.state import Frames, HotList
from incroos.lang import Pfn, VirtAddr, fill, kernel, load64, store64, word


@kernel
def nr_zeroed(frames: Frames) -> word:
    """How many frames are in stock where alloc_zeroed looks."""
    return hot_list.nr_blocks(frames.zones[frames.preferred].zeroed)


@kernel
def nr_kept(frames: Frames) -> word:
    """How many roots are in stock."""
    return hot_list.nr_blocks(frames.zones[frames.preferred].kept)


@kernel
def alloc_zeroed(frames: Frames, owner: word) -> Pfn:
    """A frame full of zeros; NO_FRAME when none is in stock, even though others may be free."""
    return take_from(frames, frames.zones[frames.preferred].zeroed, owner)


@kernel
def alloc_kept(frames: Frames, owner: word) -> Pfn:
    """A frame with what was in it when it was given to put_kept; NO_FRAME when none is in stock."""
    return take_from(frames, frames.zones[frames.preferred].kept, owner)


@kernel
def take_from(frames: Frames, stock: HotList, owner: word) -> Pfn:
    """A frame of a stock; NO_FRAME when there is none."""
    if stock.top == stock.bottom:
        return Pfn(NO_FRAME)
    pfn = hot_list.pop(stock)
    store64(frames.m, record_of(frames.database, pfn).addr, USED_ONCE | owner << OWNER_SHIFT)
    return pfn


@kernel
def put_zeroed(frames: Frames, pa: word, owner: word) -> bool:
    """Take back a frame that is full of zeros, unless the stock has no room, or it is not the owner's alone."""
    return put_into(frames, frames.zones[frames.preferred].zeroed, pa, owner)


@kernel
def put_kept(frames: Frames, pa: word, owner: word) -> bool:
    """Take back a frame as it is, unless the stock has no room, or it is not the owner's alone."""
    return put_into(frames, frames.zones[frames.preferred].kept, pa, owner)


@kernel
def put_into(frames: Frames, stock: HotList, pa: word, owner: word) -> bool:
    """Take a frame that was handed out back into a stock, if it is of its zone and that has room."""
    pfn = pa >> PAGE_SHIFT
    if hot_list.nr_blocks(stock) >= stock.limit or zones.number_of(pfn) != frames.preferred:
        return False
    at = record_of(frames.database, pfn).addr
    if load64(frames.m, at) != USED_ONCE | owner << OWNER_SHIFT:
        return False
    store64(frames.m, at, INSIDE)
    hot_list.push(stock, pfn)
    return True


@kernel
def zero_ahead(frames: Frames, window: VirtAddr, nr_frames: word) -> word:
    """Zero free frames and stock them, so many if there is room and if as many are free; how many.

    `window` is where physical address 0 would be seen.
    """
    zone = frames.zones[frames.preferred]
    nr_zeroed = 0
    while nr_zeroed < nr_frames and hot_list.nr_blocks(zone.zeroed) < zone.zeroed.limit:
        pfn = zones.take_hot(zone, frames.database, zone.single)
        if pfn < 0:
            break
        fill(frames.m, VirtAddr(window + (pfn << PAGE_SHIFT)), 0, PAGE_BYTES)
        hot_list.push(zone.zeroed, pfn)
        nr_zeroed += 1
    return nr_zeroed
