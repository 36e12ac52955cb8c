"""A model of ranges, too simple to be wrong: a dict of pages of 4 KiB, which knows nothing of larger ones."""

import random
from collections.abc import Iterator, Sequence
from typing import Final

from incroos.kernel.codes import (
    ALREADY_MAPPED,
    BAD_FLAGS,
    MISALIGNED,
    NOT_CANONICAL,
    NOT_MAPPED,
    OK,
    OUT_OF_RANGE,
)
from incroos.run.harness import Driver

from ..models import BAD, FLAGS, Step, leaves_in

PAGE: Final = 0x1000
HUGE: Final = 0x20_0000
PAT: Final = 0x80
PAT_LARGE: Final = 0x1000
ADDRESS: Final = 0x000F_FFFF_FFFF_F000
SEEN: Final = 0x60
UNSIGNED: Final = (1 << 64) - 1

# Where ranges lie: across a multiple of 512 GiB, of 1 GiB, at both ends of each half.
WINDOWS: Final = [
    0x4080_0000_0000 - 3 * HUGE,
    0x6000_4000_0000 - 2 * HUGE,
    (1 << 47) - 6 * HUGE,
    -0x4000_0000 - 3 * HUGE,
    -6 * HUGE,
]
WINDOWS_OF_FIVE: Final = [*WINDOWS, (1 << 48) - 3 * HUGE, (1 << 56) - 6 * HUGE, -1 << 56, (-5 << 48) - 2 * HUGE]
WINDOW_BYTES: Final = 6 * HUGE


class Ranges:
    """Pages by address: where each leads, and its flags."""

    def __init__(self, levels: int = 4) -> None:
        self.end, self.windows = (1 << 47, WINDOWS) if levels == 4 else (1 << 56, WINDOWS_OF_FIVE)
        self.pages: dict[int, tuple[int, int]] = {}
        self.memory_gib = 1 << 20  # that steps map

    def range_code(self, va: int, nbytes: int) -> int:
        if not -self.end <= va < self.end or nbytes < 0 or va + nbytes > (self.end if va >= 0 else 0):
            return NOT_CANONICAL
        return MISALIGNED if va % PAGE or nbytes % PAGE else OK

    def map_range(self, va: int, pa: int, nbytes: int, flags: int) -> int:
        code = self.range_code(va, nbytes)
        if code == OK and pa % PAGE:
            code = MISALIGNED
        if code == OK and not 0 <= pa <= (1 << 52) - nbytes:
            code = OUT_OF_RANGE
        if code == OK and flags in BAD:
            code = BAD_FLAGS
        if code == OK and any(at in self.pages for at in range(va, va + nbytes, PAGE)):
            code = ALREADY_MAPPED
        if code == OK:
            self.pages |= {va + at: (pa + at, flags) for at in range(0, nbytes, PAGE)}
        return code

    def unmap_range(self, va: int, nbytes: int) -> int:
        code = self.range_code(va, nbytes)
        if code == OK and any(at not in self.pages for at in range(va, va + nbytes, PAGE)):
            code = NOT_MAPPED
        if code == OK:
            for at in range(va, va + nbytes, PAGE):
                del self.pages[at]
        return code

    def protect_range(self, va: int, nbytes: int, flags: int) -> int:
        code = self.range_code(va, nbytes)
        if code == OK and flags in BAD:
            code = BAD_FLAGS
        if code == OK and any(at not in self.pages for at in range(va, va + nbytes, PAGE)):
            code = NOT_MAPPED
        if code == OK:
            self.pages |= {at: (self.pages[at][0], flags) for at in range(va, va + nbytes, PAGE)}
        return code

    def get_physical(self, va: int) -> int:
        if not -self.end <= va < self.end:
            return NOT_CANONICAL
        page = self.pages.get(va & -PAGE)
        return NOT_MAPPED if page is None else page[0] + va % PAGE

    def steps(self, rng: random.Random) -> Iterator[Step]:
        """Endless use of a few places; a step in twelve is one that must be refused."""
        while True:
            va, nbytes = any_range(rng, self.windows, self.end)
            flags = rng.choice((3, 3, 7, -1 << 63 | 3, 3 | PAT, any_flags(rng)))
            what = rng.randrange(8)
            if what < 3:
                pa = rng.randrange(1, self.memory_gib) << 30
                pa += rng.choice((va % (1 << 30), va % HUGE, rng.randrange(HUGE)))
                words = va, pa & (-PAGE if rng.random() < 0.97 else -1), nbytes, flags
                yield 'map_range', words, self.map_range(*words)
            elif what < 5:
                va, nbytes = self.some_of(rng, va, rng.choice((nbytes, WINDOW_BYTES)))
                yield 'unmap_range', (va, nbytes), self.unmap_range(va, nbytes)
            elif what < 7:
                va, nbytes = self.some_of(rng, va, nbytes)
                yield 'protect_range', (va, nbytes, flags), self.protect_range(va, nbytes, flags)
            else:
                yield 'get_physical', (va + 123,), self.get_physical(va + 123)

    def some_of(self, rng: random.Random, va: int, nbytes: int) -> tuple[int, int]:
        """A range that is mapped, most times: what begins at a page of the model, at most so many bytes."""
        if not self.pages or rng.random() < 0.1:
            return va, nbytes
        at = rng.choice(list(self.pages))
        while nbytes == WINDOW_BYTES and at - PAGE in self.pages:
            at -= PAGE
        if rng.random() < 0.5:
            at = at & -HUGE if at & -HUGE in self.pages else at
        end = at
        while end < at + nbytes and end in self.pages:
            end += PAGE
        return at, end - at


def any_range(rng: random.Random, windows: Sequence[int], end: int) -> tuple[int, int]:
    """A range in one of the windows, often whole large pages; one in fifty is bad."""
    unit = rng.choice((PAGE, HUGE, HUGE))
    start = rng.choice(windows)
    at = rng.randrange(0, WINDOW_BYTES, unit)
    nbytes = min(rng.choice((PAGE, 7 * PAGE, 40 * PAGE, HUGE, HUGE, 2 * HUGE, 3 * HUGE)), WINDOW_BYTES - at)
    if rng.random() < 0.02:
        return rng.choice(((start + at + 8, nbytes), (start + at, nbytes + 8), (start, -PAGE), (end, PAGE)))
    return start + at, nbytes


def any_flags(rng: random.Random) -> int:
    """Flags of a page of 4 KiB, PAT among them; seldom bad ones."""
    if rng.random() < 0.1:
        return rng.choice(BAD)
    return 1 | sum(flag for flag in (*FLAGS, PAT) if rng.random() < 0.3)


def pages_in(driver: Driver, root: int) -> dict[int, tuple[int, int]]:
    """All pages in the windows, as RAM says: large leaves are cut into pages of 4 KiB, accessed and dirty left out."""
    pages = {}
    for va, level, entry in leaves_in(driver, root):
        if not any(start <= va < start + WINDOW_BYTES for start in WINDOWS_OF_FIVE):
            continue
        flags = entry & ~ADDRESS & ~SEEN
        pa = entry & ADDRESS
        if level > 1:
            flags = flags & ~PAT | (PAT if entry & PAT_LARGE else 0)
            pa &= ~PAT_LARGE
        for at in range(0, PAGE << 9 * (level - 1), PAGE):
            pages[va + at] = pa + at, flags
    return pages


def sizes_in(driver: Driver, root: int) -> dict[int, int]:
    """How many leaves of each level lie in the windows."""
    sizes = {1: 0, 2: 0, 3: 0}
    for va, level, _ in leaves_in(driver, root):
        sizes[level] += any(start <= va < start + WINDOW_BYTES for start in WINDOWS_OF_FIVE)
    return sizes
