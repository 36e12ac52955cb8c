"""From a virtual address to bytes of this process, for the kernel's own reads and writes: TLB, walk, fault, again."""

from incroos.lang import PhysAddr, VirtAddr, add_wrap, kernel, word

from .architecture import ERROR_WRITE, GENERAL_PROTECTION, OFFSET_MASK, PAGE_BYTES, PAGE_MASK
from .code_marks import note_write
from .cpu import Cpu
from .faults import exception, page_fault
from .physical import host_to_read, host_to_write
from .tlb import remember, slot_of
from .walk import is_canonical, walk, walk_last


@kernel
def translate(cpu: Cpu, va: VirtAddr, access: word) -> word:
    """The physical address of va for any access, by a walk; or ~error, which is negative. PRE va is canonical.

    Does not look into the TLB (resolve_read does), but puts the kernel's own accesses there.
    """
    pa, found = walk(cpu, va, access)
    if pa >= 0 and access & ~ERROR_WRITE == 0:
        remember(cpu, va, PhysAddr(pa), found)
    return pa


@kernel
def refill(cpu: Cpu, va: VirtAddr, nbytes: word, access: word) -> None:
    """Put the translation of va, if there is one, into its slot: by one step that marks nothing, or else by a walk.

    Does nothing for an access to two pages: that must mark nothing before both halves can be done.
    """
    pa, found = walk_last(cpu, va)
    if pa < 0 and va & OFFSET_MASK <= PAGE_BYTES - nbytes and is_canonical(cpu, va):
        pa, found = walk(cpu, va, access)
    if pa >= 0:
        remember(cpu, va, PhysAddr(pa), found)


@kernel
def resolve_read(cpu: Cpu, va: VirtAddr) -> VirtAddr:
    """Where in this process the kernel reads va, up to the end of its page; delivers faults until it succeeds."""
    while True:
        slot = slot_of(cpu, va)
        if slot.read_page == va & PAGE_MASK:
            return VirtAddr(va + slot.addend)
        if is_canonical(cpu, va):
            pa = translate(cpu, va, 0)
            if pa >= 0:
                return host_to_read(cpu, PhysAddr(pa))
            page_fault(cpu, va, ~pa)
        else:
            exception(cpu, GENERAL_PROTECTION, 0)


@kernel
def resolve_write(cpu: Cpu, va: VirtAddr) -> VirtAddr:
    """Where in this process the kernel writes va, up to the end of its page; delivers faults until it succeeds."""
    while True:
        slot = slot_of(cpu, va)
        if slot.write_page == va & PAGE_MASK:
            return VirtAddr(va + slot.addend)
        if is_canonical(cpu, va):
            pa = translate(cpu, va, ERROR_WRITE)
            if pa >= 0:
                note_write(cpu, PhysAddr(pa))
                return host_to_write(cpu, PhysAddr(pa))
            page_fault(cpu, va, ~pa)
        else:
            exception(cpu, GENERAL_PROTECTION, 0)


@kernel
def next_page(va: VirtAddr) -> VirtAddr:
    """The first address of the page behind va's."""
    return VirtAddr(add_wrap(va & PAGE_MASK, PAGE_BYTES))


@kernel
def check_next_page(cpu: Cpu, va: VirtAddr) -> None:
    """Refuse an access that leaves the canonical addresses, before its first page is translated."""
    if not is_canonical(cpu, next_page(va)):
        exception(cpu, GENERAL_PROTECTION, 0)


@kernel
def resolve_two_reads(cpu: Cpu, va: VirtAddr) -> tuple[VirtAddr, VirtAddr]:
    """Where va and the page behind it are read; both hold at once, with no fault in between."""
    check_next_page(cpu, va)
    while True:
        faults = cpu.nr_faults
        first, second = resolve_read(cpu, va), resolve_read(cpu, next_page(va))
        if cpu.nr_faults == faults:
            return first, second


@kernel
def resolve_two_writes(cpu: Cpu, va: VirtAddr) -> tuple[VirtAddr, VirtAddr]:
    """Where va and the page behind it are written; both hold at once, with no fault in between."""
    check_next_page(cpu, va)
    while True:
        faults = cpu.nr_faults
        first, second = resolve_write(cpu, va), resolve_write(cpu, next_page(va))
        if cpu.nr_faults == faults:
            return first, second
