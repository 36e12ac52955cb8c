"""Opens a trace in either of the two formats."""

from pathlib import Path

from incroos.run.outcome import Unusable

from . import binary, rep
from .operations import BadTrace, Trace


def read(path: Path) -> Trace:
    """The trace in a file. Raises Unusable; its subclass BadTrace says what is wrong with the content."""
    try:
        data = path.read_bytes()
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


def write(trace: Trace, path: Path) -> None:
    """Write a trace. Raises Unusable."""
    try:
        binary.write(trace, path)
    except OSError as error:
        raise Unusable(f'{path} cannot be written ({error.strerror}): name another file') from error
