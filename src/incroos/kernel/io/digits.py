"""Digits: the characters of numbers, in ASCII.

Unit: the character. Knows nothing of where it is shown.
"""

from typing import Final

from incroos.lang import kernel, word

ZERO: Final = 48
UPPER_A: Final = 65
LOWER_A: Final = 97


@kernel
def upper_digit(digit: word) -> word:
    """The hexadecimal digit, 0 to 15, with letters in upper case."""
    return digit + (ZERO if digit < 10 else UPPER_A - 10)


@kernel
def lower_digit(digit: word) -> word:
    """The hexadecimal digit, 0 to 15, with letters in lower case."""
    return digit + (ZERO if digit < 10 else LOWER_A - 10)
