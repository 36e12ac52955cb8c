"""How a fault reaches the kernel, and how the computer stops.

A page fault sets CR2 and calls the kernel's handler; when that returns the access is tried again. A fault inside a
handler nests; deeper than MAX_FAULT_DEPTH it is a double fault, as it is where a real stack ends, and a fault beyond
that, or without an interrupt table, is a triple fault: the computer stops. Other exceptions end in a handler that does
not return. Intel SDM volume 3, chapter "Interrupt and Exception Handling".
"""

from typing import Final

from incroos.lang import VirtAddr, call4, kernel, word

from .architecture import DOUBLE_FAULT
from .cpu import (
    MAX_FAULT_DEPTH,
    NO_SITE,
    STOPPED_BY_HALT,
    STOPPED_BY_TRAP,
    STOPPED_BY_TRIPLE_FAULT,
    Cpu,
)

NO_ADDRESS: Final = 0  # the simulated processor executes no instructions that have addresses


@kernel
def flush_serial(cpu: Cpu) -> None:
    """Pass the output of the serial port to the host."""
    done = 0
    while done < cpu.nr_serial:
        written = call4(cpu.m, cpu.call_write, cpu.serial_file, cpu.serial.addr + done, cpu.nr_serial - done, 0)
        if written <= 0:
            break
        done += written
    cpu.nr_serial = 0


@kernel
def stop(cpu: Cpu, reason: word, code: word) -> None:
    """End the computer's run; does not return."""
    flush_serial(cpu)
    cpu.stop_reason = reason
    cpu.stop_code = code
    call4(cpu.m, cpu.call_stop, 0, 0, 0, 0)


@kernel
def page_fault(cpu: Cpu, va: VirtAddr, error: word) -> None:
    """Deliver a page fault to the kernel's handler; returns when the access is to be tried again."""
    if cpu.idt_limit == 0:
        stop(cpu, STOPPED_BY_TRIPLE_FAULT, 0)
    if cpu.fault_depth == MAX_FAULT_DEPTH:
        exception(cpu, DOUBLE_FAULT, 0)
    cpu.cr2 = va
    cpu.nr_faults += 1
    cpu.fault_depth += 1
    call4(cpu.m, cpu.call_page_fault, cpu.addr, cpu.kernel, error, NO_ADDRESS)
    cpu.fault_depth -= 1


@kernel
def exception(cpu: Cpu, vector: word, error: word) -> None:
    """Deliver an exception to the kernel's handler; does not return."""
    if cpu.idt_limit == 0 or cpu.is_double_fault != 0:
        stop(cpu, STOPPED_BY_TRIPLE_FAULT, 0)
    if vector == DOUBLE_FAULT:
        cpu.is_double_fault = 1
    cpu.fault_depth = 0
    call4(cpu.m, cpu.call_exception, cpu.addr, cpu.kernel, vector, error)
    stop(cpu, STOPPED_BY_HALT, 0)


@kernel
def trap(cpu: Cpu, site: word) -> None:
    """A checked build found a bug at a site: the kernel may report it, once; does not return."""
    if cpu.trap_site == NO_SITE and cpu.idt_limit != 0:
        cpu.trap_site = site
        call4(cpu.m, cpu.call_trap, cpu.addr, cpu.kernel, site, 0)
    stop(cpu, STOPPED_BY_TRAP, site)
