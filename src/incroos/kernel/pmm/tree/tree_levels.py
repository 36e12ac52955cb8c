"""The levels of a frame tree (frame_tree.py): words of bits, which blocks their bits stand for, and which words count.

Unit: the bit, by its number on its level; 64 of them are a word, which belongs to one bit of the level above.
"""

from typing import Annotated, Final

from incroos.kernel.pmm.tree import word_sets
from incroos.kernel.pmm.tree.word_sets import WordSets
from incroos.lang import Array, Struct, VirtAddr, kernel, shl_wrap, shr_logical, u64, word

DIGIT_BITS: Final = 6  # orders on a level
NR_LEVELS: Final = 3
TOP: Final = NR_LEVELS - 1
TOP_ORDER: Final = NR_LEVELS * DIGIT_BITS
WORD_BYTES: Final = 8


class Words(Struct):
    """View of words in a row."""

    items: Annotated[Array[u64], 0]


class Level(Struct):
    """The words of one level."""

    nr_words: u64
    free: VirtAddr
    split: VirtAddr  # not on level 0
    sets: WordSets  # of the words of `free` that count


@kernel
def words_on(nr_frames: word, level: word) -> word:
    """How many words a level has."""
    shift = DIGIT_BITS * (level + 1)
    return (nr_frames + (1 << shift) - 1) >> shift


@kernel
def free_words(level: Level) -> Words:
    """The words of `free`."""
    return Words(level.m, level.free)


@kernel
def split_words(level: Level) -> Words:
    """The words of `split`; not on level 0."""
    return Words(level.m, level.split)


@kernel
def level_of(order: word) -> word:
    """The level whose bits make blocks of that order."""
    return min(order // DIGIT_BITS, TOP)


@kernel
def put_word(level: Level, index: word, before: word, after: word) -> None:
    """Store a word of `free` that counts; before, it was this, or it is 0 because it did not count."""
    free_words(level).items[index] = after
    word_sets.move(level.sets, index, before, after)


@kernel
def set_split(level: Level, bit: word) -> None:
    """The word below a bit counts from now on."""
    words = split_words(level)
    words.items[bit >> 6] = words.items[bit >> 6] | shl_wrap(1, bit & 63)


@kernel
def clear_split(level: Level, bit: word) -> None:
    """The word below a bit does not count any more."""
    words = split_words(level)
    words.items[bit >> 6] = words.items[bit >> 6] & ~shl_wrap(1, bit & 63)


@kernel
def is_set(words: Words, bit: word) -> bool:
    """A bit of words in a row."""
    return shr_logical(words.items[bit >> 6], bit & 63) & 1 != 0
