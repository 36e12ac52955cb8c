"""What the kernel tells on its channel, decoded: records in pieces, figures, and the end of a program in words."""

import struct
from typing import Any, Final

import pytest

from incroos.inspect.ram import RamMachine
from incroos.kernel.state.records import (
    RECORD_CALL,
    RECORD_END,
    RECORD_STATISTICS,
    Record,
)
from incroos.lang import VirtAddr
from incroos.run.ending import Ending, ending_of
from incroos.run.records import STATISTICS_NAMES, BrokenStream, Decoder, Told, statistics_in

SEGV: Final = 11
BUS: Final = 7
KILL: Final = 9
ILL: Final = 4
FPE: Final = 8
ABRT: Final = 6


def packed(kind: int, text: bytes = b'', **fields: int) -> bytes:
    """A record as the kernel makes it: through the view of its struct."""
    head = bytearray(Record.SIZE)
    record = Record(RamMachine(head), VirtAddr(0))
    record.kind, record.nbytes = kind, len(text)
    for name, value in fields.items():
        setattr(record, name, value)
    return bytes(head) + text


def test_fields() -> None:
    words: dict[str, Any] = {'task': 3, 'number': 9, 'a': 1, 'b': -2, 'c': 3, 'd': 4, 'e': 5, 'f': 6, 'result': -7}
    (record,) = Decoder().feed(packed(RECORD_CALL, b'text', **words))
    assert record == Told(RECORD_CALL, 3, 9, (1, (1 << 64) - 2, 3, 4, 5, 6), -7, b'text')


@pytest.mark.parametrize('nbytes', [1, 7, 96, 97, 1000])
def test_records_in_pieces(nbytes: int) -> None:
    stream = packed(RECORD_CALL, b'one') + packed(RECORD_CALL) + packed(RECORD_END, b'three' * 20, a=3)
    decoder = Decoder()
    found: list[Told] = []
    for start in range(0, len(stream), nbytes):
        found += decoder.feed(stream[start : start + nbytes])
    assert [(record.kind, record.text) for record in found] == [
        (RECORD_CALL, b'one'),
        (RECORD_CALL, b''),
        (RECORD_END, b'three' * 20),
    ]
    assert decoder.nr_bytes_left == 0


def test_half_a_record() -> None:
    decoder = Decoder()
    assert list(decoder.feed(packed(RECORD_CALL, b'text')[:-1])) == []
    assert decoder.nr_bytes_left == Record.SIZE + 3


@pytest.mark.parametrize('stream', [bytes(Record.SIZE), b'x' * Record.SIZE, packed(RECORD_CALL, nbytes=1 << 40)])
def test_what_is_no_record(stream: bytes) -> None:
    with pytest.raises(BrokenStream, match='no record'):
        list(Decoder().feed(stream))


def test_a_record_before_what_is_none_is_not_lost() -> None:
    records = Decoder().feed(packed(RECORD_END) + b'x' * Record.SIZE)
    assert next(records).kind == RECORD_END
    with pytest.raises(BrokenStream):
        next(records)


def test_figures() -> None:
    values = [*range(10, 10 + len(STATISTICS_NAMES)), -1]
    (record,) = Decoder().feed(packed(RECORD_STATISTICS, struct.pack(f'<{len(values)}q', *values)))
    figures = statistics_in(record)
    assert figures[STATISTICS_NAMES[0]] == 10
    assert figures[f'word_{len(STATISTICS_NAMES)}'] == -1


def test_fewer_figures() -> None:
    (record,) = Decoder().feed(packed(RECORD_STATISTICS, struct.pack('<q', 5)))
    assert statistics_in(record) == {STATISTICS_NAMES[0]: 5}


def end(text: bytes = b'', **fields: int) -> Ending:
    (record,) = Decoder().feed(packed(RECORD_END, text, **fields))
    return ending_of(record)


def fault(signal: int, vector: int, error: int = 0, address: int = 0x1234, rights: int | None = None) -> str:
    """The sentence about a fault at 0x401000; with rights in a range."""
    there = {'f': 0x1000, 'result': 0x3000} if rights is not None else {}
    text = struct.pack('<I', rights or 0)
    ending = end(text, number=1, a=signal, b=address, c=vector, d=error, e=0x401000, **there)
    assert ending.exit_status == 128 + signal
    return ending.sentence()


def test_ends_by_itself() -> None:
    assert (end(a=0).exit_status, end(a=0).sentence()) == (0, '')
    assert (end(a=77).exit_status, end(a=77).sentence()) == (77, '')


def test_a_signal_without_a_fault() -> None:
    assert (end(number=1, a=ABRT).exit_status, end(number=1, a=ABRT).sentence()) == (134, 'SIGABRT ended the program')


@pytest.mark.parametrize(
    ('sentence', 'wanted'),
    [
        (fault(SEGV, 14, 4), 'SIGSEGV ended the program: it read 0x1234, where nothing is mapped, at 0x401000'),
        (fault(SEGV, 14, 6, 0), 'SIGSEGV ended the program: it wrote to 0x0, where nothing is mapped, at 0x401000'),
        (
            fault(SEGV, 14, 7, rights=5),
            'SIGSEGV ended the program: it wrote to 0x1234, in the range 0x1000-0x3000 r-x, which may not be written, '
            'at 0x401000',
        ),
        (
            fault(SEGV, 14, 21, rights=3),
            'SIGSEGV ended the program: it executed 0x1234, in the range 0x1000-0x3000 rw-, which may not be executed, '
            'at 0x401000',
        ),
        (
            fault(SEGV, 14, 4, rights=0),
            'SIGSEGV ended the program: it read 0x1234, in the range 0x1000-0x3000 ---, which may not be read, '
            'at 0x401000',
        ),
        (
            fault(BUS, 14, 4, rights=1),
            'SIGBUS ended the program: it read 0x1234, in the range 0x1000-0x3000 r--, behind the end of its file, '
            'at 0x401000',
        ),
        (
            fault(KILL, 14, 6, rights=3),
            'SIGKILL ended the program: it wrote to 0x1234, in the range 0x1000-0x3000 rw-, and no memory was left for '
            'the page, at 0x401000',
        ),
        (fault(FPE, 0), 'SIGFPE ended the program: it divided by zero, or the quotient was too large, at 0x401000'),
        (fault(ILL, 6), 'SIGILL ended the program: this is no instruction of the processor, at 0x401000'),
        (
            fault(SEGV, 13),
            'SIGSEGV ended the program: the instruction is privileged, or its address is one that no processor has, '
            'at 0x401000',
        ),
        (fault(BUS, 30, 2), 'SIGBUS ended the program: exception 30 with error code 0x2, at 0x401000'),
    ],
)
def test_faults(sentence: str, wanted: str) -> None:
    assert sentence == wanted
