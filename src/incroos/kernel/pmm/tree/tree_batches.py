"""Batches: many blocks at once from a frame tree to a hot list, and back.

Unit: the block, named by the PFN of its first frame. A batch is what one word of the tree has, so that it costs little
more than a block.
"""

from typing import Final

from incroos.kernel.pmm import hot_list
from incroos.kernel.pmm.tree import word_sets
from incroos.kernel.pmm.tree.frame_tree import FrameTree, open_word, put_bits, suitable, take_at
from incroos.kernel.pmm.tree.tree_levels import DIGIT_BITS, NR_LEVELS, Level, free_words, level_of, put_word
from incroos.kernel.pmm.tree.word_sets import ANY
from incroos.kernel.state import HotList
from incroos.lang import Pfn, count_leading_zeros, count_ones, count_trailing_zeros, kernel, mul_wrap, shl_wrap, word

NO_WORD: Final = 1 << 62  # behind all words


@kernel
def refill(tree: FrameTree, hot: HotList) -> word:
    """Put all blocks of the hot list's order that one word has onto the empty list; how many.

    Single frames are the lowest there are, even if that splits a block while others are split already: so those in use
    gather at the start, and what is behind them coalesces. The lowest is the newest on the list. Blocks from behind
    the word on are not to be kept by the list.
    """
    number = level_of(hot.order)
    wanted = hot.order - DIGIT_BITS * number
    index = find_fitting(tree.levels[number], wanted)
    whole = find_whole(tree, number)
    if whole < index and (wanted == 0 or index == NO_WORD):
        index = whole
        starts = open_whole(tree, number, whole, wanted)
    elif index != NO_WORD:
        starts = take_all(tree, number, index, wanted)
    else:
        return 0
    hot.frontier = tree.start + ((index + 1) << DIGIT_BITS * (number + 1))
    return push_all(tree, hot, index << 6, number, starts)


@kernel
def find_fitting(level: Level, order: word) -> word:
    """A word that has an aligned block of 2**order bits, of those with the smallest blocks the lowest; NO_WORD."""
    candidates = suitable(level.sets, order)
    if candidates == 0:
        return NO_WORD
    return word_sets.first(level.sets, count_trailing_zeros(candidates))


@kernel
def find_whole(tree: FrameTree, number: word) -> word:
    """The lowest word of a level that lies free as a bit of a level above, or in one; NO_WORD."""
    lowest = NO_WORD
    for upper in range(number + 1, NR_LEVELS):
        level = tree.levels[upper]
        if level.sets.not_empty != 0:
            index = word_sets.first(level.sets, ANY)
            bit = (index << 6) + count_trailing_zeros(free_words(level).items[index])
            lowest = min(lowest, bit << DIGIT_BITS * (upper - number - 1))
    return lowest


@kernel
def open_whole(tree: FrameTree, number: word, index: word, order: word) -> word:
    """Take all of a word that lies free above; where its blocks of 2**order bits begin, as bits."""
    order_of_word = DIGIT_BITS * (number + 1)
    take_at(tree, Pfn(tree.start + (index << order_of_word)), order_of_word)
    open_word(tree, number, index)
    tree.nr_splits += 1
    return word_sets.starts_in(-1, order)


@kernel
def take_all(tree: FrameTree, number: word, index: word, order: word) -> word:
    """Take all blocks of 2**order bits out of a word; where they begin, as bits."""
    level = tree.levels[number]
    before = free_words(level).items[index]
    starts = word_sets.starts_in(before, order)
    put_word(level, index, before, before & ~mul_wrap(starts, word_sets.block_mask(order)))
    tree.nr_free_frames -= count_ones(starts) << (order + DIGIT_BITS * number)
    return starts


@kernel
def push_all(tree: FrameTree, hot: HotList, first: word, number: word, starts: word) -> word:
    """Push the blocks that begin at these bits of a word whose first bit is that of a level; how many."""
    nr_blocks = 0
    while starts != 0:
        bit = 63 - count_leading_zeros(starts)
        starts = starts & ~shl_wrap(1, bit)
        hot_list.push(hot, tree.start + ((first + bit) << DIGIT_BITS * number))
        nr_blocks += 1
    return nr_blocks


@kernel
def take_back(tree: FrameTree, hot: HotList, nr_blocks: word) -> None:
    """Take so many of the oldest blocks off a hot list; those that follow each other in one word, together."""
    number = level_of(hot.order)
    block = word_sets.block_mask(hot.order - DIGIT_BITS * number)
    tree.nr_free_frames += nr_blocks << hot.order
    while nr_blocks > 0:
        index = (hot_list.oldest(hot) - tree.start) >> DIGIT_BITS * (number + 1)
        bits = 0
        while nr_blocks > 0 and (hot_list.oldest(hot) - tree.start) >> DIGIT_BITS * (number + 1) == index:
            bit = (hot_list.pop_oldest(hot) - tree.start) >> DIGIT_BITS * number
            bits = bits | shl_wrap(block, bit & 63)
            nr_blocks -= 1
        put_bits(tree, number, index, bits)
    hot.frontier = min(hot.frontier, end_of_lowest(tree, number))


@kernel
def end_of_lowest(tree: FrameTree, number: word) -> word:
    """The PFN behind the lowest word of a level that has a free block; behind all frames when there is none."""
    sets = tree.levels[number].sets
    if sets.not_empty == 0:
        return tree.start + tree.nr_frames
    return tree.start + ((word_sets.first(sets, ANY) + 1) << DIGIT_BITS * (number + 1))
