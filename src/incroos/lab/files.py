"""Opens a trace in either of the two formats."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from incroos.build.whole_file import write_whole
from incroos.run.free_memory import free_bytes, within
from incroos.run.outcome import Unusable

from . import binary, rep
from .operations import BadTrace, Trace

_START_BYTES: Final = 4096  # which tell what a file is: one without an end is not read for that


@contextlib.contextmanager
def memory_for(path: Path) -> Iterator[None]:
    """Have what reads a trace, and works on it, take no more memory than is free. Raises Unusable where it would."""
    try:
        with within(free_bytes()):
            yield
    except MemoryError:
        raise Unusable(f'{path} takes more memory than is free: name a smaller trace, or free some') from None


def read(path: Path) -> Trace:
    """The trace in a file. Raises Unusable; its subclass BadTrace says what is wrong with the content."""
    try:
        with path.open('rb') as file:
            data = file.read(_START_BYTES)
            if binary.is_trace(data) or rep.looks_like_rep(data):
                data += file.read()
    except OSError as error:
        raise Unusable(f'{path} cannot be read ({error.strerror}): name a trace') from error
    if binary.is_trace(data):
        return binary.decode(data, str(path))
    if rep.looks_like_rep(data):
        return rep.decode(data, str(path))
    if not data:
        raise BadTrace(f'{path} is empty, and no trace: record one with incroos trace record')
    if binary.MAGIC.startswith(data):
        raise BadTrace(f'{path} is cut short: it ends within its header')
    raise BadTrace(f'{path} is not a trace: record one with incroos trace record')


def write(content: bytes, path: Path) -> None:
    """Write the bytes of a trace, whole or not at all. Raises Unusable."""
    try:
        write_whole(path, content)
    except OSError as error:
        raise Unusable(f'{path} cannot be written ({error.strerror}): name another file') from error
