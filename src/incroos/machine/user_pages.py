"""The pages of ring 3: what its processor is told when it does not know one.

The answer comes from a walk with user rights, which marks entries accessed and dirty as any walk; no right to write is
told while the leaf is not dirty, so that the first write asks again. Where there is no answer, the fault is noted, and
the kernel hears of it when the processor has stopped: nothing of the kernel runs in here.
"""

from typing import Final

from incroos.lang import PhysAddr, VirtAddr, kernel, load8, word

from .architecture import (
    ENTRY_DIRTY,
    ENTRY_WRITABLE,
    ERROR_USER,
    GENERAL_PROTECTION,
    PAGE_FAULT,
    PAGE_MASK,
    USER,
)
from .code_marks import mark_code
from .cpu import Cpu
from .physical import host_to_read, is_ram
from .user import EXCEPTION, NOTHING
from .walk import EXECUTABLE, is_canonical, probe, walk

NOT_TOLD: Final = -1

# In the low bits of an answer; the others are the frame's physical address.
MAY_READ: Final = 1 << 0
MAY_WRITE: Final = 1 << 1
MAY_EXECUTE: Final = 1 << 2
MAY: Final = MAY_READ | MAY_WRITE | MAY_EXECUTE


@kernel
def note_exception(cpu: Cpu, vector: word, error: word) -> None:
    """Something happened in ring 3 that the kernel must hear of, unless something happened before."""
    user = cpu.user
    if user.event == NOTHING:
        user.event = EXCEPTION
        user.vector = vector
        user.error = error


@kernel
def tell_page(cpu: Cpu, va: VirtAddr, access: word) -> word:
    """The frame of va's page and what ring 3 may do with it, for an access; or NOT_TOLD, and the fault is noted."""
    user = cpu.user
    if user.event != NOTHING:
        return NOT_TOLD
    user.nr_fills += 1
    if is_canonical(cpu, va):
        pa, found = walk(cpu, va, access | USER)
        if pa >= 0 and is_ram(cpu, PhysAddr(pa)):
            return told(cpu, PhysAddr(pa & PAGE_MASK), found)
        user.address = va
        note_exception(cpu, PAGE_FAULT, ~pa if pa < 0 else ERROR_USER)
    else:
        note_exception(cpu, GENERAL_PROTECTION, 0)
    user.access = access
    return NOT_TOLD


@kernel
def told(cpu: Cpu, pa: PhysAddr, found: word) -> word:
    """The answer for a frame, from what the walk found; marks it as one whose code may be kept."""
    may = MAY_READ
    if found & ENTRY_WRITABLE != 0 and found & ENTRY_DIRTY != 0:
        may = may | MAY_WRITE
    if found & EXECUTABLE != 0:
        may = may | MAY_EXECUTE
        mark_code(cpu, pa)
    return pa | may


@kernel
def peek(cpu: Cpu, va: VirtAddr) -> word:
    """The byte that ring 3 has at va, or -1; marks nothing."""
    if not is_canonical(cpu, va):
        return -1
    pa, _ = probe(cpu, va, USER)
    return load8(cpu.m, host_to_read(cpu, PhysAddr(pa))) if pa >= 0 else -1
