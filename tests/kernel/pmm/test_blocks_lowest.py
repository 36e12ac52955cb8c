"""Which frame the tree hands out next: the lowest, so that frames in use gather and whole blocks are left."""

from typing import Final

from .blocks_lab import in_process

FIRST: Final = 0x200
WORD: Final = 64  # frames of one word of bits
RAM: Final = ((FIRST, FIRST + 64 * WORD),)
OWNER: Final = 3


def test_a_whole_word_goes_before_a_higher_one_that_is_split() -> None:
    lab = in_process(RAM, 'tree')
    taken = [lab.call('alloc_frame', OWNER) for _ in range(10 * WORD)]
    assert taken == list(range(FIRST, FIRST + 10 * WORD))
    low = range(FIRST + 2 * WORD, FIRST + 3 * WORD)
    high = FIRST + 8 * WORD + 5
    for pfn in (high, *low):
        assert lab.call('free_frame', pfn) == 0
    lab.call('drain')
    found = [lab.call('alloc_frame', OWNER) for _ in range(WORD + 2)]
    assert found == [*low, high, FIRST + 10 * WORD]
    assert lab.call('check') == 0


def test_frames_that_come_and_go_leave_whole_blocks() -> None:
    """Half of RAM in use, at random; then 30 times a third of it is freed and as much taken again."""
    lab = in_process(RAM, 'tree')
    nr_frames = RAM[0][1] - FIRST
    used = [lab.call('alloc_frame', OWNER) for _ in range(nr_frames)]
    step = 1237  # apart from all factors of nr_frames, so that its multiples reach each frame
    for index in range(nr_frames // 2):
        lab.call('free_frame', used[index * step % nr_frames])
    used = [used[index * step % nr_frames] for index in range(nr_frames // 2, nr_frames)]
    for _ in range(30):
        nr_freed = len(used) // 3
        used = [used[index * step % len(used)] for index in range(len(used))]
        for pfn in used[:nr_freed]:
            lab.call('free_frame', pfn)
        used = [*used[nr_freed:], *(lab.call('alloc_frame', OWNER) for _ in range(nr_freed))]
    lab.call('drain')
    huge = sum(number << order for (_, order), number in lab.free_blocks().items() if order >= 9)
    assert huge == lab.call('nr_free_frames') == nr_frames // 2
