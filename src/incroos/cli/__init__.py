"""The command `incroos`: what each of its runs begins and ends with.

`commands` parses, calls and prints; here every failure becomes one sentence on standard error and a documented status.
Nothing heavy is imported before the signals are ours, so that Ctrl-C never meets Python's own answer to it.
"""

import contextlib
import os
import select
import signal
from types import FrameType
from typing import Final, NoReturn

STDOUT: Final = 1
STDERR: Final = 2
BY_SIGNAL: Final = 128  # the status of a command that a signal ended: this and the signal's number
ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(BaseException):
    """A signal asks the command to end. Like KeyboardInterrupt, nothing on the way may take it for its own failure."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class OutputLost(BaseException):
    """Standard output does not take what is written. Not an OSError of whoever was running meanwhile."""


def main() -> NoReturn:
    """Run the command that the arguments name, and end this process with its status."""
    catch_signals()
    open_closed_channels()
    status = run()
    ignore_signals()  # what is left to do is to go
    raise SystemExit(status)


def run() -> int:
    """Run the command; its status."""
    try:
        from . import commands

        return commands.run()
    except Ended as end:
        say('interrupted' if end.number == signal.SIGINT else f'ended by {signal.Signals(end.number).name}')
        return BY_SIGNAL + end.number
    except OutputLost as lost:
        from incroos.run.outcome import Status

        say(f'standard output cannot be written ({lost}): direct it elsewhere')
        return Status.UNUSABLE


def say(sentence: str) -> None:
    """A remark on standard error. Lost where nothing can be written there: the status says the most important."""
    with contextlib.suppress(OSError):
        write_all(STDERR, f'incroos: {sentence}\n'.encode(errors='backslashreplace'))


def put(data: bytes) -> None:
    """Write to standard output at once, all of it."""
    try:
        write_all(STDOUT, data)
    except OSError as error:
        raise OutputLost(error.strerror) from None


def write_all(channel: int, data: bytes) -> None:
    """Write all of it, even where the channel was made non-blocking by whoever shares it."""
    while data:
        try:
            data = data[os.write(channel, data) :]
        except BlockingIOError:
            select.select([], [channel], [])


# ------------------------------------------------------------------ signals and channels
def catch_signals() -> None:
    """Have the signals that end a command raise Ended, but for those that whoever started it wants ignored."""
    for number in ENDING_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, raise_ended)


def raise_ended(number: int, frame: FrameType | None) -> NoReturn:
    """End, once: a second Ctrl-C must not disturb the tidying up."""
    ignore_signals()
    raise Ended(number)


def ignore_signals() -> None:
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def open_closed_channels() -> None:
    """Give each standard channel that is closed a file that refuses what is done to it.

    Otherwise the next pipe gets its number, and what is printed goes to a child process.
    """
    for channel, mode in ((0, os.O_WRONLY), (STDOUT, os.O_RDONLY), (STDERR, os.O_RDONLY)):
        try:
            os.fstat(channel)
        except OSError:
            os.open(os.devnull, mode)  # the lowest free number, which is this one
