"""Ring 3: what the computer and the processor that runs programs share.

Programs run on a processor of their own, since this computer has none that executes instructions. It is reached by
three functions, and whoever supplies them may be that processor (unicorn.py is one):

    call_run           run ring 3 from the registers in the frame on until something happens; note what, and put the
                       registers back. First forget what `is_flushed` and `is_code_written` say
    call_save_vectors  put the x87 and SSE registers into cpu.vector_state
    call_load_vectors  take them from there; called before the next run

While `is_timed` it counts the bytes of each block of code that it executes, and ends the run at the beginning of a
block that there is no time left for: for no reason, as far as `event` says.

It asks for pages by user_pages.tell_page and reports by note_exception and note_system_call. Of each run only the first
event counts: what a processor does behind it, because it stops late, did not happen.
"""

from typing import Annotated, Final

from incroos.lang import Array, Struct, VirtAddr, i64, u32, u64

# User.event
NOTHING: Final = 0  # the run ended for no reason: go on
SYSTEM_CALL: Final = 1
EXCEPTION: Final = 2

NR_CPUID_ROWS: Final = 64


class Frame(Struct):
    """What entry code saves, lowest address first, as the kernel in the booted computer finds it on its stack."""

    r15: u64
    r14: u64
    r13: u64
    r12: u64
    rbp: u64
    rbx: u64
    r11: u64
    r10: u64
    r9: u64
    r8: u64
    rax: u64
    rcx: u64
    rdx: u64
    rsi: u64
    rdi: u64
    vector: u64
    error: u64
    rip: u64
    cs: u64
    rflags: u64
    rsp: u64
    ss: u64


class CpuidRow(Struct):
    """What CPUID answers in ring 3."""

    leaf: u32
    subleaf: u32
    a: u32
    b: u32
    c: u32
    d: u32


class User(Struct):
    """The state of ring 3 beside its registers."""

    host_frame: VirtAddr  # a Frame: the registers while the kernel runs
    frame: VirtAddr  # the same for the kernel
    host_processor: VirtAddr  # RING3_BYTES of computer.py for the processor's own state
    host_marks: VirtAddr  # a byte for each frame of RAM: code_marks.py

    call_run: u64  # (cpu, 0, 0, 0)
    call_save_vectors: u64  # (cpu, 0, 0, 0)
    call_load_vectors: u64  # (cpu, 0, 0, 0)
    call_trap: u64  # the kernel's: (cpu, kernel, frame, 0)
    call_system_call: u64  # the kernel's: (cpu, kernel, frame, 0)

    event: u64
    vector: u64
    error: u64
    address: i64  # of a page fault
    access: u64  # what was tried there
    is_flushed: u64  # 1: the kernel flushed translations of the lower half
    is_code_written: u64  # 1: the kernel wrote into a frame whose code may be kept
    has_vectors: u64  # 1: the processor's vector state is newer than cpu.vector_state
    is_timed: u64  # 1: the processor counts code_left down, and stops at the first block where it is not positive
    code_left: i64  # bytes of code that it may execute until the timer interrupts
    nr_fills: u64
    nr_runs: u64

    nr_cpuid_rows: u64
    cpuid: Annotated[Array[CpuidRow], NR_CPUID_ROWS]
