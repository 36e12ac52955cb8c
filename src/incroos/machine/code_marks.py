"""Frames whose code ring 3's processor may keep, in a form of its own: a byte for each frame, 1 if so.

The processor is told of a page that it may execute, and does not see what the kernel writes into its frame later, be it
other code of the same program or, when the frame is handed out again, other bytes altogether. So the TLB lets no write
to a marked frame be a fast one, and the first slow one drops the mark and says that kept code must be forgotten.
"""

from incroos.lang import PhysAddr, VirtAddr, kernel, load8, store8

from .architecture import PAGE_MASK, PAGE_SHIFT
from .cpu import NO_PAGE, TLB_SLOTS, Cpu
from .physical import is_device, is_ram


@kernel
def mark_of(cpu: Cpu, pa: PhysAddr) -> VirtAddr:
    """Where the mark of pa's frame is. PRE pa is RAM."""
    return VirtAddr(cpu.user.host_marks + (pa >> PAGE_SHIFT))


@kernel
def is_plain_memory(cpu: Cpu, pa: PhysAddr) -> bool:
    """Whether the byte at pa keeps what is written to it, and nobody else must know of it."""
    if is_ram(cpu, pa):
        return load8(cpu.m, mark_of(cpu, pa)) == 0
    return is_device(cpu, pa)


@kernel
def note_write(cpu: Cpu, pa: PhysAddr) -> None:
    """The kernel writes into the frame."""
    if is_ram(cpu, pa) and load8(cpu.m, mark_of(cpu, pa)) != 0:
        store8(cpu.m, mark_of(cpu, pa), 0)
        cpu.user.is_code_written = 1


@kernel
def mark_code(cpu: Cpu, pa: PhysAddr) -> None:
    """Ring 3 was told that it may execute the frame. PRE pa is RAM."""
    if load8(cpu.m, mark_of(cpu, pa)) == 0:
        store8(cpu.m, mark_of(cpu, pa), 1)
        host = cpu.host_ram + (pa & PAGE_MASK)
        for index in range(TLB_SLOTS):
            slot = cpu.tlb[index]
            if slot.read_page != NO_PAGE and (slot.read_page & PAGE_MASK) + slot.addend == host:
                slot.write_page = NO_PAGE
