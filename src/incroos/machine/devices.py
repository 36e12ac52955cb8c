"""The devices behind the ports: two serial ports, the cursor of the VGA text screen, and the port that ends the run.

Interrupt controllers and timer are in interrupts.py. Reads of other ports return ones, writes to them vanish. A wide
access is one access to each port that it covers. The serial port is a 16550 that is always ready ("PC16550D", National
Semiconductor); what it sends goes to the host line by line. The screen's memory is ordinary memory at 0xB8000; here are
only the registers of its controller ("IBM Personal System/2 and Personal Computer BIOS Interface", CRT controller).

A program's descriptors have ports of their own: what is written to OUTPUT + 0 to 2 goes to the host's files at once, a
block by one call. INPUT is the second serial port. There the host answers a question: the kernel writes how many bytes
it wants, as four bytes; the answer is how many come, as four bytes, 0 at the end of the file or ones where reading
failed, and then the bytes. The host reads only when asked, and when there is something: the port's status says whether
the answer has come, and a look at it is a look at the host, which waits for nothing.
"""

from typing import Final

from incroos.lang import VirtAddr, add_wrap, call4, copy, kernel, store32, word

from .access import resolve_read, resolve_write
from .cpu import CRT_REGISTERS, INPUT_BYTES, NR_OUTPUTS, SERIAL_BYTES, STOPPED_BY_HALT, STOPPED_BY_PORT, Cpu
from .faults import flush_serial, stop
from .interrupts import (
    INPUT_LINE,
    TIMER,
    TIMER_CONTROL,
    is_pic,
    is_unmasked,
    read_pic,
    timer_nanoseconds,
    write_pic,
    write_timer,
)
from .memory import cpu_load8, cpu_store8, left_in_page

SERIAL: Final = 0x3F8  # + 0 data, 1 interrupts, 2 FIFO, 3 line, 4 modem, 5 line status, 6 modem status, 7 scratch
CRT_INDEX: Final = 0x3D4
CRT_DATA: Final = 0x3D5
DEBUG_EXIT: Final = 0xF4
OUTPUT: Final = 0xE9
OUTPUT_PRESENT: Final = 0xE9  # what these ports answer a read with
INPUT: Final = 0x2F8
LENGTH_BYTES: Final = 4  # of a question, and at the head of an answer
READ_FAILED: Final = (1 << 32) - 1
NO_DEVICE: Final = 0xFF

LINE_DIVISOR: Final = 0x80  # in the line register: ports 0 and 1 are the divisor of the clock
MODEM_LOOP: Final = 0x10  # in the modem register: what is sent comes back
STATUS_RECEIVED: Final = 0x01
STATUS_READY: Final = 0x60  # the transmitter takes a byte, and has sent the last
MODEM_CONNECTED: Final = 0xB0
INTERRUPT_RECEIVED: Final = 0x01  # in the register of interrupts
NO_INTERRUPT: Final = 0x01
RECEIVED_INTERRUPT: Final = 0x04  # as many bytes have come as the FIFO should hold before it interrupts
FIFO_TRIGGER: Final = 14
FIFO_ON: Final = 0xC0
NEWLINE: Final = 10
POLL_IN: Final = 1  # poll(2)
FILE_MASK: Final = (1 << 32) - 1
MILLISECOND: Final = 1_000_000


@kernel
def send(cpu: Cpu, byte: word) -> None:
    """Send one byte by the serial port."""
    if cpu.serial_modem & MODEM_LOOP != 0:
        cpu.serial_looped = byte
        cpu.serial_has_looped = 1
    else:
        cpu.serial[cpu.nr_serial] = byte
        cpu.nr_serial += 1
        if byte == NEWLINE or cpu.nr_serial == SERIAL_BYTES:
            flush_serial(cpu)


@kernel
def receive(cpu: Cpu) -> word:
    """The byte that the serial port received in loopback mode, else 0."""
    byte = cpu.serial_looped if cpu.serial_has_looped != 0 else 0
    cpu.serial_has_looped = 0
    return byte


@kernel
def read_serial(cpu: Cpu, register: word) -> word:
    has_divisor = cpu.serial_line & LINE_DIVISOR != 0
    value = cpu.serial_scratch
    if register == 0:
        value = cpu.serial_divisor & 0xFF if has_divisor else receive(cpu)
    elif register == 1:
        value = cpu.serial_divisor >> 8 if has_divisor else cpu.serial_interrupts
    elif register == 2:
        value = NO_INTERRUPT | (FIFO_ON if cpu.serial_fifo & 1 != 0 else 0)
    elif register == 3:
        value = cpu.serial_line
    elif register == 4:
        value = cpu.serial_modem
    elif register == 5:
        value = STATUS_READY | (STATUS_RECEIVED if cpu.serial_has_looped != 0 else 0)
    elif register == 6:
        value = MODEM_CONNECTED
    return value


@kernel
def write_serial(cpu: Cpu, register: word, value: word) -> None:
    has_divisor = cpu.serial_line & LINE_DIVISOR != 0
    if register == 0:
        if has_divisor:
            cpu.serial_divisor = (cpu.serial_divisor & 0xFF00) | value
        else:
            send(cpu, value)
    elif register == 1:
        if has_divisor:
            cpu.serial_divisor = (cpu.serial_divisor & 0xFF) | (value << 8)
        else:
            cpu.serial_interrupts = value & 0x0F
    elif register == 2:
        cpu.serial_fifo = value
    elif register == 3:
        cpu.serial_line = value
    elif register == 4:
        cpu.serial_modem = value & 0x1F
    elif register == 7:
        cpu.serial_scratch = value


# ------------------------------------------------------------------ a program's descriptors
@kernel
def is_output(port: word) -> bool:
    return OUTPUT <= port < OUTPUT + NR_OUTPUTS


@kernel
def put_host_bytes(cpu: Cpu, port: word, source: VirtAddr, nbytes: word) -> None:
    """Hand bytes of this process's memory to the host's file behind an output port; they vanish if it takes none."""
    done = 0
    while done < nbytes:
        written = call4(cpu.m, cpu.call_write, cpu.output_files[port - OUTPUT], source + done, nbytes - done, 0)
        if written <= 0:
            return
        done += written


@kernel
def put_output(cpu: Cpu, port: word, source: VirtAddr, nbytes: word) -> None:
    """The same for bytes of the kernel's, page by page."""
    while nbytes > 0:
        part = min(nbytes, left_in_page(source))
        put_host_bytes(cpu, port, resolve_read(cpu, source), part)
        source = VirtAddr(add_wrap(source, part))
        nbytes -= part


@kernel
def ask(cpu: Cpu, byte: word) -> None:
    """One more byte of a question."""
    cpu.wanted = (cpu.wanted | byte << 8 * cpu.nr_wanted) if cpu.nr_wanted != 0 else byte
    cpu.nr_wanted += 1
    if cpu.nr_wanted == LENGTH_BYTES:
        cpu.nr_wanted = 0
        cpu.is_asked = 1


@kernel
def look_for_input(cpu: Cpu, milliseconds: word) -> bool:
    """Whether the answer is there; if it is to come, wait for it so long, -1: for ever."""
    if cpu.is_asked != 0 and wait_for_host(cpu, 1, milliseconds):
        cpu.is_asked = 0
        answer(cpu, min(cpu.wanted, INPUT_BYTES))
    return cpu.nr_input < cpu.input_end


@kernel
def wait_for_host(cpu: Cpu, nr_files: word, milliseconds: word) -> bool:
    """Whether the host's file can be read, or has something wrong that a read will tell; 0 files: only wait."""
    cpu.polled.file = cpu.input_file & FILE_MASK
    cpu.polled.events = POLL_IN
    cpu.polled.found = 0
    found = call4(cpu.m, cpu.call_poll, cpu.polled.addr, nr_files, milliseconds, 0)
    return found & FILE_MASK == 1  # an int


@kernel
def answer(cpu: Cpu, wanted: word) -> None:
    """Have the host read, and put its answer where the port takes it from."""
    found = call4(cpu.m, cpu.call_read, cpu.input_file, cpu.input.addr + LENGTH_BYTES, wanted, 0)
    store32(cpu.m, cpu.input.addr, found if found >= 0 else READ_FAILED)
    cpu.nr_input = 0
    cpu.input_end = LENGTH_BYTES + max(found, 0)


@kernel
def read_input(cpu: Cpu, register: word) -> word:
    value = 0
    if register == 0 and cpu.nr_input < cpu.input_end:
        value = cpu.input[cpu.nr_input]
        cpu.nr_input += 1
    elif register == 2:
        look_for_input(cpu, 0)
        value = RECEIVED_INTERRUPT if cpu.input_end - cpu.nr_input >= FIFO_TRIGGER else NO_INTERRUPT
    elif register == 1 and cpu.input_line & LINE_DIVISOR == 0:
        value = cpu.input_interrupts
    elif register == 3:
        value = cpu.input_line
    elif register == 5:
        value = STATUS_READY | (STATUS_RECEIVED if look_for_input(cpu, 0) else 0)
    elif register == 6:
        value = MODEM_CONNECTED
    return value


@kernel
def write_input(cpu: Cpu, register: word, value: word) -> None:
    if register == 3:
        cpu.input_line = value
    elif register == 1 and cpu.input_line & LINE_DIVISOR == 0:
        cpu.input_interrupts = value & 0x0F
    elif register == 0 and cpu.input_line & LINE_DIVISOR == 0:
        ask(cpu, value)


@kernel
def take_input(cpu: Cpu, to: VirtAddr, nbytes: word) -> word:
    """Put as many bytes of the answer there as there are, at most nbytes; how many."""
    done = 0
    nbytes = min(nbytes, cpu.input_end - cpu.nr_input)
    while done < nbytes:
        part = min(nbytes - done, left_in_page(VirtAddr(to + done)))
        copy(cpu.m, resolve_write(cpu, VirtAddr(to + done)), VirtAddr(cpu.input.addr + cpu.nr_input), part)
        cpu.nr_input += part
        done += part
    return done


# ------------------------------------------------------------------ the ports
@kernel
def cpu_in8(cpu: Cpu, port: word) -> word:
    if SERIAL <= port < SERIAL + 8:
        return read_serial(cpu, port - SERIAL)
    if INPUT <= port < INPUT + 8:
        return read_input(cpu, port - INPUT)
    if is_output(port):
        return OUTPUT_PRESENT
    if is_pic(port):
        return read_pic(cpu, port)
    if port == CRT_INDEX:
        return cpu.crt_index
    if port == CRT_DATA:
        return cpu.crt[cpu.crt_index & (CRT_REGISTERS - 1)]
    return NO_DEVICE


@kernel
def cpu_out8(cpu: Cpu, port: word, value: word) -> None:
    if SERIAL <= port < SERIAL + 8:
        write_serial(cpu, port - SERIAL, value)
    elif INPUT <= port < INPUT + 8:
        write_input(cpu, port - INPUT, value)
    elif is_output(port):
        cpu.output[0] = value
        put_host_bytes(cpu, port, cpu.output.addr, 1)
    elif is_pic(port):
        write_pic(cpu, port, value)
    elif TIMER <= port <= TIMER_CONTROL:
        write_timer(cpu, port, value)
    elif port == CRT_INDEX:
        cpu.crt_index = value
    elif port == CRT_DATA:
        cpu.crt[cpu.crt_index & (CRT_REGISTERS - 1)] = value
    elif port == DEBUG_EXIT:
        stop(cpu, STOPPED_BY_PORT, value)


@kernel
def cpu_in16(cpu: Cpu, port: word) -> word:
    return cpu_in8(cpu, port) | cpu_in8(cpu, port + 1) << 8


@kernel
def cpu_out16(cpu: Cpu, port: word, value: word) -> None:
    cpu_out8(cpu, port, value & 0xFF)
    cpu_out8(cpu, port + 1, value >> 8)


@kernel
def cpu_in32(cpu: Cpu, port: word) -> word:
    return cpu_in16(cpu, port) | cpu_in16(cpu, port + 2) << 16


@kernel
def cpu_out32(cpu: Cpu, port: word, value: word) -> None:
    cpu_out16(cpu, port, value & 0xFFFF)
    cpu_out16(cpu, port + 2, value >> 16)


@kernel
def cpu_in_bytes(cpu: Cpu, port: word, to: VirtAddr, nbytes: word) -> None:
    done = take_input(cpu, to, nbytes) if port == INPUT else 0
    for index in range(done, nbytes):
        cpu_store8(cpu, VirtAddr(to + index), cpu_in8(cpu, port))


@kernel
def cpu_out_bytes(cpu: Cpu, port: word, source: VirtAddr, nbytes: word) -> None:
    if is_output(port):
        put_output(cpu, port, source, nbytes)
        return
    for index in range(nbytes):
        cpu_out8(cpu, port, cpu_load8(cpu, VirtAddr(source + index)))


@kernel
def cpu_pause(cpu: Cpu) -> None:
    """Give the host the chance to run something else."""
    call4(cpu.m, cpu.call_pause, 0, 0, 0, 0)


@kernel
def cpu_wait_for_interrupt(cpu: Cpu) -> None:
    """Wait for the input's line, the timer's or both. No handler of the kernel is called, and nothing is in service.

    Where the timer's comes, its period has passed for the time stamp counter, too.
    """
    is_timed = cpu.user.is_timed != 0
    is_input_let_through = is_unmasked(cpu, INPUT_LINE) and cpu.input_interrupts & INTERRUPT_RECEIVED != 0
    if is_input_let_through and cpu.nr_input < cpu.input_end:
        return
    waits_for_input = is_input_let_through and cpu.is_asked != 0
    if not is_timed and not waits_for_input:
        stop(cpu, STOPPED_BY_HALT, 0)
    nanoseconds = timer_nanoseconds(cpu)
    milliseconds = (nanoseconds + MILLISECOND - 1) // MILLISECOND if is_timed else -1
    if waits_for_input and look_for_input(cpu, milliseconds):
        return
    if not waits_for_input:
        wait_for_host(cpu, 0, milliseconds)
    if is_timed:
        cpu.tsc += nanoseconds
