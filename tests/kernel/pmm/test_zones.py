"""Zones: where they begin and end, and what comes to lie on their hot lists."""

import pytest

from incroos.kernel.codes import OK
from incroos.kernel.pmm import hot_list
from incroos.kernel.pmm.all import zones
from incroos.kernel.pmm.all.zones import HUGE_SLOTS, NO_ZONE
from incroos.kernel.state import NR_SLOTS

from .blocks_lab import ALLOCATORS, HIGH, SMALL, Lab, interpreted


@pytest.mark.parametrize(
    ('nr_frames', 'ends'),
    [
        (0x80, (0x80, 0x100, HIGH)),
        (0x100, (0x100, 0x100, HIGH)),
        (0x5000, (0x100, 0x5000, HIGH)),
        (HIGH, (0x100, HIGH, HIGH)),
        (HIGH + 7, (0x100, HIGH, HIGH + 7)),
    ],
)
def test_each_frame_is_in_one_zone(nr_frames: int, ends: tuple[int, ...]) -> None:
    assert tuple(zones.end_of(number, nr_frames) for number in range(3)) == ends
    assert [zones.start_of(number) for number in range(3)] == [0, 0x100, HIGH]
    for pfn in {pfn for pfn in (0, 0xFF, 0x100, HIGH - 1, HIGH, nr_frames - 1) if pfn < nr_frames}:
        inside = [number for number in range(3) if zones.start_of(number) <= pfn < zones.end_of(number, nr_frames)]
        assert inside == [zones.number_of(pfn)]


@pytest.mark.parametrize('allocator', ALLOCATORS)
def test_a_zone_asks_the_one_below_and_the_lowest_none(allocator: str) -> None:
    lab = interpreted(SMALL, allocator)
    assert [lab.zone(number).fallback for number in range(3)] == [NO_ZONE, 0, 1]
    assert lab.frames.preferred == 1


def free_all(lab: Lab, order: int) -> int:
    """Take everything in blocks of an order, give it back; how many there were."""
    taken = []
    while (pfn := lab.call('alloc_block', 1, order, 1)) >= 0:
        taken.append(pfn)
    assert [lab.call('free_block', pfn, order) for pfn in taken] == [OK] * len(taken)
    assert lab.call('check') == OK
    return len(taken)


@pytest.mark.parametrize('allocator', ALLOCATORS)
@pytest.mark.parametrize(('order', 'most'), [(0, NR_SLOTS), (9, HUGE_SLOTS)])
def test_no_more_lie_on_a_hot_list_than_may_and_a_drain_takes_them_all(allocator: str, order: int, most: int) -> None:
    lab = interpreted(((0x10, 0x30), (0x200, 0x5400)) if order else SMALL, allocator)
    nr_blocks = free_all(lab, order)
    zone = lab.zone(1)
    hot = zone.huge if order else zone.single
    assert nr_blocks > most
    assert 0 < hot_list.nr_blocks(hot) <= most
    assert zones.nr_free_frames(zone) == zone.nr_total_frames
    lab.call('drain')
    assert hot_list.nr_blocks(zone.single) == hot_list.nr_blocks(zone.huge) == 0
    assert zones.nr_free_frames(zone) == zone.nr_total_frames
    assert lab.call('check') == OK


def test_the_tree_keeps_frames_behind_the_frontier_off_the_hot_list() -> None:
    lab = interpreted(SMALL, 'tree')
    low = [lab.call('alloc_block', 1, 0, 1) for _ in range(70)]
    assert low[0] == 0x100
    lab.call('drain')
    far = 0x700
    assert lab.call('alloc_at', far, 0, 1) == OK
    assert lab.call('alloc_block', 1, 0, 1) == 0x100 + 70
    nr_hot = hot_list.nr_blocks(lab.zone(1).single)
    assert lab.zone(1).single.frontier <= far
    assert lab.call('free_frame', far) == OK
    assert hot_list.nr_blocks(lab.zone(1).single) == nr_hot
    assert lab.call('free_frame', 0x100) == OK
    assert hot_list.nr_blocks(lab.zone(1).single) == nr_hot + 1
    assert lab.call('alloc_block', 1, 0, 1) == 0x100


def test_what_goes_back_to_the_tree_moves_the_frontier_of_the_hot_list() -> None:
    """From then on free frames gather at the start again: one from far behind is not to be the next that is given."""
    lab = interpreted(SMALL, 'tree')
    taken = [lab.call('alloc_block', 1, 0, 1) for _ in range(lab.zone(1).nr_total_frames)]
    assert taken == sorted(taken)
    low, far = taken[: 2 * NR_SLOTS + 2 : 2], taken[-1]  # whole words would not be split for a single frame
    assert [lab.call('free_frame', pfn) for pfn in low] == [OK] * len(low)
    nr_hot = hot_list.nr_blocks(lab.zone(1).single)
    assert nr_hot < len(low)
    assert lab.call('free_frame', far) == OK
    assert hot_list.nr_blocks(lab.zone(1).single) == nr_hot
    again = [lab.call('alloc_block', 1, 0, 1) for _ in range(len(low) + 1)]
    assert sorted(again[:-1]) == low
    assert again[-1] == far
    assert lab.call('check') == OK


def test_whole_words_that_go_back_to_the_tree_do_not_move_it_up() -> None:
    lab = interpreted(SMALL, 'tree')
    far = 0x300
    assert lab.call('alloc_at', far, 0, 1) == OK
    taken = [lab.call('alloc_block', 1, 0, 1) for _ in range(NR_SLOTS + 2)]
    assert taken == list(range(0x100, 0x182))
    frontier = lab.zone(1).single.frontier
    assert frontier == 0x1C0
    back_first = taken[NR_SLOTS:]  # with what is left on the list, all of [0x180, 0x1C0)
    assert [lab.call('free_frame', pfn) for pfn in (*back_first, *taken[:65])] == [OK] * 67
    assert hot_list.nr_blocks(lab.zone(1).single) == NR_SLOTS // 2 + 1
    assert lab.zone(1).single.frontier == frontier
    assert lab.call('free_frame', far) == OK
    assert lab.call('alloc_block', 1, 0, 1) == taken[64]
    assert lab.call('check') == OK
