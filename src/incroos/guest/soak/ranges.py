"""Ranges of pages and large pages: mapped to memory that is no RAM and that nobody reads, split, merged and holed.

Unit: the slot. Each has addresses of its own, so what a call must answer is known but for whether there is a frame.
"""

from typing import Final

from incroos.guest.soak.generator import draw
from incroos.guest.soak.slots import (
    GIANT_BYTES,
    LARGE_PAGE,
    NR_SLOTS,
    RANGE,
    WRONG_ANSWER,
    WRONG_TRANSLATION,
    Slot,
    Soak,
    draw_flags,
    expect,
    keep,
    refused,
)
from incroos.kernel import vmm
from incroos.kernel.arch.pte import HUGE_BYTES
from incroos.kernel.codes import NOT_MAPPED, OK
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, VirtAddr, kernel, word

LARGE_WINDOW: Final = 0x400_0000_0000
RANGE_WINDOW: Final = 0x600_0000_0000
RANGE_STRIDE: Final = 1 << 26
ABSENT_MEMORY: Final = 1 << 45


@kernel
def level_of(slot: Slot) -> word:
    """The level of a large page."""
    return 3 if slot.nbytes == GIANT_BYTES else 2


@kernel
def take_large_page(k: Kernel, soak: Soak, slot: Slot, index: word) -> word:
    """A page of 2 MiB or 1 GiB, in which nobody looks."""
    page = VirtAddr(LARGE_WINDOW + GIANT_BYTES * index)
    level = 2 + draw(soak.generator, 2)
    memory = PhysAddr(ABSENT_MEMORY + GIANT_BYTES * draw(soak.generator, NR_SLOTS))
    code = vmm.map_leaf(k, page, memory, draw_flags(soak), level)
    if code != OK:
        return refused(soak, code)
    keep(slot, LARGE_PAGE, page, GIANT_BYTES if level == 3 else HUGE_BYTES, memory)
    return expect(vmm.get_physical(k, VirtAddr(page + slot.nbytes - 1)), memory + slot.nbytes - 1)


@kernel
def take_range(k: Kernel, soak: Soak, slot: Slot, index: word) -> word:
    """A range of pages, one in two so that it can have large ones."""
    start = VirtAddr(RANGE_WINDOW + RANGE_STRIDE * index + draw_bytes(soak))
    memory = PhysAddr(ABSENT_MEMORY + (start & (HUGE_BYTES - 1)))
    if draw(soak.generator, 2) == 0:
        memory = PhysAddr(ABSENT_MEMORY + draw(soak.generator, 1 << 20) * PAGE_BYTES)
    nbytes = PAGE_BYTES + draw_bytes(soak)
    code = vmm.map_range(k, start, memory, nbytes, draw_flags(soak))
    if code != OK:
        return refused(soak, code)
    keep(slot, RANGE, start, nbytes, memory)
    return is_right(k, soak, slot)


@kernel
def draw_bytes(soak: Soak) -> word:
    """Whole pages, 0 or more, below 8 MiB; one in four times whole huge pages."""
    what = draw(soak.generator, 4)
    if what == 0:
        return HUGE_BYTES * draw(soak.generator, 4)
    return PAGE_BYTES * draw(soak.generator, 16 if what < 3 else 2048)


@kernel
def change_range(k: Kernel, soak: Soak, slot: Slot) -> word:
    """Give a part of it other flags, merge its pages, or make a hole and fill that again."""
    what = draw(soak.generator, 4)
    end = VirtAddr(slot.start + slot.nbytes)
    first = VirtAddr(slot.start + PAGE_BYTES * draw(soak.generator, slot.nbytes >> PAGE_SHIFT))
    behind = VirtAddr(first + PAGE_BYTES * (1 + draw(soak.generator, (end - first) >> PAGE_SHIFT)))
    has_hole = slot.hole < slot.hole_end
    if what == 0:
        if vmm.merge(k, slot.start, slot.nbytes) < 0:
            return WRONG_ANSWER
    elif what == 1:
        code = vmm.protect_range(k, first, behind - first, draw_flags(soak))
        cuts_hole = has_hole and first < slot.hole_end and slot.hole < behind
        if code != OK and not (cuts_hole and code == NOT_MAPPED) and refused(soak, code) != OK:
            return WRONG_ANSWER
        if code == OK and cuts_hole:
            return WRONG_ANSWER
    elif has_hole:
        memory = PhysAddr(slot.memory + (slot.hole - slot.start))
        code = vmm.map_range(k, slot.hole, memory, slot.hole_end - slot.hole, draw_flags(soak))
        if code != OK:
            return refused(soak, code)
        slot.hole_end = slot.hole
    else:
        code = vmm.unmap_range(k, first, behind - first)
        if code != OK:
            return refused(soak, code)
        slot.hole = first
        slot.hole_end = behind
    return is_right(k, soak, slot)


@kernel
def is_right(k: Kernel, soak: Soak, slot: Slot) -> word:
    """Whether an address of a range is mapped as it has to be."""
    va = VirtAddr(slot.start + draw(soak.generator, slot.nbytes))
    in_hole = slot.hole <= va < slot.hole_end
    wanted = NOT_MAPPED if in_hole else slot.memory + (va - slot.start)
    return OK if vmm.get_physical(k, va) == wanted else WRONG_TRANSLATION


@kernel
def unmap_rest(k: Kernel, slot: Slot) -> word:
    """Unmap what is left of a range on both sides of its hole. No frame is needed: nothing is split."""
    if vmm.unmap_range(k, slot.start, slot.hole - slot.start) != OK:
        return WRONG_ANSWER
    return expect(vmm.unmap_range(k, slot.hole_end, slot.start + slot.nbytes - slot.hole_end), OK)
