"""Two interrupt controllers (8259A) and channel 0 of the timer (8254): what interrupts ring 3, and what ends a wait.

While programs run, time does not pass by the wall, so that a run can be repeated: the timer's line interrupts ring 3
after CODE_BYTES of code, some 60,000 instructions, counted from when it is let through (channel 0 has a divisor, the
line is unmasked, the last interrupt was acknowledged). While the processor waits, it is wall time, by the divisor. The
line of the input is looked at while the processor waits, and no other interrupts anybody. Intel, "8259A Programmable
Interrupt Controller", "8254 Programmable Interval Timer".
"""

from typing import Final

from incroos.lang import kernel, word

from .cpu import TIMER_MODES, Cpu, Pic

FIRST_PIC: Final = 0x20  # + 0 commands, 1 data
SECOND_PIC: Final = 0xA0
TIMER: Final = 0x40  # the divisor of channel 0; 1 and 2 are other channels
TIMER_CONTROL: Final = 0x43

TIMER_LINE: Final = 0
INPUT_LINE: Final = 3
CODE_BYTES: Final = 1 << 18  # of a slice of ring 3: four to five an instruction
FAR: Final = 1 << 62

# Commands of a controller
BEGIN: Final = 0x10  # three data words follow: the first vector, the cascade, the mode
IS_SELECTION: Final = 0x08  # what a read gives
SELECT: Final = 0x03
SELECT_REQUESTS: Final = 0x02
SELECT_IN_SERVICE: Final = 0x03
END_OF_INTERRUPT: Final = 0x20
NR_SET_UP_WORDS: Final = 3

# Control words of the timer
CHANNEL: Final = 0xC0
ACCESS: Final = 0x30  # 0: keep the count to be read, which is not modelled
MODE_SHIFT: Final = 1
HERTZ: Final = 1_193_182
SECOND: Final = 1_000_000_000


# ------------------------------------------------------------------ what is let through
@kernel
def is_unmasked(cpu: Cpu, line: word) -> bool:
    """Whether the first controller lets a line through, as far as it is set up."""
    pic = cpu.pics[0]
    return pic.set_up == 0 and (pic.mask | pic.in_service) >> line & 1 == 0


@kernel
def update_timer(cpu: Cpu) -> None:
    """Begin a slice when the timer's line is let through from now on, or end counting."""
    is_timed = 0
    if is_unmasked(cpu, TIMER_LINE) and cpu.timer_divisor != 0 and TIMER_MODES >> cpu.timer_mode & 1 != 0:
        is_timed = 1
    if cpu.user.is_timed != is_timed:
        cpu.user.is_timed = is_timed
        cpu.user.code_left = CODE_BYTES if is_timed != 0 else FAR


@kernel
def take_timer_interrupt(cpu: Cpu) -> word:
    """The timer's interrupt is on its way: its vector."""
    pic = cpu.pics[0]
    pic.in_service = pic.in_service | 1 << TIMER_LINE
    update_timer(cpu)
    return pic.vector + TIMER_LINE


@kernel
def timer_nanoseconds(cpu: Cpu) -> word:
    """Between two of its interrupts, by the wall."""
    return cpu.timer_divisor * SECOND // HERTZ


# ------------------------------------------------------------------ the controllers
@kernel
def is_pic(port: word) -> bool:
    return port & ~1 == FIRST_PIC or port & ~1 == SECOND_PIC


@kernel
def pic_at(cpu: Cpu, port: word) -> Pic:
    return cpu.pics[0] if port & ~1 == FIRST_PIC else cpu.pics[1]


@kernel
def read_pic(cpu: Cpu, port: word) -> word:
    pic = pic_at(cpu, port)
    if port & 1 != 0:
        return pic.mask
    if pic.selected == SELECT_IN_SERVICE:
        return pic.in_service
    is_due = port == FIRST_PIC and cpu.user.is_timed != 0 and cpu.user.code_left <= 0
    return 1 << TIMER_LINE if is_due else 0


@kernel
def write_pic(cpu: Cpu, port: word, value: word) -> None:
    pic = pic_at(cpu, port)
    if port & 1 == 0:
        command_pic(pic, value)
    elif pic.set_up == 0:
        pic.mask = value
    else:
        if pic.set_up == NR_SET_UP_WORDS:
            pic.vector = value & 0xF8
        pic.set_up -= 1
    update_timer(cpu)


@kernel
def command_pic(pic: Pic, value: word) -> None:
    if value & BEGIN != 0:
        pic.set_up = NR_SET_UP_WORDS
        pic.mask = 0
        pic.in_service = 0
        pic.selected = SELECT_REQUESTS
    elif value & IS_SELECTION != 0:
        if value & SELECT >= SELECT_REQUESTS:
            pic.selected = value & SELECT
    elif value == END_OF_INTERRUPT:
        pic.in_service = pic.in_service & (pic.in_service - 1) if pic.in_service != 0 else 0  # the lowest line


# ------------------------------------------------------------------ the timer
@kernel
def write_timer(cpu: Cpu, port: word, value: word) -> None:
    """A control word for channel 0 stops it; it goes on with the second byte of its divisor."""
    if port == TIMER_CONTROL and value & CHANNEL == 0 and value & ACCESS != 0:
        cpu.timer_mode = value >> MODE_SHIFT & 7
        cpu.timer_divisor = 0
        cpu.timer_has_low = 0
    elif port == TIMER and cpu.timer_has_low == 0:
        cpu.timer_low = value
        cpu.timer_has_low = 1
    elif port == TIMER:
        cpu.timer_has_low = 0
        cpu.timer_divisor = value << 8 | cpu.timer_low
        if cpu.timer_divisor == 0:
            cpu.timer_divisor = 1 << 16
    update_timer(cpu)
