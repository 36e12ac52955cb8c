"""The hot list against a deque, round and round its ring."""

import random
from collections import deque

import pytest

from incroos.kernel.codes import OK
from incroos.kernel.configs import CLASSIC
from incroos.kernel.pmm import hot_list
from incroos.kernel.state import NR_SLOTS, HotList
from incroos.lang import VirtAddr

from .blocks_lab import BOOKS, StrictMemory


def new_list(order: int = 0, limit: int = NR_SLOTS) -> HotList:
    hot = HotList(StrictMemory(CLASSIC, [range(BOOKS, BOOKS + HotList.SIZE)]), VirtAddr(BOOKS))
    hot_list.init(hot, order, limit, 1 << 30)
    return hot


@pytest.mark.parametrize('limit', [1, 16, NR_SLOTS])
def test_it_is_a_deque(limit: int) -> None:
    hot, model, rng = new_list(0, limit), deque[int](), random.Random(limit)
    for step in range(2000):
        kind = rng.randrange(3) if step % 200 < 150 else 0
        if kind == 0 and len(model) < limit:
            pfn = rng.randrange(1 << 32)
            if pfn not in model:
                hot_list.push(hot, pfn)
                model.append(pfn)
        elif kind == 1 and model:
            assert hot_list.pop(hot) == model.pop()
        elif kind == 2 and model:
            assert hot_list.oldest(hot) == model[0]
            assert hot_list.pop_oldest(hot) == model.popleft()
        assert hot_list.nr_blocks(hot) == len(model)
        if step % 100 == 0:
            assert hot_list.check(hot) == OK
            assert all(hot_list.has(hot, pfn) for pfn in model)
            assert not hot_list.has(hot, 1 << 33)
    assert hot.bottom > NR_SLOTS or limit == 1


def test_a_frame_within_a_block_is_on_the_list() -> None:
    hot = new_list(9, 16)
    hot_list.push(hot, 0x400)
    assert [hot_list.has(hot, pfn) for pfn in (0x3FF, 0x400, 0x5FF, 0x600)] == [False, True, True, False]


@pytest.mark.parametrize(
    ('number', 'pfns', 'fields'),
    [
        (1, [0x200], {'top': 18}),
        (1, [0x200, 0x400], {'bottom': 3}),
        (1, [0x200, 0x400], {'limit': 1}),
        (1, [], {'limit': NR_SLOTS + 1}),
        (2, [0x200, 0x400, 0x200], {}),
        (2, [0x201], {}),
    ],
)
def test_what_is_broken_is_found(number: int, pfns: list[int], fields: dict[str, int]) -> None:
    hot = new_list(9, 16)
    for pfn in pfns:
        hot_list.push(hot, pfn)
    for name, value in fields.items():
        setattr(hot, name, value)
    assert hot_list.check(hot) == number
