"""The standard channels of the command: what the kernel wrote goes out on one, remarks on the other.

Written to without a buffer of Python's, which would fail a second time, with a status of its own, when Python ends.
"""

import contextlib
import os
import select
from pathlib import Path
from typing import Final

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2
STANDARD_OUTPUT: Final = Path('-')  # as users write it in the place of a file


closed_channels: set[int] = set()  # that were when the command began
raw_channels: set[int] = set()  # that are a terminal which shows bytes as they are
last_byte: list[bytes] = [b'\n']  # that was written to standard output


class OutputLost(BaseException):
    """A channel does not take what is written. No Exception: whoever hands output on must not take it for his."""

    def __init__(self, error: OSError, channel: str = 'standard output') -> None:
        super().__init__(error.strerror)
        self.number, self.channel = error.errno, channel


def say(sentence: str) -> None:
    """A remark on standard error. Lost where nothing can be written there: the status says the most important."""
    with contextlib.suppress(OSError):
        if STDERR in raw_channels and last_byte[0] != b'\n':
            write_all(STDERR, b'\r\n')  # a line of its own
            last_byte[0] = b'\n'
        write_all(STDERR, in_lines(f'incroos: {sentence}\n'.encode(errors='backslashreplace')))


def put(data: bytes) -> None:
    """Write to standard output at once, all of it. Raises OutputLost."""
    last_byte[0] = data[-1:] or last_byte[0]
    try:
        write_all(STDOUT, data)
    except OSError as error:
        raise OutputLost(error) from None


def put_error(data: bytes) -> None:
    """Write to standard error what is no remark. Raises OutputLost."""
    try:
        write_all(STDERR, in_lines(data))
    except OSError as error:
        raise OutputLost(error, 'standard error') from None


def in_lines(data: bytes) -> bytes:
    """The same for standard error, where each line begins at the left."""
    return data.replace(b'\n', b'\r\n') if STDERR in raw_channels else data


def write_all(channel: int, data: bytes) -> None:
    """Write all of it, even where whoever shares the channel made it non-blocking."""
    while data:
        try:
            data = data[os.write(channel, data) :]
        except BlockingIOError:
            select.select([], [channel], [])


def open_closed_channels() -> None:
    """Give each standard channel that is closed a file that refuses what is done to it.

    Otherwise the next pipe gets its number, and what is printed goes to a child process.
    """
    for channel, mode in ((STDIN, os.O_WRONLY), (STDOUT, os.O_RDONLY), (STDERR, os.O_RDONLY)):
        try:
            os.fstat(channel)
        except OSError:
            os.open(os.devnull, mode)  # the lowest free number, which is this one
            closed_channels.add(channel)
