"""Numbers of the x86-64 architecture: page-table entries, control registers, vectors. Nothing comes from the kernel.

Intel SDM volume 3, chapters "Paging" (entries, error codes), "System Architecture Overview" (control registers, EFER)
and "Interrupt and Exception Handling" (vectors); AMD APM volume 2, "Page Translation and Protection".
"""

from typing import Final

PAGE_SHIFT: Final = 12
PAGE_BYTES: Final = 1 << PAGE_SHIFT
OFFSET_MASK: Final = PAGE_BYTES - 1
PAGE_MASK: Final = ~OFFSET_MASK

# ------------------------------------------------------------------ an entry of a page table
# 63   62..52  51..M  M-1..12  11..9  8  7   6  5  4    3    2  1  0
# NX   free    zero   frame    free   G  PS  D  A  PCD  PWT  U  W  P      M is the width of a physical address
ENTRY_PRESENT: Final = 1 << 0
ENTRY_WRITABLE: Final = 1 << 1
ENTRY_USER: Final = 1 << 2
ENTRY_ACCESSED: Final = 1 << 5
ENTRY_DIRTY: Final = 1 << 6
ENTRY_LEAF: Final = 1 << 7  # above level 1: this entry maps a large page; in level 1 the bit selects a memory type
ENTRY_GLOBAL: Final = 1 << 8
ENTRY_NX: Final = -1 << 63
ENTRY_FRAME: Final = (1 << 52) - PAGE_BYTES

ENTRIES_PER_TABLE: Final = 512
LEVEL_BITS: Final = 9
ROOT_LEVEL: Final = 4  # and 5 while CR4.LA57 is set
LARGEST_LEAF_LEVEL: Final = 3
HUGE_SHIFT: Final = 21  # a leaf of level 2 maps 2 MiB
GIANT_SHIFT: Final = 30  # a leaf of level 3 maps 1 GiB
# Address bits below the page of a large leaf must be zero, but for bit 12, which selects a memory type.
HUGE_RESERVED: Final = (1 << HUGE_SHIFT) - (1 << 13)
GIANT_RESERVED: Final = (1 << GIANT_SHIFT) - (1 << 13)

# ------------------------------------------------------------------ the error code of a page fault
ERROR_PRESENT: Final = 1 << 0  # the entry was there and forbade the access
ERROR_WRITE: Final = 1 << 1
ERROR_USER: Final = 1 << 2
ERROR_RESERVED: Final = 1 << 3
ERROR_FETCH: Final = 1 << 4

# What an access asks for, in the bits of the error code that will name it.
READ: Final = 0
WRITE: Final = ERROR_WRITE
USER: Final = ERROR_USER
FETCH: Final = ERROR_FETCH

# ------------------------------------------------------------------ vectors
INVALID_OPCODE: Final = 6
DOUBLE_FAULT: Final = 8
GENERAL_PROTECTION: Final = 13
PAGE_FAULT: Final = 14
DEBUG: Final = 1
BREAKPOINT: Final = 3
OVERFLOW: Final = 4

# ------------------------------------------------------------------ control registers
CR0_PE: Final = 1 << 0
CR0_MP: Final = 1 << 1
CR0_EM: Final = 1 << 2
CR0_TS: Final = 1 << 3
CR0_ET: Final = 1 << 4
CR0_NE: Final = 1 << 5
CR0_WP: Final = 1 << 16
CR0_AM: Final = 1 << 18
CR0_NW: Final = 1 << 29
CR0_CD: Final = 1 << 30
CR0_PG: Final = 1 << 31
CR0_DEFINED: Final = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG

CR4_TSD: Final = 1 << 2
CR4_DE: Final = 1 << 3
CR4_PSE: Final = 1 << 4
CR4_PAE: Final = 1 << 5
CR4_MCE: Final = 1 << 6
CR4_PGE: Final = 1 << 7
CR4_PCE: Final = 1 << 8
CR4_OSFXSR: Final = 1 << 9
CR4_OSXMMEXCPT: Final = 1 << 10
CR4_UMIP: Final = 1 << 11
CR4_LA57: Final = 1 << 12  # five levels
CR4_PCIDE: Final = 1 << 17
CR4_OSXSAVE: Final = 1 << 18
CR4_SMEP: Final = 1 << 20  # the kernel executes nothing that is ring 3's,
CR4_SMAP: Final = 1 << 21  # nor reads or writes it
# What every processor of this computer has; UMIP, LA57, PCIDE, SMEP and SMAP are some's. None has protection keys.
CR4_ALWAYS: Final = CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT

CR3_KEEP: Final = -1 << 63  # in what is written while CR4.PCIDE is set: forget nothing

# ------------------------------------------------------------------ kinds of INVPCID
INVPCID_ADDRESS: Final = 0  # one address of one PCID
INVPCID_SPACE: Final = 1  # one PCID
INVPCID_ALL: Final = 2  # everything, global translations too
INVPCID_ALL_SPACES: Final = 3  # everything but global translations

# ------------------------------------------------------------------ model-specific registers
MSR_PAT: Final = 0x277
MSR_EFER: Final = 0xC000_0080
MSR_STAR: Final = 0xC000_0081  # selectors of SYSCALL and SYSRET
MSR_LSTAR: Final = 0xC000_0082  # where SYSCALL goes
MSR_FMASK: Final = 0xC000_0084  # flags that SYSCALL clears
MSR_FS_BASE: Final = 0xC000_0100
MSR_GS_BASE: Final = 0xC000_0101
MSR_KERNEL_GS_BASE: Final = 0xC000_0102

EFER_SCE: Final = 1 << 0
EFER_LME: Final = 1 << 8
EFER_LMA: Final = 1 << 10
EFER_NXE: Final = 1 << 11
EFER_DEFINED: Final = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE

PAT_AT_RESET: Final = 0x0007_0406_0007_0406

# ------------------------------------------------------------------ what is not RAM below 1 MiB
VIDEO_START: Final = 0xA0000  # graphics window: this computer has none
TEXT_START: Final = 0xB8000  # VGA text: remembers what is written
TEXT_END: Final = 0xC0000  # from here on ROM
LOW_END: Final = 0x100000
HIGH_START: Final = 1 << 32  # RAM that does not fit below the devices goes on here
