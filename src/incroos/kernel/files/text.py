"""Texts that the kernel makes: numbers and bytes put one behind the other into memory of its own."""

from typing import Final

from incroos.kernel.io.digits import LOWER_DIGITS, ZERO
from incroos.lang import Machine, VirtAddr, copy, kernel, store8, word

NEWLINE: Final = 10
BLANK: Final = 32
MINUS: Final = 45
FIELD_COLUMN: Final = 16
FIELD_WIDTH: Final = 8


@kernel
def put_char(m: Machine, at: VirtAddr, char: word) -> VirtAddr:
    """Put a byte: the address behind it."""
    store8(m, at, char)
    return VirtAddr(at + 1)


@kernel
def put_text(m: Machine, at: VirtAddr, text: bytes) -> VirtAddr:
    """Put a text: the address behind it."""
    for index in range(len(text)):
        store8(m, VirtAddr(at + index), text[index])
    return VirtAddr(at + len(text))


@kernel
def put_bytes(m: Machine, at: VirtAddr, source: VirtAddr, nbytes: word) -> VirtAddr:
    """Put bytes that lie elsewhere: the address behind them."""
    copy(m, at, source, nbytes)
    return VirtAddr(at + nbytes)


@kernel
def put_hex(m: Machine, at: VirtAddr, value: word, least: word) -> VirtAddr:
    """Put a number that is not negative in lower-case hexadecimal, with at least so many digits."""
    nr_digits = least
    while nr_digits < 16 and value >> (4 * nr_digits) != 0:
        nr_digits += 1
    for index in range(nr_digits):
        at = put_char(m, at, LOWER_DIGITS[(value >> (4 * (nr_digits - 1 - index))) & 15])
    return at


@kernel
def put_decimal(m: Machine, at: VirtAddr, value: word) -> VirtAddr:
    """Put a number that is not negative in decimal digits."""
    divisor = 1
    while value // divisor >= 10:
        divisor *= 10
    while divisor > 0:
        at = put_char(m, at, ZERO + value // divisor % 10)
        divisor //= 10
    return at


@kernel
def put_signed(m: Machine, at: VirtAddr, value: word) -> VirtAddr:
    """Put a number in decimal digits, with a sign if it is negative. PRE it is not the most negative word."""
    if value < 0:
        at = put_char(m, at, MINUS)
    return put_decimal(m, at, value if value >= 0 else -value)


@kernel
def put_right(m: Machine, at: VirtAddr, value: word, width: word) -> VirtAddr:
    """Put a number that is not negative, with blanks in front up to so many columns."""
    nr_digits = 1
    rest = value // 10
    while rest != 0:
        nr_digits += 1
        rest //= 10
    for _index in range(width - nr_digits):
        at = put_char(m, at, BLANK)
    return put_decimal(m, at, value)


@kernel
def put_until(m: Machine, at: VirtAddr, column: VirtAddr) -> VirtAddr:
    """Put blanks up to an address, none if that is passed."""
    while at < column:
        at = put_char(m, at, BLANK)
    return at


@kernel
def put_kilobytes(m: Machine, at: VirtAddr, name: bytes, value: word) -> VirtAddr:
    """Put a line of meminfo and smaps: a name, 8 columns from the 16th on, the unit."""
    end = put_until(m, put_text(m, at, name), VirtAddr(at + FIELD_COLUMN))
    return put_text(m, put_right(m, end, value, FIELD_WIDTH), b' kB\n')


@kernel
def put_octal(m: Machine, at: VirtAddr, value: word, nr_digits: word) -> VirtAddr:
    """Put the last so many octal digits of a number."""
    for index in range(nr_digits - 1, -1, -1):
        at = put_char(m, at, ZERO + (value >> (3 * index)) % 8)
    return at


@kernel
def put_bits(m: Machine, at: VirtAddr, value: word) -> VirtAddr:
    """Put a word of 64 bits as 16 hexadecimal digits."""
    for index in range(15, -1, -1):
        at = put_char(m, at, LOWER_DIGITS[(value >> (4 * index)) & 15])
    return at
