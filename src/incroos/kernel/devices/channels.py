"""Channels to the host: a program's output and input, and records about it.

    0xE9  standard output     write-only: whatever is written is the host's at once (QEMU's isa-debugcon)
    0xEA  standard error
    0xEB  records
    0x2F8 standard input      a second 16550: the kernel says how many bytes it wants, and the host answers
                              with how many come (0: the end of the file, FAILED: it could not read) and the bytes

On a PC, where nobody listens, console_channel.py takes their place.

Unit: the byte, as it is. Knows nothing of programs: whose bytes these are is for others to say. Nothing comes that was
not asked for, so that what a program does not read stays the host's. Registers of the 16550: arch/serial_port.py.

What costs time is that QEMU's other thread wakes at each byte that is read, and brings one more. It does not while the
port is in loopback mode: so a FIFO that is full is emptied in that mode but for its last byte, and comes back full. And
it wakes at each byte when the time after which the FIFO interrupts is the next thing that it waits for: with the
largest divisor that is a long time. So the port interrupts at the first byte only while the processor is idle
(idle.py); at all other times its interrupt is masked at the controller.
"""

from typing import Final

from incroos.kernel.arch.serial_port import (
    CAN_SEND,
    CLEAR_AND_USE_FIFOS,
    DIVISOR_ACCESS,
    EIGHT_BITS_NO_PARITY,
    FIFO_CONTROL,
    HAS_BYTE,
    INTERRUPT_AT_1,
    INTERRUPT_AT_14,
    INTERRUPT_ENABLE,
    LINE_CONTROL,
    LINE_STATUS,
    LOOPBACK,
    MODEM_CONTROL,
    READY,
    WHEN_RECEIVED,
)
from incroos.kernel.codes import INPUT_FAILED
from incroos.kernel.devices import console_channel, serial_input
from incroos.kernel.state import ON_PC, Kernel, Record
from incroos.lang import VirtAddr, in8, in_bytes, kernel, out8, out_bytes, pause, store8, word

OUTPUT: Final = 1  # channels by the number of the descriptor
ERRORS: Final = 2

OUTPUT_PORT: Final = 0xE9
ERRORS_PORT: Final = 0xEA
RECORDS_PORT: Final = 0xEB
INPUT_PORT: Final = 0x2F8

MOST_INPUT: Final = 0x1_0000  # bytes that can be asked for at once
FAILED: Final = 0xFFFF_FFFF

SLOWEST: Final = 0xFF  # both bytes of the divisor; no byte waits for it

# What the FIFO tells
FULL_BYTES: Final = 14
CAUSE: Final = 0x0F
IS_FULL: Final = 0x04
IS_OLD: Final = 0x0C  # bytes have been in the FIFO for long, however many


@kernel
def init(k: Kernel) -> None:
    """Make the serial port of the input ready: polled, with its FIFO."""
    k.devices.nr_asked = 0
    k.devices.nr_coming = 0
    out8(k.m, INPUT_PORT + LINE_CONTROL, EIGHT_BITS_NO_PARITY | DIVISOR_ACCESS)
    out8(k.m, INPUT_PORT, SLOWEST)
    out8(k.m, INPUT_PORT + INTERRUPT_ENABLE, SLOWEST)
    out8(k.m, INPUT_PORT + LINE_CONTROL, EIGHT_BITS_NO_PARITY)
    out8(k.m, INPUT_PORT + INTERRUPT_ENABLE, WHEN_RECEIVED)
    out8(k.m, INPUT_PORT + FIFO_CONTROL, CLEAR_AND_USE_FIFOS)
    out8(k.m, INPUT_PORT + MODEM_CONTROL, READY)


@kernel
def is_on_pc(k: Kernel) -> bool:
    """Whether nobody listens to the channels: then the console takes their place."""
    return k.tasks.flags & ON_PC != 0


@kernel
def put_output(k: Kernel, channel: word, source: VirtAddr, nbytes: word) -> None:
    """Give the host bytes of the kernel's memory for its descriptor 1 or 2."""
    if is_on_pc(k):
        console_channel.put_output(k, source, nbytes)
        return
    out_bytes(k.m, OUTPUT_PORT if channel == OUTPUT else ERRORS_PORT, source, nbytes)


@kernel
def put_record(k: Kernel, record: Record, text: VirtAddr) -> None:
    """Give the host a record and the record.nbytes of text that follow it."""
    if is_on_pc(k):
        console_channel.put_record(k, record)
        return
    out_bytes(k.m, RECORDS_PORT, record.addr, Record.SIZE)
    out_bytes(k.m, RECORDS_PORT, text, record.nbytes)


# ------------------------------------------------------------------ input
@kernel
def ask_input(k: Kernel, nbytes: word) -> None:
    """Ask the host for up to nbytes, 1 to MOST_INPUT; nothing if an answer is still to come, or to be taken."""
    if k.devices.nr_asked == 0 and k.devices.nr_coming == 0:
        k.devices.nr_asked = nbytes
        if not is_on_pc(k):
            put_number(k, nbytes)


@kernel
def has_input(k: Kernel) -> bool:
    """Whether the answer has begun to come; waits for nothing. False if nobody has asked."""
    if k.devices.nr_coming != 0:
        return True
    if is_on_pc(k):
        return k.devices.nr_asked != 0 and serial_input.has_byte(k)
    return k.devices.nr_asked != 0 and in8(k.m, INPUT_PORT + LINE_STATUS) & HAS_BYTE != 0


@kernel
def take_input(k: Kernel, to: VirtAddr, nbytes: word) -> word:
    """Take what the answer has, at most nbytes, 1 or more; the rest stays. How many; 0: it is the end of the file;
    INPUT_FAILED. Waits for what has not come yet. PRE it was asked for.
    """
    devices = k.devices
    if is_on_pc(k):
        devices.nr_asked = 0
        return console_channel.take_input(k, to, nbytes)
    if devices.nr_coming == 0:
        nr_come, nr_asked = get_number(k), devices.nr_asked
        devices.nr_asked = 0
        if nr_come > nr_asked:  # FAILED, or a host that does not keep to what was agreed
            return INPUT_FAILED
        devices.nr_coming = nr_come
    nr_taken = min(nbytes, devices.nr_coming)
    done = get_full(k, to, nr_taken)
    for index in range(done, nr_taken):
        store8(k.m, VirtAddr(to + index), get_byte(k))
    devices.nr_coming -= nr_taken
    return nr_taken


@kernel
def interrupt_at_first(k: Kernel) -> None:
    """Have the first byte of an answer interrupt."""
    if k.devices.nr_asked != 0:
        out8(k.m, INPUT_PORT + FIFO_CONTROL, INTERRUPT_AT_1)


@kernel
def interrupt_when_full(k: Kernel) -> None:
    """Have bytes not interrupt one by one, and their FIFO tell when it is full."""
    if k.devices.nr_asked != 0:
        out8(k.m, INPUT_PORT + FIFO_CONTROL, INTERRUPT_AT_14)


@kernel
def get_full(k: Kernel, to: VirtAddr, nbytes: word) -> word:
    """Take what fills the FIFO, again and again: how many of nbytes, all but fewer than it takes."""
    done = 0
    while nbytes - done >= FULL_BYTES:
        cause = in8(k.m, INPUT_PORT + FIFO_CONTROL) & CAUSE
        if cause == IS_FULL:
            out8(k.m, INPUT_PORT + MODEM_CONTROL, READY | LOOPBACK)
            in_bytes(k.m, INPUT_PORT, VirtAddr(to + done), FULL_BYTES - 1)
            out8(k.m, INPUT_PORT + MODEM_CONTROL, READY)
            done += FULL_BYTES - 1
        if cause == IS_FULL or cause == IS_OLD:
            store8(k.m, VirtAddr(to + done), in8(k.m, INPUT_PORT))
            done += 1
        else:
            pause(k.m)
    return done


@kernel
def put_number(k: Kernel, number: word) -> None:
    """Send a number as four bytes, the lowest first."""
    for index in range(4):
        while in8(k.m, INPUT_PORT + LINE_STATUS) & CAN_SEND == 0:
            pause(k.m)
        out8(k.m, INPUT_PORT, (number >> (8 * index)) & 0xFF)


@kernel
def get_number(k: Kernel) -> word:
    """Wait for a number of four bytes."""
    number = 0
    for index in range(4):
        number |= get_byte(k) << (8 * index)
    return number


@kernel
def get_byte(k: Kernel) -> word:
    """Wait for a byte."""
    while in8(k.m, INPUT_PORT + LINE_STATUS) & HAS_BYTE == 0:
        pass  # under QEMU each pause hands the processor over, and a byte takes as long as two of these
    return in8(k.m, INPUT_PORT)
