"""Unicorn as a second processor: single accesses, by the kernel and by a user program, through any page tables.

Unicorn tells the vector of a fault and CR2, but not the error code. Its physical addresses have 40 bits. Its code lies
in one page that entry 0 of the root table maps; the tables under test use the other entries.
"""

from typing import Any, Final

import unicorn
from unicorn.x86_const import (
    UC_X86_REG_CR0,
    UC_X86_REG_CR2,
    UC_X86_REG_CR3,
    UC_X86_REG_CR4,
    UC_X86_REG_R11,
    UC_X86_REG_RAX,
    UC_X86_REG_RCX,
    UC_X86_REG_RDI,
    UC_X86_REG_RIP,
)

from incroos.machine import architecture as arch

from .lab import DATA, RAM_BYTES, ROOT, A, D, P, U, W

UNICORN: Final[Any] = unicorn  # its annotations are few
PA_BITS: Final = 40
CODE_TABLES: Final = 0x8000
CODE: Final = 0xC000
LOAD, STORE, TO_USER, NOPS = CODE, CODE + 0x10, CODE + 0x20, b'\x90' * 8
STORED: Final = 0x1234_5678_9ABC_DEF0
FETCH_OFFSET: Final = 8  # every 16 bytes of data are a word and eight nops


def fill_with_pattern(ram: Any) -> None:
    """Words that name their own address, and nops between them, in all data."""
    ram[DATA:RAM_BYTES] = b''.join(pa.to_bytes(8, 'little') + NOPS for pa in range(DATA, RAM_BYTES, 16))


class UnicornProcessor:
    """Long mode over a copy of some RAM."""

    def __init__(self, efer: int, cr0: int, levels: int = 4) -> None:
        self.efer, self.cr0, self.levels = efer, cr0, levels
        self.vectors: list[int] = []

    def _on_exception(self, uc: Any, vector: int, _: object) -> None:
        self.vectors.append(vector)
        uc.emu_stop()

    def load_ram(self, ram: Any) -> None:
        """Take a copy of RAM, add the code, and start in the kernel's mode with paging."""
        self.uc = uc = UNICORN.Uc(UNICORN.UC_ARCH_X86, UNICORN.UC_MODE_64)
        uc.hook_add(UNICORN.UC_HOOK_INTR, self._on_exception)
        uc.mem_map(0, RAM_BYTES)
        uc.mem_write(0, bytes(ram))
        at = ROOT
        for table in range(CODE_TABLES, CODE_TABLES + (self.levels - 1) * 0x1000, 0x1000):
            uc.mem_write(table, bytes(4096))
            self._put(at, table | P | W | U | A)
            at = table
        self._put(at + 8 * (CODE >> 12), CODE | P | U | A | D)
        uc.mem_write(LOAD, bytes.fromhex('488b07'))  # mov rax, [rdi]
        uc.mem_write(STORE, bytes.fromhex('488907'))  # mov [rdi], rax
        uc.mem_write(TO_USER, bytes.fromhex('480f07'))  # sysretq: to rcx, in user mode
        uc.reg_write(UC_X86_REG_CR3, ROOT)
        uc.reg_write(UC_X86_REG_CR4, arch.CR4_PAE | (arch.CR4_LA57 if self.levels == 5 else 0))
        uc.msr_write(arch.MSR_EFER, self.efer | arch.EFER_SCE)
        uc.reg_write(UC_X86_REG_CR0, self.cr0)
        self._start = uc.context_save()

    def _put(self, pa: int, value: int) -> None:
        self.uc.mem_write(pa, value.to_bytes(8, 'little'))

    def access(self, va: int, access: int) -> tuple[str, int, int]:
        """('fault', vector, CR2), or ('done', the word loaded, 0), or ('outside', 0, 0) where there is no RAM."""
        uc = self.uc
        uc.context_restore(self._start)
        uc.reg_write(UC_X86_REG_CR3, ROOT)  # forgets all translations
        uc.ctl_flush_tb()
        self.vectors.clear()
        target = va + FETCH_OFFSET if access & arch.FETCH else STORE if access & arch.WRITE else LOAD
        end = target + 1 if access & arch.FETCH else target + 3
        mask = (1 << 64) - 1
        for register, value in (
            (UC_X86_REG_RDI, va),
            (UC_X86_REG_RAX, STORED),
            (UC_X86_REG_RCX, target),
            (UC_X86_REG_R11, 2),
        ):
            uc.reg_write(register, value & mask)
        try:
            uc.emu_start((TO_USER if access & arch.USER else target) & mask, end & mask)
        except UNICORN.UcError:
            return 'outside', 0, 0
        if self.vectors:
            cr2 = uc.reg_read(UC_X86_REG_CR2)
            return 'fault', self.vectors[0], cr2 - (1 << 64) if cr2 >> 63 else cr2
        assert uc.reg_read(UC_X86_REG_RIP) == end & mask, 'Unicorn executed nothing'
        return 'done', 0 if access & (arch.FETCH | arch.WRITE) else uc.reg_read(UC_X86_REG_RAX), 0

    def ram(self, start: int, end: int) -> bytes:
        """What is in memory now."""
        return bytes(self.uc.mem_read(start, end - start))
