"""The words of a heap in a process: a text with which the process ends."""

from incroos.kernel.io import text_sink
from incroos.kernel.state import Heap, HostedHeap, host_of
from incroos.lang import VirtAddr, cold, kernel, word


@kernel
def put_text(heap: Heap, text: bytes) -> None:
    """Put the characters of text."""
    text_sink.put_text(host_of(heap), text)


@kernel
def put_hex(heap: Heap, value: word) -> None:
    """Put 0x and the 64 bits of value as 16 hexadecimal digits."""
    text_sink.put_text(host_of(heap), b'0x')
    text_sink.put_hex(host_of(heap), value)


@kernel
def put_decimal(heap: Heap, value: word) -> None:
    """Put a number that is not negative in decimal digits."""
    text_sink.put_decimal(host_of(heap), value)


@cold
@kernel
def panic(heap: Heap, site: bytes, a: word, b: word, c: word) -> None:
    """End the process with the line of a panic. Never returns: the C function does not."""
    host = host_of(heap)
    text_sink.put_text(host, b'panic: ')
    text_sink.put_text(host, site)
    text_sink.put_word(host, a)
    text_sink.put_word(host, b)
    text_sink.put_word(host, c)
    text_sink.stop(host)


@cold
@kernel
def refuse(own: HostedHeap, ptr: VirtAddr) -> None:
    """End the process: this pointer was never given, or it was taken back."""
    text_sink.put_text(own.host, b'free or realloc of a pointer that is not allocated (freed twice, or never given):')
    text_sink.put_word(own.host, ptr)
    text_sink.stop(own.host)
