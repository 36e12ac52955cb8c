"""The frame database alone: records that are written when they are first wanted, and what is found in them."""

import pytest

from incroos.kernel.codes import OK, SHARED, WRONG_BLOCK
from incroos.kernel.configs import CLASSIC
from incroos.kernel.pmm.all import frame_database
from incroos.kernel.pmm.all.frame_database import (
    ALL,
    FIRST,
    HUGE_FRAMES,
    INSIDE,
    KEPT,
    MAX_REFERENCES,
    NONE,
    OWNER_SHIFT,
    USED,
)
from incroos.kernel.state import MAX_ORDER, FrameDatabase, FrameRecord
from incroos.lang import Pfn, VirtAddr

from .blocks_lab import BOOKS, RECORDS, StrictMemory

NR_FRAMES = 0x2345


def new_database(nr_frames: int = NR_FRAMES) -> FrameDatabase:
    """Nothing is known. No more memory is there than is asked for."""
    nr_records = -(-nr_frames // HUGE_FRAMES) * HUGE_FRAMES
    nr_bytes = FrameDatabase.SIZE + frame_database.known_bytes(nr_frames)
    ranges = [range(BOOKS, BOOKS + nr_bytes), range(RECORDS, RECORDS + nr_records * FrameRecord.SIZE)]
    database = FrameDatabase(StrictMemory(CLASSIC, ranges), VirtAddr(BOOKS))
    frame_database.init(database, VirtAddr(RECORDS), VirtAddr(BOOKS + FrameDatabase.SIZE), nr_frames)
    return database


def nr_written(database: FrameDatabase) -> int:
    """How many records were written."""
    assert isinstance(database.m, StrictMemory)
    pages = (page for number, page in database.m.pages.items() if number >= RECORDS >> 12)
    return sum(written.count(1) for _, written in pages) // FrameRecord.SIZE


def test_a_record_has_16_bytes_and_the_start_writes_none() -> None:
    database = new_database()
    assert FrameRecord.SIZE == 16
    assert nr_written(database) == 0
    assert frame_database.check(database) == OK
    assert frame_database.count_frames(database) == (0, 0)
    assert frame_database.find_block_round(database, 0x1234) == -1
    assert nr_written(database) == 0


@pytest.mark.parametrize(
    ('order', 'known', 'nr_records'), [(0, ALL, 512), (8, ALL, 512), (9, FIRST, 1), (12, FIRST, 1)]
)
def test_a_block_writes_the_records_that_it_needs(order: int, known: int, nr_records: int) -> None:
    database = new_database()
    frame_database.note_used(database, 0x1000, order, 3)
    assert frame_database.known_of(database, 0x1000) == known
    assert frame_database.known_of(database, 0x1200) == NONE
    assert nr_written(database) == nr_records
    assert frame_database.count_frames(database) == (1 << order, 0)


def test_the_first_record_outlives_the_others_being_written() -> None:
    database = new_database()
    frame_database.note_used(database, 0x1000, 9, 3)
    before = frame_database.head_of(database, 0x1000)
    frame_database.open_all(database, 0x1003)
    assert frame_database.head_of(database, 0x1000) == before
    assert [frame_database.can_read(database, pfn) for pfn in (0xFFF, 0x1000, 0x11FF, 0x1200)] == [
        False,
        True,
        True,
        False,
    ]
    frame_database.note_free(database, 0x1000)
    frame_database.open_record(database, 0x1000, 9)
    assert frame_database.known_of(database, 0x1000) == ALL
    assert frame_database.state_of(database, 0x1000) == INSIDE


@pytest.mark.parametrize('order', range(MAX_ORDER - 5))
def test_the_block_round_a_frame_is_found_from_each_of_its_ends(order: int) -> None:
    database = new_database(1 << 14)
    first = 1 << 13
    frame_database.note_used(database, first, order, 1)
    found = [frame_database.find_block_round(database, pfn) for pfn in (first - 1, first, first + (1 << order) - 1)]
    assert found == [-1, first, first]
    assert order == 13 or frame_database.find_block_round(database, first + (1 << order)) == -1


def test_states_of_frames_that_are_any_number() -> None:
    database = new_database()
    frame_database.note_used(database, 0x10, 2, 7)
    frame_database.note(database, 0x20, 3, KEPT | 8 << OWNER_SHIFT)
    frames = (-1, -1 << 63, 0x10, 0x11, 0x20, 0x28, NR_FRAMES, 1 << 62)
    assert [frame_database.state_of(database, pfn) for pfn in frames] == [0, 0, USED, 0, KEPT, 0, 0, 0]
    assert [frame_database.is_used(database, pfn) for pfn in (0x10, 0x11, 0x20, -1)] == [True, False, False, False]
    assert frame_database.count_frames(database) == (4, 8)
    owned = [frame_database.nr_frames_of(database, state, owner) for state in (USED, KEPT) for owner in (7, 8)]
    assert owned == [4, 0, 0, 8]


def test_references() -> None:
    database = new_database()
    frame_database.note_used(database, 0x10, 0, 7)
    assert frame_database.add_reference(database, Pfn(0x10)) == 2
    assert frame_database.add_reference(database, Pfn(0x11)) == WRONG_BLOCK
    frame_database.record_of(database, 0x10).nr_references = MAX_REFERENCES
    assert frame_database.add_reference(database, Pfn(0x10)) == SHARED


def test_a_mapping_is_a_reference() -> None:
    database = new_database()
    frame_database.note_used(database, 0x10, 0, 7)
    record = frame_database.record_of(database, 0x10)
    assert [frame_database.add_mapping(database, Pfn(0x10)) for _ in range(3)] == [1, 2, 3]
    assert frame_database.add_reference(database, Pfn(0x10)) == 5
    assert (record.nr_mappings, record.nr_references) == (3, 5)
    assert [frame_database.drop_mapping(database, Pfn(0x10)) for _ in range(4)] == [2, 1, 0, WRONG_BLOCK]
    assert (record.nr_mappings, record.nr_references) == (0, 2)
    assert frame_database.check(database) == OK
    assert frame_database.add_mapping(database, Pfn(0x11)) == WRONG_BLOCK
    assert frame_database.drop_mapping(database, Pfn(0x11)) == WRONG_BLOCK
    record.nr_references = MAX_REFERENCES
    assert frame_database.add_mapping(database, Pfn(0x10)) == SHARED
    assert record.nr_mappings == 0
