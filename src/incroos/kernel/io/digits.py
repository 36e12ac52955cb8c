"""Digits: the characters of numbers, in ASCII."""

from typing import Final

ZERO: Final = 48
UPPER_DIGITS: Final = b'0123456789ABCDEF'
LOWER_DIGITS: Final = b'0123456789abcdef'
