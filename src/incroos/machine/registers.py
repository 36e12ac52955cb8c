"""Control and model-specific registers, descriptor tables, cpuid: the lowerings of their primitives.

What may not be written is a general protection fault. Intel SDM volume 3, chapter "System Architecture Overview", and
volume 2, "MOV to/from control registers", "WRMSR", "CPUID".
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
    CR4_DEFINED,
    CR4_PAE,
    CR4_PGE,
    EFER_DEFINED,
    EFER_LMA,
    EFER_LME,
    EFER_NXE,
    GENERAL_PROTECTION,
    MSR_EFER,
    MSR_FS_BASE,
    MSR_GS_BASE,
    MSR_KERNEL_GS_BASE,
    MSR_PAT,
    OFFSET_MASK,
)
from .cpu import STOPPED_BY_HALT, Cpu
from .faults import exception, stop
from .tlb import forget_all, forget_page, forget_space
from .walk import is_canonical, set_masks

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
    if value & ~(cpu.frame_mask | OFFSET_MASK) != 0:
        exception(cpu, GENERAL_PROTECTION, 0)
    cpu.cr3 = value
    forget_space(cpu)


@kernel
def cpu_read_cr4(cpu: Cpu) -> word:
    return cpu.cr4


@kernel
def cpu_write_cr4(cpu: Cpu, value: word) -> None:
    if value & ~CR4_DEFINED != 0 or value & CR4_PAE == 0:
        exception(cpu, GENERAL_PROTECTION, 0)
    before = cpu.cr4
    cpu.cr4 = value
    if (before ^ value) & CR4_PGE != 0:
        forget_all(cpu)


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
    else:
        if not is_canonical(VirtAddr(value)):
            exception(cpu, GENERAL_PROTECTION, 0)
        if index == MSR_FS_BASE:
            cpu.fs_base = value
        elif index == MSR_GS_BASE:
            cpu.gs_base = value
        elif index == MSR_KERNEL_GS_BASE:
            cpu.kernel_gs_base = value
        else:
            exception(cpu, GENERAL_PROTECTION, 0)


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
CPUID_EXTENDED: Final = 0x8000_0000
CPUID_EXTENDED_MAX: Final = 0x8000_0008
CPUID_EXTENDED_FEATURES: Final = 1 << 20 | 1 << 26 | 1 << 29  # NX, 1 GiB pages, long mode
VA_BITS: Final = 48


@kernel
def cpu_cpuid(cpu: Cpu, leaf: word, subleaf: word) -> tuple[word, word, word, word]:
    if leaf == 0:
        return 1, CPUID_VENDOR_B, CPUID_VENDOR_C, CPUID_VENDOR_D
    if leaf == 1:
        return 0, 0, 0, CPUID_FEATURES
    if leaf == CPUID_EXTENDED:
        return CPUID_EXTENDED_MAX, CPUID_VENDOR_B, CPUID_VENDOR_C, CPUID_VENDOR_D
    if leaf == CPUID_EXTENDED + 1:
        return 0, 0, 0, CPUID_EXTENDED_FEATURES
    if leaf == CPUID_EXTENDED_MAX:
        return cpu.pa_bits | VA_BITS << 8, 0, 0, 0
    return 0, 0, 0, 0


@kernel
def cpu_read_tsc(cpu: Cpu) -> word:
    cpu.tsc += TSC_STEP
    return cpu.tsc
