"""The buddy allocator alone: which block it hands out, splits and merges, and the ends of its zone."""

from dataclasses import replace

import pytest

from incroos.kernel.codes import NO_FRAME, NOT_FREE, OK
from incroos.kernel.configs import CLASSIC
from incroos.kernel.pmm import hot_list
from incroos.kernel.pmm.all import buddy, frame_database
from incroos.kernel.pmm.all.buddy import buddy_of
from incroos.kernel.pmm.all.defaults import BATCH
from incroos.kernel.pmm.all.frame_database import HUGE_FRAMES, NO_LINK
from incroos.kernel.state import NR_SLOTS, FrameDatabase, HotList, Zone
from incroos.lang import Pfn, Struct, VirtAddr

from .blocks_lab import BOOKS, MAX_ORDER, RECORDS, StrictMemory


class Parts(Struct):
    """What the tests look at, in one piece of memory."""

    zone: Zone
    database: FrameDatabase
    hot: HotList


def new_parts(nr_frames: int, start: int = 0, end: int | None = None) -> Parts:
    """No block is free."""
    nr_bytes = Parts.SIZE + frame_database.known_bytes(nr_frames)
    nr_records = -(-nr_frames // HUGE_FRAMES) * HUGE_FRAMES
    ranges = [range(BOOKS, BOOKS + nr_bytes), range(RECORDS, RECORDS + 16 * nr_records)]
    parts = Parts(StrictMemory(replace(CLASSIC, frames=buddy), ranges), VirtAddr(BOOKS))
    frame_database.init(parts.database, VirtAddr(RECORDS), VirtAddr(BOOKS + Parts.SIZE), nr_frames)
    parts.zone.start, parts.zone.end = Pfn(start), Pfn(nr_frames if end is None else end)
    buddy.init(parts.zone, VirtAddr(0))
    assert check(parts) == OK
    return parts


def check(parts: Parts) -> int:
    return buddy.check(parts.zone, parts.database)


def lists(parts: Parts) -> dict[int, list[int]]:
    """The PFNs on each list that is not empty, the newest first."""
    found: dict[int, list[int]] = {}
    for order in range(MAX_ORDER + 1):
        pfn = buddy_of(parts.zone).heads[order]
        while pfn != NO_LINK:
            found.setdefault(order, []).append(pfn)
            pfn = buddy.links_of(parts.database, pfn).next
    return found


def test_ram_becomes_its_largest_blocks() -> None:
    parts = new_parts(0x900)
    buddy.add(parts.zone, parts.database, Pfn(5), Pfn(0x803))
    assert lists(parts) == {
        0: [0x802, 5],
        1: [0x800, 6],
        3: [8],
        4: [0x10],
        5: [0x20],
        6: [0x40],
        7: [0x80],
        8: [0x100],
        9: [0x200],
        10: [0x400],
    }
    assert buddy_of(parts.zone).nr_free_frames == 0x803 - 5
    assert check(parts) == OK


def test_the_smallest_block_that_will_do_is_split_and_its_lower_half_kept() -> None:
    parts = new_parts(0x200)
    buddy.add(parts.zone, parts.database, Pfn(0x40), Pfn(0x80))
    buddy.add(parts.zone, parts.database, Pfn(0x100), Pfn(0x108))
    assert buddy.take(parts.zone, parts.database, 1) == 0x100
    assert lists(parts) == {1: [0x102], 2: [0x104], 6: [0x40]}
    assert buddy_of(parts.zone).nr_splits == 2
    assert buddy.take(parts.zone, parts.database, 1) == 0x102
    assert buddy.take(parts.zone, parts.database, 3) == 0x40
    assert buddy.take(parts.zone, parts.database, 6) == NO_FRAME
    assert check(parts) == OK


def test_the_block_that_came_back_last_goes_first() -> None:
    parts = new_parts(0x200)
    buddy.add(parts.zone, parts.database, Pfn(0), Pfn(0x100))
    taken = [buddy.take(parts.zone, parts.database, 0) for _ in range(0x100)]
    assert sorted(taken) == list(range(0x100))
    for pfn in (0x11, 0x73, 0x20):
        buddy.put(parts.zone, parts.database, Pfn(pfn), 0)
    assert [buddy.take(parts.zone, parts.database, 0) for _ in range(4)] == [0x20, 0x73, 0x11, NO_FRAME]


def test_buddies_merge_up_to_the_largest_block_and_not_beyond_the_zone() -> None:
    parts = new_parts(1 << 10, start=0x80, end=0x200)
    buddy.add(parts.zone, parts.database, Pfn(0x80), Pfn(0x200))
    assert lists(parts) == {7: [0x80], 8: [0x100]}
    assert buddy.take_at(parts.zone, parts.database, Pfn(0x1FF), 0) == OK
    assert lists(parts) == {
        0: [0x1FE],
        1: [0x1FC],
        2: [0x1F8],
        3: [0x1F0],
        4: [0x1E0],
        5: [0x1C0],
        6: [0x180],
        7: [0x100, 0x80],
    }
    buddy.put(parts.zone, parts.database, Pfn(0x1FF), 0)
    assert lists(parts) == {7: [0x80], 8: [0x100]}
    assert (buddy_of(parts.zone).nr_splits, buddy_of(parts.zone).nr_merges) == (8, 8)
    assert check(parts) == OK


def test_a_neighbour_of_another_zone_is_no_buddy() -> None:
    parts = new_parts(0x400, start=0x100, end=0x200)
    database = parts.database
    for pfn in (0, 0x200):  # free blocks on both sides, on lists of other zones
        record = frame_database.open_record(database, pfn, 8)
        record.state = frame_database.ON_LIST
        record.order = 8
    buddy.put(parts.zone, database, Pfn(0x100), 7)
    assert lists(parts) == {7: [0x100]}
    buddy.put(parts.zone, database, Pfn(0x180), 7)
    assert lists(parts) == {8: [0x100]}


@pytest.mark.parametrize('order', [0, 3, 9])
def test_a_block_by_name_comes_out_of_a_larger_one(order: int) -> None:
    parts = new_parts(1 << 12)
    buddy.add(parts.zone, parts.database, Pfn(0), Pfn(1 << 12))
    wanted = Pfn(0xA00)
    assert buddy.is_free(parts.zone, parts.database, wanted, order)
    assert buddy.take_at(parts.zone, parts.database, wanted, order) == OK
    assert not buddy.is_free(parts.zone, parts.database, wanted, order)
    assert buddy.take_at(parts.zone, parts.database, wanted, order) == NOT_FREE
    assert buddy.take_at(parts.zone, parts.database, wanted, 0) == NOT_FREE
    assert buddy.take_at(parts.zone, parts.database, Pfn(0x800), 10) == NOT_FREE
    assert buddy_of(parts.zone).nr_free_frames == (1 << 12) - (1 << order)
    assert check(parts) == OK
    buddy.put(parts.zone, parts.database, wanted, order)
    assert lists(parts) == {12: [0]}


def test_what_no_block_ever_began_in_is_passed_over_whole() -> None:
    parts = new_parts(1 << 12)
    buddy.add(parts.zone, parts.database, Pfn(0x400), Pfn(0x600))
    assert buddy.end_of_taken(parts.zone, parts.database, Pfn(0)) == 0x200
    assert buddy.end_of_taken(parts.zone, parts.database, Pfn(0x3F0)) == 0x400
    buddy.take_at(parts.zone, parts.database, Pfn(0x410), 0)
    assert buddy.end_of_taken(parts.zone, parts.database, Pfn(0x410)) == 0x411


def test_a_hot_list_gets_a_batch_and_gives_its_oldest_back() -> None:
    parts = new_parts(0x200)
    buddy.add(parts.zone, parts.database, Pfn(0), Pfn(0x28))
    hot_list.init(parts.hot, 0, NR_SLOTS, 1 << 30)
    buddy.refill(parts.zone, parts.database, parts.hot)
    assert hot_list.nr_blocks(parts.hot) == BATCH
    assert buddy_of(parts.zone).nr_free_frames == 8
    first = hot_list.oldest(parts.hot)
    buddy.take_back(parts.zone, parts.database, parts.hot, 1)
    assert buddy.is_free(parts.zone, parts.database, first, 0)
    buddy.take_back(parts.zone, parts.database, parts.hot, BATCH - 1)
    assert lists(parts) == {3: [0x20], 5: [0]}
    assert check(parts) == OK
    for _ in range(2):
        buddy.take_at(parts.zone, parts.database, Pfn(0), 5)
    buddy.refill(parts.zone, parts.database, parts.hot)
    assert hot_list.nr_blocks(parts.hot) == 8
