"""How a run of the kernel ends: the exit statuses of the command, the same in all places.

The kernel says how it went with a byte to its exit port (kernel/codes.py); a triple fault, a hang and a missing tool
are seen from outside.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from incroos.kernel.codes import EXIT_FAILED, EXIT_PANIC, EXIT_PASSED

from .status import Status as Status

Say = Callable[[str], object]  # takes a remark


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and one sentence about it where there is something to say."""

    status: Status
    remark: str = ''


class Unusable(Exception):
    """Something that a place needs is missing or does not work; the message says what to do about it."""


_STATUS_OF_EXIT_CODE: Final = {
    EXIT_PASSED: Outcome(Status.PASSED),
    EXIT_FAILED: Outcome(Status.FAILED, 'the self-test failed'),
    EXIT_PANIC: Outcome(Status.PANIC, 'the kernel panicked'),
}

TRIPLE_FAULT: Final = Outcome(Status.TRIPLE_FAULT, 'the processor met a triple fault and reset')


def outcome_of_exit_code(code: int) -> Outcome:
    """What a byte written to the exit port means."""
    unknown = Outcome(Status.PANIC, f'the kernel ended with {code:#x}, a code that means nothing')
    return _STATUS_OF_EXIT_CODE.get(code, unknown)


def hang(seconds: float) -> Outcome:
    """The outcome of a run that was ended from outside after so long."""
    return Outcome(Status.HANG, f'the kernel had not ended after {seconds:g} s and was stopped')
