"""What a terminal writes: bytes of programs and echoes of what is typed, processed as the output modes say.

Unit: the byte. It collects in `pending` until somebody hands it on; what has no room there is lost. The column of the
cursor is counted, so that a tab can be erased.
"""

from typing import Final

from incroos.kernel.files.terminal_modes import (
    ECHO_CONTROL,
    NEWLINE_RETURNS,
    NO_RETURN_AT_START,
    OUTPUT_RETURN_TO_NEWLINE,
    PROCESS,
    RETURN_BEFORE_NEWLINE,
    TABS_TO_BLANKS,
    UTF8,
)
from incroos.kernel.state.terminal import PENDING_BYTES, Terminal
from incroos.lang import kernel, word

BACKSPACE: Final = 8
TAB: Final = 9
NEWLINE: Final = 10
RETURN: Final = 13
BLANK: Final = 32
CARET: Final = 94
DELETE: Final = 127
ALL_ONES: Final = 255
LETTER_BIT: Final = 64  # between a control character and its letter
TAB_COLUMNS: Final = 8


@kernel
def is_control(char: word) -> bool:
    """Is it a control character?"""
    return char < BLANK or char == DELETE


@kernel
def is_continuation(terminal: Terminal, char: word) -> bool:
    """Is it a byte of a character that began before?"""
    return terminal.input_modes & UTF8 != 0 and char & 0xC0 == 0x80


@kernel
def put(terminal: Terminal, char: word) -> None:
    """Write a byte as it is."""
    if terminal.nr_pending < PENDING_BYTES:
        terminal.pending[terminal.nr_pending] = char
        terminal.nr_pending += 1


@kernel
def put_processed(terminal: Terminal, char: word) -> None:
    """Write a byte as the output modes say."""
    modes = terminal.output_modes
    if modes & PROCESS == 0:
        put(terminal, char)
    elif char == NEWLINE:
        put_newline(terminal, modes)
    elif char == RETURN:
        put_return(terminal, modes)
    elif char == TAB:
        put_tab(terminal, modes)
    elif char == BACKSPACE:
        go_back(terminal)
        put(terminal, char)
    else:
        if not is_control(char) and not is_continuation(terminal, char):
            terminal.column += 1
        put(terminal, char)


@kernel
def put_newline(terminal: Terminal, modes: word) -> None:
    """Write a newline."""
    if modes & (RETURN_BEFORE_NEWLINE | NEWLINE_RETURNS) != 0:
        terminal.column = 0
    terminal.line_column = terminal.column
    if modes & RETURN_BEFORE_NEWLINE != 0:
        put(terminal, RETURN)
    put(terminal, NEWLINE)


@kernel
def put_return(terminal: Terminal, modes: word) -> None:
    """Write a carriage return."""
    if modes & NO_RETURN_AT_START != 0 and terminal.column == 0:
        return
    is_newline = modes & OUTPUT_RETURN_TO_NEWLINE != 0
    if not is_newline or modes & NEWLINE_RETURNS != 0:
        terminal.column = 0
        terminal.line_column = 0
    put(terminal, NEWLINE if is_newline else RETURN)


@kernel
def put_tab(terminal: Terminal, modes: word) -> None:
    """Write a tab."""
    nr_columns = TAB_COLUMNS - terminal.column % TAB_COLUMNS
    terminal.column += nr_columns
    if modes & TABS_TO_BLANKS != TABS_TO_BLANKS:
        put(terminal, TAB)
        return
    for _index in range(nr_columns):
        put(terminal, BLANK)


@kernel
def go_back(terminal: Terminal) -> None:
    """Count that the cursor goes back."""
    if terminal.column > 0:
        terminal.column -= 1


# ------------------------------------------------------------------ echoes
@kernel
def echo_raw(terminal: Terminal, char: word) -> None:
    """Echo a byte."""
    if char == ALL_ONES:
        put(terminal, char)
        terminal.column += 1
    else:
        put_processed(terminal, char)


@kernel
def echo(terminal: Terminal, char: word) -> None:
    """Echo a byte that was typed: a control character as ^ and its letter, if so set."""
    if is_control(char) and char != TAB and terminal.local_modes & ECHO_CONTROL != 0:
        put(terminal, CARET)
        put(terminal, char ^ LETTER_BIT)
        terminal.column += 2
    else:
        echo_raw(terminal, char)


@kernel
def wipe(terminal: Terminal) -> None:
    """Echo that the character before the cursor is gone."""
    echo_raw(terminal, BACKSPACE)
    echo_raw(terminal, BLANK)
    echo_raw(terminal, BACKSPACE)


@kernel
def wipe_tab(terminal: Terminal, nr_columns: word) -> None:
    """Echo that a tab is gone, before which so many columns belong to the distance from a stop."""
    for _index in range(TAB_COLUMNS - nr_columns % TAB_COLUMNS):
        put(terminal, BACKSPACE)
        go_back(terminal)
