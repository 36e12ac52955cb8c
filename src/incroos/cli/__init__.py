"""The command `incroos`: what each of its runs begins and ends with.

`commands` parses, calls and prints; here every end of a run becomes one sentence on standard error and a documented
status. Little is imported before the signals are ours, so that Ctrl-C hardly ever meets Python's own answer to it.
"""

import os
import signal
import sys
from types import FrameType
from typing import Final

from incroos.build.held_signals import hold_back

BY_SIGNAL: Final = 128  # the status of a command that a signal ended: this and the signal's number
ENDING_SIGNALS: Final = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
)
RETRY_SECONDS: Final = 0.01


class Ended(BaseException):
    """A signal asks the command to end. Like KeyboardInterrupt, nothing on the way may take it for its own failure."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main() -> None:
    """Run the command that the arguments name, and end this process with its status."""
    status = run()
    ignore_signals()  # what is left to do is to go
    if status != 0:
        drop_unwritten()
    raise SystemExit(status)


def drop_unwritten() -> None:
    """What could not be written was told: some versions of Python would try again, and take a status of their own."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def run() -> int:
    """Run the command; its status."""
    try:
        catch_signals()
        from . import channels

        channels.open_closed_channels()
        try:
            from . import commands
        except Exception as error:  # the commands import texts of the kernel, and one of them may be broken
            return say_broken_text(error)
        return commands.run()
    except Ended as end:
        from . import channels

        is_user = end.number == signal.SIGINT
        channels.say('interrupted' if is_user else f'ended by {signal.Signals(end.number).name}')
        return BY_SIGNAL + end.number


def say_broken_text(error: Exception) -> int:
    """Say what is wrong with a text that cannot be imported; the status. Any other error is a bug, and raised again."""
    from incroos.broken_text import sentence_about
    from incroos.run.status import Status

    from . import channels

    sentence = sentence_about(error)
    if not sentence:
        raise error
    channels.say(sentence)
    return Status.UNUSABLE


def catch_signals() -> None:
    """Have the signals that end a command raise Ended, but for those that whoever started it wants ignored."""
    sys.unraisablehook = raise_again
    for number in ENDING_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, raise_ended)


def raise_ended(number: int, frame: FrameType | None) -> None:
    """End, once: a second Ctrl-C must not disturb the tidying up."""
    if not hold_back(lambda: raise_ended(number, None)):
        ignore_signals()
        raise Ended(number)


def raise_again(lost: 'sys.UnraisableHookArgs') -> None:
    """A signal that came while a destructor or a callback ran is lost there: let it come again a little later."""
    if isinstance(lost.exc_value, Ended):
        number = lost.exc_value.number
        signal.signal(signal.SIGALRM, lambda *_: raise_ended(number, None))
        signal.setitimer(signal.ITIMER_REAL, RETRY_SECONDS)
    else:
        sys.__unraisablehook__(lost)


def ignore_signals() -> None:
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
