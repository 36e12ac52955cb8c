"""Turns the recorder's file (c/recorder.c), which has records with addresses, into a trace.

file     records taken, capacity, calls of exec under way, and then the records
record   size, number of the thread, kind << 56 | log2 of the alignment << 48 | address
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from .operations import MAX_BYTES, Kind, Sink

_START: Final = struct.Struct('<QQQ')
_RECORD: Final = struct.Struct('<QQQ')
_NR_AT_ONCE: Final = 1 << 16
_ALLOCATE, _ALLOCATE_ZEROED, _ALLOCATE_ALIGNED, _FREE, _REALLOCATE_FROM, _REALLOCATE_TO = range(1, 7)
_ADDRESS: Final = (1 << 48) - 1


@dataclass
class Left:
    """Calls that cannot be in the trace; they are counted."""

    nr_unwritten: int = 0  # records that a thread had taken when the process ended
    nr_unknown: int = 0  # frees of blocks from before the recording
    nr_reused: int = 0  # addresses handed out again whose free was not seen: freed in the trace
    nr_beyond: int = 0  # operations for which the file had no room


@dataclass(frozen=True)
class Start:
    """The start of a recording."""

    nr_taken: int  # records, also beyond the capacity
    capacity: int  # 0: the recorder had no room to begin
    nr_leaving: int  # calls of exec that never came back: the process became another program

    @property
    def has_begun(self) -> bool:
        return self.capacity > 0

    @property
    def nr_records(self) -> int:
        return min(self.nr_taken, self.capacity)


def start_of(path: Path) -> Start:
    """The start of a recording, of which nothing may be written. Raises OSError."""
    with path.open('rb') as file:
        return Start(*_START.unpack(file.read(_START.size).ljust(_START.size, b'\0')))


def read_raw(path: Path, trace: Sink) -> Left:
    """Add the operations of a recording, which has begun, to a trace. Raises OSError.

    The file is read, not mapped: a hole of it has no page on a full tmpfs, and a load from there ends the process.
    """
    start = start_of(path)
    with path.open('rb') as file:
        file.seek(_START.size)
        left = add_records(read_records(file, start.nr_records), trace)
    left.nr_beyond = start.nr_taken - start.nr_records
    return left


def read_records(file: BinaryIO, nr_records: int) -> Iterator[tuple[int, int, int]]:
    """The records of an open file, of which a part is in memory at a time. A file that is cut short has fewer."""
    for start in range(0, nr_records, _NR_AT_ONCE):
        content = file.read(min(_NR_AT_ONCE, nr_records - start) * _RECORD.size)
        if len(content) < _RECORD.size:
            return
        yield from _RECORD.iter_unpack(content[: len(content) // _RECORD.size * _RECORD.size])


def add_records(records: Iterable[tuple[int, int, int]], trace: Sink) -> Left:
    """Add these records to a trace: each block gets a number in place of its addresses."""
    left = Left()
    add = trace.add
    block_at: dict[int, int] = {}
    moving: dict[int, tuple[int, int]] = {}  # of each thread within realloc: block and old address
    for size, thread, head in records:
        kind = head >> 56
        address = head & _ADDRESS
        if kind == 0 or size > MAX_BYTES:
            left.nr_unwritten += 1
        elif kind <= _ALLOCATE_ALIGNED:
            if address in block_at:
                left.nr_reused += 1
                add(Kind.FREE, block_at[address], thread=thread)
            block_at[address] = trace.nr_blocks
            add(Kind(kind - 1), trace.nr_blocks, size, head >> 48 & 0xFF, thread)
        elif kind == _REALLOCATE_TO:
            moved_to(trace, left, block_at, moving.pop(thread, None), size, address, thread)
        else:
            block = block_at.pop(address, None)
            if block is None:
                left.nr_unknown += 1
            elif kind == _FREE:
                add(Kind.FREE, block, thread=thread)
            else:
                moving[thread] = block, address
    return left


def moved_to(
    trace: Sink,
    left: Left,
    block_at: dict[int, int],
    moving: tuple[int, int] | None,
    size: int,
    address: int,
    thread: int,
) -> None:
    """The second half of a realloc: it failed, or freed a block for size 0, or moved it."""
    if address in block_at:
        left.nr_reused += 1
        trace.add(Kind.FREE, block_at[address], thread=thread)
    if moving is None:  # the block was from before the recording; from now on it is known
        if address:
            block_at[address] = trace.nr_blocks
            trace.add(Kind.ALLOCATE, trace.nr_blocks, size, thread=thread)
        return
    block, old = moving
    if address:
        block_at[address] = block
        trace.add(Kind.REALLOCATE, block, size, thread=thread)
    elif size:
        block_at[old] = block
    else:
        trace.add(Kind.FREE, block, thread=thread)
