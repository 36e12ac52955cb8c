"""The terminal: its settings, who uses it, and what was typed and not read.

Positions in the queue only grow; a byte lies at its position modulo QUEUE_BYTES.

    tail ... line_end    lines that were ended; in raw mode, nothing
    line_end ... head    the line that is being typed; in raw mode, all that came
"""

from typing import Annotated, Final

from incroos.lang import Array, Struct, u8, u32, u64

QUEUE_BYTES: Final = 4096
PENDING_BYTES: Final = 0x8000  # more than one byte that is typed can make the terminal write
NR_KEYS: Final = 19


class Terminal(Struct):
    """A terminal. Owner: files.terminal; files.line_discipline and files.terminal_output work on it."""

    input_modes: u32  # termios
    output_modes: u32
    control_modes: u32
    local_modes: u32
    keys: Annotated[Array[u8], NR_KEYS]  # c_cc; 0: no key
    discipline: u8  # c_line
    rows: u32
    columns: u32
    width: u32  # of the window in pixels
    height: u32
    session: u64  # whose controlling terminal it is; 0: nobody's
    foreground: u64  # the group that may read, and that keys send signals to; 0: none
    is_gone: u64  # nobody types any more
    tail: u64
    line_end: u64
    head: u64
    is_literal: u64  # the next byte is typed as it is
    has_stopped: u64  # output waits until somebody types START
    column: u64  # of the cursor
    line_column: u64  # where the line that is being typed begins
    special: Annotated[Array[u64], 4]  # bytes that are more than themselves
    ends: Annotated[Array[u64], QUEUE_BYTES // 64]  # places in the queue that end a line
    queue: Annotated[Array[u8], QUEUE_BYTES]
    has_news: u64  # something has come since somebody was woken
    nr_seen: u64  # of bytes that were too few for a reader, when it waited for more
    nr_told: u64  # bytes of a message of the host that have come
    told: Annotated[Array[u8], 8]
    kill_time: u64  # when those that are left after a hang-up are killed; 0: never
    nr_pending: u64
    pending: Annotated[Array[u8], PENDING_BYTES]  # to be written
