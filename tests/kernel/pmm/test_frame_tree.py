"""The frame tree alone: a bitmap allocator for any number of frames, without a frame database, against a bytearray."""

import random
from itertools import pairwise
from typing import Final

import pytest

from incroos.kernel.codes import NO_FRAME, NOT_FREE, OK
from incroos.kernel.configs import CLASSIC
from incroos.kernel.pmm import hot_list
from incroos.kernel.pmm.tree import frame_tree, tree_batches
from incroos.kernel.pmm.tree.frame_tree import FrameTree
from incroos.kernel.state import NR_SLOTS, HotList
from incroos.lang import Pfn, VirtAddr

from .blocks_lab import BOOKS, HIGH, MAX_ORDER, RECORDS, StrictMemory

START: Final = Pfn(HIGH)
SIZES: Final = [1, 2, 63, 64, 65, 127, 511, 4095, 4096, 4097, 8200]


def new_tree(nr_frames: int) -> FrameTree:
    """No frame is free. The tree's memory is just what it asks for, and nothing in it was written before."""
    nr_bytes = FrameTree.SIZE + frame_tree.metadata_bytes(nr_frames)
    tree = FrameTree(StrictMemory(CLASSIC, [range(BOOKS, BOOKS + nr_bytes)]), VirtAddr(BOOKS))
    frame_tree.init(tree, VirtAddr(BOOKS + FrameTree.SIZE), START, nr_frames)
    assert frame_tree.check(tree) == OK
    return tree


def whole_tree(nr_frames: int) -> FrameTree:
    """All frames are free."""
    tree = new_tree(nr_frames)
    frame_tree.add(tree, START, Pfn(START + nr_frames))
    assert frame_tree.check(tree) == OK
    return tree


def blocks_of(start: int, end: int) -> dict[int, int]:
    """The largest aligned blocks that a range consists of: how many of each order."""
    found: dict[int, int] = {}
    while start < end:
        order = max(
            order for order in range(MAX_ORDER + 1) if start % (1 << order) == 0 and start + (1 << order) <= end
        )
        found[order] = found.get(order, 0) + 1
        start += 1 << order
    return found


def free_blocks(tree: FrameTree) -> dict[int, int]:
    """How many free blocks the tree has of each order that are no part of a larger one."""
    counts = {order: frame_tree.nr_free_blocks(tree, order) for order in range(MAX_ORDER + 1)}
    return {order: count for order, count in counts.items() if count}


# ------------------------------------------------------------------ any size
def test_it_takes_1_161_bits_a_frame() -> None:
    assert round(8 * frame_tree.metadata_bytes(1 << 28) / (1 << 28), 3) == 1.161
    assert round(8 * frame_tree.metadata_bytes(1 << 32) / (1 << 32), 3) == 1.161


@pytest.mark.parametrize('nr_frames', SIZES)
def test_each_frame_is_handed_out_once_and_they_come_together_again(nr_frames: int) -> None:
    tree = whole_tree(nr_frames)
    taken = [frame_tree.take(tree, 0) for _ in range(nr_frames)]
    assert sorted(taken) == list(range(START, START + nr_frames))
    assert taken == sorted(taken) or nr_frames % 64 != 0  # a word that is not whole goes before one that is
    assert frame_tree.take(tree, 0) == NO_FRAME
    assert (tree.nr_free_frames, frame_tree.check(tree)) == (0, OK)
    random.Random(nr_frames).shuffle(taken)
    for pfn in taken:
        frame_tree.put(tree, pfn, 0)
    assert frame_tree.check(tree) == OK
    assert free_blocks(tree) == blocks_of(START, START + nr_frames)


@pytest.mark.parametrize('nr_frames', [*SIZES, (1 << 18) - 1, 1 << 18, 5 << 17, (3 << 18) + 77])
def test_it_has_the_largest_blocks_of_any_number_of_frames(nr_frames: int) -> None:
    tree = whole_tree(nr_frames)
    assert free_blocks(tree) == blocks_of(START, START + nr_frames)
    assert tree.nr_free_frames == nr_frames


def test_ranges_that_are_added_one_after_the_other_become_one() -> None:
    tree = new_tree(1 << 14)
    edges = [0, 1, 64, 65, 100, 4096, 4097, 10_000, 1 << 14]
    pieces = list(pairwise(edges))
    random.Random(3).shuffle(pieces)
    for start, end in pieces:
        frame_tree.add(tree, Pfn(START + start), Pfn(START + end))
        assert frame_tree.check(tree) == OK
    assert free_blocks(tree) == {14: 1}


# ------------------------------------------------------------------ against a bytearray
class Model:
    """A tree, and a byte for each of its frames: 1 if it is free."""

    def __init__(self, nr_frames: int, holes: list[tuple[int, int]], seed: int) -> None:
        self.tree, self.rng, self.nr_frames = new_tree(nr_frames), random.Random(seed), nr_frames
        self.free = bytearray(nr_frames)
        edges = [0, *(edge for hole in holes for edge in hole), nr_frames]
        self.pieces = list(zip(edges[::2], edges[1::2], strict=True))
        for start, end in self.pieces:
            frame_tree.add(self.tree, Pfn(START + start), Pfn(START + end))
            self.free[start:end] = b'\1' * (end - start)
        self.held: list[tuple[int, int]] = []

    def is_free(self, at: int, order: int) -> bool:
        return self.free[at : at + (1 << order)] == b'\1' * (1 << order)

    def mark(self, at: int, order: int, value: int) -> None:
        assert self.free[at : at + (1 << order)] == bytes([1 - value]) * (1 << order)
        self.free[at : at + (1 << order)] = bytes([value]) * (1 << order)

    def any_block(self) -> tuple[int, int]:
        order = self.rng.choice((0, 0, 1, 5, 6, 7, self.rng.randint(0, self.nr_frames.bit_length() - 1)))
        return self.rng.randrange(self.nr_frames >> order) << order, order

    def take(self) -> None:
        order = self.any_block()[1]
        pfn = frame_tree.take(self.tree, order)
        if pfn == NO_FRAME:
            assert not any(self.is_free(at, order) for at in range(0, self.nr_frames, 1 << order))
        else:
            self.took(pfn - START, order)

    def took(self, at: int, order: int) -> None:
        assert at % (1 << order) == 0
        self.mark(at, order, 0)
        self.held.append((at, order))

    def take_at(self) -> None:
        at, order = self.any_block()
        is_free = self.is_free(at, order)
        assert frame_tree.is_free(self.tree, Pfn(START + at), order) == is_free
        assert frame_tree.take_at(self.tree, Pfn(START + at), order) == (OK if is_free else NOT_FREE)
        if is_free:
            self.took(at, order)
        else:
            end = frame_tree.end_of_taken(self.tree, Pfn(START + at)) - START
            assert end > at
            assert 1 not in self.free[at + 1 : end]

    def put(self) -> None:
        if self.held:
            at, order = self.held.pop(self.rng.randrange(len(self.held)))
            frame_tree.put(self.tree, Pfn(START + at), order)
            self.mark(at, order, 1)

    def check(self) -> None:
        assert frame_tree.check(self.tree) == OK
        assert self.tree.nr_free_frames == self.free.count(1)


@pytest.mark.parametrize('nr_frames', [200, 5000, 20_000])
def test_blocks_against_a_byte_for_each_frame(nr_frames: int) -> None:
    model = Model(nr_frames, [(10, 17), (nr_frames // 2 - 40, nr_frames // 2 + 90)], nr_frames)
    for step in range(1200):
        share = 0.7 if step // 300 % 2 == 0 else 0.3
        model.rng.choices((model.take, model.take_at, model.put), (share / 2, share / 2, 1 - share))[0]()
        if step % 60 == 0:
            model.check()
    while model.held:
        model.put()
    model.check()
    whole: dict[int, int] = {}
    for start, end in model.pieces:
        for order, count in blocks_of(START + start, START + end).items():
            whole[order] = whole.get(order, 0) + count
    assert free_blocks(model.tree) == whole


# ------------------------------------------------------------------ batches
def new_list(order: int, limit: int) -> HotList:
    hot = HotList(StrictMemory(CLASSIC, [range(RECORDS, RECORDS + HotList.SIZE)]), VirtAddr(RECORDS))
    hot_list.init(hot, order, limit, 1 << 40)
    return hot


def on_list(hot: HotList) -> list[int]:
    """From the oldest to the newest."""
    return [hot.slots[at % NR_SLOTS] for at in range(hot.bottom, hot.top)]


def test_a_batch_of_single_frames_is_what_the_lowest_word_has() -> None:
    tree, hot = whole_tree(1 << 13), new_list(0, NR_SLOTS)
    for at in (3, 5, 64):
        assert frame_tree.take_at(tree, Pfn(START + at), 0) == OK
    assert tree_batches.refill(tree, hot) == 62
    assert on_list(hot) == [START + at for at in range(63, -1, -1) if at not in (3, 5)]
    assert hot.frontier == START + 64
    assert tree.nr_free_frames == (1 << 13) - 3 - 62
    assert frame_tree.check(tree) == OK
    tree_batches.take_back(tree, hot, 60)
    assert on_list(hot) == [START + 1, START]
    assert frame_tree.check(tree) == OK
    tree_batches.take_back(tree, hot, 2)
    for at in (3, 5, 64):
        frame_tree.put(tree, Pfn(START + at), 0)
    assert free_blocks(tree) == {13: 1}


def test_a_batch_of_huge_blocks_is_what_one_word_has_and_an_empty_tree_has_none() -> None:
    tree, hot = whole_tree(3 << 11), new_list(9, 16)
    assert frame_tree.take_at(tree, Pfn(START + 0x207), 0) == OK
    assert tree_batches.refill(tree, hot) == 7
    assert on_list(hot) == [START + 512 * number for number in (7, 6, 5, 4, 3, 2, 0)]
    assert frame_tree.check(tree) == OK
    while hot_list.nr_blocks(hot):
        hot_list.pop(hot)
    assert tree_batches.refill(tree, hot) == 4
    assert frame_tree.check(tree) == OK
    while hot_list.nr_blocks(hot):
        hot_list.pop(hot)
    assert tree_batches.refill(tree, hot) == 0
    assert tree.nr_free_frames == 511
