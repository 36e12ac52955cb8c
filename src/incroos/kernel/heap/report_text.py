"""The words of a heap in a kernel: they go to its console."""

from incroos.kernel.io import console
from incroos.kernel.io import panic as ends
from incroos.kernel.state import Heap, kernel_of_heap
from incroos.lang import cold, kernel, word


@kernel
def put_text(heap: Heap, text: bytes) -> None:
    """Put the characters of text."""
    console.put_text(kernel_of_heap(heap), text)


@kernel
def put_hex(heap: Heap, value: word) -> None:
    """Put 0x and the 64 bits of value as 16 hexadecimal digits."""
    console.put_text(kernel_of_heap(heap), b'0x')
    console.put_hex(kernel_of_heap(heap), value)


@kernel
def put_decimal(heap: Heap, value: word) -> None:
    """Put a number that is not negative in decimal digits."""
    console.put_decimal(kernel_of_heap(heap), value)


@cold
@kernel
def panic(heap: Heap, site: bytes, a: word, b: word, c: word) -> None:
    """End the machine. Never returns."""
    ends.panic(kernel_of_heap(heap), site, a, b, c)
