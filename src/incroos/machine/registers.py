"""Control and model-specific registers, descriptor tables, cpuid: the lowerings of their primitives.

A write that is not allowed is a general protection fault. Intel SDM volume 3, chapter "System Architecture Overview",
and volume 2, "MOV to/from control registers", "WRMSR", "CPUID".
"""

from typing import Final

from incroos.lang import VirtAddr, kernel, shr_logical, word

from .architecture import (
    CR0_CD,
    CR0_DEFINED,
    CR0_ET,
    CR0_NW,
    CR0_PE,
    CR0_PG,
    CR0_WP,
    CR3_KEEP,
    CR4_ALWAYS,
    CR4_LA57,
    CR4_PAE,
    CR4_PCIDE,
    CR4_PGE,
    CR4_SMAP,
    CR4_SMEP,
    CR4_UMIP,
    EFER_DEFINED,
    EFER_LMA,
    EFER_LME,
    EFER_NXE,
    GENERAL_PROTECTION,
    INVALID_OPCODE,
    INVPCID_ADDRESS,
    INVPCID_ALL,
    INVPCID_ALL_SPACES,
    INVPCID_SPACE,
    MSR_EFER,
    MSR_FMASK,
    MSR_FS_BASE,
    MSR_GS_BASE,
    MSR_KERNEL_GS_BASE,
    MSR_LSTAR,
    MSR_PAT,
    MSR_STAR,
    OFFSET_MASK,
)
from .cpu import HAS_INVPCID, HAS_LA57, HAS_PCID, HAS_SMAP, HAS_SMEP, HAS_UMIP, STOPPED_BY_HALT, Cpu
from .faults import exception, stop
from .tlb import (
    PCID_MASK,
    forget_address,
    forget_all,
    forget_all_spaces,
    forget_page,
    forget_space,
    switch_context,
)
from .walk import set_masks, shift_of

TSC_STEP: Final = 1000  # the time stamp counts how often it is read: runs are repeatable


# ------------------------------------------------------------------ control registers
@kernel
def cpu_read_cr0(cpu: Cpu) -> word:
    return cpu.cr0


@kernel
def cpu_write_cr0(cpu: Cpu, value: word) -> None:
    has_paging = value & CR0_PG != 0 and value & CR0_PE != 0  # which long mode cannot leave at once
    is_bad_cache = value & CR0_NW != 0 and value & CR0_CD == 0
    if shr_logical(value, 32) != 0 or not has_paging or is_bad_cache:
        exception(cpu, GENERAL_PROTECTION, 0)
    before = cpu.cr0
    cpu.cr0 = (value & CR0_DEFINED) | CR0_ET
    if (before ^ value) & CR0_WP != 0:
        set_masks(cpu)
        forget_all(cpu)


@kernel
def cpu_read_cr2(cpu: Cpu) -> VirtAddr:
    return cpu.cr2


@kernel
def cpu_write_cr2(cpu: Cpu, value: VirtAddr) -> None:
    cpu.cr2 = value


@kernel
def cpu_read_cr3(cpu: Cpu) -> word:
    return cpu.cr3


@kernel
def cpu_write_cr3(cpu: Cpu, value: word) -> None:
    has_pcids = cpu.cr4 & CR4_PCIDE != 0
    if value & ~(cpu.frame_mask | OFFSET_MASK | (CR3_KEEP if has_pcids else 0)) != 0:
        exception(cpu, GENERAL_PROTECTION, 0)
    cpu.cr3 = value & ~CR3_KEEP
    cpu.user.is_flushed = 1
    if has_pcids:
        switch_context(cpu, value & PCID_MASK)
    if value & CR3_KEEP == 0:
        forget_space(cpu, cpu.pcid)


@kernel
def cpu_read_cr4(cpu: Cpu) -> word:
    return cpu.cr4


@kernel
def cpu_write_cr4(cpu: Cpu, value: word) -> None:
    changed = cpu.cr4 ^ value
    added = changed & value
    # Long mode keeps its number of levels, and begins with PCID 0.
    is_bad = value & CR4_PAE == 0 or changed & CR4_LA57 != 0 or (added & CR4_PCIDE != 0 and cpu.cr3 & PCID_MASK != 0)
    if value & ~allowed_in_cr4(cpu) != 0 or is_bad:
        exception(cpu, GENERAL_PROTECTION, 0)
    cpu.cr4 = value
    if changed & (CR4_PGE | CR4_SMEP | CR4_SMAP) != 0 or changed & ~added & CR4_PCIDE != 0:
        cpu.pcid = cpu.cr3 & PCID_MASK if value & CR4_PCIDE != 0 else 0
        set_masks(cpu)
        forget_all(cpu)


@kernel
def allowed_in_cr4(cpu: Cpu) -> word:
    """The bits of CR4 that this processor knows."""
    pcid = CR4_PCIDE if cpu.features & HAS_PCID != 0 else 0
    smep = CR4_SMEP if cpu.features & HAS_SMEP != 0 else 0
    smap = CR4_SMAP if cpu.features & HAS_SMAP != 0 else 0
    umip = CR4_UMIP if cpu.features & HAS_UMIP != 0 else 0
    return CR4_ALWAYS | pcid | smep | smap | umip | (CR4_LA57 if cpu.features & HAS_LA57 != 0 else 0)


# ------------------------------------------------------------------ model-specific registers
@kernel
def cpu_read_msr(cpu: Cpu, index: word) -> word:
    value = 0
    if index == MSR_EFER:
        value = cpu.efer
    elif index == MSR_PAT:
        value = cpu.pat
    elif index == MSR_FS_BASE:
        value = cpu.fs_base
    elif index == MSR_GS_BASE:
        value = cpu.gs_base
    elif index == MSR_KERNEL_GS_BASE:
        value = cpu.kernel_gs_base
    elif index == MSR_STAR:
        value = cpu.star
    elif index == MSR_LSTAR:
        value = cpu.lstar
    elif index == MSR_FMASK:
        value = cpu.fmask
    else:
        exception(cpu, GENERAL_PROTECTION, 0)
    return value


@kernel
def cpu_write_msr(cpu: Cpu, index: word, value: word) -> None:
    if index == MSR_EFER:
        write_efer(cpu, value)
    elif index == MSR_PAT:
        check_pat(cpu, value)
        cpu.pat = value
    elif index == MSR_STAR:
        cpu.star = value
    elif index == MSR_FMASK:
        if shr_logical(value, 32) != 0:
            exception(cpu, GENERAL_PROTECTION, 0)
        cpu.fmask = value
    else:
        if not can_be_canonical(cpu, VirtAddr(value)):
            exception(cpu, GENERAL_PROTECTION, 0)
        if index == MSR_FS_BASE:
            cpu.fs_base = value
        elif index == MSR_GS_BASE:
            cpu.gs_base = value
        elif index == MSR_KERNEL_GS_BASE:
            cpu.kernel_gs_base = value
        elif index == MSR_LSTAR:
            cpu.lstar = value
        else:
            exception(cpu, GENERAL_PROTECTION, 0)


@kernel
def can_be_canonical(cpu: Cpu, va: VirtAddr) -> bool:
    """Whether the address is canonical with as many levels as the processor has, though fewer may be in use."""
    top = va >> (shift_of(6 if cpu.features & HAS_LA57 != 0 else 5) - 1)
    return top == 0 or top == -1


@kernel
def write_efer(cpu: Cpu, value: word) -> None:
    """A load of EFER: the processor itself says whether long mode is active."""
    before = cpu.efer
    if value & ~EFER_DEFINED != 0 or (before ^ value) & EFER_LME != 0:
        exception(cpu, GENERAL_PROTECTION, 0)
    cpu.efer = (value & ~EFER_LMA) | (before & EFER_LMA)
    if (before ^ value) & EFER_NXE != 0:
        set_masks(cpu)
        forget_all(cpu)


@kernel
def check_pat(cpu: Cpu, value: word) -> None:
    """Each byte must name a memory type: 0, 1, 4, 5, 6 or 7."""
    for shift in range(0, 64, 8):
        memory_type = (value >> shift) & 0xFF
        if memory_type > 7 or memory_type == 2 or memory_type == 3:
            exception(cpu, GENERAL_PROTECTION, 0)


# ------------------------------------------------------------------ the TLB, descriptor tables, interrupts
@kernel
def cpu_invlpg(cpu: Cpu, va: VirtAddr) -> None:
    forget_page(cpu, va)


@kernel
def cpu_invpcid(cpu: Cpu, kind: word, pcid: word, va: VirtAddr) -> None:
    if cpu.features & HAS_INVPCID == 0:
        exception(cpu, INVALID_OPCODE, 0)
    is_of_one = kind == INVPCID_ADDRESS or kind == INVPCID_SPACE
    is_bad = is_of_one and pcid != 0 and cpu.cr4 & CR4_PCIDE == 0
    if is_bad or not 0 <= pcid <= PCID_MASK or (kind == INVPCID_ADDRESS and not can_be_canonical(cpu, va)):
        exception(cpu, GENERAL_PROTECTION, 0)
    if kind == INVPCID_ADDRESS:
        forget_address(cpu, pcid, va)
    elif kind == INVPCID_SPACE:
        forget_space(cpu, pcid)
    elif kind == INVPCID_ALL:
        forget_all(cpu)
    elif kind == INVPCID_ALL_SPACES:
        forget_all_spaces(cpu)
    else:
        exception(cpu, GENERAL_PROTECTION, 0)


@kernel
def cpu_load_idt(cpu: Cpu, base: VirtAddr, limit: word) -> None:
    cpu.idt_base = base
    cpu.idt_limit = limit


@kernel
def cpu_load_gdt(cpu: Cpu, base: VirtAddr, limit: word) -> None:
    cpu.gdt_base = base
    cpu.gdt_limit = limit


@kernel
def cpu_disable_interrupts(cpu: Cpu) -> None:
    cpu.interrupts = 0


@kernel
def cpu_enable_interrupts(cpu: Cpu) -> None:
    cpu.interrupts = 1


@kernel
def cpu_are_interrupts_enabled(cpu: Cpu) -> bool:
    return cpu.interrupts != 0


@kernel
def cpu_halt(cpu: Cpu) -> None:
    stop(cpu, STOPPED_BY_HALT, 0)


# ------------------------------------------------------------------ what the processor tells of itself
CPUID_VENDOR_B: Final = 0x72636E49  # 'Incr', 'oOS ', 'sim ': the vendor's twelve letters in B, D, C
CPUID_VENDOR_D: Final = 0x20534F6F
CPUID_VENDOR_C: Final = 0x206D6973
CPUID_FEATURES: Final = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 13 | 1 << 16  # PSE TSC MSR PAE CX8 PGE PAT
CPUID_PCID: Final = 1 << 17  # leaf 1, C
CPUID_MAX: Final = 7
CPUID_VECTORS: Final = 1 << 24 | 1 << 25 | 1 << 26  # leaf 1, D: FXSR SSE SSE2
CPUID_SMEP: Final = 1 << 7  # leaf 7, B
CPUID_SMAP: Final = 1 << 20  # leaf 7, B
CPUID_UMIP: Final = 1 << 2  # leaf 7, C
CPUID_SYSCALL: Final = 1 << 11
CPUID_INVPCID: Final = 1 << 10  # leaf 7, B
CPUID_LA57: Final = 1 << 16  # leaf 7, C
CPUID_EXTENDED: Final = 0x8000_0000
CPUID_EXTENDED_MAX: Final = 0x8000_0008
CPUID_EXTENDED_FEATURES: Final = 1 << 20 | 1 << 26 | 1 << 29  # NX, 1 GiB pages, long mode
VA_BITS: Final = 48
VA_BITS_OF_FIVE: Final = 57


@kernel
def cpu_cpuid(cpu: Cpu, leaf: word, subleaf: word) -> tuple[word, word, word, word]:
    if leaf == 0:
        return CPUID_MAX, CPUID_VENDOR_B, CPUID_VENDOR_C, CPUID_VENDOR_D
    if leaf == 1:
        return 0, 0, CPUID_PCID if cpu.features & HAS_PCID != 0 else 0, CPUID_FEATURES | CPUID_VECTORS
    if leaf == CPUID_MAX and subleaf == 0:
        invpcid = CPUID_INVPCID if cpu.features & HAS_INVPCID != 0 else 0
        smep = CPUID_SMEP if cpu.features & HAS_SMEP != 0 else 0
        smap = CPUID_SMAP if cpu.features & HAS_SMAP != 0 else 0
        umip = CPUID_UMIP if cpu.features & HAS_UMIP != 0 else 0
        return 0, invpcid | smep | smap, umip | (CPUID_LA57 if cpu.features & HAS_LA57 != 0 else 0), 0
    if leaf == CPUID_EXTENDED:
        return CPUID_EXTENDED_MAX, CPUID_VENDOR_B, CPUID_VENDOR_C, CPUID_VENDOR_D
    if leaf == CPUID_EXTENDED + 1:
        return 0, 0, 0, CPUID_EXTENDED_FEATURES | CPUID_SYSCALL
    if leaf == CPUID_EXTENDED_MAX:
        va_bits = VA_BITS_OF_FIVE if cpu.features & HAS_LA57 != 0 else VA_BITS
        return cpu.pa_bits | va_bits << 8, 0, 0, 0
    return 0, 0, 0, 0


@kernel
def cpu_read_tsc(cpu: Cpu) -> word:
    cpu.tsc += TSC_STEP
    return cpu.tsc
