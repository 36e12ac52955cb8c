"""What stands behind the ports of a program's descriptors: the host's descriptors, or functions and bytes of a test."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Sink = Callable[[bytes], object]
Output = int | Sink | None  # None: what is written vanishes
Input = int | bytes


@dataclass(frozen=True)
class Channels:
    """Standard output, standard error and records; and standard input."""

    outputs: tuple[Output, Output, Output] = (None, None, None)
    input: Input = b''


NO_CHANNELS: Final = Channels()


def interpreted_sink(output: Output) -> Sink:
    """A function that takes what is written."""
    if output is None:
        return lambda _content: None
    if isinstance(output, int):
        descriptor = output
        return lambda content: write_all(descriptor, content)
    return output


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of it, or as much as is taken."""
    while content:
        content = content[os.write(descriptor, content) :]


def interpreted_source(source: Input) -> Callable[[int], bytes]:
    """A function that gives so many bytes or fewer, none at the end."""
    if isinstance(source, int):
        descriptor = source
        return lambda nbytes: os.read(descriptor, nbytes)
    left = bytearray(source)

    def take(nbytes: int) -> bytes:
        part = bytes(left[:nbytes])
        del left[:nbytes]
        return part

    return take


def descriptor_of(source: Input) -> int:
    """A descriptor to read it from; a new one, which the caller closes."""
    if isinstance(source, int):
        return os.dup(source)
    with tempfile.TemporaryFile() as file:
        file.write(source)
        file.seek(0)
        return os.dup(file.fileno())
