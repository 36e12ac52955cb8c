"""User spaces in all places: the same random calls, each answer as a dict of pages says, and no frame is lost."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

import pytest

from incroos.kernel.codes import BAD_POINTER, OK
from incroos.kernel.state import EXECUTE, GROWS_DOWN, IS_LOCKED, LOCKS_LATE, READ, WRITE
from incroos.kernel.vm.remapping import KEEPS_RANGE, MAY_MOVE, TO_PLACE
from incroos.run.harness import Driver

from ...budget import FULL
from ..drivers import MODERN_BUILD, MODERN_PLAIN, Build, open_driver
from ..models import Step, play
from .space_model import END, LOWEST, MIB, PAGE, WRITE_ERROR, Model, Page

LOW: Final = 0x40_0000
RIGHTS: Final = (READ | WRITE, READ | WRITE, READ, 0, WRITE, READ | EXECUTE)
NR_STEPS: Final = {'sim': 400, 'jit': 1_000_000 if FULL else 6000, 'qemu': 2000}  # of each of two spaces
PIECE: Final = 200
ADVICE: Final = (4, 4, 8, 24, *range(4), *range(10, 14), *range(16, 22))
LOCKS: Final = (IS_LOCKED, IS_LOCKED | LOCKS_LATE, 0, 0)
MOVES: Final = (0, MAY_MOVE, TO_PLACE | MAY_MOVE, TO_PLACE | MAY_MOVE, KEEPS_RANGE | MAY_MOVE)
ODD: Final = (0, 1, -1, -PAGE, END, END - PAGE, LOWEST - PAGE, 1 << 62, (1 << 63) - 1, -1 << 63)


class Caller:
    """Draws calls, with what the model answers."""

    def __init__(self, seed: int, user: int, checks_each: bool) -> None:
        self.rng, self.user = random.Random(seed), user
        self.model = Model({})
        self.model.brk_start = self.model.brk = LOW
        self.is_loaded = False
        self.checks_each = checks_each  # after each call ranges tile, equal neighbours are one, and so on

    def steps(self) -> Iterator[Step]:
        yield 'vm_begin_heap', (self.user, LOW), 0
        draws = [self.map, self.map, self.map_stack, self.unmap, self.protect, self.set_break, self.use]
        draws += [self.fault, self.store, self.store, self.load, self.advise, self.lock, self.remap, self.populate]
        while True:
            yield from self.rng.choice(draws)()
            if self.checks_each:
                yield 'vm_check', (), OK

    def start(self) -> int:
        base = self.rng.choice((LOW, LOW, LOW + 2 * MIB - 4 * PAGE, END - 4 * MIB))
        return self.rng.choice(ODD) if self.rng.random() < 0.03 else base + self.rng.randrange(24) * PAGE

    def nbytes(self) -> int:
        most = self.rng.choice((1, 2, 8, 8, 40))
        return self.rng.randrange(1, most + 1) * PAGE - self.rng.choice((0, 0, 1, 4095))

    def map(self) -> Iterator[Step]:
        start, nbytes, rights = self.start(), self.nbytes(), self.rng.choice(RIGHTS)
        if self.rng.random() < 0.4:
            hint = self.rng.choice((0, start))
            words = self.user, hint, nbytes, rights
            yield 'vm_map_anywhere', words, self.model.map_anywhere(hint, nbytes, Page(rights))
        else:
            words = self.user, start, nbytes, rights
            yield 'vm_map_at', words, self.model.map_at(start, nbytes, Page(rights))

    def map_stack(self) -> Iterator[Step]:
        start, nbytes = self.start(), self.nbytes()
        page = Page(READ | WRITE, GROWS_DOWN)
        yield 'vm_map_stack', (self.user, start, nbytes), self.model.map_at(start, nbytes, page, True)

    def unmap(self) -> Iterator[Step]:
        start, nbytes = self.start(), self.nbytes()
        yield 'vm_unmap', (self.user, start, nbytes), self.model.unmap(start, nbytes)

    def protect(self) -> Iterator[Step]:
        start, nbytes, rights = self.start(), self.nbytes(), self.rng.choice(RIGHTS)
        yield 'vm_protect', (self.user, start, nbytes, rights), self.model.protect(start, nbytes, rights)

    def pages(self) -> tuple[int, int]:
        """Start and end of a few pages."""
        start = self.rng.choice((LOW, LOW, LOW + 2 * MIB - 4 * PAGE, END - 4 * MIB)) + self.rng.randrange(24) * PAGE
        return start, start + self.rng.randrange(1, 9) * PAGE

    def advise(self) -> Iterator[Step]:
        start, end = self.pages()
        advice = self.rng.choice(ADVICE)
        yield 'vm_advise', (self.user, start, end, advice), self.model.advise(start, end, advice)

    def lock(self) -> Iterator[Step]:
        start, end = self.pages()
        flags = self.rng.choice(LOCKS)
        yield 'vm_lock', (self.user, start, end, flags), self.model.lock(start, end, flags)

    def remap(self) -> Iterator[Step]:
        start, place, flags = self.pages()[0], self.start(), self.rng.choice(MOVES)
        nr_old, nr_new = self.rng.choice((0, 1, 1, 2, 3, 4, 9)), self.rng.randrange(1, 10)
        if flags & KEEPS_RANGE:
            nr_new = max(nr_old, 1)
        wanted = self.model.remap(start, nr_old * PAGE, nr_new * PAGE, flags, place)
        yield 'vm_remap', (self.user, start, nr_old | nr_new << 16 | flags << 32, place), wanted

    def populate(self) -> Iterator[Step]:
        yield 'vm_populate', (self.user, *self.pages()), OK

    def set_break(self) -> Iterator[Step]:
        wanted = LOW + self.rng.randrange(-PAGE, 30 * PAGE)
        yield 'vm_set_break', (self.user, wanted), self.model.set_break(wanted)

    def use(self) -> Iterator[Step]:
        self.is_loaded = not self.is_loaded
        yield 'vm_use', (self.user if self.is_loaded else 0,), 0

    def fault(self) -> Iterator[Step]:
        va = self.start()
        va = va - self.rng.randrange(260) * PAGE if 0 < va < END else va
        error = self.rng.choice((0, 1, 2, 3, 16, 20))
        yield 'vm_fault', (self.user, va, error), self.model.fault(va, error)

    def store(self) -> Iterator[Step]:
        va, value = self.start() & -PAGE, self.rng.randrange(-1 << 63, 1 << 63)
        code = self.model.fault(va, WRITE_ERROR)
        yield 'vm_store64', (self.user, va, value), OK if code == OK else BAD_POINTER
        if code == OK:
            self.model.pages[va] = replace(self.model.pages[va], value=value)
            if self.is_loaded:
                yield 'load', (va,), value  # through the page tables

    def load(self) -> Iterator[Step]:
        va = self.start() & -PAGE
        code = self.model.fault(va, 0)
        yield 'vm_load64', (self.user, va), self.model.pages[va].value if code == OK else BAD_POINTER
        if code == OK and self.is_loaded:
            yield 'load', (va,), self.model.pages[va].value


KERNELS: Final = (('sim', MODERN_BUILD), ('sim', MODERN_PLAIN), ('jit', MODERN_BUILD), ('qemu', MODERN_PLAIN))


@pytest.mark.parametrize(('place', 'build'), KERNELS, ids=['sim', 'sim-plain', 'jit', 'qemu-plain'])
def test_the_same_calls(place: str, build: Build) -> None:
    with open_driver(place, build=build) as driver:
        assert driver.call('vm_init') == OK
        before = -1
        for seed in range(2):
            run(driver, seed, NR_STEPS[place], build.is_checked)
            driver.call('shrink')
            assert before in (-1, driver.call('nr_free_frames'))  # the first one warms up the heap
            before = driver.call('nr_free_frames')


def run(driver: Driver, seed: int, nr_steps: int, checks_each: bool) -> None:
    """One space, from its beginning to its end."""
    caller = Caller(seed, driver.call('vm_create'), checks_each)
    steps = caller.steps()
    for _ in range(nr_steps // PIECE):
        play(driver, list(islice(steps, PIECE)))
        for name in ('vm_check', 'check_vmm', 'check_pmm', 'check_heap'):
            assert driver.call(name) == OK
    driver.call('vm_use', 0)
    assert driver.call('vm_destroy', caller.user) == OK
    assert driver.call('vm_check') == driver.call('check_pmm') == OK
