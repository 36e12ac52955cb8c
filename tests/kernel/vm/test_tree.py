"""The tree of ranges: many of them, in random order, against a sorted list; the highest gap of each length."""

import random
from typing import Final

import pytest

from incroos.kernel import vm
from incroos.kernel.codes import OK
from incroos.kernel.state import GROWS_DOWN, READ, Range, UserSpace
from incroos.kernel.vm import tree
from incroos.lang import VirtAddr

from ...budget import FULL
from .space_model import END, LOWEST, MIB, PAGE, Machine

NR_STEPS: Final = 3000 if FULL else 700
PLACES: Final = 400
STRIDE: Final = 2 * MIB + 7 * PAGE


@pytest.fixture(scope='module')
def machine() -> Machine:
    return Machine(16 * MIB)


def highest_gap(ranges: list[tuple[int, int, int]], nbytes: int, end: int) -> int:
    start, found = LOWEST, 0
    for first, behind, flags in [*ranges, (END, END, 0)]:
        high = min(end, first - (MIB if flags & GROWS_DOWN else 0))
        if high - start >= nbytes:
            found = high - nbytes
        start = behind
    return found


@pytest.mark.parametrize('seed', range(4 if FULL else 2))
def test_many_ranges(machine: Machine, seed: int) -> None:
    rng = random.Random(seed)
    user = machine.new_space()
    there: dict[int, tuple[int, int]] = {}
    for step in range(NR_STEPS):
        start = LOWEST + rng.randrange(PLACES) * STRIDE
        is_growing = step * 3 < NR_STEPS * 2
        if start in there and (not is_growing or rng.random() < 0.3):
            assert vm.unmap(user, start, there.pop(start)[0]) == OK
        elif start not in there:
            nbytes = rng.choice([1, 2, 5, 100, 300]) * PAGE
            flags = GROWS_DOWN if rng.random() < 0.1 else 0
            assert vm.map_at_free(user, start, nbytes, READ, flags, VirtAddr(0), 0) == start
            there[start] = nbytes, flags
        if step % 7 == 0:
            look(user, there, rng)
    assert tree.check(user) == vm.check(machine.k) == OK
    height = Range(user.m, user.root).height
    assert 2**height <= (user.nr_ranges + 2) ** 1.45
    assert vm.destroy(user) == OK
    assert vm.check(machine.k) == OK


def look(user: UserSpace, there: dict[int, tuple[int, int]], rng: random.Random) -> None:
    """Compare all ways to find something."""
    assert tree.check(user) == OK
    ranges = [(start, start + there[start][0], there[start][1]) for start in sorted(there)]
    assert user.nr_ranges == len(ranges)
    for _ in range(5):
        va = VirtAddr(LOWEST + rng.randrange(PLACES * STRIDE))
        behind = [start for start, end, _ in ranges if end > va]
        found = vm.find_range_behind(user, va)
        assert (Range(user.m, found).start if found else None) == (behind[0] if behind else None)
        is_inside = bool(behind) and behind[0] <= va
        assert vm.find_range(user, va) == (found if is_inside else 0)
        nbytes = rng.choice([1, 10, 500, 512, 519, 520, 1000, 5000]) * PAGE
        end = rng.choice([END, va & -PAGE, LOWEST + rng.randrange(PLACES) * STRIDE])
        assert tree.find_gap(user, nbytes, VirtAddr(end)) == highest_gap(ranges, nbytes, end)
