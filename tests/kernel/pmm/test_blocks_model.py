"""Blocks of all of RAM against a byte for each frame: long random use, and Hypothesis, with both allocators."""

import os
from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

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

from .blocks_lab import ALLOCATORS, HUGE_BLOCKS, LAYOUTS, in_process, interpreted
from .blocks_model import Pair, RandomUse

FULL: Final = os.environ.get('INCROOS_BUDGET') == 'full'
LARGEST_ORDER: Final = {'small': 9, 'huge': 13, 'giant': 18}
ALL_CODES: Final = {
    OK,
    NO_FRAME,
    MISALIGNED,
    FOREIGN,
    RESERVED,
    DOUBLE_FREE,
    WRONG_BLOCK,
    SHARED,
    BAD_ORDER,
    NOT_FREE,
}

owners = st.integers(0, (1 << 16) - 1)
orders = st.sampled_from((0, 1, 5, 6, 9, 10, 12)) | st.integers(-1, 19)
edges = st.sampled_from([pfn for piece in HUGE_BLOCKS for pfn in piece] + [0, 1 << 8, 1 << 20])
huge_numbers = st.integers(1, (1 << 63) - 1)
frames = st.builds(int.__add__, edges, st.integers(-3, 600)) | st.integers(-1 << 63, (1 << 63) - 1)


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('allocator', ALLOCATORS)
def test_blocks_against_a_byte_for_each_frame(allocator: str, layout: str) -> None:
    pair = Pair(in_process(LAYOUTS[layout], allocator))
    RandomUse(pair, 20, LARGEST_ORDER[layout]).steps(100_000 if FULL else 8000, 40)
    pair.finish()
    assert pair.codes == ALL_CODES


@pytest.mark.parametrize('layout', ['small', 'huge'])
@pytest.mark.parametrize('allocator', ALLOCATORS)
def test_nothing_is_read_before_it_was_written_nor_touched_without_ram(allocator: str, layout: str) -> None:
    pair = Pair(interpreted(LAYOUTS[layout], allocator))
    RandomUse(pair, 7, LARGEST_ORDER[layout]).steps(1500 if layout == 'small' or FULL else 500, 700)
    pair.finish()


class Blocks(RuleBasedStateMachine):
    """The same model, with Hypothesis to choose and to find the shortest way to a difference."""

    allocator = 'tree'

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair(in_process(HUGE_BLOCKS, self.allocator))

    @rule(owner=owners)
    def alloc_frame(self, owner: int) -> None:
        self.pair.alloc_frame(owner)

    @rule(zone=st.integers(0, 2), order=orders, owner=owners)
    def alloc_block(self, zone: int, order: int, owner: int) -> None:
        self.pair.alloc_block(zone, order, owner)

    @rule(pfn=frames, order=orders, owner=owners)
    def alloc_at(self, pfn: int, order: int, owner: int) -> None:
        self.pair.alloc_at(pfn, order, owner)

    @rule(pfn=frames, order=orders)
    def alloc_at_a_multiple(self, pfn: int, order: int) -> None:
        self.pair.alloc_at(pfn & -(1 << max(0, order)), order, 1)

    @rule(data=st.data())
    def free_frame(self, data: st.DataObject) -> None:
        self.pair.free_frame(data.draw(self.some_frame()))

    @rule(data=st.data(), order=orders)
    def free_block(self, data: st.DataObject, order: int) -> None:
        self.pair.free_block(data.draw(self.some_frame()), order)

    @rule(data=st.data())
    def free_a_used_block(self, data: st.DataObject) -> None:
        if self.pair.model.used:
            pfn = data.draw(st.sampled_from(list(self.pair.model.used)))
            self.pair.free_block(pfn, self.pair.model.used[pfn].order)

    @rule(start=frames, nr_frames=st.integers(-1, 3000), owner=owners)
    def alloc_range(self, start: int, nr_frames: int, owner: int) -> None:
        self.pair.alloc_range(start, min(start + nr_frames, (1 << 63) - 1), owner)

    @rule(start=frames, nr_frames=st.integers(-1, 3000), owner=owners)
    def reserve_range(self, start: int, nr_frames: int, owner: int) -> None:
        self.pair.reserve_range(start, min(start + nr_frames, (1 << 63) - 1), owner)

    @rule(data=st.data(), nr_frames=st.integers(-1, 3000))
    def free_range(self, data: st.DataObject, nr_frames: int) -> None:
        start = data.draw(self.some_frame())
        self.pair.free_range(start, min(start + nr_frames, (1 << 63) - 1))

    @rule(data=st.data(), nr_frames=st.integers(-1, 3000))
    def release_range(self, data: st.DataObject, nr_frames: int) -> None:
        kept = list(self.pair.model.kept)
        start = data.draw(st.sampled_from(kept) | frames if kept else frames)
        self.pair.release_range(start, min(start + nr_frames, (1 << 63) - 1))

    @rule(zone=st.integers(0, 2), nr_frames=st.integers(-1, 7000) | huge_numbers, alignment=orders, owner=owners)
    def alloc_contiguous(self, zone: int, nr_frames: int, alignment: int, owner: int) -> None:
        self.pair.alloc_contiguous(zone, nr_frames, alignment, owner)

    @rule(data=st.data())
    def get(self, data: st.DataObject) -> None:
        self.pair.get(data.draw(self.some_frame()))

    @rule(data=st.data())
    def put(self, data: st.DataObject) -> None:
        self.pair.put(data.draw(self.some_frame()))

    @rule()
    def drain(self) -> None:
        self.pair.drain()

    def some_frame(self) -> st.SearchStrategy[int]:
        """Often the first of a used block."""
        used = list(self.pair.model.used)
        return st.sampled_from(used) | frames if used else frames

    @invariant()
    def all_is_right(self) -> None:
        self.pair.check()

    def teardown(self) -> None:
        self.pair.finish()


class BlocksOfTheBuddy(Blocks):
    """With the other allocator."""

    allocator = 'buddy'


TestBlocksOfTheTree = Blocks.TestCase
TestBlocksOfTheBuddy = BlocksOfTheBuddy.TestCase
TestBlocksOfTheTree.settings = TestBlocksOfTheBuddy.settings = settings(
    max_examples=400 if FULL else 30, stateful_step_count=40
)
