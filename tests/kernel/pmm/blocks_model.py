"""A model of blocks that is too simple to be wrong: a byte for each frame, and a dict of the blocks that are used.

It says what a call must answer; where the kernel may choose a frame, it judges the choice.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator
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
    RESERVED,
    SHARED,
    WRONG_BLOCK,
)

from .blocks_lab import HIGH, MAX_ORDER, MIDDLE, Lab, Pieces

HOLE, FREE, USED, KEPT = 0, 1, 2, 3
ONE_FREE: Final = bytes([FREE])
FREE_RUN: Final = re.compile(ONE_FREE + b'+')


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
        self.kept: dict[int, Block] = {}  # reserved
        self.nr_free = self.nr_ram = self.state.count(FREE)
        self.nr_kept = 0
        self.edges = 0, MIDDLE, HIGH, max(HIGH, self.nr_frames)
        self.parts = [  # of each zone
            [(max(start, low), min(end, high)) for start, end in pieces if max(start, low) < min(end, high)]
            for low, high in pairwise(self.edges)
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

    def has_run(self, zone: int, nr_frames: int, alignment: int) -> bool:
        """Whether a zone has so many free frames in a row, from a multiple of the alignment on."""
        low, high = self.edges[zone : zone + 2]
        runs = (found.span() for found in FREE_RUN.finditer(self.state, low, min(high, self.nr_frames)))
        return any(-(-start // alignment) * alignment + nr_frames <= end for start, end in runs)

    def range_code(self, start: int, end: int) -> int:
        """What alloc_range and reserve_range must answer."""
        is_inside = 0 <= start <= end <= self.nr_frames
        return OK if is_inside and self.state.count(FREE, start, end) == end - start else NOT_FREE

    def free_range_code(self, start: int, end: int) -> int:
        """What free_range must answer."""
        while start < end:
            if start not in self.used:
                return self.free_code(start, 0)
            if self.used[start].references > 1:
                return SHARED
            start += 1 << self.used[start].order
        return OK if start == end else WRONG_BLOCK

    def release_code(self, start: int, end: int) -> int:
        """What release_range must answer."""
        while start < end and start in self.kept:
            start += 1 << self.kept[start].order
        return OK if start == end else WRONG_BLOCK

    def blocks_of(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The largest blocks that a range consists of, none over the edge of a zone: PFN and order."""
        while start < end:
            limit = min(end, next(edge for edge in self.edges if edge > start))
            sizes = ((order, 1 << order) for order in range(MAX_ORDER + 1))
            order = max(order for order, size in sizes if start % size == 0 and start + size <= limit)
            yield start, order
            start += 1 << order

    def block_round(self, pfn: int) -> int:
        """The first frame of the used or reserved block round a frame; -1."""
        for order in range(MAX_ORDER + 1):
            first = pfn & -(1 << order)
            block = self.used.get(first) or self.kept.get(first)
            if block and pfn < first + (1 << block.order):
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
        first = self.block_round(pfn)
        if first >= 0:
            return RESERVED if first in self.kept else WRONG_BLOCK
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
        self.used[pfn] = Block(order, owner)
        self.fill(pfn, 1 << order, FREE, USED)

    def note_free(self, pfn: int) -> None:
        """A used block is free again."""
        self.fill(pfn, 1 << self.used.pop(pfn).order, USED, FREE)

    def note_kept(self, pfn: int, order: int, owner: int) -> None:
        """A block is reserved."""
        self.kept[pfn] = Block(order, owner)
        self.fill(pfn, 1 << order, FREE, KEPT)

    def note_released(self, pfn: int) -> None:
        """It is free again."""
        self.fill(pfn, 1 << self.kept.pop(pfn).order, KEPT, FREE)

    def fill(self, pfn: int, nr_frames: int, before: int, after: int) -> None:
        """Frames were this and are that."""
        assert self.state[pfn : pfn + nr_frames] == bytes([before]) * nr_frames
        self.state[pfn : pfn + nr_frames] = bytes([after]) * nr_frames
        self.nr_free += nr_frames * ((after == FREE) - (before == FREE))
        self.nr_kept += nr_frames * ((after == KEPT) - (before == KEPT))

    def largest_blocks(self) -> dict[tuple[int, int], int]:
        """How many free blocks of each order each zone must have when all of RAM is free."""
        found: Counter[tuple[int, int]] = Counter()
        for zone, parts in enumerate(self.parts):
            for start, end in joined(parts):
                found.update((zone, order) for _pfn, order in self.blocks_of(start, end))
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

    # -------------------------------------------------------------- ranges
    def alloc_range(self, start: int, end: int, owner: int) -> int:
        code = self.call('alloc_range', start, end, owner)
        assert code == self.model.range_code(start, end)
        if code == OK:
            for pfn, order in self.model.blocks_of(start, end):
                self.model.note_used(pfn, order, owner)
        return code

    def free_range(self, start: int, end: int) -> int:
        code = self.call('free_range', start, end)
        assert code == self.model.free_range_code(start, end)
        if code == OK:
            for pfn in [pfn for pfn in self.model.used if start <= pfn < end]:
                self.model.note_free(pfn)
        return code

    def reserve_range(self, start: int, end: int, owner: int) -> int:
        code = self.call('reserve_range', start, end, owner)
        assert code == self.model.range_code(start, end)
        if code == OK:
            for pfn, order in self.model.blocks_of(start, end):
                self.model.note_kept(pfn, order, owner)
        return code

    def release_range(self, start: int, end: int) -> int:
        code = self.call('release_range', start, end)
        assert code == self.model.release_code(start, end)
        if code == OK:
            for pfn in [pfn for pfn in self.model.kept if start <= pfn < end]:
                self.model.note_released(pfn)
        return code

    def alloc_contiguous(self, zone: int, nr_frames: int, alignment: int, owner: int) -> int:
        """It must be free, aligned, and of the first zone that has such frames in a row."""
        start = self.call('alloc_contiguous', zone, nr_frames, alignment, owner)
        if not 0 <= alignment <= MAX_ORDER or nr_frames <= 0:
            assert start == BAD_ORDER
            return start
        zones = range(zone, -1, -1)
        wanted = next((number for number in zones if self.model.has_run(number, nr_frames, 1 << alignment)), -1)
        if wanted < 0:
            assert start == NO_FRAME
            return start
        assert start >= 0
        assert start % (1 << alignment) == 0
        assert zone_of(start) == zone_of(start + nr_frames - 1) == wanted
        for pfn, order in self.model.blocks_of(start, start + nr_frames):
            self.model.note_used(pfn, order, owner)
        return start

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
        model = self.model
        assert self.lab.counts() == (model.nr_free, model.nr_ram - model.nr_free - model.nr_kept, model.nr_kept)

    def check_records(self) -> None:
        """The record of each used block says what it is."""
        for pfn, block in self.model.used.items():
            record = self.lab.record(pfn)
            assert (record.order, record.owner, record.nr_references) == (block.order, block.owner, block.references)
        for owner in {block.owner for block in self.model.kept.values()}:
            nr_frames = sum(1 << block.order for block in self.model.kept.values() if block.owner == owner)
            assert self.lab.call('nr_reserved_frames_of', owner) == nr_frames

    def finish(self) -> None:
        """Give everything back: it coalesces to the largest blocks that the RAM allows."""
        self.check()
        self.check_records()
        for pfn in list(self.model.used):
            while pfn in self.model.used:
                self.put(pfn)
        for pfn, block in list(self.model.kept.items()):
            assert self.release_range(pfn, pfn + (1 << block.order)) == OK
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
            kinds = (self.alloc, self.free, self.use_range, self.misuse, self.share)
            weights = (alloc_share, 1 - alloc_share, 0.1, 0.08, 0.1)
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

    def use_range(self) -> None:
        """Ranges, and frames in a row, of any size; what was reserved is released soon."""
        owner = self.rng.randrange(1 << 16)
        nr_frames = self.rng.randint(0, self.rng.choice((5, 100, 3 << self.largest_order)))
        start = self.any_frame()
        self.rng.choice((self.pair.alloc_range, self.pair.reserve_range))(start, start + nr_frames, owner)
        self.pair.alloc_contiguous(self.rng.randrange(3), nr_frames, self.rng.randint(-1, self.largest_order), owner)
        kept = sorted(self.pair.model.kept)
        while len(kept) > 20:
            first = self.rng.randrange(len(kept) - 3)
            last = kept[first + self.rng.choice((0, 0, 1, 3))]
            end = last + (1 << self.pair.model.kept[last].order)
            if self.pair.release_range(kept[first], end) == OK:
                kept = sorted(self.pair.model.kept)
        for pfn in self.rng.sample(sorted(self.pair.model.used), min(8, len(self.pair.model.used))):
            self.pair.free_range(pfn, pfn + self.rng.choice((1, 2, 3, 8, nr_frames)))
        self.held = list(self.pair.model.used)

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
