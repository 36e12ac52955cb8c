"""Frames, pages, chunks and ranges of vmalloc: what a soak writes to and reads again.

Unit: the slot. Each has addresses of its own for a page, so no call meets what another slot has.
"""

from typing import Final

from incroos.guest.soak.generator import draw
from incroos.guest.soak.slots import (
    CHUNK,
    FRAME,
    GIANT_BYTES,
    LOST,
    NOT_ZEROED,
    NOTHING,
    NR_SLOTS,
    PAGE,
    VMALLOCED,
    WRONG_ANSWER,
    WRONG_TRANSLATION,
    Slot,
    Soak,
    draw_flags,
    expect,
    has_stamp,
    keep,
    refused,
    stamp,
)
from incroos.kernel import heap, pmm, vmm
from incroos.kernel.arch.pte import HUGE_BYTES
from incroos.kernel.codes import DOUBLE_FREE, NO_FRAME, NOT_MAPPED, OK
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, VirtAddr, kernel, load64, word

PAGE_WINDOW: Final = 0x40_0000_0000
MAX_SMALL_BYTES: Final = 1000
MAX_CHUNK_BYTES: Final = 60_000
MAX_VMALLOC_BYTES: Final = 5 << 20


# ------------------------------------------------------------------ frames and pages
@kernel
def take_frame(k: Kernel, soak: Soak, slot: Slot) -> word:
    """A frame, zeroed."""
    frame = pmm.alloc_page(k)
    if frame < 0:
        return refused(soak, frame)
    soak.nr_frames += 1
    keep(slot, FRAME, pmm.address_of(k, frame), PAGE_BYTES, frame)
    fresh = load64(k.m, VirtAddr(slot.start + 8 * draw(soak.generator, PAGE_BYTES // 8)))
    stamp(k, soak, slot, slot.start)
    return OK if fresh == 0 else NOT_ZEROED


@kernel
def take_page(k: Kernel, soak: Soak, slot: Slot, index: word) -> word:
    """A frame, mapped: close to other pages, or with tables of its own."""
    what = draw(soak.generator, 3)
    stride = PAGE_BYTES if what == 0 else (HUGE_BYTES if what == 1 else GIANT_BYTES)
    fault = take_frame(k, soak, slot)
    if slot.kind == NOTHING:
        return fault
    page = VirtAddr(PAGE_WINDOW + stride * (NR_SLOTS + index))
    code = vmm.map_page(k, page, slot.memory, draw_flags(soak))
    if code == OK:
        slot.kind = PAGE
        slot.start = page
        return fault if has_stamp(k, slot) else LOST
    return fault if refused(soak, code) == OK else WRONG_ANSWER  # and it stays a frame


@kernel
def give_frame(k: Kernel, soak: Soak, slot: Slot) -> word:
    """Unmap a page; free its frame."""
    if slot.kind == PAGE:
        if vmm.unmap_page(k, slot.start) != slot.memory:
            return WRONG_ANSWER
        if vmm.get_physical(k, slot.start) != NOT_MAPPED:
            return WRONG_TRANSLATION
    soak.nr_frames -= 1
    if pmm.free_page(k, slot.memory) != OK:
        return WRONG_ANSWER
    return expect(pmm.free_page(k, slot.memory), DOUBLE_FREE) if draw(soak.generator, 4) == 0 else OK


@kernel
def borrow_table(k: Kernel, soak: Soak) -> word:
    """A table, zeroed, and back at once: in slots there would be tables of which vmm.check knows nothing."""
    table = pmm.alloc_table(k, 1 + draw(soak.generator, 4))
    if table < 0:
        return refused(soak, table)
    fresh = load64(k.m, VirtAddr(pmm.address_of(k, table) + 8 * draw(soak.generator, PAGE_BYTES // 8)))
    if pmm.free_table(k, table) != OK or pmm.free_table(k, table) != DOUBLE_FREE:
        return WRONG_ANSWER
    return OK if fresh == 0 else NOT_ZEROED


# ------------------------------------------------------------------ chunks and vmalloc
@kernel
def take_chunk(k: Kernel, soak: Soak, slot: Slot) -> word:
    """A block of the heap."""
    nbytes = 8 + draw(soak.generator, MAX_CHUNK_BYTES if draw(soak.generator, 8) == 0 else MAX_SMALL_BYTES)
    block = heap.kmalloc(k, nbytes)
    if block == 0:
        return refused(soak, NO_FRAME)
    keep(slot, CHUNK, block, nbytes, PhysAddr(0))
    stamp(k, soak, slot, block)
    return OK


@kernel
def take_vmalloc(k: Kernel, soak: Soak, slot: Slot) -> word:
    """A range of fresh pages, at times with huge ones."""
    nbytes = 8 + draw(soak.generator, MAX_VMALLOC_BYTES if draw(soak.generator, 8) == 0 else MAX_CHUNK_BYTES)
    start = vmm.vmalloc(k, nbytes)
    if start == 0:
        return refused(soak, NO_FRAME)
    keep(slot, VMALLOCED, start, nbytes, PhysAddr(0))
    stamp(k, soak, slot, start)
    return OK
