"""The checkers of blocks, zones, allocators, hot lists and database find each way of breaking them, by number."""

from collections.abc import Callable
from typing import Final

import pytest

from incroos.kernel.codes import OK
from incroos.kernel.pmm.all import buddy
from incroos.kernel.pmm.all.buddy import Buddy
from incroos.kernel.pmm.all.frame_database import INSIDE, USED
from incroos.kernel.pmm.tree import tree, tree_levels, word_sets
from incroos.kernel.pmm.tree.frame_tree import FrameTree
from incroos.kernel.state import NR_SLOTS, Zone

from .blocks_lab import Lab, interpreted

SINGLE, PAIR, KEPT = 0x100, 0x102, 0x108  # used blocks of orders 0 and 1, a reservation of 9 frames
RUN, RUN_ORDER = 0x200, 8  # a free block that no call below takes
RAM: Final = ((1, 0x9F), (0x100, 0x333), (0x5FE, 0x2A02))
MIDDLE: Final = 1
FIRST_CODE: Final = 100 * (MIDDLE + 1)

Break = Callable[[Lab], object]


def zone_of(lab: Lab) -> Zone:
    return lab.zone(MIDDLE)


def tree_of(lab: Lab) -> FrameTree:
    return tree.tree_of(zone_of(lab))


def buddy_of(lab: Lab) -> Buddy:
    return buddy.buddy_of(zone_of(lab))


def set_record(pfn: int, **fields: int) -> Break:
    def break_it(lab: Lab) -> None:
        for name, value in fields.items():
            setattr(lab.record(pfn), name, value)

    return break_it


def add(part: Callable[[Lab], object], name: str, number: int) -> Break:
    return lambda lab: setattr(part(lab), name, getattr(part(lab), name) + number)


def set_slot(huge: bool, slot: int, pfn: int) -> Break:
    def break_it(lab: Lab) -> None:
        hot = zone_of(lab).huge if huge else zone_of(lab).single
        hot.slots[(hot.bottom + slot) % NR_SLOTS] = pfn

    return break_it


def count_down(name: str) -> Break:
    return add(lambda lab: zone_of(lab).single, name, -1 << 40)


def both(*breaks: Break) -> Break:
    return lambda lab: [break_it(lab) for break_it in breaks]


# ------------------------------------------------------------------ the tree
def level_word(lab: Lab, number: int) -> int:
    """The word of a level that has the single used frame."""
    return SINGLE >> 6 * (number + 1)


def free_a_split_bit(lab: Lab) -> None:
    level = tree_of(lab).levels[1]
    words = tree_levels.free_words(level).items
    words[level_word(lab, 1)] = words[level_word(lab, 1)] | 1 << (SINGLE >> 6 & 63)


def set_a_whole_word(lab: Lab) -> None:
    tree_levels.free_words(tree_of(lab).levels[0]).items[level_word(lab, 0)] = -1


def change_a_word(lab: Lab) -> None:
    """Of another class than its sets say, with as many bits."""
    tree_levels.free_words(tree_of(lab).levels[0]).items[level_word(lab, 0)] = 0x5555_5555


def flip_a_summary(lab: Lab) -> None:
    sets = tree_of(lab).levels[0].sets
    line = word_sets.line_of(sets, 1, 0)
    line.bits[3] = line.bits[3] ^ 2


def fill_a_set(lab: Lab) -> None:
    """Say of a word that does not count that it is in a set whose summary is right."""
    sets = tree_of(lab).levels[0].sets
    word_sets.enter(sets, 2, (RUN >> 6) + 1)


TREE_BREAKS: list[tuple[int, str, Break]] = [
    (21, 'a frame too many', both(add(zone_of, 'nr_total_frames', 1), add(tree_of, 'nr_free_frames', 1))),
    (22, 'a bit that is free and split', free_a_split_bit),
    (23, 'a word that should be a bit above', set_a_whole_word),
    (24, 'a word in the wrong sets', change_a_word),
    (24, 'a summary that is wrong', flip_a_summary),
    (24, 'an empty set that is said to have words', add(lambda lab: tree_of(lab).levels[0].sets, 'not_empty', 1 << 6)),
    (24, 'a word in a set that does not count', fill_a_set),
]


# ------------------------------------------------------------------ the buddy
def heads_block(lab: Lab) -> tuple[int, int]:
    """A free block with a neighbour on its list: its PFN and order."""
    found = buddy_of(lab)
    return next((found.heads[order], order) for order in range(19) if found.nr_blocks[order] > 1)


def set_head_record(name: str, change: Callable[[int], int]) -> Break:
    def break_it(lab: Lab) -> None:
        record = buddy.links_of(lab.frames.database, heads_block(lab)[0])
        setattr(record, name, change(getattr(record, name)))

    return break_it


def halve_a_block(lab: Lab) -> None:
    database = lab.frames.database
    buddy.remove(buddy_of(lab), database, RUN, RUN_ORDER)
    buddy.push(buddy_of(lab), database, RUN, RUN_ORDER - 1)
    buddy.push(buddy_of(lab), database, RUN + (1 << RUN_ORDER - 1), RUN_ORDER - 1)


def free_a_block_within_another(lab: Lab) -> None:
    buddy.push(buddy_of(lab), lab.frames.database, RUN + 0x10, 0)


def move_a_block(lab: Lab) -> None:
    """To a list of larger blocks, where it is not aligned."""
    database = lab.frames.database
    buddy.remove(buddy_of(lab), database, RUN, RUN_ORDER)
    buddy.push(buddy_of(lab), database, RUN + 0x10, RUN_ORDER)


BUDDY_BREAKS: list[tuple[int, str, Break]] = [
    (21, 'a frame too many', both(add(zone_of, 'nr_total_frames', 1), add(buddy_of, 'nr_free_frames', 1))),
    (21, 'a block too few', lambda lab: buddy_of(lab).nr_blocks.__setitem__(heads_block(lab)[1], 1)),
    (21, 'a block too many', lambda lab: buddy_of(lab).nr_blocks.__setitem__(heads_block(lab)[1], 9)),
    (22, 'a block on the list of another order', set_head_record('order', lambda order: order + 1)),
    (
        22,
        'a block that is not free',
        both(set_head_record('state', lambda _: INSIDE), set_head_record('previous', lambda _: 0)),
    ),
    (22, 'a block out of the zone', lambda lab: setattr(zone_of(lab), 'end', RUN)),
    (22, 'a block over the end of the zone', lambda lab: setattr(zone_of(lab), 'end', RAM[-1][1] - 1)),
    (22, 'a block that is not aligned', move_a_block),
    (23, 'a link that does not lead back', set_head_record('previous', lambda _: RUN)),
    (24, 'a bit for an empty list', add(buddy_of, 'not_empty', 1 << 18)),
    (25, 'a block in two halves', halve_a_block),
    (26, 'a block within another', free_a_block_within_another),
]


# ------------------------------------------------------------------ around them
COMMON_BREAKS: list[tuple[int, str, Break]] = [
    (1, 'a used block that is not aligned', set_record(SINGLE + 1, state=USED, order=1, nr_references=1)),
    (1, 'an order that is none', set_record(SINGLE, order=19)),
    (1, 'a reserved block that is not aligned', set_record(KEPT, order=4)),
    (2, 'a used block within another', set_record(PAIR + 1, state=USED, order=0, nr_references=1)),
    (2, 'a used block within a reserved one', set_record(KEPT + 1, state=USED, order=0, nr_references=1)),
    (3, 'a used block without references', set_record(SINGLE, nr_references=0)),
    (4, 'as many mappings as references', set_record(SINGLE, nr_mappings=1)),
    (4, 'a mapping of a frame within a block', set_record(PAIR + 1, nr_mappings=1)),
    (4, 'a mapping of a reserved frame', set_record(KEPT, nr_mappings=1)),
    (5, 'a lost frame', set_record(SINGLE, state=INSIDE)),
    (5, 'a frame that is not RAM', set_record(0xA0, state=USED, order=0, nr_references=1)),
    (5, 'a wrong total', add(zone_of, 'nr_total_frames', 1)),
    (6, 'a wrong count of reserved frames', add(lambda lab: lab.frames, 'nr_reserved_frames', 1)),
]
ZONE_BREAKS: list[tuple[int, str, Break]] = [
    (1, 'a limit below what is on the list', lambda lab: setattr(zone_of(lab).single, 'limit', 1)),
    (1, 'a limit beyond the slots', lambda lab: setattr(zone_of(lab).single, 'limit', NR_SLOTS + 1)),
    (1, 'a list that begins before 0', both(count_down('top'), count_down('bottom'))),
    (2, 'a frame twice', both(set_slot(False, 0, 0x121), set_slot(False, 1, 0x121))),
    (11, 'a limit for huge blocks beyond the slots', lambda lab: setattr(zone_of(lab).huge, 'limit', NR_SLOTS + 1)),
    (12, 'a huge block that is not aligned', set_slot(True, 0, 0x601)),
    (31, 'a frame that is free as well', set_slot(False, 0, RUN)),
    (31, 'a huge block that is free as well', both(set_slot(True, 0, RUN))),
]
ALL: Final = [
    (allocator, number if number < 10 and breaks is COMMON_BREAKS else FIRST_CODE + number, how, break_it)
    for allocator, own in (('tree', TREE_BREAKS), ('buddy', BUDDY_BREAKS))
    for breaks in (COMMON_BREAKS, ZONE_BREAKS, own)
    for number, how, break_it in breaks
]
IDS: Final = [f'{allocator} {number}: {how}' for allocator, number, how, _ in ALL]


def situation(allocator: str) -> Lab:
    """Used blocks, a reservation, two frames on the hot list and a huge block on its own, if there is one."""
    lab = interpreted(RAM, allocator)
    for pfn, order in ((SINGLE, 0), (PAIR, 1), (0x120, 0), (0x122, 0), (0x800, 9)):
        assert lab.call('alloc_at', pfn, order, 1) == OK
    assert lab.call('reserve_range', KEPT, KEPT + 9, 2) == OK
    lab.call('drain')
    assert [lab.call('free_frame', pfn) for pfn in (0x120, 0x122)] == [OK, OK]
    assert lab.call('free_block', 0x800, 9) == OK
    return lab


@pytest.mark.parametrize(
    ('allocator', 'number', 'how', 'break_it'), ALL, ids=[f'{one[0]} {one[1]}: {one[2]}' for one in ALL]
)
def test_each_invariant_is_checked(allocator: str, number: int, how: str, break_it: Break) -> None:
    lab = situation(allocator)
    assert lab.call('check') == OK
    break_it(lab)
    assert lab.call('check') == number, how
