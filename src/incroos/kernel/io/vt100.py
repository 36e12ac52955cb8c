"""What programs write, on the screen: letters, and the control characters and sequences that line editors write.

Unit: the byte. On the serial port all goes as it is; whoever sits there has a terminal of his own. On the screen these
are obeyed, and all other control characters and sequences are left out:

    BS, HT, LF, CR                one column back, to the next multiple of 8, the next line, the first column
    ESC [ n A, B, C, D            n rows up or down, n columns right or left; 1 if there is no number
    ESC [ row ; column H, f       to a place that is counted from 1
    ESC [ n J, ESC [ n K          erase: of the screen, of the row; 0 from here to the end, 1 up to here, 2 all

LF goes to the first column, too, as all text of the kernel has it. Format: ECMA-48.
"""

from typing import Final

from incroos.kernel.io import console, screen
from incroos.kernel.layout import TEXT_COLUMNS, TEXT_ROWS
from incroos.kernel.state import NR_ESCAPE_NUMBERS, Kernel
from incroos.lang import VirtAddr, kernel, load8, word

# ConsoleState.escape
NONE: Final = 0
BEGUN: Final = 1  # ESC has come
NUMBERS: Final = 2  # ESC [ and perhaps numbers

BACKSPACE: Final = 8
TAB: Final = 9
NEW_LINE: Final = 10
RETURN: Final = 13
ESCAPE: Final = 27
BLANK: Final = 32
DELETE: Final = 127
BRACKET: Final = 91
SEMICOLON: Final = 59
ZERO: Final = 48
FIRST_FINAL: Final = 64  # of the bytes that end a sequence
TAB_COLUMNS: Final = 8
MOST_NUMBER: Final = 9999

# Which part is erased
TO_END: Final = 0
FROM_START: Final = 1


@kernel
def put_bytes(k: Kernel, source: VirtAddr, nbytes: word) -> None:
    """Put bytes of the kernel's memory on the serial port and on the screen."""
    for index in range(nbytes):
        byte = load8(k.m, VirtAddr(source + index))
        console.send(k.m, byte)
        show(k, byte)
    console.show_cursor(k)


@kernel
def show(k: Kernel, byte: word) -> None:
    """Have the screen obey one byte."""
    state = k.console
    if byte == ESCAPE:
        state.escape = BEGUN
    elif state.escape == BEGUN:
        state.escape = NUMBERS if byte == BRACKET else NONE
        state.nr_numbers = 0
        state.numbers[0] = 0
        state.numbers[1] = 0
    elif state.escape == NUMBERS:
        take_of_sequence(k, byte)
    elif byte >= BLANK and byte != DELETE:
        console.show_char(k, byte)
    else:
        control(k, byte)


@kernel
def control(k: Kernel, byte: word) -> None:
    """Obey a control character."""
    state = k.console
    if byte == NEW_LINE:
        console.start_row(k)
    elif byte == RETURN:
        state.column = 0
    elif byte == BACKSPACE:
        state.column = max(state.column - 1, 0)
    elif byte == TAB:
        state.column = min((state.column // TAB_COLUMNS + 1) * TAB_COLUMNS, TEXT_COLUMNS - 1)


@kernel
def take_of_sequence(k: Kernel, byte: word) -> None:
    """Take a byte of a sequence: of a number, between numbers, or the one that ends it and says what it is."""
    state = k.console
    if ZERO <= byte < ZERO + 10:
        if state.nr_numbers < NR_ESCAPE_NUMBERS:
            number = state.numbers[state.nr_numbers] * 10 + byte - ZERO
            state.numbers[state.nr_numbers] = min(number, MOST_NUMBER)
    elif byte == SEMICOLON:
        state.nr_numbers = min(state.nr_numbers + 1, NR_ESCAPE_NUMBERS)
    elif byte >= FIRST_FINAL:
        state.escape = NONE
        obey(k, byte, state.numbers[0], state.numbers[1])


@kernel
def obey(k: Kernel, final: word, first: word, second: word) -> None:
    """Obey a sequence with its numbers, which are 0 where there are none."""
    state = k.console
    match final:
        case 65:  # A
            move(k, state.row - max(first, 1), state.column)
        case 66:  # B
            move(k, state.row + max(first, 1), state.column)
        case 67:  # C
            move(k, state.row, state.column + max(first, 1))
        case 68:  # D
            move(k, state.row, state.column - max(first, 1))
        case 72 | 102:  # H, f
            move(k, first - 1, second - 1)
        case 74:  # J
            erase(k, first, 0, TEXT_ROWS * TEXT_COLUMNS)
        case 75:  # K
            erase(k, first, state.row * TEXT_COLUMNS, (state.row + 1) * TEXT_COLUMNS)
        case _:
            pass


@kernel
def move(k: Kernel, row: word, column: word) -> None:
    """Move the cursor, as far as there is screen."""
    k.console.row = min(max(row, 0), TEXT_ROWS - 1)
    k.console.column = min(max(column, 0), TEXT_COLUMNS - 1)


@kernel
def erase(k: Kernel, part: word, start: word, end: word) -> None:
    """Blank the part of the cells [start, end), among which the cursor is."""
    cursor = k.console.row * TEXT_COLUMNS + k.console.column
    from_cell = cursor if part == TO_END else start
    end_cell = cursor + 1 if part == FROM_START else end
    for cell in range(from_cell, end_cell):
        console.put_cell(k, cell, screen.BLANK)
