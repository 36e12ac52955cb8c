"""What a recorder of traces works with: the trace, what it holds, and what an answer has to be."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from .harness import Call

T = TypeVar('T')
Settle = Callable[[int], None]


class LostContent(Exception):
    """Memory that the trace held did not keep what was written to it, or a call answered what it must not."""


@dataclass
class Trace:
    """Calls with the results that they had where they were recorded."""

    calls: list[Call] = field(default_factory=list)
    results: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Large:
    """Where a page of level 2 or 3 is, or may be."""

    addr: int
    level: int


@dataclass
class Held:
    """Memory that the trace owns and how it is filled."""

    addr: int
    nbytes: int
    byte: int = -1  # not filled yet
    frame: int = 0  # of a mapped page


@dataclass
class Cached:
    """A cache of objects that the trace made."""

    addr: int
    nbytes: int  # of an object
    byte: int = -1  # which fills constructed objects
    objects: list[Held] = field(default_factory=list)


def must_be(wanted: int) -> Settle:
    """The result has to be this."""

    def settle(result: int) -> None:
        if result != wanted:
            raise LostContent(f'it should be {wanted}')

    return settle


def must_be_any(_: int) -> None:
    """Whatever it is, it has to be the same everywhere."""
