"""x86: bits of control registers, model-specific registers, cpuid and page faults, each written down once.

Knows nothing of what they are used for. `machine` has constants of its own, since it is the witness. Written from:
Intel SDM volume 3, "Control Registers" and "Page-Fault Exceptions"; volume 2, "CPUID"; volume 4, the list of MSRs.
"""

from typing import Final

# CR0
CR0_MP: Final = 1 << 1  # WAIT looks at TS
CR0_EM: Final = 1 << 2  # no x87, and no SSE
CR0_TS: Final = 1 << 3  # the next instruction of x87 or SSE is an exception
CR0_NE: Final = 1 << 5  # errors of x87 are exceptions, and no interrupts
CR0_WP: Final = 1 << 16  # ring 0 obeys read-only pages, too

# CR4
CR4_TSD: Final = 1 << 2  # RDTSC is ring 0's
CR4_MCE: Final = 1 << 6  # errors of the hardware are vector 18; else the machine resets
CR4_PGE: Final = 1 << 7  # global pages survive a load of CR3
CR4_PCE: Final = 1 << 8  # RDPMC is ring 3's, too
CR4_OSFXSR: Final = 1 << 9  # SSE, and FXSAVE saves it
CR4_OSXMMEXCPT: Final = 1 << 10  # errors of SSE are vector 19
CR4_UMIP: Final = 1 << 11  # SGDT and its kin are ring 0's
CR4_LA57: Final = 1 << 12  # five levels of page tables
CR4_FSGSBASE: Final = 1 << 16  # ring 3 writes FS and GS bases
CR4_PCIDE: Final = 1 << 17  # the TLB tells address spaces apart
CR4_OSXSAVE: Final = 1 << 18  # XSAVE, and all that it needs
CR4_SMEP: Final = 1 << 20  # ring 0 executes no page of ring 3
CR4_SMAP: Final = 1 << 21  # ring 0 touches no page of ring 3

# Model-specific registers
MSR_PAT: Final = 0x277
MSR_EFER: Final = 0xC000_0080
EFER_NXE: Final = 1 << 11  # entries may say NX
MSR_FS_BASE: Final = 0xC000_0100
MSR_KERNEL_GS_BASE: Final = 0xC000_0102  # that SWAPGS brings: while the kernel runs, ring 3's

# RFLAGS
FLAGS_ALWAYS: Final = 1 << 1  # a bit that is never 0
FLAG_INTERRUPTS: Final = 1 << 9

# Selectors (build/boot_ring3.py)
USER_CODE: Final = 0x33
USER_DATA: Final = 0x2B
RING: Final = 3  # the bits of a selector that tell the ring

# Vectors
DIVIDE_ERROR: Final = 0
DEBUG: Final = 1
NMI: Final = 2
BREAKPOINT: Final = 3
INVALID_OPCODE: Final = 6
NO_SEGMENT: Final = 11
STACK_SEGMENT: Final = 12
GENERAL_PROTECTION: Final = 13
PAGE_FAULT: Final = 14
X87_ERROR: Final = 16
ALIGNMENT_CHECK: Final = 17
SIMD_ERROR: Final = 19
NR_EXCEPTIONS: Final = 32  # the vectors behind are interrupts

# cpuid: leaves, and bits of their registers
CPUID_FEATURES: Final = 1
HAS_MCE: Final = 1 << 7  # in D
HAS_PCID: Final = 1 << 17  # in C
HAS_GLOBAL_PAGES: Final = 1 << 13  # in D
HAS_PAT: Final = 1 << 16  # in D
CPUID_MORE_FEATURES: Final = 7
HAS_SMEP: Final = 1 << 7  # in B
HAS_INVPCID: Final = 1 << 10
HAS_SMAP: Final = 1 << 20
HAS_UMIP: Final = 1 << 2  # in C
APIC_ID_SHIFT: Final = 24  # in B of CPUID_FEATURES: the lowest 8 bits of the processor's number
CPUID_TOPOLOGY: Final = 0xB  # B is 0 where it tells nothing; all of the number is in D

# A page fault's error code
FAULT_PRESENT: Final = 1 << 0  # the entry was present: a right was missing
FAULT_WRITE: Final = 1 << 1
FAULT_USER: Final = 1 << 2  # in user mode
FAULT_RESERVED_BIT: Final = 1 << 3  # an entry has a reserved bit set
FAULT_FETCH: Final = 1 << 4  # an instruction was fetched
