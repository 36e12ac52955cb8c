"""Random page tables and accesses, as data: for comparison with any other processor.

The tables lie from TABLES on; the frames of small pages are in [DATA, RAM_BYTES). Entry 0 of the root is left free.
"""

from dataclasses import dataclass
from random import Random
from typing import Final

from incroos.machine import architecture as arch

from .lab import DATA, LEAF, NX, RAM_BYTES, A, Bench, D, G, P, U, W

ACCESSES: Final = tuple(who | what for who in (0, arch.USER) for what in (arch.READ, arch.WRITE, arch.FETCH))
SHIFTS: Final = {1: 12, 2: 21, 3: 30}


@dataclass(frozen=True)
class Place:
    """An address under test, and the level whose entry is its leaf."""

    va: int
    level: int


def random_flags(random: Random) -> int:
    """Mostly present; each right as likely as not; sometimes a bit that is free or reserved."""
    flags = P if random.random() < 0.95 else 0
    for bit, chance in ((W, 0.75), (U, 0.75), (NX, 0.2), (A, 0.5), (D, 0.3), (G, 0.1)):
        flags |= bit if random.random() < chance else 0
    if random.random() < 0.05:
        flags |= 1 << random.choice([3, 4, 9, 10, 11, 40, 45, 51, 52, 58, 62])
    return flags


def random_leaf(random: Random, level: int) -> int:
    """A leaf's entry; large ones sometimes have address bits that must be zero, or the bit of a memory type."""
    flags = random_flags(random)
    if level == 1:
        return flags | random.randrange(DATA, RAM_BYTES, 4096) | (LEAF if random.random() < 0.05 else 0)
    if random.random() < 0.1:
        flags |= 1 << random.choice([12, 13, 20, SHIFTS[level] - 1])
    return flags | LEAF | (DATA if level == 2 else 0)


def random_place(random: Random, levels: int = 4) -> Place:
    """An address in a page of any size, in either half; also just outside the canonical halves."""
    level = random.choice([1, 1, 1, 2, 2, 3])
    va = random.randrange(1, 512) << 39 | (random.choice([1, 2, 255, 256, 511]) << 48 if levels == 5 else 0)
    va |= random.randrange(4) << 30 | random.randrange(4) << 21
    va |= random.randrange(4) << 12
    if level > 1:
        va &= -1 << SHIFTS[level]
        va |= random.randrange(0, 0x20_0000, 16) if level == 2 else random.randrange(DATA, RAM_BYTES, 16)
    else:
        va |= random.randrange(0, 4096, 16)
    va_bits = 12 + 9 * levels
    if va >> va_bits - 1:
        va -= 1 << va_bits
    if random.random() < 0.02:
        va ^= 1 << random.choice([va_bits - 1, va_bits + 2, 62])
    return Place(va, level)


def lay_tables(bench: Bench, random: Random, nr_places: int) -> list[Place]:
    """Fill the bench's empty root with tables for some places."""
    places = [random_place(random, bench.levels) for _ in range(nr_places)]
    for place in places:
        if is_canonical(place.va, bench.levels):
            lay_one(bench, random, place)
    return places


def is_canonical(va: int, levels: int = 4) -> bool:
    end = 1 << 11 + 9 * levels
    return -end <= va < end


def lay_one(bench: Bench, random: Random, place: Place) -> None:
    """Tables on the way get random flags when they are made; a leaf on the way ends it."""
    table = bench.cpu.cr3
    for level in range(bench.levels, 0, -1):
        at = table + (place.va >> 12 + 9 * (level - 1) & 511) * 8
        if level == place.level:
            bench.put(at, random_leaf(random, level))
            return
        if bench.word(at) == 0:
            bench.put(at, bench.next_table | random_flags(random) | (LEAF if random.random() < 0.01 else 0))
            bench.next_table += 4096
        entry = bench.word(at)
        if entry & LEAF:
            return
        table = entry & (1 << 40) - 4096
        if table >= DATA:
            return
