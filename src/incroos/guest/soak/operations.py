"""The operations of a soak, and what it looks at in the end.

Unit: the operation, of one to seven calls of the memory manager.
"""

from incroos.guest.soak.caches import give_object, make_caches, take_object, unmake_caches
from incroos.guest.soak.generator import draw
from incroos.guest.soak.memory import borrow_table, give_frame, take_chunk, take_frame, take_page, take_vmalloc
from incroos.guest.soak.ranges import change_range, level_of, take_large_page, take_range, unmap_rest
from incroos.guest.soak.slots import (
    CHUNK,
    FRAME,
    FRAMES_BROKEN,
    HEAP_BROKEN,
    LARGE_PAGE,
    LOST,
    NOTHING,
    NR_SLOTS,
    OBJECT,
    PAGE,
    PAGES_BROKEN,
    RANGE,
    SPACE_BROKEN,
    VMALLOC_BROKEN,
    VMALLOCED,
    WRONG_ANSWER,
    WRONG_COUNT,
    Slot,
    Soak,
    draw_flags,
    empty,
    expect,
    has_stamp,
)
from incroos.kernel import heap, pmm, vmm
from incroos.kernel.codes import ALREADY_MAPPED, BAD_FREE, MISALIGNED, OK
from incroos.kernel.config import FULL, MODERN_SPACE
from incroos.kernel.layout import PAGE_SHIFT
from incroos.kernel.state import Kernel
from incroos.kernel.vmm import PRESENT
from incroos.lang import PhysAddr, VirtAddr, kernel, word


@kernel
def begin(k: Kernel, seed: word) -> VirtAddr:
    """The address of a new Soak; 0 where the heap has no room for it."""
    used_bytes = heap.used_bytes(k)
    balance = count_frames(k)
    soak = Soak(k.m, heap.kmalloc(k, Soak.SIZE))
    if soak.addr == 0:
        return soak.addr
    soak.generator.state = seed
    soak.nr_operations = 0
    soak.nr_refused = 0
    soak.nr_frames = 0
    soak.balance = balance
    soak.used_bytes = used_bytes
    for index in range(NR_SLOTS):
        empty(soak.slots[index])
    if not make_caches(k, soak):
        heap.kfree(k, soak.addr)
        return VirtAddr(0)
    return soak.addr


@kernel
def run(k: Kernel, soak: Soak, nr_operations: word) -> word:
    """So many operations; 0, or what is wrong with the last one: soak.nr_operations is its number."""
    for _ in range(nr_operations):
        soak.nr_operations += 1
        refuse = k.config.fault_injection != 0 and draw(soak.generator, 8) == 0
        if refuse:
            k.frames.requests = 0
            k.frames.refuse_at = 1 + draw(soak.generator, 4)
        index = draw(soak.generator, NR_SLOTS)
        slot = soak.slots[index]
        if slot.kind == NOTHING:
            fault = fill_slot(k, soak, slot, index)
        elif draw(soak.generator, 2) == 0:
            fault = change(k, soak, slot)
        else:
            fault = give_back(k, soak, slot)
        if refuse:
            k.frames.refuse_at = 0
        if fault != OK:
            return fault
    return OK


@kernel
def check(k: Kernel, soak: Soak) -> word:
    """Whether each part finds its invariants, and all frames are accounted for: 0, or what is wrong."""
    if heap.check(k) != OK:
        return HEAP_BROKEN
    if pmm.check(k) != OK:
        return FRAMES_BROKEN
    if vmm.check(k) != OK:
        return PAGES_BROKEN
    if vmm.check_vmalloc(k) != OK:
        return VMALLOC_BROKEN
    if k.config.space == MODERN_SPACE:
        code, _va = vmm.find_fault(k)
        if code != OK:
            return SPACE_BROKEN
    return OK if count_frames(k) + soak.nr_frames == soak.balance else WRONG_COUNT


@kernel
def finish(k: Kernel, soak: Soak) -> word:
    """Give everything back, and then the Soak itself: 0, or what is wrong."""
    for index in range(NR_SLOTS):
        slot = soak.slots[index]
        fault = give_back(k, soak, slot) if slot.kind != NOTHING else OK
        if fault != OK:
            return fault
    fault = unmake_caches(k, soak)
    if fault == OK:
        fault = check(k, soak)
    used_bytes = soak.used_bytes
    if fault == OK and (soak.nr_frames != 0 or k.vmalloc.nr_ranges != 0):
        fault = WRONG_COUNT
    if fault == OK and heap.kfree(k, soak.addr) != OK:
        fault = WRONG_ANSWER
    if fault == OK and heap.used_bytes(k) != used_bytes:
        fault = WRONG_COUNT
    return fault


@kernel
def count_frames(k: Kernel) -> word:
    """The frames that are free, page tables, the heap's or vmalloc's: with those in slots, always the same number."""
    nr_free = pmm.nr_free_frames(k) + pmm.nr_free_pool_frames(k)
    nr_heap = heap.committed_bytes(k) >> PAGE_SHIFT
    return nr_free + k.space.nr_tables + nr_heap + k.vmalloc.nr_pages


# ------------------------------------------------------------------ one operation
@kernel
def fill_slot(k: Kernel, soak: Soak, slot: Slot, index: word) -> word:
    """Take something."""
    what = draw(soak.generator, 19)
    if what >= 16:
        return take_object(k, soak, slot)
    if what < 3:
        return take_frame(k, soak, slot)
    if what < 6:
        return take_page(k, soak, slot, index)
    if what < 11:
        return take_chunk(k, soak, slot)
    if what < 13:
        return take_range(k, soak, slot, index)
    if what < 14:
        return take_large_page(k, soak, slot, index)
    return take_vmalloc(k, soak, slot) if what < 15 else borrow_table(k, soak)


@kernel
def change(k: Kernel, soak: Soak, slot: Slot) -> word:
    """Do something to what the slot has, and keep it."""
    if slot.kind == RANGE:
        return change_range(k, soak, slot)
    if slot.kind == LARGE_PAGE:
        return expect(vmm.protect_leaf(k, slot.start, draw_flags(soak), level_of(slot)), OK)
    if slot.kind == PAGE:
        if vmm.map_page(k, slot.start, slot.memory, PRESENT) != ALREADY_MAPPED:
            return WRONG_ANSWER
        if vmm.protect(k, slot.start, draw_flags(soak)) != OK:
            return WRONG_ANSWER
    if slot.kind == FRAME and pmm.free_page(k, PhysAddr(slot.memory + 8)) != MISALIGNED:
        return WRONG_ANSWER
    return OK if has_stamp(k, slot) else LOST


@kernel
def give_back(k: Kernel, soak: Soak, slot: Slot) -> word:
    """Give back what the slot has, and at times once more, which is refused."""
    fault = OK
    if slot.kind == RANGE:
        fault = unmap_rest(k, slot)
    elif slot.kind == LARGE_PAGE:
        fault = expect(vmm.unmap_leaf(k, slot.start, level_of(slot)), slot.memory)
    elif not has_stamp(k, slot):
        fault = LOST
    elif slot.kind == CHUNK:
        fault = expect(heap.kfree(k, slot.start), OK)
        if fault == OK and draw(soak.generator, 4) == 0 and k.config.hardening != FULL:  # where that ends the machine
            fault = expect(heap.kfree(k, slot.start), BAD_FREE)
    elif slot.kind == OBJECT:
        fault = give_object(k, soak, slot)
    elif slot.kind == VMALLOCED:
        fault = expect(vmm.vfree(k, slot.start), OK)
        if fault == OK and draw(soak.generator, 4) == 0:
            fault = expect(vmm.vfree(k, slot.start), BAD_FREE)
    else:
        fault = give_frame(k, soak, slot)
    empty(slot)
    return fault
