"""Texts that the kernel makes: numbers and bytes put one behind the other into memory of its own."""

from incroos.kernel.io.digits import LOWER_DIGITS, ZERO
from incroos.lang import Machine, VirtAddr, copy, kernel, store8, word


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
