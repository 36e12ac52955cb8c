"""Models of frames and pages, too simple to be wrong: they know what each call must answer before it is made.

A step is the name of an operation, its words, and the answer that the model expects.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Final

from incroos.kernel.codes import (
    ALREADY_MAPPED,
    BAD_FLAGS,
    BAD_LEVEL,
    DOUBLE_FREE,
    FOREIGN,
    LARGE_PAGE,
    MISALIGNED,
    NO_FRAME,
    NOT_CANONICAL,
    NOT_MAPPED,
    OK,
    OUT_OF_RANGE,
    RESERVED,
    SMALL_PAGE,
)
from incroos.kernel.layout import VMALLOC
from incroos.run.harness import DirectDriver, Driver, call_of

Step = tuple[str, tuple[int, ...], int]

POOL: Final = range(0x1_0000, 0x10_0000, 0x1000)
ZONE: Final = range(0x20_0000, 0x220_0000, 0x1000)


NR_STEPS: Final = 12_000
NR_STEPS_INTERPRETED: Final = 1_500


def nr_steps_in(driver: Driver) -> int:
    """How long a random use may be where the driver's kernel runs."""
    return NR_STEPS_INTERPRETED if isinstance(driver, DirectDriver) else NR_STEPS


def play(driver: Driver, steps: Sequence[Step]) -> None:
    """Make the calls and compare each answer."""
    answers = driver.execute([call_of(name, *words) for name, words, _ in steps])
    for number, ((name, words, expected), answer) in enumerate(zip(steps, answers, strict=True)):
        assert answer == expected, f'step {number}: {name}{tuple(map(hex, words))}'


class Frames:
    """Two sets of free frames, two of frames that are handed out. The lowest free frame goes first."""

    def __init__(self, pool: set[int], zone: set[int]) -> None:
        self.pool, self.zone = pool, zone
        self.ram = pool | zone
        self.pages: set[int] = set()
        self.tables: set[int] = set()

    def alloc_page(self) -> int:
        pa = min(self.zone, default=NO_FRAME)
        if pa >= 0:
            self.zone.remove(pa)
            self.pages.add(pa)
        return pa

    def alloc_table(self) -> int:
        stock = self.pool or self.zone
        pa = min(stock, default=NO_FRAME)
        if pa >= 0:
            stock.remove(pa)
            self.tables.add(pa)
        return pa

    def free_page(self, pa: int) -> int:
        if pa % 0x1000:
            return MISALIGNED
        if pa in self.pages:
            self.pages.remove(pa)
            self.zone.add(pa)
            return OK
        if 0 <= pa < ZONE.start or pa in self.tables:
            return RESERVED
        return DOUBLE_FREE if pa in self.zone else FOREIGN

    def free_table(self, pa: int) -> int:
        if pa % 0x1000:
            return MISALIGNED
        if pa in self.tables:
            self.tables.remove(pa)
            (self.pool if pa in POOL else self.zone).add(pa)
            return OK
        if pa in self.pages or (0 <= pa < ZONE.start and pa not in POOL):
            return RESERVED
        return DOUBLE_FREE if pa in self.ram else FOREIGN

    def steps(self, rng: random.Random, alloc_shares: Sequence[float], nr_steps: int) -> Iterator[Step]:
        """Endless use: so many steps with each share of allocations."""
        for alloc_share in cycle(alloc_shares):
            for _ in range(nr_steps):
                yield self.alloc_step(rng) if rng.random() < alloc_share else self.free_step(rng)

    def alloc_step(self, rng: random.Random) -> Step:
        if rng.random() < 0.75:
            return 'alloc_page', (), self.alloc_page()
        return 'alloc_table', (rng.randint(1, 4),), self.alloc_table()

    def free_step(self, rng: random.Random) -> Step:
        """Nearly always the free of a frame that is held, and by the right name."""
        held = self.pages if rng.random() < 0.75 else self.tables
        pa = rng.choice(list(held)) if held and rng.random() < 0.9 else any_frame(rng)
        if (held is self.pages) != (rng.random() < 0.05):
            return 'free_page', (pa,), self.free_page(pa)
        return 'free_table', (pa,), self.free_table(pa)


def any_frame(rng: random.Random) -> int:
    """An address that may be anything."""
    return rng.choice((rng.choice(POOL), rng.choice(ZONE), rng.randrange(0x220_0000), rng.randrange(-1 << 63, 1 << 63)))


# ------------------------------------------------------------------ pages
PAGE_BYTES: Final = {1: 1 << 12, 2: 1 << 21, 3: 1 << 30, 4: 1 << 39, 5: 1 << 48}
FLAGS: Final = [*(1 << bit for bit in (1, 2, 3, 4, 8, 9, 10, 11, 52, 55, 58, 62)), -1 << 63]
BAD: Final = [0, 2, 1 | 1 << 13, 1 | 1 << 51, -1 << 63]
ONE_LEVEL: Final = {'map_leaf': 'map_page', 'unmap_leaf': 'unmap_page', 'protect_leaf': 'protect'}
BASES: Final = [0x1000_0000, 0x4000_0000, 0x80_0000_0000, 0x7FFF_C000_0000 - (2 << 30), -0x8000_0000, -1 << 47]
OPEN_BASES: Final = [VMALLOC + (1 << 38), -0x60_0000_0000]  # in the upper half, under entries that the root has
MODERN_BASES: Final = [0x80_0000_0000, 0x100_0000_0000, 0x7FFF_C000_0000 - (2 << 30), *OPEN_BASES]
BASES_OF_FIVE: Final = [*BASES, 1 << 47, 1 << 48, (1 << 56) - (2 << 30), -1 << 56, (-1 << 48) - (1 << 30)]


class Pages:
    """A dict of pages: where each starts and its level, what it maps and how; its steps are near the bases."""

    def __init__(self, bases: Sequence[int] = BASES, levels: int = 4) -> None:
        self.bases = bases
        self.memory_gib = 1 << 22  # that steps map
        self.levels, self.end = levels, PAGE_BYTES[levels] << 8
        self.pages: dict[tuple[int, int], tuple[int, int]] = {}
        self.under: Counter[tuple[int, int]] = Counter()  # pages under an upper entry: its first address, its level

    @property
    def nr_tables(self) -> int:
        """Tables that must exist; those for address 0 are the boot code's."""
        return sum(1 for (start, _), count in self.under.items() if count and start)

    def find(self, va: int) -> tuple[int, int] | None:
        return next((key for level in (1, 2, 3) if (key := (va & -PAGE_BYTES[level], level)) in self.pages), None)

    def place_code(self, va: int, level: int) -> int:
        if level not in (1, 2, 3):
            return BAD_LEVEL
        if not -self.end <= va < self.end:
            return NOT_CANONICAL
        return MISALIGNED if va % PAGE_BYTES[level] else OK

    def map_leaf(self, va: int, pa: int, flags: int, level: int) -> int:
        code = self.place_code(va, level)
        if code != OK:
            return code
        if pa % PAGE_BYTES[level]:
            return MISALIGNED
        if not 0 <= pa < 1 << 52:
            return OUT_OF_RANGE
        if flags in BAD:
            return BAD_FLAGS
        if self.find(va) or self.under[va, level]:
            return ALREADY_MAPPED
        self.pages[va, level] = pa, flags
        self._count(va, level, 1)
        return OK

    def _count(self, va: int, level: int, by: int) -> None:
        for above in range(level + 1, self.levels + 1):
            self.under[va & -PAGE_BYTES[above], above] += by

    def leaf_code(self, va: int, level: int) -> int:
        code = self.place_code(va, level)
        found = self.find(va)
        if code != OK or found is None:
            return code or NOT_MAPPED
        return OK if found[1] == level else LARGE_PAGE if found[1] > level else SMALL_PAGE

    def unmap_leaf(self, va: int, level: int) -> int:
        code = self.leaf_code(va, level)
        if code != OK:
            return code
        self._count(va, level, -1)
        return self.pages.pop((va, level))[0]

    def protect_leaf(self, va: int, flags: int, level: int) -> int:
        code = self.leaf_code(va, level)
        if code == OK and flags in BAD:
            return BAD_FLAGS
        if code == OK:
            self.pages[va, level] = self.pages[va, level][0], flags
        return code

    def get_physical(self, va: int) -> int:
        if not -self.end <= va < self.end:
            return NOT_CANONICAL
        found = self.find(va)
        return NOT_MAPPED if found is None else self.pages[found][0] + va - found[0]

    def steps(self, rng: random.Random) -> Iterator[Step]:
        """Endless use of few enough addresses for them to meet."""
        while True:
            level = rng.choice((1, 1, 1, 1, 2, 2, 3, rng.randint(-1, 5)))
            va = any_page(rng, level, self.bases, self.end)
            flags = any_flags(rng)
            what = rng.randrange(8)
            if what < 3:
                yield self.step('map_leaf', (va, any_memory(rng, level, self.memory_gib), flags, level), rng)
            elif what < 5:
                yield self.step('unmap_leaf', (va, level), rng)
            elif what < 6:
                yield self.step('protect_leaf', (va, flags, level), rng)
            else:
                yield self.step('get_physical', (va + rng.choice((0, 1, 0xFFF, 0x12_3456)),), rng)

    def step(self, name: str, words: tuple[int, ...], rng: random.Random) -> Step:
        """The step; for level 1 half of the times under its other name, which has no level."""
        expected = getattr(self, name)(*words)
        if name in ONE_LEVEL and words[-1] == 1 and rng.random() < 0.5:
            return ONE_LEVEL[name], words[:-1], expected
        return name, words, expected


def any_page(rng: random.Random, level: int, bases: Sequence[int], end: int) -> int:
    """An address below the end, or in the upper half, that other calls are likely to name too; one in twenty is bad."""
    va = rng.choice(bases) + (rng.randrange(2) << 30) + (rng.randrange(3) << 21) + (rng.randrange(4) << 12)
    if level in (2, 3):
        va &= -PAGE_BYTES[level]
    if 0 <= va < 1 << 30:  # the boot code's tables and the identity map are there
        va = bases[0]
    return rng.choice((va + 8, va ^ end << 3)) if rng.random() < 0.05 else va


def any_memory(rng: random.Random, level: int, memory_gib: int) -> int:
    """Memory to be mapped, which nobody touches; one in twenty is bad."""
    pa = rng.randrange(memory_gib) << 30
    if level == 1:
        pa += rng.randrange(1 << 18) << 12
    return rng.choice((pa + 16, pa | 1 << 52, pa - (1 << 62))) if rng.random() < 0.05 else pa


def any_flags(rng: random.Random) -> int:
    """Flags of a leaf of any level, accessed and dirty excepted; one in twenty is bad."""
    if rng.random() < 0.05:
        return rng.choice(BAD)
    return 1 | sum(flag for flag in FLAGS if rng.random() < 0.4)


def leaves_in(driver: Driver, root: int = 0) -> Iterator[tuple[int, int, int]]:
    """Start, level and entry of all leaves, as a reader of the RAM sees them who shares nothing with the kernel."""
    space = driver.kernel.space
    end = PAGE_BYTES[space.root_level] << 8
    for va, level, entry in leaves_under(driver, root or space.root, space.root_level, 0):
        yield (va if va < end else va - 2 * end), level, entry


def leaves_under(driver: Driver, table: int, level: int, start: int) -> Iterator[tuple[int, int, int]]:
    """The same, of one table; addresses count from the lower half on."""
    for index in range(512):
        entry = int.from_bytes(driver.ram.read(table + 8 * index, 8), 'little')
        va = start + index * PAGE_BYTES[level]
        if entry & 1 and (level == 1 or (level < 4 and entry & 0x80)):
            yield va, level, entry
        elif entry & 1 and entry & 0x000F_FFFF_FFFF_F000 != table:  # a recursive slot leads to no page of its own
            yield from leaves_under(driver, entry & 0x000F_FFFF_FFFF_F000, level - 1, va)
