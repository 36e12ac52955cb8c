"""Unicorn as the processor of ring 3: its C functions, called by address, and what its callbacks note.

Unicorn 2.1 is QEMU's translator as a library. The host opens it, brings it to ring 3 and fills in the struct (run/
user_processor.py). Interpreted, `call_start` and `call_control` are Python functions; compiled, adapters of a few
instructions with the number of arguments that C wants. What it does otherwise than a processor is mended here:

- SYSCALL sets neither RCX nor R11 (ring3.py does), `int n` is not checked, RDTSC reads the host's clock: CR4.TSD makes
  it an exception, which is answered from this computer's counter.
- It takes an exception that was delivered to nobody for one in flight, so that the second is a double fault.
- It asks for pages and not for addresses: the address of a fault is in a field of its own (run/user_processor.py),
  until it looks for code behind the fault: it is kept at the first such look.
- If it is stopped while it asks for a page, it executes the instruction that asked once more: only a hook of blocks
  stops it where nothing was noted.
- It knows no interrupts: a hook of each block counts, and stops it right before one (docs/adr/0512).
- It knows no PCID and no flush of one page: any flush of the lower half flushes all.
- It translates a block to its end before it executes any of it, across the end of a page. A fetch that misses in
  another page than RIP's is no fault yet: in this page it then takes steps of one instruction, by exits behind each
  possible end of the next one.

What is not mended has a test each: docs/simulated-computer.md lists it.
"""

from typing import Annotated, Final

from incroos.lang import (
    Array,
    Struct,
    VirtAddr,
    add_wrap,
    address_of,
    call4,
    copy,
    i64,
    kernel,
    load64,
    shr_logical,
    u32,
    u64,
    word,
)

from .architecture import (
    BREAKPOINT,
    CR4_TSD,
    DEBUG,
    FETCH,
    GENERAL_PROTECTION,
    INVALID_OPCODE,
    OFFSET_MASK,
    OVERFLOW,
    PAGE_BYTES,
    PAGE_FAULT,
    PAGE_SHIFT,
    READ,
    WRITE,
)
from .cpu import Cpu
from .cpuid import user_cpuid
from .registers import cpu_read_tsc
from .ring3 import frame_of
from .user import EXCEPTION, NOTHING, SYSTEM_CALL, Frame
from .user_pages import note_exception, peek, tell_page

# unicorn.h
MEM_WRITE: Final = 17
MEM_FETCH: Final = 18
ERR_INSN_INVALID: Final = 10

# The registers that are handed over, by their place in `ids`: the frame's first fifteen words, then
NR_GENERAL: Final = 15
RIP: Final = 15
RFLAGS: Final = 16
RSP: Final = 17
NR_REGISTERS: Final = 18
RBX: Final = 5
RAX: Final = 10
RCX: Final = 11
RDX: Final = 12

NO_CAREFUL: Final = 1 << 62  # no page has this number
NR_EXITS: Final = 15  # an instruction has 1 to 15 bytes
NR_STACK_REGISTERS: Final = 8
NR_VECTOR_REGISTERS: Final = 28

# Unicorn.cause: what the event of a run was noted by
OF_NOTHING: Final = 0
OF_PAGE: Final = 1
OF_INTERRUPT: Final = 2
OF_PORT: Final = 3

OPCODE_TWO: Final = 0x0F  # and one more byte
OPCODE_RDTSC: Final = 0x31
OPCODE_RDTSCP: Final = 0xF9  # behind 0F 01
OPCODE_INT: Final = 0xCD  # and the vector
OPCODE_INT1: Final = 0xF1
INT_BYTES: Final = 2
GATE_BYTES: Final = 8  # as error codes count them
ERROR_IN_IDT: Final = 1 << 1
LOW_HALF: Final = (1 << 32) - 1
TAG_EMPTY: Final = 3
TAGS_SHIFT: Final = 32  # in the first word of what FXSAVE writes
TAGS_MASK: Final = 0xFF


class Unicorn(Struct):
    """What the host fills in, and what the engine has at present."""

    engine: u64
    uc_ctl: u64
    uc_emu_start: u64
    invalid_address: u64  # where it keeps the address of the last access that failed
    uc_hook_add: u64
    count_block: u64  # the hook of blocks, a C function
    uc_emu_stop: u64
    uc_reg_read: u64
    uc_reg_write: u64
    uc_reg_read_batch: u64
    uc_reg_write_batch: u64
    uc_context_restore: u64
    new_context: u64  # its state before the first run
    call_start: u64  # (this struct, rip, 0, 0) -> an error of Unicorn
    call_address: u64  # (this struct, 0, 0, 0) -> the word at invalid_address
    call_control: u64  # (this struct, control, address, count)
    call_count: u64  # (this struct, cpu, where a handle goes, 0): have count_block called
    is_counting: u64

    flush_pages: u64  # controls
    flush_code: u64
    set_exits: u64
    id_fs_base: u64
    id_gs_base: u64

    values: Annotated[Array[i64], NR_REGISTERS]  # what the engine has
    new_values: Annotated[Array[i64], NR_REGISTERS]
    places: Annotated[Array[u64], NR_REGISTERS]  # where each of `values` is
    ids: Annotated[Array[u32], NR_REGISTERS]
    vector_places: Annotated[Array[u64], NR_VECTOR_REGISTERS]
    vector_ids: Annotated[Array[u32], NR_VECTOR_REGISTERS]
    tags: u64  # two bits for each x87 register, 3 if it is empty

    careful: i64  # the number of the page in which it takes steps
    exits: Annotated[Array[i64], NR_EXITS]
    fs_base: i64
    gs_base: i64
    cause: u64
    has_address: u64  # 1: fault_address is that of the event
    fault_address: i64
    port_rip: i64  # where IN or OUT is, of which the engine has executed more than it should
    scratch: i64


@kernel
def unicorn_of(cpu: Cpu) -> Unicorn:
    return Unicorn(cpu.m, cpu.user.host_processor)


# ------------------------------------------------------------------ a run
@kernel
def run(cpu: Cpu) -> None:
    """Run ring 3 until something happens; see user.py."""
    unicorn, frame = unicorn_of(cpu), frame_of(cpu)
    if cpu.user.is_timed != 0 and unicorn.is_counting == 0:
        begin_to_count(cpu, unicorn)
    put_registers(cpu, unicorn, frame)
    put_bases(cpu, unicorn)
    forget(cpu, unicorn)
    if unicorn.careful != NO_CAREFUL:
        set_step(cpu, unicorn, frame.rip)
    cpu.user.event = NOTHING
    cpu.user.nr_runs += 1
    unicorn.cause = OF_NOTHING
    unicorn.has_address = 0
    error = call4(cpu.m, unicorn.call_start, unicorn.addr, frame.rip, 0, 0)
    cpu.user.has_vectors = 1
    take_registers(cpu, unicorn, frame)
    judge(cpu, unicorn, frame, error)


@kernel
def begin_to_count(cpu: Cpu, unicorn: Unicorn) -> None:
    """Have all code count from now on: the hook is a part of what is translated, so that all that was is forgotten.

    It stays for good. A program that never had the timer does not pay for it; to forget code again and again would cost
    more than to count for nothing.
    """
    unicorn.is_counting = 1
    call4(cpu.m, unicorn.call_count, unicorn.addr, cpu.addr, address_of(unicorn, 'scratch'), 0)
    cpu.user.is_code_written = 1


@kernel
def put_registers(cpu: Cpu, unicorn: Unicorn, frame: Frame) -> None:
    """Write those that the kernel changed; RIP is where the run starts."""
    for index in range(NR_GENERAL):
        put_register(cpu, unicorn, index, load64(cpu.m, VirtAddr(frame.addr + 8 * index)))
    put_register(cpu, unicorn, RFLAGS, frame.rflags)
    put_register(cpu, unicorn, RSP, frame.rsp)


@kernel
def put_register(cpu: Cpu, unicorn: Unicorn, index: word, value: word) -> None:
    if unicorn.values[index] != value:
        unicorn.values[index] = value
        write_register(cpu, unicorn, unicorn.ids[index], VirtAddr(unicorn.places[index]))


@kernel
def write_register(cpu: Cpu, unicorn: Unicorn, register: word, source: VirtAddr) -> None:
    call4(cpu.m, unicorn.uc_reg_write, unicorn.engine, register, source, 0)


@kernel
def put_bases(cpu: Cpu, unicorn: Unicorn) -> None:
    """The bases of FS and GS; SWAPGS has put ring 3's GS base where the kernel's is while it runs, and back."""
    if unicorn.fs_base != cpu.fs_base:
        unicorn.fs_base = cpu.fs_base
        write_scratch(cpu, unicorn, unicorn.id_fs_base, cpu.fs_base)
    if unicorn.gs_base != cpu.kernel_gs_base:
        unicorn.gs_base = cpu.kernel_gs_base
        write_scratch(cpu, unicorn, unicorn.id_gs_base, cpu.kernel_gs_base)
    if cpu.has_new_vectors != 0:
        load_vectors(cpu)


@kernel
def write_scratch(cpu: Cpu, unicorn: Unicorn, register: word, value: word) -> None:
    unicorn.scratch = value
    write_register(cpu, unicorn, register, address_of(unicorn, 'scratch'))


@kernel
def forget(cpu: Cpu, unicorn: Unicorn) -> None:
    """Forget translations and code, as far as the kernel's doings ask for it.

    With code its pages go, too: so the frames are asked for again, and marked, before they are executed.
    """
    if cpu.user.is_flushed | cpu.user.is_code_written != 0:
        cpu.user.is_flushed = 0
        call4(cpu.m, unicorn.call_control, unicorn.addr, unicorn.flush_pages, 0, 0)
    if cpu.user.is_code_written != 0:
        cpu.user.is_code_written = 0
        call4(cpu.m, unicorn.call_control, unicorn.addr, unicorn.flush_code, 0, 0)


@kernel
def set_step(cpu: Cpu, unicorn: Unicorn, rip: word) -> None:
    """Have the run end after one instruction while RIP is in the careful page; outside of it have none end so.

    No exit lies behind the page's end: the engine looks for translated code right before each when it stops, which
    would be a fill of its own. An instruction that ends there needs none: the next page is present then.
    """
    count = 0
    if rip >> PAGE_SHIFT != unicorn.careful:
        unicorn.careful = NO_CAREFUL
    else:
        count = min(NR_EXITS, PAGE_BYTES - (rip & OFFSET_MASK))
        for index in range(count):
            unicorn.exits[index] = add_wrap(rip, index + 1)
    call4(cpu.m, unicorn.call_control, unicorn.addr, unicorn.flush_code, 0, 0)
    call4(cpu.m, unicorn.call_control, unicorn.addr, unicorn.set_exits, unicorn.exits.addr, count)


@kernel
def take_registers(cpu: Cpu, unicorn: Unicorn, frame: Frame) -> None:
    """Read all."""
    places, ids = unicorn.places.addr, unicorn.ids.addr
    call4(cpu.m, unicorn.uc_reg_read_batch, unicorn.engine, ids, places, NR_REGISTERS)
    copy(cpu.m, frame.addr, unicorn.values.addr, 8 * NR_GENERAL)
    frame.rip = unicorn.values[RIP]
    frame.rflags = unicorn.values[RFLAGS]
    frame.rsp = unicorn.values[RSP]


# ------------------------------------------------------------------ what happened
@kernel
def judge(cpu: Cpu, unicorn: Unicorn, frame: Frame, error: word) -> None:
    """Make of what the engine says what a processor would have done."""
    user = cpu.user
    if user.event == NOTHING and error == ERR_INSN_INVALID:
        judge_invalid(cpu, frame)
    elif user.event == NOTHING and error != 0:
        note_exception(cpu, GENERAL_PROTECTION, 0)
    elif unicorn.cause == OF_PORT:
        frame.rip = unicorn.port_rip
    elif unicorn.cause == OF_INTERRUPT:
        judge_interrupt(cpu, frame)
        renew(cpu, unicorn)
    elif unicorn.cause == OF_PAGE and error == 0:
        user.event = NOTHING  # the engine asked, but not for the program
    elif unicorn.cause == OF_PAGE and is_ahead(cpu, unicorn, frame.rip):
        unicorn.careful = frame.rip >> PAGE_SHIFT
        user.event = NOTHING
    elif unicorn.cause == OF_PAGE and user.vector == PAGE_FAULT:
        note_address(cpu, unicorn)
        user.address = unicorn.fault_address


@kernel
def note_address(cpu: Cpu, unicorn: Unicorn) -> None:
    """Keep the address of the access that failed first. The engine has that of the last one that it tried."""
    if unicorn.has_address == 0:
        unicorn.has_address = 1
        unicorn.fault_address = call4(cpu.m, unicorn.call_address, unicorn.addr, 0, 0, 0)


@kernel
def renew(cpu: Cpu, unicorn: Unicorn) -> None:
    """Have the engine forget that an exception is in flight: the next one would be a double fault.

    That is in none of its registers, so all of its state becomes what it was before the first run.
    """
    save_vectors(cpu)
    call4(cpu.m, unicorn.uc_context_restore, unicorn.engine, unicorn.new_context, 0, 0)
    for index in range(NR_REGISTERS):
        unicorn.values[index] = unicorn.new_values[index]
    unicorn.fs_base = 0
    unicorn.gs_base = 0
    cpu.has_new_vectors = 1


@kernel
def is_ahead(cpu: Cpu, unicorn: Unicorn, rip: word) -> bool:
    """Whether the page that misses is one that execution may never get to."""
    page = rip >> PAGE_SHIFT
    return cpu.user.access == FETCH and cpu.user.address >> PAGE_SHIFT != page and unicorn.careful != page


@kernel
def judge_invalid(cpu: Cpu, frame: Frame) -> None:
    """No instruction that the engine knows: it takes `int 6` for one, and INT1."""
    byte, next_byte = peek(cpu, VirtAddr(frame.rip)), peek(cpu, VirtAddr(add_wrap(frame.rip, 1)))
    if byte == OPCODE_INT1:
        frame.rip = add_wrap(frame.rip, 1)
        note_exception(cpu, DEBUG, 0)
    elif byte == OPCODE_INT and next_byte == INVALID_OPCODE:
        note_exception(cpu, GENERAL_PROTECTION, gate_error(INVALID_OPCODE))
    else:
        note_exception(cpu, INVALID_OPCODE, 0)


@kernel
def gate_error(vector: word) -> word:
    """The error code of an `int n` whose gate ring 3 may not use."""
    return vector * GATE_BYTES + ERROR_IN_IDT


@kernel
def judge_interrupt(cpu: Cpu, frame: Frame) -> None:
    """Tell `int n` from the exception of that number by the bytes before RIP, where only the first one leaves it.

    An exception at an instruction that another `int n` stands right before is taken for that one: a signal in any case.
    """
    user, rip = cpu.user, frame.rip
    start = VirtAddr(add_wrap(rip, -INT_BYTES))
    if user.vector == BREAKPOINT:
        return
    if peek(cpu, start) == OPCODE_INT and peek(cpu, VirtAddr(add_wrap(rip, -1))) == user.vector:
        if user.vector != OVERFLOW:
            frame.rip = start
            user.error = gate_error(user.vector)
            user.vector = GENERAL_PROTECTION
    elif user.vector == GENERAL_PROTECTION and cpu.cr4 & CR4_TSD == 0:
        read_time(cpu, frame)


@kernel
def read_time(cpu: Cpu, frame: Frame) -> None:
    """If it was RDTSC or RDTSCP: give it the time, and have the program go on."""
    byte, second = peek(cpu, VirtAddr(frame.rip)), peek(cpu, VirtAddr(add_wrap(frame.rip, 1)))
    is_rdtsc = byte == OPCODE_TWO and second == OPCODE_RDTSC
    is_rdtscp = byte == OPCODE_TWO and second == 1 and peek(cpu, VirtAddr(add_wrap(frame.rip, 2))) == OPCODE_RDTSCP
    if is_rdtsc or is_rdtscp:
        time = cpu_read_tsc(cpu)
        frame.rax = time & LOW_HALF
        frame.rdx = shr_logical(time, 32)
        if is_rdtscp:
            frame.rcx = 0  # the number of the processor
        frame.rip = add_wrap(frame.rip, 3 if is_rdtscp else 2)
        cpu.user.event = NOTHING


# ------------------------------------------------------------------ what the callbacks do, while the engine runs
@kernel
def fill(cpu: Cpu, va: VirtAddr, kind: word) -> word:
    """The engine asks for a page: see tell_page."""
    access = READ
    if kind == MEM_WRITE:
        access = WRITE
    elif kind == MEM_FETCH:
        access = FETCH
    event = cpu.user.event
    if event == EXCEPTION and unicorn_of(cpu).cause == OF_PAGE:
        note_address(cpu, unicorn_of(cpu))  # it looks for code behind the fault
    told = tell_page(cpu, va, access)
    if event != cpu.user.event:
        unicorn_of(cpu).cause = OF_PAGE
    return told


@kernel
def note_system_call(cpu: Cpu) -> None:
    if cpu.user.event == NOTHING:
        cpu.user.event = SYSTEM_CALL
    stop_engine(cpu)


@kernel
def note_interrupt(cpu: Cpu, number: word) -> None:
    """An exception, or `int n`."""
    if cpu.user.event == NOTHING:
        note_exception(cpu, number, 0)
        unicorn_of(cpu).cause = OF_INTERRUPT
    stop_engine(cpu)


@kernel
def note_port(cpu: Cpu) -> None:
    """IN, OUT or SYSENTER, none of which ring 3 may do; the block runs on to its end."""
    unicorn = unicorn_of(cpu)
    if cpu.user.event == NOTHING:
        note_exception(cpu, GENERAL_PROTECTION, 0)
        unicorn.cause = OF_PORT
        call4(cpu.m, unicorn.uc_reg_read, unicorn.engine, unicorn.ids[RIP], address_of(unicorn, 'port_rip'), 0)
    stop_engine(cpu)


@kernel
def note_block(cpu: Cpu, nbytes: word) -> None:
    """A block of so many bytes is about to begin; it does not if the engine is stopped here."""
    left = cpu.user.code_left - nbytes
    cpu.user.code_left = left
    if left <= 0:
        stop_engine(cpu)


@kernel
def stop_engine(cpu: Cpu) -> None:
    unicorn = unicorn_of(cpu)
    call4(cpu.m, unicorn.uc_emu_stop, unicorn.engine, 0, 0, 0)


@kernel
def answer_cpuid(cpu: Cpu) -> None:
    """CPUID, in the place of the engine's own."""
    unicorn = unicorn_of(cpu)
    leaf, subleaf = read_scratch(cpu, unicorn, RAX), read_scratch(cpu, unicorn, RCX)
    a, b, c, d = user_cpuid(cpu, leaf & LOW_HALF, subleaf & LOW_HALF)
    write_scratch(cpu, unicorn, unicorn.ids[RAX], a)
    write_scratch(cpu, unicorn, unicorn.ids[RBX], b)
    write_scratch(cpu, unicorn, unicorn.ids[RCX], c)
    write_scratch(cpu, unicorn, unicorn.ids[RDX], d)


@kernel
def read_scratch(cpu: Cpu, unicorn: Unicorn, index: word) -> word:
    place = address_of(unicorn, 'scratch')
    call4(cpu.m, unicorn.uc_reg_read, unicorn.engine, unicorn.ids[index], place, 0)
    return unicorn.scratch


# ------------------------------------------------------------------ x87 and SSE
@kernel
def save_vectors(cpu: Cpu) -> None:
    """Put the engine's registers into cpu.vector_state, if they may be newer."""
    if cpu.user.has_vectors != 0:
        unicorn = unicorn_of(cpu)
        ids, places = unicorn.vector_ids.addr, unicorn.vector_places.addr
        call4(cpu.m, unicorn.uc_reg_read_batch, unicorn.engine, ids, places, NR_VECTOR_REGISTERS)
        pack_tags(cpu, unicorn)
        cpu.user.has_vectors = 0


@kernel
def load_vectors(cpu: Cpu) -> None:
    """Take them from there."""
    unicorn = unicorn_of(cpu)
    unpack_tags(cpu, unicorn)
    ids, places = unicorn.vector_ids.addr, unicorn.vector_places.addr
    call4(cpu.m, unicorn.uc_reg_write_batch, unicorn.engine, ids, places, NR_VECTOR_REGISTERS)
    cpu.has_new_vectors = 0
    cpu.user.has_vectors = 0


@kernel
def pack_tags(cpu: Cpu, unicorn: Unicorn) -> None:
    """FXSAVE has one bit for each x87 register, set if it is in use."""
    packed = 0
    for index in range(NR_STACK_REGISTERS):
        if (unicorn.tags >> 2 * index) & TAG_EMPTY != TAG_EMPTY:
            packed = packed | 1 << index
    control_words = cpu.vector_state[0] & ~(TAGS_MASK << TAGS_SHIFT)
    cpu.vector_state[0] = control_words | packed << TAGS_SHIFT


@kernel
def unpack_tags(cpu: Cpu, unicorn: Unicorn) -> None:
    tags = 0
    for index in range(NR_STACK_REGISTERS):
        if cpu.vector_state[0] >> (TAGS_SHIFT + index) & 1 == 0:
            tags = tags | TAG_EMPTY << 2 * index
    unicorn.tags = tags
