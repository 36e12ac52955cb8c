"""The processor's caches of the page tables: translations (TLB) and upper entries, and how they are flushed.

The TLB has one slot for each value of the low bits of the page number. A slot keeps its translation until it is flushed
or another page takes the slot: changing an entry in memory changes nothing here. A translation belongs to the PCID
under which it was found, and is parked while another PCID is in use; global translations serve all. Rules of
forgetting: Intel SDM volume 3, "Caching Translation Information", sections on process-context identifiers and on
operations that invalidate TLBs and paging-structure caches.

    invlpg        of the present PCID: the page, the large page round it, and all upper entries; of all: global pages
    CR3 load      of the PCID that it names: all but global translations, and all upper entries; or nothing (CR3_KEEP)
    invpcid       of one PCID an address, or all that it has; of all PCIDs, with global translations or without
    CR0, CR4, EFER changed in a bit that walks look at: everything
"""

from typing import Final

from incroos.lang import PhysAddr, VirtAddr, kernel, word

from .architecture import (
    CR4_PCIDE,
    CR4_PGE,
    ENTRY_DIRTY,
    ENTRY_GLOBAL,
    PAGE_MASK,
    PAGE_SHIFT,
)
from .code_marks import is_plain_memory
from .cpu import NO_PAGE, NR_CONTEXTS, PARKED, TLB_SLOTS, Context, Cpu, Slot
from .physical import host_to_read
from .walk import FOUND_LEVEL_SHIFT, shift_of

SLOT_MASK: Final = TLB_SLOTS - 1
PCID_SHIFT: Final = 16
PCID_MASK: Final = 0xFFF


@kernel
def slot_of(cpu: Cpu, va: VirtAddr) -> Slot:
    """The only slot where a translation of va can be."""
    return cpu.tlb[(va >> PAGE_SHIFT) & SLOT_MASK]


@kernel
def remember(cpu: Cpu, va: VirtAddr, pa: PhysAddr, found: word) -> None:
    """Put the translation that a walk found into the TLB, for the kernel's reads and writes."""
    page = va & PAGE_MASK
    # The first write through a clean leaf must walk, to mark it dirty; what vanishes never becomes a fast write, nor
    # what goes into a frame whose code ring 3's processor keeps.
    is_writable = cpu.supervisor_write & ~found == 0 and found & ENTRY_DIRTY != 0 and is_plain_memory(cpu, pa)
    addend = host_to_read(cpu, pa) - va
    slot = slot_of(cpu, va)
    slot.read_page = page
    slot.write_page = page if is_writable else NO_PAGE
    slot.addend = addend
    slot.flags = found | (cpu.pcid << PCID_SHIFT)
    if (found >> FOUND_LEVEL_SHIFT) & 7 != 1:
        widen_large(cpu, va, (found >> FOUND_LEVEL_SHIFT) & 7)


@kernel
def widen_large(cpu: Cpu, va: VirtAddr, level: word) -> None:
    """Record that the TLB has a part of the large page round va."""
    start = va & -(1 << shift_of(level))
    end = start + (1 << shift_of(level))
    if cpu.large_start == cpu.large_end:
        cpu.large_start = VirtAddr(start)
        cpu.large_end = VirtAddr(end)
    cpu.large_start = VirtAddr(min(cpu.large_start, start))
    cpu.large_end = VirtAddr(max(cpu.large_end, end))


# ------------------------------------------------------------------ the slots
@kernel
def forget_slot(slot: Slot) -> None:
    """Empty one slot."""
    slot.read_page = NO_PAGE
    slot.write_page = NO_PAGE


@kernel
def is_of(slot: Slot, pcid: word) -> bool:
    """Whether the slot is a translation of this PCID and not global."""
    return slot.flags & ENTRY_GLOBAL == 0 and (slot.flags >> PCID_SHIFT) & PCID_MASK == pcid


@kernel
def is_in_page(slot: Slot, va: VirtAddr) -> bool:
    """Whether the slot, which is not empty, is a part of a page of any size that holds va."""
    shift = shift_of((slot.flags >> FOUND_LEVEL_SHIFT) & 7)
    return slot.read_page >> shift == va >> shift


# ------------------------------------------------------------------ upper entries
@kernel
def context_of(cpu: Cpu, pcid: word) -> Context:
    """The only place for the upper entries of a PCID that is not in use."""
    return cpu.contexts[pcid & (NR_CONTEXTS - 1)]


@kernel
def forget_upper(cpu: Cpu) -> None:
    """Forget all upper entries of the present PCID."""
    cpu.last_generation += 1
    cpu.upper_generation = cpu.last_generation


@kernel
def forget_upper_of(cpu: Cpu, pcid: word) -> None:
    """Forget all upper entries of a PCID."""
    if pcid == cpu.pcid:
        forget_upper(cpu)
    elif context_of(cpu, pcid).pcid == pcid:
        context_of(cpu, pcid).generation = 0


@kernel
def forget_all_upper(cpu: Cpu) -> None:
    """Forget all upper entries of all PCIDs."""
    forget_upper(cpu)
    for index in range(NR_CONTEXTS):
        cpu.contexts[index].generation = 0


# ------------------------------------------------------------------ what instructions forget
@kernel
def forget_page(cpu: Cpu, va: VirtAddr) -> None:
    """Forget the translation of va's page, of the whole large page if it is in one, and all upper entries."""
    if cpu.large_start <= va < cpu.large_end:
        forget_large(cpu, va)
    slot = slot_of(cpu, va)
    if slot.read_page == va & PAGE_MASK:
        forget_slot(slot)
    forget_upper(cpu)
    if va >= 0:
        cpu.user.is_flushed = 1


@kernel
def forget_large(cpu: Cpu, va: VirtAddr) -> None:
    """Forget each part of a large page that holds va, and is global or of the present PCID."""
    for index in range(TLB_SLOTS):
        slot = cpu.tlb[index]
        if slot.read_page & (NO_PAGE | PARKED) == 0 and is_in_page(slot, va):
            forget_slot(slot)


@kernel
def forget_address(cpu: Cpu, pcid: word, va: VirtAddr) -> None:
    """Forget the PCID's own translations of va's page, of any size, and its upper entries."""
    cpu.user.is_flushed = 1
    for index in range(TLB_SLOTS):
        slot = cpu.tlb[index]
        if slot.read_page != NO_PAGE and is_of(slot, pcid) and is_in_page(slot, va):
            forget_slot(slot)
    forget_upper_of(cpu, pcid)


@kernel
def forget_space(cpu: Cpu, pcid: word) -> None:
    """Forget all translations of a PCID but the global ones, and its upper entries."""
    cpu.user.is_flushed = 1
    if cpu.cr4 & (CR4_PGE | CR4_PCIDE) == 0:
        forget_all(cpu)  # the same, and the bounds of large pages too
        return
    for index in range(TLB_SLOTS):
        slot = cpu.tlb[index]
        if is_of(slot, pcid):
            forget_slot(slot)
    forget_upper_of(cpu, pcid)


@kernel
def forget_all_spaces(cpu: Cpu) -> None:
    """Forget everything but global translations."""
    cpu.user.is_flushed = 1
    for index in range(TLB_SLOTS):
        slot = cpu.tlb[index]
        if slot.flags & ENTRY_GLOBAL == 0:
            forget_slot(slot)
    forget_all_upper(cpu)


@kernel
def forget_all(cpu: Cpu) -> None:
    """Forget everything, global translations too."""
    cpu.user.is_flushed = 1
    for index in range(TLB_SLOTS):
        forget_slot(cpu.tlb[index])
    cpu.large_start = cpu.large_end
    forget_all_upper(cpu)


@kernel
def switch_context(cpu: Cpu, pcid: word) -> None:
    """Restore the translations of another PCID and park those of the present one. Forgets nothing.

    Only ring 3's processor does, which knows no PCID.
    """
    cpu.user.is_flushed = 1
    if pcid == cpu.pcid:
        return
    left, taken = context_of(cpu, cpu.pcid), context_of(cpu, pcid)
    generation = taken.generation if taken.pcid == pcid else 0
    left.pcid = cpu.pcid
    left.generation = cpu.upper_generation
    for index in range(TLB_SLOTS):
        slot = cpu.tlb[index]
        if slot.read_page != NO_PAGE and (is_of(slot, cpu.pcid) or is_of(slot, pcid)):
            slot.read_page = slot.read_page ^ PARKED
            slot.write_page = slot.write_page ^ PARKED
    cpu.pcid = pcid
    if generation != 0:
        cpu.upper_generation = generation
    else:
        forget_upper(cpu)
