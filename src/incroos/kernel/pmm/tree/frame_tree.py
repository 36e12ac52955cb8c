"""Frame tree: free frames as bits, one a frame, in a tree of words; hands out the lowest ones.

Unit: the block of 2**order frames, aligned on its size and named by the PFN of its first frame. Knows nothing of what
a frame is for, nor of who has it; does not touch frames. Callers give back only what they were given (blocks.py).

    level 2   a bit for each 16 MiB   free  0 0 1 1 ...   the whole of it lies free; words below it are not written
                                      split 1 0 0 0 ...   a part of it may: the word below says which
    level 1   a bit for each 256 KiB  free and split, 64 of them for one bit above
    level 0   a bit for each frame    free

Three digits of base 64 are the 18 orders: blocks of 2**0 to 2**5 frames are aligned bits of a word of level 0, those
of 2**6 to 2**11 of level 1, and the larger ones of level 2. Splitting a block is writing the word below its bit;
frames that are freed coalesce by being bits of one word, and a word that is all ones becomes a bit above. Neither goes
further than two levels. Sets of words by class (word_sets.py) name the lowest word that has a block of some order.

Start-up writes level 2 and the sets, 1/64 byte a frame; words below are written when a block is split. All together
takes 1.161 bits a frame, if there are many: 1 for level 0, 1/32 for level 1, 1/8 for the sets of level 0, and 1/200 for
the rest. It needs nothing else: alone, without a frame database, zones or hot lists, it is a bitmap allocator for any
number of frames, in which no search ever walks.
"""

from typing import Annotated

from incroos.kernel.codes import NO_FRAME, NOT_FREE, OK
from incroos.kernel.pmm import orders
from incroos.kernel.pmm.tree import word_sets
from incroos.kernel.pmm.tree.tree_levels import (
    DIGIT_BITS,
    NR_LEVELS,
    TOP,
    TOP_ORDER,
    WORD_BYTES,
    Level,
    clear_split,
    free_words,
    is_set,
    level_of,
    put_word,
    set_split,
    split_words,
    words_on,
)
from incroos.kernel.pmm.tree.word_sets import ANY, NR_SETS, WHOLE, WordSets
from incroos.lang import (
    Array,
    Pfn,
    Struct,
    VirtAddr,
    count_ones,
    count_trailing_zeros,
    fill,
    kernel,
    shl_wrap,
    u64,
    word,
)

# TREE-1  nr_free_frames == the frames of all bits of `free` that count
# TREE-2  no bit is both free and split
# TREE-3  a word below the top that counts is not all ones: it would be a bit above
# TREE-4  each word is in the sets that its class says, and each summary is right
#
# A bit or word counts if it is on level 2, or if the bit above it is split.


class FrameTree(Struct):
    """Frames [start, start + nr_frames), some of them RAM."""

    start: Pfn  # a multiple of the largest block
    nr_frames: u64
    nr_free_frames: u64
    nr_splits: u64  # blocks that were split so far
    nr_merges: u64  # and those that came together
    levels: Annotated[Array[Level], NR_LEVELS]


@kernel
def metadata_bytes(nr_frames: word) -> word:
    """How much memory a tree for so many frames takes, besides its struct."""
    total = 0
    for level in range(NR_LEVELS):
        nr_words = words_on(nr_frames, level)
        planes = 1 if level == 0 else 2
        total += planes * nr_words * WORD_BYTES + word_sets.line_bytes(nr_words)
    return total


@kernel
def init(tree: FrameTree, memory: VirtAddr, start: Pfn, nr_frames: word) -> None:
    """Make a tree without free frames in metadata_bytes(nr_frames) bytes of memory; nr_frames is not 0."""
    tree.start = start
    tree.nr_frames = nr_frames
    tree.nr_free_frames = 0
    tree.nr_splits = 0
    tree.nr_merges = 0
    at = memory
    for number in range(TOP, -1, -1):  # what is written at once lies together
        level = tree.levels[number]
        level.nr_words = words_on(nr_frames, number)
        word_sets.init(level.sets, at, level.nr_words)
        at = VirtAddr(at + word_sets.line_bytes(level.nr_words))
    for number in range(TOP, -1, -1):
        level = tree.levels[number]
        level.free = at
        at = VirtAddr(at + level.nr_words * WORD_BYTES)
        level.split = at if number > 0 else VirtAddr(0)
        at = VirtAddr(at + level.nr_words * WORD_BYTES)
    top = tree.levels[TOP]
    fill(tree.m, top.free, 0, 2 * top.nr_words * WORD_BYTES)


# ------------------------------------------------------------------ giving frames to the tree
@kernel
def open_word(tree: FrameTree, number: word, index: word) -> None:
    """Let a word count of whose frames none is free; those above it as well."""
    for upper in range(TOP, number, -1):
        bit = index >> DIGIT_BITS * (upper - number - 1)
        if not is_set(split_words(tree.levels[upper]), bit):
            set_split(tree.levels[upper], bit)
            free_words(tree.levels[upper - 1]).items[bit] = 0
            if upper > 1:
                split_words(tree.levels[upper - 1]).items[bit] = 0


@kernel
def add(tree: FrameTree, start: Pfn, end: Pfn) -> None:
    """Call [start, end) free, frames of the tree that it does not have yet."""
    at = start - tree.start
    behind = end - tree.start
    while at < behind:
        order = orders.largest_order(at, behind, TOP_ORDER)
        number = level_of(order)
        open_word(tree, number, at >> DIGIT_BITS * (number + 1))
        put(tree, Pfn(tree.start + at), order)
        at += 1 << order


@kernel
def put(tree: FrameTree, pfn: Pfn, order: word) -> None:
    """Take back a block that was handed out."""
    number = level_of(order)
    bit = (pfn - tree.start) >> DIGIT_BITS * number
    bits = shl_wrap(word_sets.block_mask(order - DIGIT_BITS * number), bit & 63)
    tree.nr_free_frames += 1 << order
    put_bits(tree, number, bit >> 6, bits)


@kernel
def put_bits(tree: FrameTree, number: word, index: word, bits: word) -> None:
    """Set bits of a word that counts; a word that is then all ones becomes a bit above."""
    while True:
        level = tree.levels[number]
        before = free_words(level).items[index]
        after = before | bits
        if after != -1 or number == TOP:
            put_word(level, index, before, after)
            return
        word_sets.move(level.sets, index, before, 0)
        number += 1
        clear_split(tree.levels[number], index)
        tree.nr_merges += 1
        bits = shl_wrap(1, index & 63)
        index >>= 6


# ------------------------------------------------------------------ taking frames
@kernel
def take(tree: FrameTree, order: word) -> Pfn:
    """The lowest block that is free, among those in words whose largest blocks are the smallest that will do; NO_FRAME.

    For single frames that is any word which has not all of its frames free.
    """
    number = level_of(order)
    wanted = order - DIGIT_BITS * number
    candidates = suitable(tree.levels[number].sets, wanted)
    while candidates == 0:
        number += 1
        if number > TOP:
            return Pfn(NO_FRAME)
        wanted = 0
        candidates = suitable(tree.levels[number].sets, wanted)
    level = tree.levels[number]
    index = word_sets.first(level.sets, count_trailing_zeros(candidates))
    starts = word_sets.starts_in(free_words(level).items[index], wanted)
    at = ((index << 6) + count_trailing_zeros(starts)) << DIGIT_BITS * number
    carve(tree, number, at, order)
    return Pfn(tree.start + at)


@kernel
def suitable(sets: WordSets, order: word) -> word:
    """The sets, as bits, whose words have an aligned block of 2**order bits; for one bit, the set of all."""
    if order == 0:
        return sets.not_empty & 1 << ANY
    return sets.not_empty & (1 << ANY) - (1 << order)


@kernel
def carve(tree: FrameTree, number: word, at: word, order: word) -> None:
    """Take the block at a distance from the tree's start, out of one whose bits are on this level."""
    lowest = level_of(order)
    index = at >> DIGIT_BITS * (number + 1)
    content = free_words(tree.levels[number]).items[index]
    before = content
    while number > lowest:
        level = tree.levels[number]
        bit = at >> DIGIT_BITS * number
        put_word(level, index, before, content & ~shl_wrap(1, bit & 63))
        set_split(level, bit)
        tree.nr_splits += 1
        number -= 1
        index = bit
        content = -1
        before = 0
        if number > 0:
            split_words(tree.levels[number]).items[index] = 0
    first = at >> DIGIT_BITS * lowest
    mask = shl_wrap(word_sets.block_mask(order - DIGIT_BITS * lowest), first & 63)
    put_word(tree.levels[lowest], index, before, content & ~mask)
    tree.nr_free_frames -= 1 << order


@kernel
def find_free(tree: FrameTree, pfn: Pfn, order: word) -> word:
    """The level on whose bits a block lies free, as it is or within a larger one; -1 when it is not free."""
    at = pfn - tree.start
    lowest = level_of(order)
    for number in range(TOP, lowest, -1):
        bit = at >> DIGIT_BITS * number
        if is_set(free_words(tree.levels[number]), bit):
            return number
        if not is_set(split_words(tree.levels[number]), bit):
            return -1
    bit = at >> DIGIT_BITS * lowest
    mask = shl_wrap(word_sets.block_mask(order - DIGIT_BITS * lowest), bit & 63)
    return lowest if ~free_words(tree.levels[lowest]).items[bit >> 6] & mask == 0 else -1


@kernel
def is_free(tree: FrameTree, pfn: Pfn, order: word) -> bool:
    """Whether all frames of a block are free."""
    return find_free(tree, pfn, order) >= 0


@kernel
def end_of_taken(tree: FrameTree, pfn: Pfn) -> Pfn:
    """A PFN behind one at which a block begins that is not free: no frame between them is free."""
    at = pfn - tree.start
    for number in range(TOP, 0, -1):
        bit = at >> DIGIT_BITS * number
        if is_set(free_words(tree.levels[number]), bit):
            break
        if not is_set(split_words(tree.levels[number]), bit):
            return Pfn(tree.start + ((bit + 1) << DIGIT_BITS * number))
    return Pfn(pfn + 1)


@kernel
def take_at(tree: FrameTree, pfn: Pfn, order: word) -> word:
    """Take this block: OK, or NOT_FREE."""
    number = find_free(tree, pfn, order)
    if number < 0:
        return NOT_FREE
    carve(tree, number, pfn - tree.start, order)
    return OK


# ------------------------------------------------------------------ counts and the check
@kernel
def counts(tree: FrameTree, number: word, index: word) -> bool:
    """Whether a word of a level counts."""
    for upper in range(TOP, number, -1):
        if not is_set(split_words(tree.levels[upper]), index >> DIGIT_BITS * (upper - number - 1)):
            return False
    return True


@kernel
def nr_free_blocks(tree: FrameTree, order: word) -> word:
    """How many free blocks of an order are not part of a larger one. Looks at all words of a level."""
    number = level_of(order)
    within = order - DIGIT_BITS * number
    total = 0
    for index in range(tree.levels[number].nr_words):
        if counts(tree, number, index):
            bits = free_words(tree.levels[number]).items[index]
            total += count_ones(word_sets.starts_in(bits, within))
            if within < WHOLE:
                total -= 2 * count_ones(word_sets.starts_in(bits, within + 1))
    return total


@kernel
def check(tree: FrameTree) -> word:
    """0, or the number of the first TREE invariant that does not hold."""
    nr_free_frames = 0
    for number in range(NR_LEVELS):
        level = tree.levels[number]
        nr_in_sets = 0
        for index in range(level.nr_words):
            if not counts(tree, number, index):
                continue
            bits = free_words(level).items[index]
            if number > 0 and bits & split_words(level).items[index] != 0:
                return 2
            if number < TOP and bits == -1:
                return 3
            if not word_sets.is_right(level.sets, index, bits):
                return 4
            nr_free_frames += count_ones(bits) << DIGIT_BITS * number
            nr_in_sets += 2 if bits != 0 else 0
        for kind in range(NR_SETS):
            nr_in_sets -= word_sets.count(level.sets, kind, level.nr_words)
        if nr_in_sets != 0 or not word_sets.are_summaries_right(level.sets, level.nr_words):
            return 4
    return OK if nr_free_frames == tree.nr_free_frames else 1
