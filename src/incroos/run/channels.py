"""What stands behind the ports of a program's descriptors: functions that take, a descriptor or bytes to read."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .boot import Sink

Output = Sink | None  # None: what is written vanishes
Input = int | bytes


@dataclass(frozen=True)
class Channels:
    """Standard output, standard error and records; and standard input."""

    outputs: tuple[Output, Output, Output] = (None, None, None)
    input: Input = b''


NO_CHANNELS: Final = Channels()


def drop(_: bytes) -> None:
    """A sink for what nobody reads."""


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
