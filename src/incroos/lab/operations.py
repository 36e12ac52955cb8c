"""A trace in memory: the requests of a program to its allocator, in order, in columns.

Unit: the operation. Each that makes a block numbers it, 0, 1, 2, ...; the others name the block by that number. So two
traces of one program can be equal although their addresses differed. Knows nothing of addresses, of files, or of time.

    kind               block          size       shift                     thread
    ALLOCATE           the next one   in bytes   0                         of the caller
    ALLOCATE_ZEROED    the next one   in bytes   0
    ALLOCATE_ALIGNED   the next one   in bytes   log2 of the alignment
    REALLOCATE         which          the new    0
    FREE               which          0          0
"""

from array import array
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple, Protocol

from incroos.run.outcome import Unusable

MAX_BYTES: Final = 1 << 47  # of one block: all of a process's addresses
MAX_SHIFT: Final = 46
MAX_THREADS: Final = (1 << 32) - 1
MAX_DEFECTS_TOLD: Final = 10


class Kind(IntEnum):
    """What an operation does."""

    ALLOCATE = 0
    ALLOCATE_ZEROED = 1
    ALLOCATE_ALIGNED = 2
    REALLOCATE = 3
    FREE = 4


MAKES_A_BLOCK: Final = (Kind.ALLOCATE, Kind.ALLOCATE_ZEROED, Kind.ALLOCATE_ALIGNED)


class BadTrace(Unusable):
    """A file is not a trace, or not a usable one. Each defect is a sentence that names the place."""

    def __init__(self, *defects: str) -> None:
        told = list(defects[:MAX_DEFECTS_TOLD])
        if len(defects) > len(told):
            told.append(f'and {len(defects) - len(told):,} more')
        super().__init__('\n'.join(told))
        self.defects = defects


class Operation(NamedTuple):
    """One operation; slow to make and good to read."""

    kind: Kind
    block: int
    size: int
    shift: int
    thread: int


class Sink(Protocol):
    """Where operations go one by one: a Trace, or the bytes of a file."""

    nr_blocks: int

    def add(self, kind: int, block: int, size: int = 0, shift: int = 0, thread: int = 0) -> None:
        """Append an operation; one that makes a block gives the next number."""


@dataclass
class Trace:
    """The operations of a trace, a column for each of their parts."""

    kinds: bytearray = field(default_factory=bytearray)
    blocks: 'array[int]' = field(default_factory=lambda: array('I'))
    sizes: 'array[int]' = field(default_factory=lambda: array('Q'))
    shifts: bytearray = field(default_factory=bytearray)
    threads: 'array[int]' = field(default_factory=lambda: array('I'))
    nr_blocks: int = 0

    def __len__(self) -> int:
        return len(self.kinds)

    def __getitem__(self, index: int) -> Operation:
        return Operation(
            Kind(self.kinds[index]), self.blocks[index], self.sizes[index], self.shifts[index], self.threads[index]
        )

    def add(self, kind: int, block: int, size: int = 0, shift: int = 0, thread: int = 0) -> None:
        """Append an operation; one that makes a block gives the next number."""
        self.kinds.append(kind)
        self.blocks.append(block)
        self.sizes.append(size)
        self.shifts.append(shift)
        self.threads.append(thread)
        if kind in MAKES_A_BLOCK:
            self.nr_blocks += 1
