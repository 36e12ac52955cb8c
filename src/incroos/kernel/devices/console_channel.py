"""The channels of a PC, where no host listens (ON_PC): output and input are the console, a record is a line at most.

Unit: the byte, as it is. Output goes to the first serial port and onto the screen; input comes from the serial port.
"""

from incroos.kernel.arch.x86 import PAGE_FAULT
from incroos.kernel.devices import serial_input
from incroos.kernel.io import console, vt100
from incroos.kernel.state import (
    BY_SIGNAL,
    EXITED,
    FIRST_NUMBER,
    NO_CALL,
    NOT_STARTED,
    RECORD_END,
    RECORD_REMARK,
    REMARK_WAITS_FOR_EVER,
    Kernel,
    Record,
)
from incroos.lang import VirtAddr, cold, kernel, store8, word


@kernel
def put_output(k: Kernel, source: VirtAddr, nbytes: word) -> None:
    """Put bytes of the kernel's memory."""
    vt100.put_bytes(k, source, nbytes)


@kernel
def take_input(k: Kernel, to: VirtAddr, nbytes: word) -> word:
    """Wait for a byte, and take it and those that have come with it, at most nbytes: how many."""
    done = 0
    while done == 0:
        while done < nbytes and serial_input.has_byte(k):
            store8(k.m, VirtAddr(to + done), serial_input.get_byte(k))
            done += 1
    return done


# ------------------------------------------------------------------ records
@cold
@kernel
def put_record(k: Kernel, record: Record) -> None:
    """Say in a line how the first program ended, or that one waits for ever; of other records say nothing."""
    if record.kind == RECORD_END and (record.task == FIRST_NUMBER or record.number == NOT_STARTED):
        put_end(k, record)
    elif record.kind == RECORD_REMARK and record.number == REMARK_WAITS_FOR_EVER:
        start_line(k)
        if record.a == NO_CALL:
            console.put_text(k, b'the program is stopped for ever')
        else:
            console.put_text(k, b'the program would wait for ever in system call ')
            console.put_decimal(k, record.a)
        console.put_text(k, b'\n')


@cold
@kernel
def put_end(k: Kernel, record: Record) -> None:
    """Say how the program ended."""
    start_line(k)
    if record.number == EXITED:
        console.put_text(k, b'the program exited with status ')
        console.put_decimal(k, record.a)
    elif record.number == BY_SIGNAL:
        console.put_text(k, b'the program was ended by signal ')
        console.put_decimal(k, record.a)
        put_signal_name(k, record.a)
        put_place(k, record)
    else:
        console.put_text(k, b'the program cannot be started: error ')
        console.put_decimal(k, record.a)
        console.put_text(k, b' of Linux')
    console.put_text(k, b'\n')


@cold
@kernel
def put_place(k: Kernel, record: Record) -> None:
    """Say at which address a fault was, and which instruction had it; of other ends say nothing."""
    if record.e == 0:
        return
    if record.c == PAGE_FAULT:
        console.put_text(k, b' at address 0x')
        console.put_hex(k, record.b)
    console.put_text(k, b', instruction 0x')
    console.put_hex(k, record.e)


@cold
@kernel
def start_line(k: Kernel) -> None:
    """End the line that the program has begun."""
    if k.console.column != 0:
        console.put_text(k, b'\n')


@cold
@kernel
def put_signal_name(k: Kernel, signal: word) -> None:
    """Put the name of a signal that ends programs, in parentheses."""
    match signal:
        case 1:
            console.put_text(k, b' (SIGHUP)')
        case 2:
            console.put_text(k, b' (SIGINT)')
        case 4:
            console.put_text(k, b' (SIGILL)')
        case 5:
            console.put_text(k, b' (SIGTRAP)')
        case 6:
            console.put_text(k, b' (SIGABRT)')
        case 7:
            console.put_text(k, b' (SIGBUS)')
        case 8:
            console.put_text(k, b' (SIGFPE)')
        case 9:
            console.put_text(k, b' (SIGKILL)')
        case 11:
            console.put_text(k, b' (SIGSEGV)')
        case 13:
            console.put_text(k, b' (SIGPIPE)')
        case 14:
            console.put_text(k, b' (SIGALRM)')
        case 15:
            console.put_text(k, b' (SIGTERM)')
        case _:
            pass
