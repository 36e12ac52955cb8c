# ruff: noqa: SIM109 (kernel Python has no `in`)
"""A kernel that does one thing at a time to the simulated computer; the test names the scenario in memory.

Its page fault handler maps the guard page, or does what the scenario wants instead. Everything lies in the first 2 MiB,
which the boot tables map.
"""

from typing import Final

from incroos.kernel.codes import EXIT_PANIC, EXIT_PASSED, EXIT_PORT
from incroos.kernel.layout import BOOT_TABLES, PAGE_BYTES, STACK_GUARD
from incroos.kernel.state import Kernel
from incroos.lang import (
    Machine,
    PhysAddr,
    Struct,
    VirtAddr,
    are_interrupts_enabled,
    cpuid,
    disable_interrupts,
    enable_interrupts,
    halt,
    i64,
    in8,
    in16,
    kernel,
    load64,
    load_idt,
    out8,
    out16,
    pause,
    read_cr2,
    read_cr3,
    read_msr,
    read_tsc,
    store16,
    store64,
    u8,
    u64,
    word,
    write_cr0,
    write_cr3,
    write_cr4,
    write_msr,
)

NOTES: Final = 0x15_0000
GUARD: Final = VirtAddr(STACK_GUARD)
LAST_BOOT_TABLE: Final = BOOT_TABLES + 3 * PAGE_BYTES  # of level 1
GUARD_ENTRY: Final = VirtAddr(LAST_BOOT_TABLE + STACK_GUARD // PAGE_BYTES * 8)
UNMAPPED: Final = VirtAddr(0x5000_0000)
NOT_CANONICAL: Final = VirtAddr(1 << 47)
PRESENT_WRITABLE: Final = 3

MEND: Final = 1
MEND_STORE: Final = 2
NEST: Final = 3
NEST_FOR_EVER: Final = 4
NEST_TWICE_FOR_EVER: Final = 5
NO_IDT: Final = 6
PANIC_IN_HANDLER: Final = 7
HALT: Final = 8
SPIN: Final = 9
COUNT: Final = 10
RETURN: Final = 11
STRANGE_CODE: Final = 12
OVERFLOW: Final = 13
DEVICES: Final = 14
REGISTERS: Final = 15
CONFIG: Final = 16
TALK: Final = 17
DIVIDE: Final = 18
PROTECT: Final = 20  # + one of the violations below

SERIAL: Final = 0x3F8
VGA: Final = 0xB8000


class Notes(Struct):
    """What the test asks for and what the kernel saw."""

    scenario: u64
    nr_faults: u64
    va: VirtAddr  # of the first fault
    error: i64
    second_va: VirtAddr
    vector: i64
    exception_error: i64
    site: i64
    value: i64
    small: u8


@kernel
def notes_of(k: Kernel) -> Notes:
    return Notes(k.m, VirtAddr(NOTES))


@kernel
def leave(m: Machine, code: word) -> None:
    out8(m, EXIT_PORT, code)


@kernel
def put(m: Machine, text: bytes) -> None:
    for char in text:
        out8(m, SERIAL, char)


@kernel
def main(k: Kernel, start_info: PhysAddr) -> None:
    notes = notes_of(k)
    notes.nr_faults = 0
    notes.vector = 0
    notes.value = start_info
    scenario = notes.scenario
    if scenario == MEND or scenario == NEST or scenario == PANIC_IN_HANDLER:
        notes.value = load64(k.m, GUARD)
    elif scenario == MEND_STORE:
        store64(k.m, VirtAddr(GUARD + PAGE_BYTES - 4), 0x1122_3344_5566_7788)
        notes.value = load64(k.m, VirtAddr(GUARD + PAGE_BYTES - 4))
    elif scenario == NEST_FOR_EVER or scenario == NEST_TWICE_FOR_EVER:
        store64(k.m, UNMAPPED, 1)
    elif scenario == NO_IDT:
        load_idt(k.m, VirtAddr(0), 0)
        store64(k.m, UNMAPPED, 1)
    elif scenario == CONFIG:
        notes.value = k.config.fault_injection * 10 + k.config.poison
    else:
        more(k, notes, scenario)
    if scenario != RETURN:
        leave(k.m, EXIT_PASSED)


@kernel
def more(k: Kernel, notes: Notes, scenario: word) -> None:
    if scenario == HALT:
        halt(k.m)
    elif scenario == SPIN:
        while notes.scenario == SPIN:
            notes.nr_faults = 0
    elif scenario == COUNT:
        while notes.scenario == COUNT:
            pause(k.m)
    elif scenario == STRANGE_CODE:
        leave(k.m, 0x77)
    elif scenario == OVERFLOW:
        notes.value = overflow(0x7FFF_FFFF_FFFF_FFFF - notes.nr_faults)
    elif scenario == DIVIDE:
        notes.value = 100 // notes.nr_faults
    elif scenario == DEVICES:
        devices(k.m, notes)
    elif scenario == REGISTERS:
        registers(k.m, notes)
    elif scenario == TALK:
        for _ in range(3000):
            put(k.m, b'0123456789')
        put(k.m, b'\nunfinished')
    elif scenario >= PROTECT:
        violate(k.m, scenario - PROTECT)


@kernel
def overflow(a: word) -> word:
    return a + 1


NR_VIOLATIONS: Final = 16


@kernel
def violate(m: Machine, which: word) -> None:
    """Each of these is a general protection fault."""
    if which == 0:
        load64(m, NOT_CANONICAL)
    elif which == 1:
        store64(m, NOT_CANONICAL, 0)
    elif which == 2:
        load64(m, VirtAddr(NOT_CANONICAL - 4))
    elif which == 3:
        write_cr0(m, 1 << 40 | 0x8001_0031)
    elif which == 4:
        write_cr0(m, 0x0001_0031)
    elif which == 5:
        write_cr0(m, 0x8001_0030)
    elif which == 6:
        write_cr0(m, 0xA001_0031)
    elif which == 7:
        write_cr3(m, read_cr3(m) | 1 << 50)
    elif which == 8:
        write_cr4(m, 0x20 | 1 << 13)
    elif which == 9:
        write_cr4(m, 0)
    elif which == 10:
        violate_msr(m, which)
    else:
        violate_msr(m, which)


@kernel
def violate_msr(m: Machine, which: word) -> None:
    if which == 10:
        write_msr(m, 0xC000_0080, 0x800)
    elif which == 11:
        write_msr(m, 0xC000_0080, 0xD00 | 1 << 12)
    elif which == 12:
        write_msr(m, 0x277, 0x0202_0202_0202_0202)
    elif which == 13:
        write_msr(m, 0xC000_0100, 1 << 60)
    elif which == 14:
        read_msr(m, 0x10)
    else:
        write_msr(m, 0x1B, 0)


@kernel
def devices(m: Machine, notes: Notes) -> None:
    """Serial port, its loop and scratch register, the screen, its cursor, and a port without a device."""
    out8(m, SERIAL + 3, 0x80)
    out8(m, SERIAL, 3)
    out8(m, SERIAL + 1, 1)
    divisor = in8(m, SERIAL) | in8(m, SERIAL + 1) << 8
    out8(m, SERIAL + 3, 3)
    out8(m, SERIAL + 7, 0x5A)
    out8(m, SERIAL + 4, 0x1E)
    out8(m, SERIAL, 0xAE)
    waiting = in8(m, SERIAL + 5)
    looped = in8(m, SERIAL)
    out8(m, SERIAL + 4, 0x0F)
    out16(m, 0x3D4, 0x0E | 0x12 << 8)
    out16(m, 0x3D4, 0x0F | 0x34 << 8)
    out8(m, 0x3D4, 0x0E)
    cursor = in8(m, 0x3D5)
    is_right = divisor == 0x0103 and waiting == 0x61 and looped == 0xAE and in8(m, SERIAL + 7) == 0x5A
    is_right = is_right and in8(m, SERIAL + 5) == 0x60 and in8(m, SERIAL + 3) == 3 and cursor == 0x12
    is_right = is_right and in8(m, 0x60) == 0xFF and in16(m, 0x1234) == 0xFFFF
    store16(m, VirtAddr(VGA + 2), 0x0700 | 65)
    put(m, b'serial\n')
    notes.value = 1 if is_right else 0


@kernel
def registers(m: Machine, notes: Notes) -> None:
    """Registers that may be written hold what was written; the processor names itself."""
    write_msr(m, 0xC000_0101, -4096)
    write_msr(m, 0x277, 0x0007_0406_0007_0406)
    enable_interrupts(m)
    is_right = read_msr(m, 0xC000_0101) == -4096 and read_msr(m, 0x277) == 0x0007_0406_0007_0406
    is_right = is_right and read_msr(m, 0xC000_0080) == 0xD00 and are_interrupts_enabled(m)
    disable_interrupts(m)
    is_right = is_right and not are_interrupts_enabled(m)
    before = read_tsc(m)
    is_right = is_right and read_tsc(m) > before
    largest, _b, _c, _d = cpuid(m, 0x8000_0000, 0)
    widths, _e, _f, _g = cpuid(m, 0x8000_0008, 0)
    _a, _h, _i, features = cpuid(m, 0x8000_0001, 0)
    is_right = is_right and largest == 0x8000_0008 and widths == 57 << 8 | 46
    is_right = is_right and features & (1 << 20 | 1 << 26 | 1 << 29) == 1 << 20 | 1 << 26 | 1 << 29
    notes.value = 1 if is_right else 0


@kernel
def on_page_fault(k: Kernel, error: word, ip: VirtAddr) -> None:
    notes = notes_of(k)
    scenario = notes.scenario
    notes.nr_faults += 1
    nr_faults = notes.nr_faults
    if nr_faults == 1:
        notes.va = read_cr2(k.m)
        notes.error = error
    if scenario == PANIC_IN_HANDLER:
        put(k.m, b'panic\n')
        leave(k.m, EXIT_PANIC)
    if scenario == NEST_FOR_EVER or scenario == NEST_TWICE_FOR_EVER:
        store64(k.m, VirtAddr(UNMAPPED + 8 * nr_faults), 1)
    if scenario == NEST and nr_faults == 1:
        unmap_notes(k.m)
        store64(k.m, VirtAddr(NOTES + PAGE_BYTES), 5)
        notes.value = ip
    if scenario == NEST and nr_faults == 2:
        notes.second_va = read_cr2(k.m)
        store64(k.m, notes_entry(), NOTES + PAGE_BYTES | PRESENT_WRITABLE)
    store64(k.m, GUARD_ENTRY, GUARD | PRESENT_WRITABLE)


@kernel
def notes_entry() -> VirtAddr:
    """The boot tables' entry for the page behind the notes."""
    return VirtAddr(LAST_BOOT_TABLE + (NOTES + PAGE_BYTES) // PAGE_BYTES * 8)


@kernel
def unmap_notes(m: Machine) -> None:
    store64(m, notes_entry(), 0)


@kernel
def on_exception(k: Kernel, vector: word, error: word, ip: VirtAddr, site: word) -> None:
    notes = notes_of(k)
    notes.vector = vector
    notes.exception_error = error
    notes.site = site
    if notes.scenario == NEST_TWICE_FOR_EVER:
        store64(k.m, UNMAPPED, 1)
    put(k.m, b'exception\n')
    leave(k.m, EXIT_PANIC)
