"""The state of the simulated computer: one struct in this process's memory.

Addresses in it are of two kinds: those of the simulated computer (physical or virtual), and those of this process,
named `host_...` or `call_...`; the latter are functions of C type that `call4` calls. To build a computer, allocate the
struct, filled with zeros, call `power_on`, and then set RAM and the host's addresses.
"""

from typing import Annotated, Final

from incroos.lang import Array, PhysAddr, Struct, VirtAddr, i64, kernel, u8, u16, u32, u64, word

from .architecture import (
    CR0_ET,
    CR0_NE,
    CR0_PE,
    CR0_PG,
    CR0_WP,
    CR4_PAE,
    EFER_LMA,
    EFER_LME,
    EFER_NXE,
    PAT_AT_RESET,
)
from .user import User

TLB_SLOTS: Final = 256
UPPER_SLOTS: Final = 32  # for each level above the first
NR_CONTEXTS: Final = 16
NO_PAGE: Final = 1  # no page begins at an odd address,
PARKED: Final = 2  # nor at one with this bit
SERIAL_BYTES: Final = 1024
CRT_REGISTERS: Final = 32
NR_PICS: Final = 2

# Why the computer stopped; 0 while it runs.
STOPPED_BY_PORT: Final = 1  # the debug-exit port; `stop_code` is the byte written
STOPPED_BY_TRIPLE_FAULT: Final = 2
STOPPED_BY_HALT: Final = 3  # nothing can wake this processor: it has no interrupts
STOPPED_BY_TRAP: Final = 4  # a checked build found a bug; `stop_code` is the site

# What some processors have; cpuid tells.
HAS_PCID: Final = 1 << 0
HAS_INVPCID: Final = 1 << 1
HAS_LA57: Final = 1 << 2  # five levels of page tables
HAS_SMEP: Final = 1 << 3
HAS_SMAP: Final = 1 << 4
HAS_UMIP: Final = 1 << 5
ALL_FEATURES: Final = HAS_PCID | HAS_INVPCID | HAS_LA57 | HAS_SMEP | HAS_SMAP | HAS_UMIP

TIMER_MODES: Final = 1 << 2 | 1 << 3 | 1 << 6 | 1 << 7  # that interrupt again and again

NO_FILE: Final = -1
NR_OUTPUTS: Final = 3  # the program's standard output, its standard error, records
INPUT_BYTES: Final = 1 << 16  # of one answer of the host

MAX_FAULT_DEPTH: Final = 8
NO_SITE: Final = -1


class Slot(Struct):
    """One cached translation of a page of 4 KiB, which may be a part of a large page.

    The tag per access is the page's first address where the access is allowed, NO_PAGE where it is not or must be
    walked for: so one compare decides. PARKED is added to it while another PCID is in use.
    """

    read_page: i64
    write_page: i64
    addend: i64  # virtual address + addend = address in this process
    flags: i64  # of the leaf: global; level << 12; PCID << 16


class UpperEntry(Struct):
    """One cached entry above the leaf: the address of the next table, and the rights down to there."""

    prefix: i64  # virtual address >> the shift of the entry's level
    generation: u64  # remembered only while this is the processor's
    table: PhysAddr
    rights: i64


class Context(Struct):
    """The upper entries of a PCID that is not in use, until another PCID takes the place."""

    pcid: u64
    generation: u64  # of those that are remembered; 0 if none is


class Pic(Struct):
    """An interrupt controller of eight lines."""

    mask: u8  # bit n is set: line n is not let through
    in_service: u8  # interrupts that were not acknowledged
    vector: u8  # of line 0
    set_up: u8  # words that are still to come of those that set it up
    selected: u8  # what a read of the command port gives


class PolledFile(Struct):
    """struct pollfd."""

    file: u32
    events: u16
    found: u16


class Cpu(Struct):
    """Processor, TLB and devices."""

    tlb: Annotated[Array[Slot], TLB_SLOTS]
    upper: Annotated[Array[UpperEntry], UPPER_SLOTS * 4]  # of levels 2 to 5
    contexts: Annotated[Array[Context], NR_CONTEXTS]

    cr0: u64
    cr2: VirtAddr
    cr3: u64
    cr4: u64
    efer: u64
    pat: u64
    fs_base: u64
    gs_base: u64
    kernel_gs_base: u64
    star: u64
    lstar: u64
    fmask: u64
    idt_base: VirtAddr
    idt_limit: u64
    gdt_base: VirtAddr
    gdt_limit: u64
    interrupts: u64  # 1 while enabled
    tsc: u64

    features: u64
    pa_bits: u64  # width of a physical address
    root_level: u64
    canonical_shift: u64  # bits 63 to this of an address are equal
    leaf_bits: u64  # of a leaf, that translations have: dirty, and global if CR4 says so
    reserved: u64  # bits that no present entry may have
    frame_mask: u64  # address bits of an entry
    supervisor_write: u64  # the right that a write by the kernel needs: none while CR0.WP is clear
    supervisor_forbidden: u64  # the right that keeps the kernel's reads and writes out: USER while CR4.SMAP is set
    pcid: u64  # 0 while CR4.PCIDE is clear
    upper_generation: u64  # of the upper entries that are remembered for this PCID
    last_generation: u64  # counts how often those of any PCID were forgotten, from 1 on
    large_start: VirtAddr  # all large pages in the TLB lie in [large_start, large_end)
    large_end: VirtAddr

    ram_low_end: PhysAddr  # RAM is [0, ram_low_end) without the holes below 1 MiB, and [4 GiB, ram_high_end)
    ram_high_end: PhysAddr
    host_ram: VirtAddr  # where physical address 0 lies in this process
    device_start: PhysAddr  # a device's memory is [device_start, device_end), whole pages that are no RAM
    device_end: PhysAddr
    host_device: VirtAddr  # where physical address 0 would lie if the device's memory began there
    host_absent: VirtAddr  # a page of ones: what reads find where there is no RAM
    host_drain: VirtAddr  # a page for what is written there

    kernel: VirtAddr  # the kernel's first argument
    call_page_fault: u64  # (cpu, kernel, error, ip)
    call_exception: u64  # (cpu, kernel, vector, error)
    call_trap: u64  # (cpu, kernel, site, 0)
    call_write: u64  # (file, address, nbytes, 0) -> bytes written
    call_read: u64  # (file, address, nbytes, 0) -> bytes read, 0 at the end of the file, or negative
    call_poll: u64  # (PolledFile, number of them, milliseconds or -1, 0) -> as poll(2) does
    call_stop: u64  # (status, 0, 0, 0); does not come back
    call_pause: u64  # (0, 0, 0, 0)
    serial_file: i64
    output_files: Annotated[Array[i64], NR_OUTPUTS]
    input_file: i64

    fault_depth: u64
    is_double_fault: u64
    nr_faults: u64  # page faults delivered: a count that moved says that tables may have changed
    nr_walks: u64
    trap_site: i64
    stop_reason: u64
    stop_code: u64

    has_new_vectors: u64  # 1 when vector_state is not yet in the processor of ring 3
    vector_state: Annotated[Array[u64], 64]  # of ring 3, as FXSAVE64 lays it out, when it was last saved or loaded

    user: User  # ring 3

    pics: Annotated[Array[Pic], NR_PICS]
    timer_mode: u8  # channel 0; interrupts.py
    timer_low: u8  # of the divisor, if timer_has_low
    timer_has_low: u8
    timer_divisor: u32  # 0: it does not run

    polled: PolledFile
    is_asked: u8  # the host was asked for input, and has not answered
    input_interrupts: u8
    input_line: u8  # the line register of the port that input comes by
    nr_wanted: u64  # bytes of the number of wanted bytes that have come
    wanted: u64
    nr_input: u64  # bytes of the answer that were taken
    input_end: u64  # of all
    input: Annotated[Array[u8], INPUT_BYTES + 4]  # the answer: its length, and its bytes
    output: Annotated[Array[u8], 8]  # one byte on its way

    serial_divisor: u64
    serial_interrupts: u8
    serial_fifo: u8
    serial_line: u8
    serial_modem: u8
    serial_scratch: u8
    serial_looped: u8  # a byte that came back by the loop, if serial_has_looped
    serial_has_looped: u8
    crt_index: u8
    crt: Annotated[Array[u8], CRT_REGISTERS]
    nr_serial: u64
    serial: Annotated[Array[u8], SERIAL_BYTES]


@kernel
def power_on(cpu: Cpu, pa_bits: word, features: word) -> None:
    """Long mode with paging, nothing cached, no RAM, no handlers. PRE the struct's bytes are zero."""
    cpu.cr0 = CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_PE
    cpu.cr4 = CR4_PAE
    cpu.efer = EFER_LMA | EFER_LME | EFER_NXE
    cpu.pat = PAT_AT_RESET
    cpu.pa_bits = pa_bits
    cpu.features = features
    cpu.trap_site = NO_SITE
    cpu.upper_generation = 1
    cpu.last_generation = 1
    cpu.serial_divisor = 1
    cpu.input_file = NO_FILE
    for index in range(NR_OUTPUTS):
        cpu.output_files[index] = NO_FILE
    for index in range(TLB_SLOTS):
        slot = cpu.tlb[index]
        slot.read_page = NO_PAGE
        slot.write_page = NO_PAGE
