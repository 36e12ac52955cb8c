"""Where a report of the heap goes: to the kernel's console, or in a process to the text with which it ends."""

from incroos.kernel.config import HOSTED_SPACE
from incroos.kernel.io import console, text_sink
from incroos.kernel.state import Kernel
from incroos.lang import kernel, word


@kernel
def put_text(k: Kernel, text: bytes) -> None:
    """Put the characters of text."""
    if k.config.space == HOSTED_SPACE:
        text_sink.put_text(k, text)
    else:
        console.put_text(k, text)


@kernel
def put_hex(k: Kernel, value: word) -> None:
    """Put 0x and the 64 bits of value as 16 hexadecimal digits."""
    put_text(k, b'0x')
    if k.config.space == HOSTED_SPACE:
        text_sink.put_hex(k, value)
    else:
        console.put_hex(k, value)


@kernel
def put_decimal(k: Kernel, value: word) -> None:
    """Put a number that is not negative in decimal digits."""
    if k.config.space == HOSTED_SPACE:
        text_sink.put_decimal(k, value)
    else:
        console.put_decimal(k, value)
