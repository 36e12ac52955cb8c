"""The two interrupt controllers: which lines interrupt the processor, and that an interrupt was taken.

    vectors 32 to 39    lines 0 to 7 of the first one; the second one is at line 2 of it
    vectors 40 to 47    lines 0 to 7 of the second one

Nothing is let through but what somebody unmasks; a ring 3 that runs alone is never interrupted. Ring 0 is interrupted
in idle alone. Lines 7 and 15 also come without a cause, when a line fell before it was answered: such a one is not in
service, and must not be acknowledged. Written from: Intel, "8259A Programmable Interrupt Controller".
"""

from typing import Final

from incroos.kernel.state import DevicesState, Kernel
from incroos.lang import Machine, fill, in8, kernel, out8, word

FIRST_PIC: Final = 0x20  # ports: commands, and data at the next one
SECOND_PIC: Final = 0xA0
FIRST_INTERRUPT: Final = 32  # the vector of the first controller's line 0
NR_LINES: Final = 8  # of a controller
LAST_INTERRUPT: Final = FIRST_INTERRUPT + 2 * NR_LINES - 1

TIMER_LINE: Final = 0
CASCADE: Final = 2  # the line of the first one at which the second one is
INPUT_LINE: Final = 3  # COM2
SERIAL_LINE: Final = 4  # COM1
LAST_LINE: Final = 7

BEGIN: Final = 0x11  # commands: four words follow
MODE_8086: Final = 1
ALL_LINES: Final = 0xFF
READ_IN_SERVICE: Final = 0x0B
END_OF_INTERRUPT: Final = 0x20


@kernel
def init(k: Kernel) -> None:
    """Begin: move both controllers from the vectors of exceptions, and mask all lines. No other device was set up."""
    init_pic(k.m, FIRST_PIC, FIRST_INTERRUPT, 1 << CASCADE)
    init_pic(k.m, SECOND_PIC, FIRST_INTERRUPT + NR_LINES, CASCADE)
    fill(k.m, k.devices.addr, 0, DevicesState.SIZE)


@kernel
def init_pic(m: Machine, port: word, vector: word, cascade: word) -> None:
    """Move an interrupt controller to eight vectors, and mask all of its lines."""
    out8(m, port, BEGIN)
    out8(m, port + 1, vector)
    out8(m, port + 1, cascade)
    out8(m, port + 1, MODE_8086)
    out8(m, port + 1, ALL_LINES)


@kernel
def let_through(k: Kernel, lines: word) -> None:
    """Have these lines of the first controller interrupt, a bit for each, and no others."""
    if k.devices.let_through != lines:
        k.devices.let_through = lines
        out8(k.m, FIRST_PIC + 1, ALL_LINES & ~lines)


@kernel
def is_interrupt(vector: word) -> bool:
    """Whether the vector is a line's."""
    return FIRST_INTERRUPT <= vector <= LAST_INTERRUPT


@kernel
def acknowledge(k: Kernel, vector: word) -> None:
    """Say that the interrupt was taken, so that the line may interrupt again. PRE is_interrupt(vector)."""
    line = (vector - FIRST_INTERRUPT) & LAST_LINE
    is_of_second = vector >= FIRST_INTERRUPT + NR_LINES
    port = SECOND_PIC if is_of_second else FIRST_PIC
    if line != LAST_LINE or is_in_service(k.m, port, line):
        out8(k.m, port, END_OF_INTERRUPT)
    if is_of_second:
        out8(k.m, FIRST_PIC, END_OF_INTERRUPT)  # that the second one interrupted was no mistake, whatever it says


@kernel
def is_in_service(m: Machine, port: word, line: word) -> bool:
    """Whether the controller has interrupted for the line."""
    out8(m, port, READ_IN_SERVICE)
    return in8(m, port) >> line & 1 != 0
