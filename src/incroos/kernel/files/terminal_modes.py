"""The settings of a terminal: Linux's numbers, and those that a terminal begins with. See termios(3)."""

from typing import Final

from incroos.kernel.state.terminal import NR_KEYS, Terminal
from incroos.lang import VirtAddr, fill, kernel, load8, load32, store8, store32

# input_modes
STRIP: Final = 0o40  # ISTRIP: seven bits of each byte
NEWLINE_TO_RETURN: Final = 0o100  # INLCR
IGNORE_RETURN: Final = 0o200  # IGNCR
RETURN_TO_NEWLINE: Final = 0o400  # ICRNL
STOPS_OUTPUT: Final = 0o2000  # IXON: keys stop and start output
ANY_STARTS: Final = 0o4000  # IXANY
UTF8: Final = 0o40000  # IUTF8: a character may have several bytes

# output_modes
PROCESS: Final = 0o1  # OPOST
RETURN_BEFORE_NEWLINE: Final = 0o4  # ONLCR
OUTPUT_RETURN_TO_NEWLINE: Final = 0o10  # OCRNL
NO_RETURN_AT_START: Final = 0o20  # ONOCR
NEWLINE_RETURNS: Final = 0o40  # ONLRET
TABS_TO_BLANKS: Final = 0o14000  # TAB3

# local_modes
SIGNALS: Final = 0o1  # ISIG
LINES: Final = 0o2  # ICANON
ECHO: Final = 0o10
ECHO_ERASE: Final = 0o20
ECHO_KILL: Final = 0o40
ECHO_NEWLINE: Final = 0o100
NO_FLUSH: Final = 0o200
STOP_BACKGROUND: Final = 0o400  # TOSTOP
ECHO_CONTROL: Final = 0o1000
ECHO_KILL_BY_ERASING: Final = 0o4000
EXTENDED: Final = 0o100000  # IEXTEN

# keys
INTERRUPT: Final = 0  # VINTR
QUIT: Final = 1
ERASE: Final = 2
KILL: Final = 3
END_OF_FILE: Final = 4
TIME: Final = 5  # tenths of a second
LEAST: Final = 6  # VMIN
START: Final = 8
STOP: Final = 9
SUSPEND: Final = 10
END_OF_LINE: Final = 11
REPRINT: Final = 12
ERASE_WORD: Final = 14
LITERAL: Final = 15  # VLNEXT
OTHER_END_OF_LINE: Final = 16

DEFAULT_KEYS: Final = b'\x03\x1c\x7f\x15\x04\x00\x01\x00\x11\x13\x1a\x00\x12\x0f\x17\x16\x00\x00\x00'
DEFAULT_CONTROL: Final = 0o277  # B38400, CS8, CREAD
DEFAULT_LOCAL: Final = 0o105073  # ISIG, ICANON, ECHO, ECHOE, ECHOK, ECHOCTL, ECHOKE, IEXTEN
DEFAULT_ROWS: Final = 24
DEFAULT_COLUMNS: Final = 80

# struct termios of the kernel
OUTPUT_AT: Final = 4
CONTROL_AT: Final = 8
LOCAL_AT: Final = 12
DISCIPLINE_AT: Final = 16
KEYS_AT: Final = 17
TERMIOS_BYTES: Final = 36


@kernel
def set_defaults(terminal: Terminal) -> None:
    """Lines are edited, echoed, and keys send signals."""
    terminal.input_modes = RETURN_TO_NEWLINE | STOPS_OUTPUT
    terminal.output_modes = PROCESS | RETURN_BEFORE_NEWLINE
    terminal.control_modes = DEFAULT_CONTROL
    terminal.local_modes = DEFAULT_LOCAL
    for key in range(NR_KEYS):
        terminal.keys[key] = DEFAULT_KEYS[key]


@kernel
def put_termios(terminal: Terminal, to: VirtAddr) -> None:
    """Write a struct termios into memory of the kernel."""
    m = terminal.m
    fill(m, to, 0, TERMIOS_BYTES)
    store32(m, to, terminal.input_modes)
    store32(m, VirtAddr(to + OUTPUT_AT), terminal.output_modes)
    store32(m, VirtAddr(to + CONTROL_AT), terminal.control_modes)
    store32(m, VirtAddr(to + LOCAL_AT), terminal.local_modes)
    store8(m, VirtAddr(to + DISCIPLINE_AT), terminal.discipline)
    for key in range(NR_KEYS):
        store8(m, VirtAddr(to + KEYS_AT + key), terminal.keys[key])


@kernel
def get_termios(terminal: Terminal, source: VirtAddr) -> None:
    """Take the settings of a struct termios in memory of the kernel."""
    m = terminal.m
    terminal.input_modes = load32(m, source)
    terminal.output_modes = load32(m, VirtAddr(source + OUTPUT_AT))
    terminal.control_modes = load32(m, VirtAddr(source + CONTROL_AT))
    terminal.local_modes = load32(m, VirtAddr(source + LOCAL_AT))
    terminal.discipline = load8(m, VirtAddr(source + DISCIPLINE_AT))
    for key in range(NR_KEYS):
        terminal.keys[key] = load8(m, VirtAddr(source + KEYS_AT + key))
