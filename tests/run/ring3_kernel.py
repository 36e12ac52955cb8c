"""A kernel of a page that runs one program in ring 3: the host lays its memory, and it notes what comes of it.

The program's pages are the first of [USER, USER + 2 MiB), each with the entry that the host wants at the start, and one
that a page fault brings. Unit: the byte. Everything lies in the first 2 MiB, which the boot tables map.

    0x15_0000  Notes      0x16_0000  page tables       0x17_0000  frames for the program
"""

from typing import Annotated, Final

from incroos.kernel.codes import EXIT_PANIC, EXIT_PASSED, EXIT_PORT
from incroos.kernel.layout import BOOT_TABLES, DIRECT_MAP_START
from incroos.kernel.state import Kernel
from incroos.kernel.state.registers import Registers, user_registers
from incroos.lang import (
    Array,
    PhysAddr,
    Struct,
    VirtAddr,
    i64,
    in8,
    in_bytes,
    invlpg,
    kernel,
    load32,
    load64,
    load_vector_state,
    out8,
    out_bytes,
    read_cr2,
    read_cr4,
    save_vector_state,
    store32,
    store64,
    u64,
    wait_for_interrupt,
    word,
    write_cr4,
    write_msr,
)

USER: Final = 1 << 39  # the second entry of the root table
NOTES: Final = 0x15_0000
SCRATCH: Final = 0x15_8000
LEVEL3: Final = 0x16_0000
LEVEL2: Final = 0x16_1000
LEVEL1: Final = 0x16_2000
FRAMES: Final = 0x17_0000
TABLE: Final = 7  # present, writable, user
CR4_OSFXSR: Final = 1 << 9 | 1 << 10
NR_PAGES: Final = 16
NR_EVENTS: Final = 128
PAGE_FAULT: Final = 14

# System calls
END: Final = 0
ADD: Final = 1
WRITE_PHYSICAL: Final = 2
WRITE_ENTRY: Final = 3
READ_USER: Final = 5
SAVE_VECTORS: Final = 6
LOAD_VECTORS: Final = 7
WRITE_MSR: Final = 8
PUT: Final = 9
GET: Final = 10
SET_CR4: Final = 11
OUT: Final = 12
IN: Final = 13
WAIT: Final = 14

TIMER: Final = 32  # its vector, where the program sets the controllers up so
NR_TICKS: Final = 64


class Event(Struct):
    """What the kernel saw."""

    vector: u64
    error: u64
    address: i64
    rip: i64
    rsp: i64
    rax: i64
    rcx: i64
    rflags: u64
    cs: u64
    ss: u64
    r11: i64
    rbx: i64


class Tick(Struct):
    """Where the timer interrupted the program."""

    rip: i64
    rbx: i64
    rflags: u64
    cs: u64


class Notes(Struct):
    """What the test lays down, and what it finds."""

    nr_events: u64
    goes_on: u64  # after an exception, at the address in R15 and with a new stack; 0: end
    cr4: u64
    start: u64  # where the program begins
    rflags: u64
    is_silent: u64  # do not note exceptions
    nr_faults: u64
    first: Annotated[Array[i64], NR_PAGES]  # entries at the start
    later: Annotated[Array[i64], NR_PAGES]  # and after a page fault, once; 0: none
    leaves_ticks: u64  # does not acknowledge the timer
    nr_ticks: u64
    ticks: Annotated[Array[Tick], NR_TICKS]  # the first
    events: Annotated[Array[Event], NR_EVENTS]


@kernel
def in_direct_map(pa: word) -> VirtAddr:
    return VirtAddr(DIRECT_MAP_START + pa)


@kernel
def notes_of(k: Kernel) -> Notes:
    return Notes(k.m, in_direct_map(NOTES))


@kernel
def main(k: Kernel, start_info: PhysAddr) -> None:
    """Map the program's pages and fill in its registers."""
    notes = notes_of(k)
    store64(k.m, in_direct_map(BOOT_TABLES + 8), LEVEL3 | TABLE)
    for index in range(512):
        store64(k.m, in_direct_map(LEVEL3 + 8 * index), LEVEL2 | TABLE if index == 0 else 0)
        store64(k.m, in_direct_map(LEVEL2 + 8 * index), LEVEL1 | TABLE if index == 0 else 0)
        store64(k.m, in_direct_map(LEVEL1 + 8 * index), notes.first[index] if index < NR_PAGES else 0)
    write_cr4(k.m, read_cr4(k.m) | CR4_OSFXSR | notes.cr4)
    registers = user_registers(k)
    registers.rip = USER + notes.start
    registers.rsp = USER + NR_PAGES * 4096
    registers.rflags = notes.rflags
    registers.cs = 0x33
    registers.ss = 0x2B


@kernel
def on_trap(k: Kernel, registers: Registers) -> None:
    """Note it; mend it, go on behind it, or end."""
    notes = notes_of(k)
    if registers.vector == TIMER:
        note_tick(k, registers)
        return
    if registers.vector == PAGE_FAULT:
        index = (read_cr2(k.m) - USER) >> 12
        notes.nr_faults += 1
        if 0 <= index < NR_PAGES and notes.later[index] != 0:
            if notes.is_silent == 0:
                note(k, registers)
            store64(k.m, in_direct_map(LEVEL1 + 8 * index), notes.later[index])
            notes.later[index] = 0
            return
    if notes.is_silent == 0:
        note(k, registers)
    if notes.goes_on == 0:
        out8(k.m, EXIT_PORT, EXIT_PASSED)
    registers.rip = registers.r15
    registers.rsp = USER + NR_PAGES * 4096 - 64
    registers.rflags = notes.rflags


@kernel
def note_tick(k: Kernel, registers: Registers) -> None:
    notes = notes_of(k)
    if notes.nr_ticks < NR_TICKS:
        tick = notes.ticks[notes.nr_ticks]
        tick.rip = registers.rip
        tick.rbx = registers.rbx
        tick.rflags = registers.rflags
        tick.cs = registers.cs
    notes.nr_ticks += 1
    if notes.leaves_ticks == 0:
        out8(k.m, 0x20, 0x20)


@kernel
def note(k: Kernel, registers: Registers) -> None:
    notes = notes_of(k)
    event = notes.events[notes.nr_events]
    notes.nr_events += 1
    event.vector = registers.vector
    event.error = registers.error
    event.address = read_cr2(k.m)
    event.rip = registers.rip
    event.rsp = registers.rsp
    event.rax = registers.rax
    event.rcx = registers.rcx
    event.rflags = registers.rflags
    event.cs = registers.cs
    event.ss = registers.ss
    event.r11 = registers.r11
    event.rbx = registers.rbx


@kernel
def on_syscall(k: Kernel, registers: Registers) -> word:
    """Do what the program asks of the machine."""
    number, a, b = registers.rax, registers.rdi, registers.rsi
    result = 0
    if number == END:
        note(k, registers)
        out8(k.m, EXIT_PORT, EXIT_PASSED)
    elif number == ADD:
        result = a + b
    elif number == WRITE_PHYSICAL:
        store64(k.m, in_direct_map(a), b)
    elif number == WRITE_ENTRY:
        store64(k.m, in_direct_map(LEVEL1 + 8 * a), b)
        if registers.rdx != 0:
            invlpg(k.m, VirtAddr(USER + 4096 * a))
    elif number == READ_USER:
        result = load64(k.m, VirtAddr(a))
    elif number == SAVE_VECTORS:
        save_vector_state(k.m, in_direct_map(SCRATCH))
    elif number == LOAD_VECTORS:
        load_vector_state(k.m, in_direct_map(SCRATCH))
    elif number == WRITE_MSR:
        write_msr(k.m, a, b)
    elif number == PUT:
        out_bytes(k.m, a, in_direct_map(b), registers.rdx)
    elif number == GET:
        result = get(k, a)
    elif number == SET_CR4:
        write_cr4(k.m, read_cr4(k.m) ^ a)
    elif number == OUT:
        out8(k.m, a, b)
    elif number == IN:
        result = in8(k.m, a)
    elif number == WAIT:
        wait_for_interrupt(k.m)
    registers.rax = result
    return 0


@kernel
def get(k: Kernel, wanted: word) -> word:
    """Ask for input; how much came, in SCRATCH + 8."""
    store32(k.m, in_direct_map(SCRATCH), wanted)
    out_bytes(k.m, 0x2F8, in_direct_map(SCRATCH), 4)
    while in8(k.m, 0x2FD) & 1 == 0:
        pass
    in_bytes(k.m, 0x2F8, in_direct_map(SCRATCH), 4)
    nbytes = load32(k.m, in_direct_map(SCRATCH))
    if nbytes != 0xFFFF_FFFF:
        in_bytes(k.m, 0x2F8, in_direct_map(SCRATCH + 8), nbytes)
    return nbytes


@kernel
def on_page_fault(k: Kernel, error: word, rip: VirtAddr) -> None:
    """In the kernel itself."""
    notes = notes_of(k)
    event = notes.events[notes.nr_events]
    notes.nr_events += 1
    event.vector = PAGE_FAULT
    event.error = error
    event.address = read_cr2(k.m)
    event.cs = 8
    out8(k.m, EXIT_PORT, EXIT_PANIC)


@kernel
def on_exception(k: Kernel, vector: word, error: word, rip: VirtAddr, site: word) -> None:
    """In the kernel itself."""
    out8(k.m, EXIT_PORT, EXIT_PANIC)
