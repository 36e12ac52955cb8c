"""The console: the same text on the serial port and on the screen.

Text is bytes. On the serial port a new line is the single byte 10, so that what arrives there is the transcript as it
was put. On the screen it moves the cursor, and the screen scrolls when the cursor leaves the last row. The screen is a
framebuffer where the loader names one (screen.py), and VGA text memory elsewhere. In a library, all text goes to a hook
of the kernel that it is linked into (hooks.py), and neither port nor screen is touched.
The registers: arch/serial_port.py; IBM, "VGA Hardware Interface", CRT controller.
"""

from typing import Final

from incroos.kernel.arch.serial_port import (
    CAN_SEND,
    CLEAR_AND_USE_FIFOS,
    DIVISOR_ACCESS,
    EIGHT_BITS_NO_PARITY,
    FIFO_CONTROL,
    HAS_SENT,
    INTERRUPT_ENABLE,
    LINE_CONTROL,
    LINE_STATUS,
    MODEM_CONTROL,
    READY,
)
from incroos.kernel.io import hooks, screen
from incroos.kernel.io.digits import UPPER_DIGITS, ZERO
from incroos.kernel.layout import TEXT_COLUMNS, TEXT_ROWS, VGA_TEXT
from incroos.kernel.state import ConsoleState, Kernel, ScreenState
from incroos.lang import (
    Machine,
    PhysAddr,
    VirtAddr,
    copy,
    fill,
    in8,
    kernel,
    out8,
    pause,
    store16,
    store64,
    word,
)

# CONSOLE-1  row < TEXT_ROWS and column < TEXT_COLUMNS after each put_: the cursor is on the screen

ROW_BYTES: Final = TEXT_COLUMNS * 2  # a cell is a character and its colours
SCREEN_BYTES: Final = TEXT_ROWS * ROW_BYTES
LIGHT_GREY: Final = 0x0700  # on black
FOUR_BLANKS: Final = 0x0720_0720_0720_0720
NEW_LINE: Final = 10

CRT_INDEX: Final = 0x3D4
CRT_DATA: Final = 0x3D5
CURSOR_HIGH: Final = 14
CURSOR_LOW: Final = 15

SERIAL: Final = 0x3F8  # COM1
MAX_WAITS: Final = 100_000  # a port that never gets ready loses its text, it does not hang the kernel

BIGGEST_POWER_OF_TEN: Final = 1_000_000_000_000_000_000


@kernel
def init(k: Kernel, start_info: PhysAddr) -> None:
    """Set the port up, find and clear the screen, put the cursor in its corner. Needs nothing but the boot state.

    start_info may be anything: pmm.init checks it.
    """
    k.console.row = 0
    k.console.column = 0
    k.console.nr_panics = 0
    k.console.escape = 0
    hooks.clear(k)
    init_serial(k.m)
    screen.init(k, start_info)
    if not screen.is_there(k):
        blank(k, 0, SCREEN_BYTES)
    show_cursor(k)


@kernel
def init_embedded(k: Kernel) -> None:
    """Begin without port and screen: text goes to hooks, of which there are none yet."""
    fill(k.m, k.console.addr, 0, ConsoleState.SIZE)
    fill(k.m, k.screen.addr, 0, ScreenState.SIZE)
    hooks.clear(k)


@kernel
def put_text(k: Kernel, text: bytes) -> None:
    """Put the characters of text; byte 10 ends a line."""
    for char in text:
        put_char(k, char)
    show_cursor(k)


@kernel
def put_hex(k: Kernel, value: word) -> None:
    """Put the 64 bits of value as 16 upper-case hexadecimal digits."""
    for shift in range(60, -1, -4):
        digit = (value >> shift) & 15
        put_char(k, UPPER_DIGITS[digit])
    show_cursor(k)


@kernel
def put_decimal(k: Kernel, value: word) -> None:
    """Put value in decimal digits, after a minus sign where it is negative."""
    if value < 0:
        put_char(k, 45)
    rest = -value if value > 0 else value  # never positive: -(-2**63) would not be a word
    divisor = BIGGEST_POWER_OF_TEN
    has_digit = False
    while divisor > 0:
        digit = rest // -divisor % 10
        has_digit = has_digit or digit != 0 or divisor == 1
        if has_digit:
            put_char(k, ZERO + digit)
        divisor //= 10
    show_cursor(k)


@kernel
def put_char(k: Kernel, char: word) -> None:
    """Put one byte, without moving the cursor that is seen."""
    if k.config.embedded != 0:
        hooks.put_char(k, char)
        return
    send(k.m, char)
    show_char(k, char)


@kernel
def show_char(k: Kernel, char: word) -> None:
    """Put one byte on the screen alone."""
    console = k.console
    if char == NEW_LINE:
        start_row(k)
        return
    put_cell(k, console.row * TEXT_COLUMNS + console.column, char)
    console.column += 1
    if console.column == TEXT_COLUMNS:
        start_row(k)


@kernel
def put_cell(k: Kernel, cell: word, char: word) -> None:
    """Show a character on the screen."""
    if screen.is_there(k):
        screen.put_cell(k, cell, char)
    else:
        store16(k.m, cell_at(k, 2 * cell), LIGHT_GREY | char)


@kernel
def start_row(k: Kernel) -> None:
    """Go to the start of the next row; on the last one, move all rows up."""
    k.console.column = 0
    if k.console.row + 1 < TEXT_ROWS:
        k.console.row += 1
    elif screen.is_there(k):
        screen.scroll(k)
    else:
        scroll(k)


@kernel
def scroll(k: Kernel) -> None:
    """Move all rows of VGA text up."""
    copy(k.m, cell_at(k, 0), cell_at(k, ROW_BYTES), SCREEN_BYTES - ROW_BYTES)
    blank(k, SCREEN_BYTES - ROW_BYTES, SCREEN_BYTES)


@kernel
def blank(k: Kernel, start: word, end: word) -> None:
    """Fill the bytes [start, end) of VGA text with blanks, four cells at a time."""
    for at in range(start, end, 8):
        store64(k.m, cell_at(k, at), FOUR_BLANKS)


@kernel
def cell_at(k: Kernel, offset: word) -> VirtAddr:
    """The address of the byte at offset in VGA text."""
    return VirtAddr(k.config.image_window + VGA_TEXT + offset)


@kernel
def show_cursor(k: Kernel) -> None:
    """Move the cursor that is seen to where the next character goes; a framebuffer has none."""
    if k.config.embedded != 0:
        hooks.flush(k)
        return
    if screen.is_there(k):
        return
    cell = k.console.row * TEXT_COLUMNS + k.console.column
    out8(k.m, CRT_INDEX, CURSOR_HIGH)
    out8(k.m, CRT_DATA, cell >> 8)
    out8(k.m, CRT_INDEX, CURSOR_LOW)
    out8(k.m, CRT_DATA, cell & 0xFF)


@kernel
def init_serial(m: Machine) -> None:
    """Set the port to 115,200 baud, eight bits, no parity, one stop bit, FIFOs on and interrupts off."""
    out8(m, SERIAL + INTERRUPT_ENABLE, 0)
    out8(m, SERIAL + LINE_CONTROL, DIVISOR_ACCESS)
    out8(m, SERIAL, 1)  # the clock of 115,200 baud divided by one
    out8(m, SERIAL + INTERRUPT_ENABLE, 0)
    out8(m, SERIAL + LINE_CONTROL, EIGHT_BITS_NO_PARITY)
    out8(m, SERIAL + FIFO_CONTROL, CLEAR_AND_USE_FIFOS)
    out8(m, SERIAL + MODEM_CONTROL, READY)


@kernel
def send(m: Machine, byte: word) -> None:
    """Send a byte as soon as the port takes one; without a port the status reads as ready and the byte is lost."""
    waits = 0
    while in8(m, SERIAL + LINE_STATUS) & CAN_SEND == 0 and waits < MAX_WAITS:
        pause(m)
        waits += 1
    out8(m, SERIAL, byte)


@kernel
def drain(m: Machine) -> None:
    """Wait until all has left the port, as long as for a byte: what ends the machine would lose what is in its FIFO."""
    waits = 0
    while in8(m, SERIAL + LINE_STATUS) & HAS_SENT == 0 and waits < MAX_WAITS:
        pause(m)
        waits += 1
