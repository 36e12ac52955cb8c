"""Signals that end a command, held back while it starts a process: raised then, they would lose it, and it went on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_held: Final[list[Callable[[], None]]] = []
_depth: Final = [0]


@contextmanager
def held_signals() -> Iterator[None]:
    """Have what `hold_back` is given happen at the end of the block, or not at all if the block fails."""
    _depth[0] += 1
    try:
        yield
    finally:
        _depth[0] -= 1
        came = _held.copy()
        _held.clear()
    for end in came:
        end()


def hold_back(end: Callable[[], None]) -> bool:
    """Whether a block holds signals back; `end` is called when it ends then."""
    if _depth[0] == 0:
        return False
    _held.append(end)
    return True
