"""Blocks of all of RAM: what is refused and that it changes nothing, references, ranges, and running out."""

from typing import Final

import pytest

from incroos.kernel.codes import (
    BAD_ORDER,
    DOUBLE_FREE,
    FOREIGN,
    MISALIGNED,
    NO_FRAME,
    NOT_FREE,
    OK,
    RESERVED,
    SHARED,
    WRONG_BLOCK,
)

from .blocks_lab import ALLOCATORS, HIGH, HUGE_BLOCKS, LABS, MAX_ORDER, SMALL, Lab, StrictMemory, interpreted
from .blocks_model import Model

Call = tuple[str, tuple[int, ...]]

SINGLE, PAIR, EIGHT, KEPT, HOT, HUGE = 0x400, 0x402, 0x408, 0x410, 0x420, 0x600  # what the situation has where
KEPT_END: Final = KEPT + 9
HOLE: Final = 0x30
END: Final = HUGE_BLOCKS[-1][1]
FREE: Final = 0x500
FAR: Final = 1 << 62

REFUSALS: Final[dict[int, list[Call]]] = {
    BAD_ORDER: [
        ('alloc_block', (2, MAX_ORDER + 1, 1)),
        ('alloc_block', (2, -1, 1)),
        ('alloc_at', (FREE, MAX_ORDER + 1, 1)),
        ('alloc_at', (FREE, -1, 1)),
        ('free_block', (SINGLE, MAX_ORDER + 1)),
        ('free_block', (SINGLE, -1)),
        ('free_block', (SINGLE, 64)),
        ('alloc_contiguous', (2, 0, 0, 1)),
        ('alloc_contiguous', (2, -1, 0, 1)),
        ('alloc_contiguous', (2, 1, -1, 1)),
        ('alloc_contiguous', (2, 1, MAX_ORDER + 1, 1)),
    ],
    FOREIGN: [
        ('free_frame', (HOLE,)),
        ('free_frame', (-1,)),
        ('free_frame', (END,)),
        ('free_frame', (FAR,)),
        ('free_frame', (-1 << 63,)),
        ('free_block', (HOLE, 3)),
        ('free_block', (-8, 3)),
        ('free_block', (FAR, 9)),
        ('free_range', (HOLE, HOLE + 4)),
        ('free_range', (-5, 0)),
        ('free_range', (END, END + 1)),
    ],
    MISALIGNED: [
        ('free_block', (PAIR + 1, 1)),
        ('free_block', (HUGE + 1, 9)),
        ('alloc_at', (FREE + 1, 1, 1)),
        ('alloc_at', (-1, 3, 1)),
    ],
    RESERVED: [
        ('free_frame', (KEPT,)),
        ('free_frame', (KEPT + 3,)),
        ('free_block', (KEPT, 3)),
        ('free_range', (KEPT, KEPT_END)),
        ('free_range', (EIGHT, KEPT_END)),
    ],
    SHARED: [
        ('free_block', (PAIR, 1)),
        ('free_range', (PAIR, PAIR + 2)),
        ('free_range', (PAIR, PAIR + 1)),
    ],
    WRONG_BLOCK: [
        ('free_frame', (EIGHT,)),
        ('free_frame', (EIGHT + 5,)),
        ('free_frame', (HUGE + 0x1FF,)),
        ('free_block', (EIGHT, 2)),
        ('free_block', (SINGLE, 9)),
        ('free_range', (EIGHT, EIGHT + 2)),
        ('free_range', (EIGHT + 1, EIGHT + 8)),
        ('free_range', (FREE, FREE - 1)),
        ('get', (EIGHT + 1,)),
        ('get', (FREE,)),
        ('get', (KEPT,)),
        ('get', (HOLE,)),
        ('get', (-1,)),
        ('put', (HOT,)),
        ('put', (KEPT,)),
        ('put', (FAR,)),
        ('release_range', (EIGHT, EIGHT + 8)),
        ('release_range', (KEPT, KEPT + 1)),
        ('release_range', (KEPT + 8, KEPT_END + 1)),
        ('release_range', (KEPT_END, KEPT)),
        ('release_range', (-1, 5)),
    ],
    DOUBLE_FREE: [
        ('free_frame', (HOT,)),
        ('free_frame', (FREE,)),
        ('free_block', (0x440, 6)),
        ('free_block', (HOT, 0)),
        ('free_range', (HOT, HOT + 1)),
        ('free_range', (FREE, FREE + 7)),
    ],
    NOT_FREE: [
        ('alloc_at', (SINGLE, 0, 1)),
        ('alloc_at', (SINGLE, 9, 1)),
        ('alloc_at', (EIGHT + 1, 0, 1)),
        ('alloc_at', (KEPT, 0, 1)),
        ('alloc_at', (HOLE, 0, 1)),
        ('alloc_at', (-8, 3, 1)),
        ('alloc_at', (END, 0, 1)),
        ('alloc_at', (FAR, 0, 1)),
        ('alloc_at', (0, 8, 1)),
        ('alloc_at', (0, MAX_ORDER, 1)),
        ('alloc_range', (0x3FF, 0x402, 1)),
        ('alloc_range', (FREE, FREE - 1, 1)),
        ('alloc_range', (-1, 0, 1)),
        ('alloc_range', (END - 4, END + 1, 1)),
        ('alloc_range', (0x480, HUGE + 1, 1)),
        ('reserve_range', (KEPT, KEPT + 2, 1)),
        ('reserve_range', (0x2F, HOLE + 1, 1)),
    ],
    NO_FRAME: [
        ('alloc_block', (2, MAX_ORDER, 1)),
        ('alloc_block', (0, 5, 1)),
        ('alloc_contiguous', (0, 33, 0, 1)),
        ('alloc_contiguous', (0, 17, 5, 1)),
        ('alloc_contiguous', (2, 0x1235, MAX_ORDER, 1)),
        ('alloc_contiguous', (2, END + 1, 0, 1)),
        ('alloc_contiguous', (2, (1 << 63) - 1, 0, 1)),
    ],
}
MAY_DRAIN: Final = (NOT_FREE, NO_FRAME)


def situation(allocator: str) -> Lab:
    """Used blocks, a shared one, a reservation, a frame on the hot list, and free frames."""
    lab = interpreted(HUGE_BLOCKS, allocator)
    for pfn, order in ((SINGLE, 0), (PAIR, 1), (EIGHT, 3), (HOT, 0), (HUGE, 9)):
        assert lab.call('alloc_at', pfn, order, 7) == OK
    assert lab.call('get', PAIR) == 2
    assert lab.call('reserve_range', KEPT, KEPT_END, 8) == OK
    assert lab.call('free_frame', HOT) == OK
    return lab


def bytes_of(lab: Lab) -> dict[int, bytes]:
    """All that the metadata and the records say."""
    assert isinstance(lab.frames.m, StrictMemory)
    return {number: bytes(content) for number, (content, _) in lab.frames.m.pages.items()}


@pytest.mark.parametrize('code', REFUSALS)
@pytest.mark.parametrize('allocator', ALLOCATORS)
def test_what_is_refused_changes_no_byte(allocator: str, code: int) -> None:
    lab = situation(allocator)
    if code in MAY_DRAIN:
        lab.call('drain')
    before = bytes_of(lab)
    for name, words in REFUSALS[code]:
        assert lab.call(name, *words) == code, (name, words)
        assert bytes_of(lab) == before, (name, words)


@pytest.mark.parametrize('allocator', ALLOCATORS)
def test_a_refusal_for_want_of_free_frames_lets_hot_frames_coalesce_and_nothing_else(allocator: str) -> None:
    lab = situation(allocator)
    counts, taken = lab.counts(), [pfn for pfn in range(0x400, 0x640) if lab.call('get', pfn) > 0]
    assert lab.call('alloc_at', SINGLE, 0, 1) == NOT_FREE
    assert lab.call('check') == OK
    assert lab.counts() == counts
    assert [pfn for pfn in range(0x400, 0x640) if lab.call('put', pfn) > 0] == taken


# ------------------------------------------------------------------ references
@pytest.mark.parametrize('place', LABS)
@pytest.mark.parametrize('order', [0, 3, 9, 12])
def test_a_block_goes_with_its_last_reference(place: str, order: int) -> None:
    lab = LABS[place](HUGE_BLOCKS, 'tree')
    nr_free = lab.call('nr_free_frames')
    pfn = lab.call('alloc_block', 2, order, 1)
    assert [lab.call('get', pfn), lab.call('get', pfn), lab.call('put', pfn)] == [2, 3, 2]
    assert lab.call('free_block', pfn, order) == SHARED
    assert [lab.call('put', pfn), lab.call('put', pfn), lab.call('put', pfn)] == [1, 0, WRONG_BLOCK]
    assert lab.call('nr_free_frames') == nr_free


@pytest.mark.parametrize('place', LABS)
def test_the_count_of_references_does_not_wrap(place: str) -> None:
    lab = LABS[place](SMALL, 'tree')
    pfn = lab.call('alloc_frame', 1)
    lab.record(pfn).nr_references = (1 << 32) - 2
    assert lab.call('get', pfn) == (1 << 32) - 1
    assert lab.call('get', pfn) == SHARED
    assert lab.record(pfn).nr_references == (1 << 32) - 1
    assert lab.call('put', pfn) == (1 << 32) - 2


# ------------------------------------------------------------------ running out
@pytest.mark.parametrize('allocator', ALLOCATORS)
@pytest.mark.parametrize('order', [0, 1, 4, 9])
def test_every_block_is_handed_out_once_and_comes_back(allocator: str, order: int) -> None:
    lab = LABS['compiled'](HUGE_BLOCKS, allocator)
    model = Model(HUGE_BLOCKS)
    while (pfn := lab.call('alloc_block', 2, order, 1)) != NO_FRAME:
        model.note_used(pfn, order, 1)
    assert not any(model.has_free(zone, order) for zone in range(3))
    assert lab.call('nr_free_frames') == model.nr_free
    assert [lab.call('free_block', pfn, order) for pfn in model.used] == [OK] * len(model.used)
    lab.call('drain')
    assert lab.call('check') == OK
    assert lab.free_blocks() == model.largest_blocks()


@pytest.mark.parametrize('allocator', ALLOCATORS)
def test_the_highest_zone_goes_first_and_none_falls_back_upwards(allocator: str) -> None:
    lab = LABS['compiled'](HUGE_BLOCKS, allocator)
    assert lab.call('alloc_frame', 1) >= HIGH
    assert 0x100 <= lab.call('alloc_block', 1, 0, 1) < HIGH
    for _ in range(0x20):
        assert lab.call('alloc_block', 0, 0, 1) < 0x100
    assert lab.call('alloc_block', 0, 0, 1) == NO_FRAME


# ------------------------------------------------------------------ ranges
@pytest.mark.parametrize('place', LABS)
@pytest.mark.parametrize('allocator', ALLOCATORS)
def test_a_range_is_its_largest_blocks_and_goes_over_the_edge_of_a_zone(place: str, allocator: str) -> None:
    lab = LABS[place](HUGE_BLOCKS, allocator)
    start, end = HIGH - 0x21, HIGH + 0x403
    assert lab.call('alloc_range', start, end, 5) == OK
    orders = {start: 0, HIGH - 0x20: 5, HIGH: 10, HIGH + 0x400: 1, HIGH + 0x402: 0}
    assert {pfn: lab.record(pfn).order for pfn in orders} == orders
    assert lab.counts()[1] == end - start
    assert lab.call('free_block', HIGH, 10) == OK
    assert lab.call('free_range', start, end) == DOUBLE_FREE
    assert lab.call('free_range', start, HIGH) == lab.call('free_range', HIGH + 0x400, end) == OK
    assert lab.call('check') == OK
    assert lab.counts()[1] == 0


@pytest.mark.parametrize('place', LABS)
@pytest.mark.parametrize('allocator', ALLOCATORS)
def test_nobody_gets_what_is_reserved(place: str, allocator: str) -> None:
    lab = LABS[place](SMALL, allocator)
    total = lab.call('nr_total_frames')
    assert lab.call('reserve_range', 0x105, 0x210, 3) == lab.call('reserve_range', 0x20, 0x22, 4) == OK
    assert lab.counts() == (total - 0x10D, 0, 0x10D)
    assert [lab.call('nr_reserved_frames_of', owner) for owner in (2, 3, 4)] == [0, 0x10B, 2]
    taken = set()
    while (pfn := lab.call('alloc_frame', 1)) != NO_FRAME:
        taken.add(pfn)
    assert len(taken) == total - 0x10D
    assert not taken & {*range(0x105, 0x210), 0x20, 0x21}
    assert lab.call('check') == OK
    assert lab.call('release_range', 0x105, 0x210) == OK
    assert lab.counts() == (0x10B, total - 0x10D, 2)
    assert lab.call('check') == OK


@pytest.mark.parametrize('place', LABS)
@pytest.mark.parametrize('allocator', ALLOCATORS)
def test_frames_in_a_row_take_no_more_than_was_asked_for(place: str, allocator: str) -> None:
    lab = LABS[place](HUGE_BLOCKS, allocator)
    for nr_frames, alignment in ((1, 0), (3, 0), (100, 6), (100, 9), (0x1201, 0)):
        start = lab.call('alloc_contiguous', 2, nr_frames, alignment, 1)
        assert start >= 0
        assert start % (1 << alignment) == 0
        assert lab.counts()[1] == nr_frames
        assert lab.call('check') == OK
        assert lab.call('free_range', start, start + nr_frames) == OK


@pytest.mark.parametrize('place', LABS)
@pytest.mark.parametrize('allocator', ALLOCATORS)
def test_a_run_that_no_block_holds_is_found_with_frames_of_hot_lists(place: str, allocator: str) -> None:
    lab = LABS[place](SMALL, allocator)
    while lab.call('alloc_frame', 1) != NO_FRAME:
        pass
    for pfn in (0x11E, 0x11F, 0x120, 0x121, 0x122, 0x13F, 0x140, 0x333 - 1):
        assert lab.call('free_frame', pfn) == OK
    assert lab.call('alloc_contiguous', 1, 5, 1, 1) == 0x11E
    assert lab.call('free_range', 0x11E, 0x123) == OK
    assert lab.call('alloc_contiguous', 1, 3, 2, 1) == 0x120
    assert lab.call('alloc_contiguous', 1, 2, 0, 1) in (0x11E, 0x13F)
    assert lab.call('alloc_contiguous', 1, 3, 0, 1) == NO_FRAME


@pytest.mark.parametrize('allocator', ALLOCATORS)
def test_more_frames_in_a_row_than_the_largest_block_has(allocator: str) -> None:
    gib = 1 << MAX_ORDER
    lab = LABS['compiled'](((0, 0x9F), (0x100, 3 * gib), (4 * gib, 9 * gib + 5)), allocator)
    single = lab.call('alloc_at', 6 * gib, 0, 1)
    assert single == OK
    start = lab.call('alloc_contiguous', 2, 3 * gib - 1, 0, 1)
    assert start == 6 * gib + 1
    assert lab.call('alloc_contiguous', 2, 3 * gib - 0x100, 8, 1) == 0x100
    assert lab.call('alloc_contiguous', 2, 2 * gib, MAX_ORDER, 1) == 4 * gib
    assert lab.call('check') == OK
    assert lab.call('free_range', start, start + 3 * gib - 1) == OK
    assert lab.call('check') == OK
