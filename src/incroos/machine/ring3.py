"""The loop of ring 3: run the program until something happens, tell the kernel, go on.

It does what the entry code of a booted kernel does: the registers are in the frame at the end of the kernel's stack
while the kernel runs. Each call of the kernel ends before the program goes on, and begins after its processor has
stopped, so that a panic, a debugger and Ctrl-C work there as anywhere. Intel SDM volume 3, chapter "Interrupt and
Exception Handling"; volume 2, "SYSCALL".
"""

from typing import Final

from incroos.lang import VirtAddr, call4, kernel, word

from .architecture import PAGE_FAULT
from .cpu import STOPPED_BY_TRIPLE_FAULT, Cpu
from .faults import stop
from .interrupts import CODE_BYTES, take_timer_interrupt
from .user import EXCEPTION, SYSTEM_CALL, Frame

USER_CODE: Final = 0x33  # the selectors of ring 3
USER_DATA: Final = 0x2B
FLAG_INTERRUPTS: Final = 1 << 9
SYSTEM_CALL_VECTOR: Final = 256  # in the frame, where an exception has its vector


@kernel
def run_ring3(cpu: Cpu) -> None:
    """Run what the frame describes, until the computer stops. Does not return."""
    while True:
        if cpu.user.is_timed != 0 and cpu.user.code_left <= 0:
            deliver_interrupt(cpu)
        cpu.interrupts = 1
        call4(cpu.m, cpu.user.call_run, cpu.addr, 0, 0, 0)
        cpu.interrupts = 0
        if cpu.user.event == SYSTEM_CALL:
            deliver_system_call(cpu)
        elif cpu.user.event == EXCEPTION:
            deliver_exception(cpu)


@kernel
def frame_of(cpu: Cpu) -> Frame:
    """The registers of ring 3 while the kernel runs."""
    return Frame(cpu.m, cpu.user.host_frame)


@kernel
def deliver_system_call(cpu: Cpu) -> None:
    """As SYSCALL does: where to go on is in RCX, the flags are in R11."""
    frame = frame_of(cpu)
    frame.rcx = frame.rip
    frame.r11 = frame.rflags
    enter(cpu, SYSTEM_CALL_VECTOR, 0)
    call4(cpu.m, cpu.user.call_system_call, cpu.addr, cpu.kernel, cpu.user.frame, 0)


@kernel
def deliver_exception(cpu: Cpu) -> None:
    """As an exception does; an error code that the processor does not push is 0."""
    if cpu.idt_limit == 0:
        stop(cpu, STOPPED_BY_TRIPLE_FAULT, 0)
    if cpu.user.vector == PAGE_FAULT:
        cpu.cr2 = VirtAddr(cpu.user.address)
    enter(cpu, cpu.user.vector, cpu.user.error)
    call4(cpu.m, cpu.user.call_trap, cpu.addr, cpu.kernel, cpu.user.frame, 0)


@kernel
def deliver_interrupt(cpu: Cpu) -> None:
    """The timer's, between two blocks of the program. One that finds interrupts disabled is lost."""
    if frame_of(cpu).rflags & FLAG_INTERRUPTS == 0:
        cpu.user.code_left = CODE_BYTES
        return
    enter(cpu, take_timer_interrupt(cpu), 0)
    call4(cpu.m, cpu.user.call_trap, cpu.addr, cpu.kernel, cpu.user.frame, 0)


@kernel
def enter(cpu: Cpu, vector: word, error: word) -> None:
    """Say in the frame why the kernel was entered. No program can have other selectors: it has no descriptors."""
    frame = frame_of(cpu)
    frame.vector = vector
    frame.error = error
    frame.cs = USER_CODE
    frame.ss = USER_DATA
