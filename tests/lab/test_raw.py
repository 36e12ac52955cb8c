"""What the recorder leaves, as a trace: also where calls are missing or half done."""

import struct

from incroos.lab.operations import Kind, Operation, Trace
from incroos.lab.raw import Left, add_records

A, B, C = 0x7F00_0000_1000, 0x7F00_0000_2000, 0x5500_0000_0010
MALLOC, CALLOC, MEMALIGN, FREE, FROM, TO = range(1, 7)

Call = tuple[int, int, int, int]


def read(*calls: Call) -> tuple[list[Operation], Left]:
    """The operations made of calls, each a kind, an address, a size and a thread."""
    content = b''.join(struct.pack('<QQQ', size, thread, kind << 56 | address) for kind, address, size, thread in calls)
    trace = Trace()
    left = add_records(struct.iter_unpack('<QQQ', content), trace)
    return operations_of(trace), left


def operations_of(trace: Trace) -> list[Operation]:
    return [trace[index] for index in range(len(trace))]


def test_blocks_are_numbered_as_they_are_made() -> None:
    found, left = read((MALLOC, A, 10, 0), (CALLOC, B, 20, 1), (FREE, A, 0, 1), (MALLOC, A, 30, 0))
    assert found == [
        (Kind.ALLOCATE, 0, 10, 0, 0),
        (Kind.ALLOCATE_ZEROED, 1, 20, 0, 1),
        (Kind.FREE, 0, 0, 0, 1),
        (Kind.ALLOCATE, 2, 30, 0, 0),
    ]
    assert left == Left()


def test_an_alignment_is_beside_the_address() -> None:
    found, _ = read((MEMALIGN, 6 << 48 | A, 10, 0))
    assert found == [(Kind.ALLOCATE_ALIGNED, 0, 10, 6, 0)]


def test_a_block_that_moves_leaves_its_address_to_others() -> None:
    found, left = read(
        (MALLOC, A, 10, 0), (FROM, A, 99, 0), (MALLOC, A, 20, 1), (TO, B, 99, 0), (FREE, A, 0, 1), (FREE, B, 0, 0)
    )
    assert found == [
        (Kind.ALLOCATE, 0, 10, 0, 0),
        (Kind.ALLOCATE, 1, 20, 0, 1),
        (Kind.REALLOCATE, 0, 99, 0, 0),
        (Kind.FREE, 1, 0, 0, 1),
        (Kind.FREE, 0, 0, 0, 0),
    ]
    assert left == Left()


def test_a_realloc_that_failed_changes_nothing_and_one_to_nothing_frees() -> None:
    found, left = read((MALLOC, A, 10, 0), (FROM, A, 99, 0), (TO, 0, 99, 0), (FROM, A, 0, 0), (TO, 0, 0, 0))
    assert found == [(Kind.ALLOCATE, 0, 10, 0, 0), (Kind.FREE, 0, 0, 0, 0)]
    assert left == Left()


def test_what_was_not_seen_is_counted() -> None:
    found, left = read(
        (FREE, C, 0, 0), (FROM, C, 50, 0), (TO, B, 50, 0), (MALLOC, B, 60, 0), (0, 0, 0, 0), (FREE, B, 0, 0)
    )
    assert found == [
        (Kind.ALLOCATE, 0, 50, 0, 0),
        (Kind.FREE, 0, 0, 0, 0),
        (Kind.ALLOCATE, 1, 60, 0, 0),
        (Kind.FREE, 1, 0, 0, 0),
    ]
    assert left == Left(nr_unwritten=1, nr_unknown=2, nr_reused=1)
