"""Sets of words by class, against Python's sets."""

import random
from functools import cache
from itertools import pairwise

import pytest

from incroos.kernel.configs import CLASSIC
from incroos.kernel.pmm.tree import word_sets
from incroos.kernel.pmm.tree.word_sets import ANY, NO_CLASS, NR_SETS, WHOLE, WordSets
from incroos.lang import VirtAddr
from incroos.lang.words import signed

from .blocks_lab import BOOKS, StrictMemory

WORD = (1 << 64) - 1
ANY_NUMBER = random.Random(5)
WORDS = [
    0,
    1,
    WORD,
    WORD - 1,
    1 << 63,
    *(((1 << (1 << order)) - 1) << at & WORD for order in range(6) for at in range(0, 64, 1 << order)),
    *(((1 << (1 << order)) - 1) << at & WORD for order in range(1, 6) for at in range(1, 64, 5)),
    *(ANY_NUMBER.getrandbits(64) | ANY_NUMBER.getrandbits(64) | ANY_NUMBER.getrandbits(64) for _ in range(200)),
]


def starts(bits: int, order: int) -> int:
    """Where aligned blocks of set bits begin, bit by bit."""
    size = 1 << order
    mask = (1 << size) - 1
    return sum(1 << at for at in range(0, 64, size) if bits >> at & mask == mask)


@cache
def class_of(bits: int) -> int:
    return max((order for order in range(WHOLE + 1) if starts(bits, order)), default=NO_CLASS)


def test_classes_and_starts_of_blocks() -> None:
    for bits in WORDS:
        assert word_sets.class_of(signed(bits)) == class_of(bits), hex(bits)
        for order in range(WHOLE + 1):
            assert word_sets.starts_in(signed(bits), order) & WORD == starts(bits, order), (hex(bits), order)


def test_block_masks() -> None:
    assert [word_sets.block_mask(order) & WORD for order in range(WHOLE + 1)] == [
        (1 << (1 << order)) - 1 for order in range(WHOLE + 1)
    ]


def new_sets(nr_words: int) -> WordSets:
    nr_bytes = WordSets.SIZE + word_sets.line_bytes(nr_words)
    sets = WordSets(StrictMemory(CLASSIC, [range(BOOKS, BOOKS + nr_bytes)]), VirtAddr(BOOKS))
    word_sets.init(sets, VirtAddr(BOOKS + WordSets.SIZE), nr_words)
    return sets


@pytest.mark.parametrize(('nr_words', 'height'), [(1, 1), (64, 1), (65, 2), (4096, 2), (4097, 3), (262_145, 4)])
def test_the_lowest_word_of_each_class_is_found_at_any_height(nr_words: int, height: int) -> None:
    sets, rng = new_sets(nr_words), random.Random(nr_words)
    assert sets.height == height
    content: dict[int, int] = {}
    indexes = [0, nr_words - 1, *(rng.randrange(nr_words) for _ in range(40))]
    for _ in range(300):
        index, after = rng.choice(indexes), rng.choice(WORDS)
        word_sets.move(sets, index, signed(content.get(index, 0)), signed(after))
        content[index] = after
        members = {number: [at for at, bits in content.items() if class_of(bits) == number] for number in range(ANY)}
        members[ANY] = [at for at, bits in content.items() if bits]
        for number in range(NR_SETS):
            assert (sets.not_empty >> number & 1 == 1) == bool(members[number])
            assert not members[number] or word_sets.first(sets, number) == min(members[number])
    assert all(word_sets.is_right(sets, index, signed(bits)) for index, bits in content.items())
    if nr_words < 5000:
        assert word_sets.are_summaries_right(sets, nr_words)
        assert [word_sets.count(sets, number, nr_words) for number in range(NR_SETS)] == [
            len(members[number]) for number in range(NR_SETS)
        ]


def test_a_word_in_a_wrong_set_is_found() -> None:
    sets = new_sets(70)
    word_sets.move(sets, 66, 0, 0b1100)
    assert word_sets.is_right(sets, 66, 0b1100)
    for before, after in pairwise((0b1100, 0b1, 0xF, 0, -1)):
        assert class_of(before & WORD) != class_of(after & WORD)
        assert not word_sets.is_right(sets, 66, after)
    word_sets.leave(sets, ANY, 66)
    assert not word_sets.is_right(sets, 66, 0b1100)
    assert not word_sets.is_right(sets, 66, 0)
