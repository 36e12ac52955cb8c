"""Who else can say what page tables map: a reader of the manual, QEMU's monitor, Unicorn.

None shares a line with another, or with the kernel. Rights are those that all levels leave together. Written from:
Intel SDM volume 3, "4-Level Paging" and "Access Rights".
"""

import ctypes
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import unicorn
from unicorn.unicorn_py3.unicorn import uclib
from unicorn.x86_const import (
    UC_X86_REG_CR0,
    UC_X86_REG_CR3,
    UC_X86_REG_CR4,
    UC_X86_REG_CS,
    UC_X86_REG_R11,
    UC_X86_REG_RCX,
)

from incroos.inspect.ram import RamMachine

PRESENT, WRITABLE, USER, LARGE, NX = 1, 1 << 1, 1 << 2, 1 << 7, 1 << 63
SEEN: Final = 1 << 5 | 1 << 6  # accessed and dirty
FRAME: Final = 0x000F_FFFF_FFFF_F000
ENTRY_LETTERS: Final = list(zip('XGPDACTUW', (NX, *(1 << bit for bit in range(8, 0, -1))), strict=True))
TABLE_BYTES: Final = 4096
WORD: Final = (1 << 64) - 1


class Page(NamedTuple):
    """A page as the tables have it; `entry` is the leaf as it stands there."""

    va: int
    pa: int
    nbytes: int
    is_writable: bool
    is_user: bool
    is_executable: bool
    entry: int


# ------------------------------------------------------------------ the manual
class Tables:
    """What the tables under a root map, in the order of their entries, and the tables with their levels."""

    def __init__(self, ram: RamMachine, root: int) -> None:
        self.ram = ram
        self.tables: set[int] = set()
        self.pages = list(self._walk(root, 4, 0, WRITABLE | USER, 0))

    def _walk(self, table: int, level: int, start: int, allowed: int, forbidden: int) -> Iterator[Page]:
        self.tables.add(table)
        for index in range(512):
            entry = self.ram.words[table // 8 + index] & WORD
            if not entry & PRESENT:
                continue
            nbytes = 1 << 12 + 9 * (level - 1)
            va = start + index * nbytes
            granted, denied = allowed & entry, forbidden | entry & NX
            if level == 1 or (level < 4 and entry & LARGE):
                yield Page(
                    va - (1 << 48) if va >> 47 else va,
                    entry & FRAME & -nbytes,
                    nbytes,
                    is_writable=granted & WRITABLE != 0,
                    is_user=granted & USER != 0,
                    is_executable=denied == 0,
                    entry=entry,
                )
            else:
                yield from self._walk(entry & FRAME, level - 1, va, granted, denied)


# ------------------------------------------------------------------ QEMU's monitor
def tlb_lines(pages: list[Page]) -> dict[int, tuple[int, str]]:
    """What `info tlb` says of the pages: memory and letters by address. Of the smallest pages it does not tell PAT."""
    lines = {}
    for page in pages:
        entry = page.entry if page.nbytes > TABLE_BYTES else page.entry & ~LARGE
        lines[page.va & WORD] = page.pa, ''.join(letter if entry & bit else '-' for letter, bit in ENTRY_LETTERS)
    return lines


def read_tlb_lines(text: str) -> dict[int, tuple[int, str]]:
    """The same, from what the monitor printed."""
    lines = [line.split() for line in text.splitlines()]
    return {int(va.rstrip(':'), 16): (int(pa, 16), letters) for va, pa, letters in lines}


def mem_lines(pages: list[Page]) -> list[tuple[int, int, str]]:
    """What `info mem` says of the pages: start and end of ranges with equal rights."""
    ranges: list[tuple[int, int, str]] = []
    for page in pages:
        start = page.va & (1 << 48) - 1
        rights = ('u' if page.is_user else '-') + 'r' + ('w' if page.is_writable else '-')
        if ranges and ranges[-1][1] == start and ranges[-1][2] == rights:
            start = ranges.pop()[0]
        ranges.append((start, (page.va & (1 << 48) - 1) + page.nbytes, rights))
    return ranges


def read_mem_lines(text: str) -> list[tuple[int, int, str]]:
    """The same, from what the monitor printed; addresses have their low 48 bits."""
    ranges = []
    for line in text.splitlines():
        span, _, rights = line.split()
        start, end = (int(part, 16) for part in span.split('-'))
        ranges.append((start & (1 << 48) - 1, ((end - 1) & (1 << 48) - 1) + 1, rights))
    return ranges


# ------------------------------------------------------------------ Unicorn
UNICORN: Final[Any] = unicorn
UNICORN_PA_BITS: Final = 40
OWN_MEMORY: Final = 1 << UNICORN_PA_BITS - 1  # for the code that leaves the kernel's mode
OWN_BYTES: Final = 0x6000
TO_USER: Final = bytes.fromhex('480f07')  # sysretq: to rcx, in user mode
LONG_MODE: Final = {UC_X86_REG_CR4: 1 << 5, UC_X86_REG_CR0: 1 << 31 | 1 << 16 | 1}  # PAE; PG, WP, PE
EFER: Final = 0xC000_0080
EFER_BITS: Final = 1 << 11 | 1 << 8 | 1  # NXE, LME, SCE
READ, WRITE, FETCH = unicorn.UC_PROT_READ, unicorn.UC_PROT_WRITE, unicorn.UC_PROT_EXEC

uclib.uc_vmem_translate.restype = ctypes.c_int
uclib.uc_vmem_translate.argtypes = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint64)


class UnicornPages:
    """Unicorn over a copy of some tables, as the kernel or as a user program."""

    def __init__(self, tables: Tables, root: int, *, is_user: bool) -> None:
        self.uc = UNICORN.Uc(UNICORN.UC_ARCH_X86, UNICORN.UC_MODE_64)
        self.uc.mem_map(0, len(tables.ram.bytes))
        for table in tables.tables:
            self.uc.mem_write(table, tables.ram.read(table, TABLE_BYTES))
        self._start_in_own_memory()
        if is_user:
            self._leave_the_kernels_mode()
        self.uc.reg_write(UC_X86_REG_CR3, root)
        assert (self.uc.reg_read(UC_X86_REG_CS) & 3 == 3) == is_user

    def _start_in_own_memory(self) -> None:
        self.uc.mem_map(OWN_MEMORY, OWN_BYTES)
        for table in range(OWN_MEMORY, OWN_MEMORY + 0x3000, TABLE_BYTES):
            self.uc.mem_write(table, (table + TABLE_BYTES | PRESENT | WRITABLE | USER).to_bytes(8, 'little'))
        code = OWN_MEMORY + 0x4000
        self.uc.mem_write(code, TO_USER + b'\x90' * 64)
        leaves = [code | PRESENT, code | PRESENT | USER]
        self.uc.mem_write(OWN_MEMORY + 0x3000, b''.join(leaf.to_bytes(8, 'little') for leaf in leaves))
        self.uc.reg_write(UC_X86_REG_CR3, OWN_MEMORY)
        self.uc.reg_write(UC_X86_REG_CR4, LONG_MODE[UC_X86_REG_CR4])
        self.uc.msr_write(EFER, EFER_BITS)
        self.uc.reg_write(UC_X86_REG_CR0, LONG_MODE[UC_X86_REG_CR0])

    def _leave_the_kernels_mode(self) -> None:
        self.uc.reg_write(UC_X86_REG_RCX, TABLE_BYTES + 16)
        self.uc.reg_write(UC_X86_REG_R11, 2)
        self.uc.emu_start(0, TABLE_BYTES + 17)

    def translate(self, va: int, access: int) -> int | None:
        """Where an access to va goes; None if it faults."""
        pa = ctypes.c_uint64()
        failed = uclib.uc_vmem_translate(self.uc._uch, va & WORD, access, ctypes.byref(pa))
        return None if failed else pa.value
