"""What becomes of a byte that is typed: a part of a line, an edit of it, its end, a signal, or nothing.

    in lines     what is typed can be edited until a key ends the line; then a program can read it
    raw          a program can read each byte

A full queue takes no more, but the line that fills it can be ended. Signals are returned, for somebody else to send.
Behaves as Linux's line discipline "N_TTY" does: termios(3), "The Single UNIX Specification", chapter 11.

Unit: the byte. Knows neither who types nor who reads.
"""

from typing import Final

from incroos.kernel.files.terminal_modes import (
    ANY_STARTS,
    ECHO,
    ECHO_CONTROL,
    ECHO_ERASE,
    ECHO_KILL,
    ECHO_KILL_BY_ERASING,
    ECHO_NEWLINE,
    END_OF_FILE,
    END_OF_LINE,
    ERASE,
    ERASE_WORD,
    EXTENDED,
    IGNORE_RETURN,
    INTERRUPT,
    KILL,
    LINES,
    LITERAL,
    NEWLINE_TO_RETURN,
    NO_FLUSH,
    OTHER_END_OF_LINE,
    QUIT,
    REPRINT,
    RETURN_TO_NEWLINE,
    SIGNALS,
    START,
    STOP,
    STOPS_OUTPUT,
    STRIP,
    SUSPEND,
)
from incroos.kernel.files.terminal_output import (
    BACKSPACE,
    CARET,
    NEWLINE,
    RETURN,
    TAB,
    echo,
    echo_raw,
    is_continuation,
    is_control,
    wipe,
    wipe_tab,
)
from incroos.kernel.state.terminal import QUEUE_BYTES, Terminal
from incroos.lang import fill, kernel, shl_wrap, shr_logical, word

# LINE-1  tail <= line_end <= head <= tail + QUEUE_BYTES
# LINE-2  in lines, a place of [tail, head) that ends a line is before line_end

SIGINT: Final = 2
SIGQUIT: Final = 3
SIGTSTP: Final = 20

NO_SIGNAL: Final = 0
END_MARK: Final = 0  # in the queue, where a line ends without a byte


# ------------------------------------------------------------------ settings
@kernel
def begin(terminal: Terminal) -> None:
    """Look at the settings for the first time. PRE nothing was typed."""
    find_special(terminal)


@kernel
def on_new_modes(terminal: Terminal, input_before: word, local_before: word) -> None:
    """The settings are others than these were: what was typed raw becomes a line, or the other way round."""
    if (terminal.local_modes ^ local_before) & LINES != 0:
        fill(terminal.m, terminal.ends.addr, 0, QUEUE_BYTES // 8)
        is_line = terminal.local_modes & LINES != 0 and terminal.head != terminal.tail
        terminal.line_end = terminal.head if is_line else terminal.tail
        terminal.is_literal = 0
        if is_line:
            set_end(terminal, terminal.head - 1)
    find_special(terminal)
    if input_before & ~terminal.input_modes & STOPS_OUTPUT != 0:
        terminal.has_stopped = 0


@kernel
def find_special(terminal: Terminal) -> None:
    """Note which bytes are more than themselves. Byte 0 never is: as a key it means none."""
    for index in range(4):
        terminal.special[index] = 0
    if terminal.input_modes & (IGNORE_RETURN | RETURN_TO_NEWLINE) != 0:
        mark_special(terminal, RETURN)
    if terminal.input_modes & NEWLINE_TO_RETURN != 0:
        mark_special(terminal, NEWLINE)
    if terminal.input_modes & STOPS_OUTPUT != 0:
        mark_special(terminal, terminal.keys[START])
        mark_special(terminal, terminal.keys[STOP])
    if terminal.local_modes & SIGNALS != 0:
        mark_special(terminal, terminal.keys[INTERRUPT])
        mark_special(terminal, terminal.keys[QUIT])
        mark_special(terminal, terminal.keys[SUSPEND])
    if terminal.local_modes & LINES != 0:
        mark_special(terminal, NEWLINE)
        mark_special(terminal, terminal.keys[ERASE])
        mark_special(terminal, terminal.keys[KILL])
        mark_special(terminal, terminal.keys[END_OF_FILE])
        mark_special(terminal, terminal.keys[END_OF_LINE])
        if terminal.local_modes & EXTENDED != 0:
            mark_special(terminal, terminal.keys[ERASE_WORD])
            mark_special(terminal, terminal.keys[LITERAL])
            mark_special(terminal, terminal.keys[OTHER_END_OF_LINE])
            if terminal.local_modes & ECHO != 0:
                mark_special(terminal, terminal.keys[REPRINT])
    terminal.special[0] &= ~1


@kernel
def mark_special(terminal: Terminal, char: word) -> None:
    """Note one."""
    terminal.special[char >> 6] |= shl_wrap(1, char & 63)


@kernel
def is_special(terminal: Terminal, char: word) -> bool:
    """Was it noted?"""
    return shr_logical(terminal.special[char >> 6], char & 63) & 1 != 0


@kernel
def flush(terminal: Terminal) -> None:
    """Forget what was typed."""
    terminal.tail = 0
    terminal.line_end = 0
    terminal.head = 0
    fill(terminal.m, terminal.ends.addr, 0, QUEUE_BYTES // 8)


# ------------------------------------------------------------------ the queue
@kernel
def set_end(terminal: Terminal, position: word) -> None:
    """The byte there ends a line."""
    place = position % QUEUE_BYTES
    terminal.ends[place >> 6] |= shl_wrap(1, place & 63)


@kernel
def clear_end(terminal: Terminal, position: word) -> None:
    """It does not any more."""
    place = position % QUEUE_BYTES
    terminal.ends[place >> 6] &= ~shl_wrap(1, place & 63)


@kernel
def is_end(terminal: Terminal, position: word) -> bool:
    """Does the byte there end a line?"""
    place = position % QUEUE_BYTES
    return shr_logical(terminal.ends[place >> 6], place & 63) & 1 != 0


@kernel
def byte_at(terminal: Terminal, position: word) -> word:
    """A byte of the queue."""
    return terminal.queue[position % QUEUE_BYTES]


@kernel
def append(terminal: Terminal, char: word) -> None:
    """Put a byte at the end. PRE has_room."""
    terminal.queue[terminal.head % QUEUE_BYTES] = char
    terminal.head += 1


@kernel
def has_room(terminal: Terminal) -> bool:
    """Whether a byte can be received: always as long as there is no line to be read."""
    is_open = terminal.local_modes & LINES != 0 and terminal.line_end == terminal.tail
    return is_open or terminal.head - terminal.tail < QUEUE_BYTES - 1


# ------------------------------------------------------------------ a byte comes
@kernel
def receive(terminal: Terminal, char: word) -> word:
    """A byte was typed: the signal to be sent to the foreground group, or NO_SIGNAL. PRE has_room."""
    if terminal.head - terminal.tail == QUEUE_BYTES:
        terminal.head -= 1  # the line is full: this byte takes the place of the last one
    got = char & 0x7F if terminal.input_modes & STRIP != 0 else char
    if terminal.is_literal != 0:
        terminal.is_literal = 0
        receive_plain(terminal, got, False)
    elif is_special(terminal, got):
        return receive_special(terminal, got)
    else:
        receive_plain(terminal, got, False)
    return NO_SIGNAL


@kernel
def is_key(terminal: Terminal, key: word, char: word) -> bool:
    """Is it that key? PRE char is special, and so not 0."""
    return terminal.keys[key] == char


@kernel
def receive_plain(terminal: Terminal, char: word, is_newline_raw: bool) -> None:
    """A byte that is itself."""
    start_by_any(terminal)
    if terminal.local_modes & ECHO != 0:
        if is_newline_raw:
            echo_raw(terminal, char)
        else:
            begin_line(terminal)
            echo(terminal, char)
    append(terminal, char)


@kernel
def start_by_any(terminal: Terminal) -> None:
    """Let output go on, if any byte does that."""
    if terminal.input_modes & (STOPS_OUTPUT | ANY_STARTS) == STOPS_OUTPUT | ANY_STARTS:
        terminal.has_stopped = 0


@kernel
def begin_line(terminal: Terminal) -> None:
    """Note where a line begins, if this is its first byte."""
    if terminal.line_end == terminal.head:
        terminal.line_column = terminal.column


@kernel
def receive_special(terminal: Terminal, char: word) -> word:
    """A byte that may be more than itself: the signal that it means, or NO_SIGNAL."""
    if terminal.input_modes & STOPS_OUTPUT != 0 and stops_or_starts(terminal, char):
        return NO_SIGNAL
    if terminal.local_modes & SIGNALS != 0:
        signal = signal_of(terminal, char)
        if signal != NO_SIGNAL:
            on_signal(terminal, char)
            return signal
    start_by_any(terminal)
    got = char
    if char == RETURN:
        if terminal.input_modes & IGNORE_RETURN != 0:
            return NO_SIGNAL
        if terminal.input_modes & RETURN_TO_NEWLINE != 0:
            got = NEWLINE
    elif char == NEWLINE and terminal.input_modes & NEWLINE_TO_RETURN != 0:
        got = RETURN
    if terminal.local_modes & LINES == 0 or not (edits(terminal, got) or ends_line(terminal, got)):
        receive_plain(terminal, got, got == NEWLINE)
    return NO_SIGNAL


@kernel
def stops_or_starts(terminal: Terminal, char: word) -> bool:
    """Was it a key that stops or starts output?"""
    if is_key(terminal, START, char):
        terminal.has_stopped = 0
        return True
    if is_key(terminal, STOP, char):
        terminal.has_stopped = 1
        return True
    return False


@kernel
def signal_of(terminal: Terminal, char: word) -> word:
    """The signal of a key, or NO_SIGNAL."""
    if is_key(terminal, INTERRUPT, char):
        return SIGINT
    if is_key(terminal, QUIT, char):
        return SIGQUIT
    return SIGTSTP if is_key(terminal, SUSPEND, char) else NO_SIGNAL


@kernel
def means_signal(terminal: Terminal, char: word) -> bool:
    """Is it a key for a signal?"""
    is_on = terminal.local_modes & SIGNALS != 0 and terminal.is_literal == 0
    return is_on and is_special(terminal, char) and signal_of(terminal, char) != NO_SIGNAL


@kernel
def on_signal(terminal: Terminal, char: word) -> None:
    """What a key for a signal does beside the signal."""
    if terminal.local_modes & NO_FLUSH == 0:
        flush(terminal)
        if terminal.has_stopped != 0:
            terminal.nr_pending = 0
    if terminal.input_modes & STOPS_OUTPUT != 0:
        terminal.has_stopped = 0
    if terminal.local_modes & ECHO != 0:
        echo(terminal, char)


@kernel
def ends_line(terminal: Terminal, char: word) -> bool:
    """End the line, if the byte does."""
    is_extended = terminal.local_modes & EXTENDED != 0
    got = char
    if char == NEWLINE:
        if terminal.local_modes & (ECHO | ECHO_NEWLINE) != 0:
            echo_raw(terminal, NEWLINE)
    elif is_key(terminal, END_OF_FILE, char):
        got = END_MARK
    elif is_key(terminal, END_OF_LINE, char) or (is_extended and is_key(terminal, OTHER_END_OF_LINE, char)):
        if terminal.local_modes & ECHO != 0:
            begin_line(terminal)
            echo(terminal, char)
    else:
        return False
    set_end(terminal, terminal.head)
    append(terminal, got)
    terminal.line_end = terminal.head
    return True


# ------------------------------------------------------------------ editing
@kernel
def edits(terminal: Terminal, char: word) -> bool:
    """Do with the line what the key says, if it is one that edits."""
    is_extended = terminal.local_modes & EXTENDED != 0
    if is_key(terminal, ERASE, char):
        erase_one(terminal)
    elif is_key(terminal, KILL, char):
        kill(terminal)
    elif is_extended and is_key(terminal, ERASE_WORD, char):
        erase_word(terminal)
    elif is_extended and is_key(terminal, LITERAL, char):
        begin_literal(terminal)
    elif is_extended and is_key(terminal, REPRINT, char) and terminal.local_modes & ECHO != 0:
        reprint(terminal, char)
    else:
        return False
    return True


@kernel
def begin_literal(terminal: Terminal) -> None:
    """The next byte is itself."""
    terminal.is_literal = 1
    if terminal.local_modes & (ECHO | ECHO_CONTROL) == ECHO | ECHO_CONTROL:
        echo_raw(terminal, CARET)
        echo_raw(terminal, BACKSPACE)


@kernel
def reprint(terminal: Terminal, char: word) -> None:
    """Write the line again."""
    echo(terminal, char)
    echo_raw(terminal, NEWLINE)
    for position in range(terminal.line_end, terminal.head):
        echo(terminal, byte_at(terminal, position))


@kernel
def last_start(terminal: Terminal) -> word:
    """Where the last character of the line begins; head if there is none that is whole."""
    position = terminal.head
    while position > terminal.line_end:
        position -= 1
        if not is_continuation(terminal, byte_at(terminal, position)):
            return position
    return terminal.head


@kernel
def erase_one(terminal: Terminal) -> None:
    """Take the last character away."""
    start = last_start(terminal)
    if start == terminal.head:
        return
    terminal.head = start
    if terminal.local_modes & ECHO == 0:
        return
    if terminal.local_modes & ECHO_ERASE != 0:
        echo_erased(terminal)
    else:
        echo(terminal, terminal.keys[ERASE])


@kernel
def erase_word(terminal: Terminal) -> None:
    """Take the last word away, and what is behind it."""
    has_seen_word = False
    start = last_start(terminal)
    while start != terminal.head:
        if is_of_word(byte_at(terminal, start)):
            has_seen_word = True
        elif has_seen_word:
            return
        terminal.head = start
        if terminal.local_modes & ECHO != 0:
            echo_erased(terminal)
        start = last_start(terminal)


@kernel
def is_of_word(char: word) -> bool:
    """Is it a letter (of Latin-1, as Linux has it), a digit, or an underline?"""
    if char >= 0xC0:
        return char != 0xD7 and char != 0xF7
    folded = char | 0x20
    return 48 <= char <= 57 or char == 95 or (char < 128 and 97 <= folded <= 122)


@kernel
def kill(terminal: Terminal) -> None:
    """Take the line away."""
    if terminal.head == terminal.line_end:
        return
    modes = terminal.local_modes
    by_erasing = ECHO | ECHO_ERASE | ECHO_KILL | ECHO_KILL_BY_ERASING
    if modes & by_erasing == by_erasing:
        start = last_start(terminal)
        while start != terminal.head:
            terminal.head = start
            echo_erased(terminal)
            start = last_start(terminal)
        return
    terminal.head = terminal.line_end
    if modes & ECHO != 0:
        echo(terminal, terminal.keys[KILL])
        if modes & ECHO_KILL != 0:
            echo_raw(terminal, NEWLINE)


@kernel
def echo_erased(terminal: Terminal) -> None:
    """Echo that the character behind head is gone: as many columns as it had."""
    char = byte_at(terminal, terminal.head)
    if char == TAB:
        wipe_tab(terminal, columns_before_tab(terminal))
        return
    if is_control(char):
        if terminal.local_modes & ECHO_CONTROL == 0:
            return
        wipe(terminal)
    wipe(terminal)


@kernel
def columns_before_tab(terminal: Terminal) -> word:
    """The columns of what is typed behind the tab before, or behind where the line began."""
    nr_columns = 0
    position = terminal.head
    while position > terminal.line_end:
        position -= 1
        char = byte_at(terminal, position)
        if char == TAB:
            return nr_columns
        if is_control(char):
            nr_columns += 2 if terminal.local_modes & ECHO_CONTROL != 0 else 0
        elif not is_continuation(terminal, char):
            nr_columns += 1
    return nr_columns + terminal.line_column


# ------------------------------------------------------------------ reading
@kernel
def nr_readable(terminal: Terminal) -> word:
    """How many bytes a program can read, marks of lines that end without a byte among them."""
    end = terminal.line_end if terminal.local_modes & LINES != 0 else terminal.head
    return end - terminal.tail


@kernel
def nr_to_read(terminal: Terminal) -> word:
    """How many bytes a program can read, as FIONREAD says."""
    nr_bytes = nr_readable(terminal)
    if terminal.local_modes & LINES != 0:
        for position in range(terminal.tail, terminal.line_end):
            if is_end(terminal, position) and byte_at(terminal, position) == END_MARK:
                nr_bytes -= 1
    return nr_bytes


@kernel
def next_part(terminal: Terminal, nbytes: word) -> word:
    """How many of nbytes lie in a row from tail on, up to the end of the line in lines; END_MARK is not counted."""
    nr_bytes = min(min(nr_readable(terminal), nbytes), QUEUE_BYTES - terminal.tail % QUEUE_BYTES)
    if terminal.local_modes & LINES != 0:
        for index in range(nr_bytes):
            if is_end(terminal, terminal.tail + index):
                return index if byte_at(terminal, terminal.tail + index) == END_MARK else index + 1
    return nr_bytes


@kernel
def consume(terminal: Terminal, nbytes: word) -> bool:
    """Take nbytes that next_part said away, and a mark right behind them: whether the line is over."""
    position = terminal.tail + nbytes
    terminal.tail = position
    if terminal.local_modes & LINES == 0:
        return False
    if nbytes > 0 and is_end(terminal, position - 1):
        clear_end(terminal, position - 1)
        return True
    if position < terminal.line_end and is_end(terminal, position) and byte_at(terminal, position) == END_MARK:
        clear_end(terminal, position)
        terminal.tail = position + 1
        return True
    return False
