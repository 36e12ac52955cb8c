"""What the processor remembers of the page tables: translations (TLB) and upper entries; and how it forgets.

The TLB has one slot for each value of the low bits of the page number. It keeps what it has until it is flushed or
another page takes the slot: changing an entry in memory changes nothing here. Rules of forgetting: Intel SDM volume 3,
"Caching Translation Information", section on operations that invalidate TLBs and paging-structure caches.

    invlpg        the page, the large page round it even if global, and all upper entries
    CR3 load      all but global translations, and all upper entries
    CR0, CR4, EFER changed in a bit that walks look at: everything
"""

from typing import Final

from incroos.lang import PhysAddr, VirtAddr, kernel, word

from .architecture import (
    CR4_PGE,
    ENTRY_DIRTY,
    ENTRY_GLOBAL,
    PAGE_MASK,
    PAGE_SHIFT,
)
from .cpu import NO_PAGE, TLB_SLOTS, Cpu, Slot
from .physical import host_to_read, is_memory
from .walk import FOUND_LEVEL_SHIFT, shift_of

SLOT_MASK: Final = TLB_SLOTS - 1


@kernel
def slot_of(cpu: Cpu, va: VirtAddr) -> Slot:
    """The only slot where a translation of va can be."""
    return cpu.tlb[(va >> PAGE_SHIFT) & SLOT_MASK]


@kernel
def remember(cpu: Cpu, va: VirtAddr, pa: PhysAddr, found: word) -> None:
    """Put the translation that a walk found into the TLB, for the kernel's reads and writes."""
    page = va & PAGE_MASK
    # The first write through a clean leaf must walk, to mark it dirty; what vanishes never becomes a fast write.
    is_writable = cpu.supervisor_write & ~found == 0 and found & ENTRY_DIRTY != 0 and is_memory(cpu, pa)
    addend = host_to_read(cpu, pa) - va
    slot = slot_of(cpu, va)
    slot.read_page = page
    slot.write_page = page if is_writable else NO_PAGE
    slot.addend = addend
    slot.flags = found
    if (found >> FOUND_LEVEL_SHIFT) & 7 != 1:
        widen_large(cpu, va, (found >> FOUND_LEVEL_SHIFT) & 7)


@kernel
def widen_large(cpu: Cpu, va: VirtAddr, level: word) -> None:
    """Note that the TLB has a part of the large page round va."""
    start = va & -(1 << shift_of(level))
    end = start + (1 << shift_of(level))
    if cpu.large_start == cpu.large_end:
        cpu.large_start = VirtAddr(start)
        cpu.large_end = VirtAddr(end)
    cpu.large_start = VirtAddr(min(cpu.large_start, start))
    cpu.large_end = VirtAddr(max(cpu.large_end, end))


@kernel
def forget_slot(slot: Slot) -> None:
    """Empty one slot."""
    slot.read_page = NO_PAGE
    slot.write_page = NO_PAGE


@kernel
def forget_upper(cpu: Cpu) -> None:
    """Forget all upper entries."""
    cpu.upper_generation += 1


@kernel
def forget_page(cpu: Cpu, va: VirtAddr) -> None:
    """Forget the translation of va's page, of the whole large page if it is in one, and all upper entries."""
    if cpu.large_start <= va < cpu.large_end:
        forget_large(cpu, va)
    slot = slot_of(cpu, va)
    if slot.read_page == va & PAGE_MASK:
        forget_slot(slot)
    forget_upper(cpu)


@kernel
def forget_large(cpu: Cpu, va: VirtAddr) -> None:
    """Forget each part of a large page that holds va."""
    for index in range(TLB_SLOTS):
        slot = cpu.tlb[index]
        if slot.read_page != NO_PAGE:
            shift = shift_of((slot.flags >> FOUND_LEVEL_SHIFT) & 7)
            if slot.read_page >> shift == va >> shift:
                forget_slot(slot)


@kernel
def forget_all(cpu: Cpu) -> None:
    """Forget everything, global translations too."""
    for index in range(TLB_SLOTS):
        forget_slot(cpu.tlb[index])
    cpu.large_start = cpu.large_end
    forget_upper(cpu)


@kernel
def forget_space(cpu: Cpu) -> None:
    """Forget what a load of CR3 makes the processor forget: all but the global translations."""
    if cpu.cr4 & CR4_PGE == 0:
        forget_all(cpu)
    else:
        for index in range(TLB_SLOTS):
            slot = cpu.tlb[index]
            if slot.flags & ENTRY_GLOBAL == 0:
                forget_slot(slot)
        forget_upper(cpu)
