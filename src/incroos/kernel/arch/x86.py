"""x86: bits of control registers, model-specific registers, cpuid and page faults, each written down once.

Knows nothing of what they are used for. `machine` has constants of its own, since it is the witness. Written from:
Intel SDM volume 3, "Control Registers" and "Page-Fault Exceptions"; volume 2, "CPUID"; volume 4, the list of MSRs.
"""

from typing import Final

# CR4
CR4_PGE: Final = 1 << 7  # global pages survive a load of CR3
CR4_LA57: Final = 1 << 12  # five levels of page tables
CR4_PCIDE: Final = 1 << 17  # the TLB tells address spaces apart

# Model-specific registers
MSR_PAT: Final = 0x277
MSR_EFER: Final = 0xC000_0080
EFER_NXE: Final = 1 << 11  # entries may say NX

# cpuid: leaves, and bits of their registers
CPUID_FEATURES: Final = 1
HAS_PCID: Final = 1 << 17  # in C
HAS_GLOBAL_PAGES: Final = 1 << 13  # in D
HAS_PAT: Final = 1 << 16  # in D
CPUID_MORE_FEATURES: Final = 7
HAS_INVPCID: Final = 1 << 10  # in B
APIC_ID_SHIFT: Final = 24  # in B of CPUID_FEATURES: the lowest 8 bits of the processor's number
CPUID_TOPOLOGY: Final = 0xB  # B is 0 where it tells nothing; all of the number is in D

# A page fault's error code
FAULT_PRESENT: Final = 1 << 0  # the entry was present: a right was missing
FAULT_WRITE: Final = 1 << 1
FAULT_USER: Final = 1 << 2  # in user mode
FAULT_RESERVED_BIT: Final = 1 << 3  # an entry has a reserved bit set
FAULT_FETCH: Final = 1 << 4  # an instruction was fetched
