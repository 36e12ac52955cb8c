"""Sets of words by what they hold: of each class, the lowest word is found without a search.

Unit: the word of 64 bits, by its number on its level of the tree (frame_tree.py). The class of a word is the order of
the largest block of set bits in it, a block being aligned on its size.

    0000...00010100   class 0          0000...11110000   class 2          1111...1111   class 6, WHOLE
    0000...00000000   none

For each class there is a set, a bit for each word; a summary of the set, a bit for each of its words that is not 0; a
summary of that, and so on to a single word. The words of all sets for the same 64 numbers lie side by side, a line of
the cache: a word that changes its class stays in the line.
"""

from typing import Annotated, Final

from incroos.lang import (
    Array,
    Struct,
    VirtAddr,
    count_ones,
    count_trailing_zeros,
    fill,
    kernel,
    shl_wrap,
    shr_logical,
    u64,
    word,
)

NO_CLASS: Final = -1  # of 0
WHOLE: Final = 6
ANY: Final = 7  # no class, but the set of all words that are not 0
NR_SETS: Final = 8
MAX_HEIGHT: Final = 5  # for 64**5 words and more frames than a PFN can name

PAIRS: Final = 0x5555_5555_5555_5555  # a bit where a block of two may begin
QUADS: Final = 0x1111_1111_1111_1111
OCTETS: Final = 0x0101_0101_0101_0101
BLOCKS_16: Final = 0x0001_0001_0001_0001
BLOCKS_32: Final = 0x0000_0001_0000_0001


class SetLine(Struct):
    """The words of all sets for 64 numbers."""

    bits: Annotated[Array[u64], NR_SETS]


class SetLines(Struct):
    """View of lines in a row."""

    items: Annotated[Array[SetLine], 0]


class WordSets(Struct):
    """The sets of the words of one level."""

    not_empty: u64  # bit c: the set of class c is not empty
    height: u64
    lines: Annotated[Array[VirtAddr], MAX_HEIGHT]  # of the sets, of their summaries, and so on


# ------------------------------------------------------------------ classes
@kernel
def class_of(bits: word) -> word:
    """The class of a word."""
    if bits == 0:
        return NO_CLASS
    starts = bits & shr_logical(bits, 1) & PAIRS
    if starts == 0:
        return 0
    starts = starts & (starts >> 2) & QUADS
    if starts == 0:
        return 1
    starts = starts & (starts >> 4) & OCTETS
    if starts == 0:
        return 2
    starts = starts & (starts >> 8) & BLOCKS_16
    if starts == 0:
        return 3
    if starts & (starts >> 16) & BLOCKS_32 == 0:
        return 4
    return WHOLE if bits == -1 else 5


@kernel
def starts_in(bits: word, order: word) -> word:
    """Where in a word the aligned blocks of set bits begin that have 2**order bits, as bits; order is 0 to WHOLE."""
    starts = bits
    if order >= 1:
        starts = starts & shr_logical(starts, 1) & PAIRS
    if order >= 2:
        starts = starts & (starts >> 2) & QUADS
    if order >= 3:
        starts = starts & (starts >> 4) & OCTETS
    if order >= 4:
        starts = starts & (starts >> 8) & BLOCKS_16
    if order >= 5:
        starts = starts & (starts >> 16) & BLOCKS_32
    if order >= WHOLE:
        starts = starts & (starts >> 32) & 1
    return starts


@kernel
def block_mask(order: word) -> word:
    """2**order bits from bit 0 up; order is 0 to WHOLE."""
    return shr_logical(-1, 64 - (1 << order))


# ------------------------------------------------------------------ sets
@kernel
def line_bytes(nr_words: word) -> word:
    """How much memory the sets of so many words take."""
    total = 0
    nr_lines = nr_words
    while True:
        nr_lines = (nr_lines + 63) >> 6
        total += nr_lines * SetLine.SIZE
        if nr_lines <= 1:
            return total


@kernel
def init(sets: WordSets, memory: VirtAddr, nr_words: word) -> None:
    """Make sets for so many words, all of them 0, in line_bytes(nr_words) bytes of memory."""
    fill(sets.m, memory, 0, line_bytes(nr_words))
    sets.not_empty = 0
    at = memory
    nr_lines = nr_words
    height = 0
    while height == 0 or nr_lines > 1:
        nr_lines = (nr_lines + 63) >> 6
        sets.lines[height] = at
        at = VirtAddr(at + nr_lines * SetLine.SIZE)
        height += 1
    sets.height = height
    for rest in range(height, MAX_HEIGHT):
        sets.lines[rest] = VirtAddr(0)


@kernel
def line_of(sets: WordSets, height: word, index: word) -> SetLine:
    """The line of a height that has the bit of a number."""
    return SetLines(sets.m, sets.lines[height]).items[index >> 6]


@kernel
def enter(sets: WordSets, number: word, index: word) -> None:
    """Put a word into the set of that number."""
    for height in range(sets.height):
        line = line_of(sets, height, index)
        before = line.bits[number]
        line.bits[number] = before | shl_wrap(1, index & 63)
        if before != 0:
            return
        index >>= 6
    sets.not_empty = sets.not_empty | 1 << number


@kernel
def leave(sets: WordSets, number: word, index: word) -> None:
    """Take a word out of the set of that number."""
    for height in range(sets.height):
        line = line_of(sets, height, index)
        after = line.bits[number] & ~shl_wrap(1, index & 63)
        line.bits[number] = after
        if after != 0:
            return
        index >>= 6
    sets.not_empty = sets.not_empty & ~(1 << number)


@kernel
def first(sets: WordSets, number: word) -> word:
    """The lowest word in a set that is not empty."""
    index = 0
    for height in range(sets.height - 1, -1, -1):
        line = SetLines(sets.m, sets.lines[height]).items[index]
        index = (index << 6) + count_trailing_zeros(line.bits[number])
    return index


@kernel
def move(sets: WordSets, index: word, before: word, after: word) -> None:
    """A word changed from one content to another."""
    old = class_of(before)
    new = class_of(after)
    if old == new:
        return
    if old == NO_CLASS:
        enter(sets, ANY, index)
    else:
        leave(sets, old, index)
    if new == NO_CLASS:
        leave(sets, ANY, index)
    else:
        enter(sets, new, index)


@kernel
def is_right(sets: WordSets, index: word, content: word) -> bool:
    """Whether a word is in the sets that its content says, and in no other."""
    kind = class_of(content)
    wanted = 0 if kind == NO_CLASS else 1 << kind | 1 << ANY
    line = line_of(sets, 0, index)
    for number in range(NR_SETS):
        is_in = shr_logical(line.bits[number], index & 63) & 1 != 0
        if is_in != (wanted >> number & 1 != 0):
            return False
    return True


@kernel
def count(sets: WordSets, number: word, nr_words: word) -> word:
    """How many words are in a set; looks at all of them."""
    total = 0
    for line in range((nr_words + 63) >> 6):
        total += count_ones(SetLines(sets.m, sets.lines[0]).items[line].bits[number])
    return total


@kernel
def are_summaries_right(sets: WordSets, nr_words: word) -> bool:
    """Whether each summary has a bit exactly where what it sums up is not 0."""
    nr_lines = (nr_words + 63) >> 6
    for height in range(sets.height):
        for index in range(nr_lines):
            line = SetLines(sets.m, sets.lines[height]).items[index]
            for number in range(NR_SETS):
                if (line.bits[number] != 0) != is_summed_up(sets, height, index, number):
                    return False
        nr_lines = (nr_lines + 63) >> 6
    return True


@kernel
def is_summed_up(sets: WordSets, height: word, index: word, number: word) -> bool:
    """Whether the summary above a line, or `not_empty` above the last one, has the bit of a set."""
    if height + 1 == sets.height:
        return sets.not_empty >> number & 1 != 0
    return shr_logical(line_of(sets, height + 1, index).bits[number], index & 63) & 1 != 0
