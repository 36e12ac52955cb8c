"""What the kernel tells about a program, as bytes on a channel of its own (state/records.py), decoded.

Records are taken out of a stream as they become complete. The layout is that of the kernel's struct; each of its fields
is a word.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from incroos.kernel.state.records import (
    BAD_TEXT,
    RECORD_CALL,
    RECORD_CHECK,
    RECORD_END,
    RECORD_REMARK,
    RECORD_STATISTICS,
    RECORD_TEXT_BYTES,
    RECORD_UNKNOWN_CALL,
    Record,
)
from incroos.lang.words import signed

HEAD: Final = struct.Struct(f'<{len(Record.FIELDS)}Q')
assert HEAD.size == Record.SIZE
MOST_TEXT_BYTES: Final = 1 << 16  # of one record: more means that the stream is not one of records
KINDS: Final = (RECORD_CALL, RECORD_END, RECORD_UNKNOWN_CALL, RECORD_CHECK, RECORD_STATISTICS, RECORD_REMARK)

# What the words of RECORD_STATISTICS are, in their order.
STATISTICS_NAMES: Final = (
    'system_calls',
    'page_faults',  # that gave a page
    'zero_page_faults',  # of them: the zero page
    'ranges',  # in the end, as all that follow
    'pages_in_ranges',
    'resident_pages',
    'table_frames',
    'free_frames_before',  # the program
    'free_frames_in_the_end',
    'free_frames_after',  # it was torn down
    'virtual_nanoseconds',
)


class BrokenStream(Exception):
    """What came is no record."""


@dataclass(frozen=True)
class Told:
    """A record; the result is signed."""

    kind: int
    task: int
    number: int
    words: tuple[int, ...]  # a to f
    result: int
    text: bytes

    def texts(self) -> list[tuple[int, bytes]]:
        """Of a system call: length and first bytes of each argument that is a text or a buffer."""
        found, at = [], 0
        while at + 4 <= len(self.text):
            (nbytes,) = struct.unpack_from('<I', self.text, at)
            kept = 0 if nbytes == BAD_TEXT else min(nbytes, RECORD_TEXT_BYTES)
            found.append((nbytes, self.text[at + 4 : at + 4 + kept]))
            at += 4 + kept
        return found


class Decoder:
    """Takes the stream as it comes."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[Told]:
        """The records that are complete with these bytes. Raises BrokenStream."""
        self._bytes += data
        at = 0
        try:
            while len(self._bytes) - at >= HEAD.size:
                kind, task, number, *words, result, nbytes, _ = HEAD.unpack_from(self._bytes, at)
                if kind not in KINDS or nbytes > MOST_TEXT_BYTES:
                    raise BrokenStream(f'the kernel told something that is no record: kind {kind}, {nbytes} bytes')
                end = at + HEAD.size + nbytes
                if end > len(self._bytes):
                    break
                text = bytes(self._bytes[at + HEAD.size : end])
                at = end
                yield Told(kind, task, number, tuple(words), signed(result), text)
        finally:
            del self._bytes[:at]

    @property
    def nr_bytes_left(self) -> int:
        """Bytes of a record that is not complete."""
        return len(self._bytes)


def statistics_in(record: Told) -> dict[str, int]:
    """The figures of RECORD_STATISTICS by their names."""
    values = struct.unpack(f'<{len(record.text) // 8}q', record.text[: len(record.text) // 8 * 8])
    names = [*STATISTICS_NAMES, *(f'word_{index}' for index in range(len(STATISTICS_NAMES), len(values)))]
    return dict(zip(names, values, strict=False))
