"""The console of a hosted heap: a text in the Host struct, with which the process ends.

Knows neither files nor signals: a C function that the process gave prints the text and stops. No memory is asked
for, since it is the heap that has something to say.
"""

from incroos.kernel.io.digits import LOWER_DIGITS, UPPER_DIGITS, ZERO
from incroos.kernel.state import HOST_TEXT_BYTES, Host
from incroos.lang import VirtAddr, call4, kernel, offset_of, word


@kernel
def put_text(host: Host, text: bytes) -> None:
    """Put the characters of text."""
    for char in text:
        put_char(host, char)


@kernel
def put_char(host: Host, char: word) -> None:
    """Put one byte; what is too much for the text is lost."""
    if host.nr_chars < HOST_TEXT_BYTES:
        host.text[host.nr_chars] = char
        host.nr_chars += 1


@kernel
def put_word(host: Host, value: word) -> None:
    """Put a blank and value in hexadecimal, without zeros in front."""
    put_text(host, b' 0x')
    has_digit = False
    for shift in range(60, -1, -4):
        digit = (value >> shift) & 15
        has_digit = has_digit or digit != 0 or shift == 0
        if has_digit:
            put_char(host, LOWER_DIGITS[digit])


@kernel
def put_hex(host: Host, value: word) -> None:
    """Put the 64 bits of value as 16 upper-case hexadecimal digits, as the kernel's console does."""
    for shift in range(60, -1, -4):
        digit = (value >> shift) & 15
        put_char(host, UPPER_DIGITS[digit])


@kernel
def put_decimal(host: Host, value: word) -> None:
    """Put a number that is not negative in decimal digits."""
    divisor = 1
    while value // divisor >= 10:
        divisor *= 10
    while divisor > 0:
        put_char(host, ZERO + value // divisor % 10)
        divisor //= 10


@kernel
def stop(host: Host) -> None:
    """End the process with the text. Never returns: the C function does not."""
    call4(host.m, host.stop, VirtAddr(host.addr + offset_of(Host, 'text')), host.nr_chars, 0, 0)
