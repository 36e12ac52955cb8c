"""The exit status of the command. It stands alone: it is also said where no text of the kernel can be imported."""

from enum import IntEnum


class Status(IntEnum):
    """The exit status of the command."""

    PASSED = 0
    FAILED = 1  # the kernel's self-test
    WRONG_USAGE = 2
    PANIC = 3
    TRIPLE_FAULT = 4
    HANG = 5  # the time was over
    UNUSABLE = 6  # something that the place needs is missing or does not work
    INTERRUPTED = 130
