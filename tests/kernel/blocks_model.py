"""A model of blocks that is too simple to be wrong: a byte for each frame, and a dict of the blocks that are used.

It says what a call must answer; where the kernel may choose a frame, it judges the choice.
"""

import random
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from incroos.kernel.codes import (
    BAD_ORDER,
    DOUBLE_FREE,
    FOREIGN,
    MISALIGNED,
    NO_FRAME,
    NOT_FREE,
    OK,
    SHARED,
    WRONG_BLOCK,
)

from .blocks_lab import HIGH, MAX_ORDER, MIDDLE, Lab, Pieces

HOLE, FREE, USED = 0, 1, 2
ONE_FREE: Final = bytes([FREE])


@dataclass
class Block:
    """A used block."""

    order: int
    owner: int
    references: int = 1


def zone_of(pfn: int) -> int:
    """The number of a frame's zone."""
    return (pfn >= MIDDLE) + (pfn >= HIGH)


class Model:
    """What the frames of some RAM are."""

    def __init__(self, pieces: Pieces) -> None:
        self.pieces = pieces
        self.nr_frames = pieces[-1][1]
        self.state = bytearray(self.nr_frames)
        for start, end in pieces:
            self.state[start:end] = ONE_FREE * (end - start)
        self.used: dict[int, Block] = {}
        self.nr_free = self.nr_ram = self.state.count(FREE)
        edges = (0, MIDDLE, HIGH, max(HIGH, self.nr_frames))
        self.parts = [  # of each zone
            [(max(start, low), min(end, high)) for start, end in pieces if max(start, low) < min(end, high)]
            for low, high in pairwise(edges)
        ]
        self.preferred = max(zone for zone in range(3) if self.parts[zone])

    # -------------------------------------------------------------- questions
    def is_free(self, pfn: int, nr_frames: int) -> bool:
        """Whether that many frames from one on are free."""
        return pfn >= 0 and self.state[pfn : pfn + nr_frames] == ONE_FREE * nr_frames

    def has_free(self, zone: int, order: int) -> bool:
        """Whether a zone has a free block."""
        nbytes = 1 << order
        for start, end in self.parts[zone]:
            at = start
            while (at := self.state.find(ONE_FREE * nbytes, at, end)) >= 0:
                if at % nbytes == 0:
                    return True
                at = (at | nbytes - 1) + 1
        return False

    def first_zone(self, zone: int, order: int) -> int:
        """The zone that a block must come from; -1."""
        return next((number for number in range(zone, -1, -1) if self.has_free(number, order)), -1)

    def block_round(self, pfn: int) -> int:
        """The first frame of the used block round a frame; -1."""
        for order in range(MAX_ORDER + 1):
            first = pfn & -(1 << order)
            if first in self.used and pfn < first + (1 << self.used[first].order):
                return first
        return -1

    def free_code(self, pfn: int, order: int) -> int:
        """What free_block must answer."""
        if not 0 <= order <= MAX_ORDER:
            return BAD_ORDER
        if not 0 <= pfn < self.nr_frames:
            return FOREIGN
        if pfn % (1 << order):
            return MISALIGNED
        if pfn in self.used and self.used[pfn].order == order:
            return OK if self.used[pfn].references == 1 else SHARED
        if self.block_round(pfn) >= 0:
            return WRONG_BLOCK
        return DOUBLE_FREE if self.state[pfn] == FREE else FOREIGN

    def at_code(self, pfn: int, order: int) -> int:
        """What alloc_at must answer."""
        if not 0 <= order <= MAX_ORDER:
            return BAD_ORDER
        if pfn % (1 << order):
            return MISALIGNED
        is_in_a_zone = pfn >= 0 and zone_of(pfn) == zone_of(pfn + (1 << order) - 1)
        return OK if is_in_a_zone and self.is_free(pfn, 1 << order) else NOT_FREE

    # -------------------------------------------------------------- changes
    def note_used(self, pfn: int, order: int, owner: int) -> None:
        """A block is handed out."""
        assert self.is_free(pfn, 1 << order)
        self.state[pfn : pfn + (1 << order)] = bytes([USED]) * (1 << order)
        self.used[pfn] = Block(order, owner)
        self.nr_free -= 1 << order

    def note_free(self, pfn: int) -> None:
        """A used block is free again."""
        nr_frames = 1 << self.used.pop(pfn).order
        self.state[pfn : pfn + nr_frames] = ONE_FREE * nr_frames
        self.nr_free += nr_frames

    def largest_blocks(self) -> dict[tuple[int, int], int]:
        """How many free blocks of each order each zone must have when all of RAM is free."""
        found: Counter[tuple[int, int]] = Counter()
        for zone, parts in enumerate(self.parts):
            for start, end in joined(parts):
                at = start
                while at < end:
                    order = max(
                        order for order in range(MAX_ORDER + 1) if not at % (1 << order) and at + (1 << order) <= end
                    )
                    found[zone, order] += 1
                    at += 1 << order
        return dict(found)


def joined(parts: Pieces) -> list[tuple[int, int]]:
    """The pieces; those that touch are one."""
    found: list[tuple[int, int]] = []
    for start, end in parts:
        if found and found[-1][1] == start:
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    return found


class Pair:
    """A lab and a model of the same RAM: each call is made on one and judged by the other."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.model = lab, Model(lab.pieces)
        self.codes: set[int] = set()  # that were answered

    def call(self, name: str, *words: int) -> int:
        """What the lab answers."""
        answer = self.lab.call(name, *words)
        self.codes.add(min(answer, OK))
        return answer

    # -------------------------------------------------------------- alloc
    def alloc_frame(self, owner: int) -> int:
        return self.judge(self.call('alloc_frame', owner), self.model.preferred, 0, owner)

    def alloc_block(self, zone: int, order: int, owner: int) -> int:
        pfn = self.call('alloc_block', zone, order, owner)
        if not 0 <= order <= MAX_ORDER:
            assert pfn == BAD_ORDER
            return pfn
        return self.judge(pfn, zone, order, owner)

    def judge(self, pfn: int, zone: int, order: int, owner: int) -> int:
        """A block was asked for: it must be free, aligned, and of the first zone that has one."""
        wanted = self.model.first_zone(zone, order)
        if wanted < 0:
            assert pfn == NO_FRAME
            return pfn
        assert pfn >= 0
        assert pfn % (1 << order) == 0
        assert zone_of(pfn) == wanted
        self.model.note_used(pfn, order, owner)
        return pfn

    def alloc_at(self, pfn: int, order: int, owner: int) -> int:
        code = self.call('alloc_at', pfn, order, owner)
        assert code == self.model.at_code(pfn, order)
        if code == OK:
            self.model.note_used(pfn, order, owner)
        return code

    # -------------------------------------------------------------- free
    def free_frame(self, pfn: int) -> int:
        return self.freed(self.call('free_frame', pfn), pfn, 0)

    def free_block(self, pfn: int, order: int) -> int:
        return self.freed(self.call('free_block', pfn, order), pfn, order)

    def freed(self, code: int, pfn: int, order: int) -> int:
        assert code == self.model.free_code(pfn, order)
        if code == OK:
            self.model.note_free(pfn)
        return code

    # -------------------------------------------------------------- references
    def get(self, pfn: int) -> int:
        answer = self.call('get', pfn)
        if pfn not in self.model.used:
            assert answer == WRONG_BLOCK
            return answer
        self.model.used[pfn].references += 1
        assert answer == self.model.used[pfn].references
        return answer

    def put(self, pfn: int) -> int:
        answer = self.call('put', pfn)
        if pfn not in self.model.used:
            assert answer == WRONG_BLOCK
            return answer
        self.model.used[pfn].references -= 1
        assert answer == self.model.used[pfn].references
        if answer == 0:
            self.model.note_free(pfn)
        return answer

    # -------------------------------------------------------------- all of it
    def drain(self) -> None:
        self.lab.call('drain')

    def check(self) -> None:
        """The invariants hold, and the frames are counted."""
        assert self.lab.call('check') == OK
        assert self.lab.call('nr_total_frames') == self.model.nr_ram
        assert self.lab.counts() == (self.model.nr_free, self.model.nr_ram - self.model.nr_free)

    def check_records(self) -> None:
        """The record of each used block says what it is."""
        for pfn, block in self.model.used.items():
            record = self.lab.record(pfn)
            assert (record.order, record.owner, record.nr_references) == (block.order, block.owner, block.references)

    def finish(self) -> None:
        """Give everything back: it coalesces to the largest blocks that the RAM allows."""
        self.check()
        self.check_records()
        for pfn in list(self.model.used):
            while pfn in self.model.used:
                self.put(pfn)
        self.drain()
        self.check()
        assert self.model.nr_free == self.model.nr_ram
        assert self.lab.free_blocks() == self.model.largest_blocks()


# ------------------------------------------------------------------ random use
class RandomUse:
    """Steps that a generator chooses, with a share of allocations that goes up and down."""

    def __init__(self, pair: Pair, seed: int, largest_order: int) -> None:
        self.pair, self.rng, self.largest_order = pair, random.Random(seed), largest_order
        self.held: list[int] = []

    def steps(self, nr_steps: int, check_each: int) -> None:
        """So many steps."""
        alloc_share = 0.5
        for number in range(nr_steps):
            if number % 200 == 0:
                alloc_share = self.rng.choice((0.9, 0.75, 0.5, 0.25, 0.1))
            kinds = (self.alloc, self.free, self.misuse, self.share)
            weights = (alloc_share, 1 - alloc_share, 0.08, 0.1)
            self.rng.choices(kinds, weights)[0]()
            if number % check_each == 0:
                self.pair.check()

    def order(self) -> int:
        """Mostly small."""
        return self.rng.choice((0, 0, 0, 1, 2, 9, self.rng.randint(0, self.largest_order)))

    def any_frame(self) -> int:
        """A frame that may be anything."""
        start, end = self.rng.choice(self.pair.lab.pieces)
        near = self.rng.randint(start - 2, end + 2)
        return self.rng.choice((near, near, near & -512, self.rng.randrange(-1 << 63, 1 << 63)))

    def alloc(self) -> None:
        owner = self.rng.randrange(1 << 16)
        way = self.rng.random()
        if way < 0.5:
            pfn = self.pair.alloc_frame(owner)
        elif way < 0.85:
            pfn = self.pair.alloc_block(self.rng.randrange(3), self.order(), owner)
        else:
            order = self.order()
            pfn = self.any_frame() & -(1 << order)
            pfn = pfn if self.pair.alloc_at(pfn, order, owner) == OK else -1
        if pfn >= 0:
            self.held.append(pfn)

    def free(self) -> None:
        if not self.held:
            return
        at = self.rng.choice((-1, -1, self.rng.randrange(len(self.held))))
        pfn = self.held[at]
        block = self.pair.model.used[pfn]
        is_single = block.order == 0 and self.rng.random() < 0.8
        code = self.pair.free_frame(pfn) if is_single else self.pair.free_block(pfn, block.order)
        if code == SHARED:
            code = self.pair.put(pfn)
        if code == OK:
            self.held[at] = self.held[-1]
            self.held.pop()

    def misuse(self) -> None:
        pfn = self.rng.choice(self.held) if self.held and self.rng.random() < 0.5 else self.any_frame()
        block = self.pair.model.used.get(pfn)
        if block is None:
            self.rng.choice((self.pair.free_frame, self.pair.get, self.pair.put))(pfn)
            self.pair.free_block(pfn, self.rng.randint(-1, 19))
        else:
            self.pair.free_block(pfn, block.order + self.rng.choice((-1, 1, 64)))
            self.pair.alloc_at(pfn, self.rng.randint(-1, 19), 1)
        if self.rng.random() < 0.1:
            self.pair.drain()

    def share(self) -> None:
        if self.held:
            self.pair.get(self.rng.choice(self.held))
