"""What stands behind the ports of a program's descriptors: functions that take, a descriptor or bytes to read."""

import os
import select
import tempfile
import time
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


LONGEST_WAIT: Final = 0.1  # seconds

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


def interpreted_wait(source: Input) -> Callable[[int, int], bool]:
    """A function as poll(2), of the source or of no files: whether it can be read, or is broken; what there is to
    read can be read at once. It waits in small pieces: Ctrl-C and the alarm are Python's to notice in between.
    """
    watched = select.poll()
    if isinstance(source, int):
        watched.register(source, select.POLLIN)

    def wait(nr_files: int, milliseconds: int) -> bool:
        if nr_files and not isinstance(source, int):
            return True
        end = time.monotonic() + milliseconds / 1000
        while True:
            left = LONGEST_WAIT if milliseconds < 0 else max(end - time.monotonic(), 0.0)
            if not nr_files:
                time.sleep(min(left, LONGEST_WAIT))
            elif watched.poll(min(left, LONGEST_WAIT) * 1000):
                return True
            if left <= LONGEST_WAIT and milliseconds >= 0:
                return False

    return wait


def descriptor_of(source: Input) -> int:
    """A descriptor to read it from; a new one, which the caller closes."""
    if isinstance(source, int):
        return os.dup(source)
    with tempfile.TemporaryFile() as file:
        file.write(source)
        file.seek(0)
        return os.dup(file.fileno())
