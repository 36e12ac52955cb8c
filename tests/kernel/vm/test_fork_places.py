"""Families in all places: the same random calls on spaces that fork and end, and each answer as dicts of pages say."""

import random
from itertools import islice
from typing import Final

import pytest

from incroos.kernel.codes import BAD_POINTER, OK
from incroos.kernel.state import IS_SHARED, READ, WRITE
from incroos.run.harness import Driver, call_of

from ..drivers import MODERN_BUILD, MODERN_BUILDS, MODERN_PLAIN, Build, open_driver
from ..models import Step, play
from .space_model import MIB, PAGE, WRITE_ERROR, Model, Page

LOW: Final = 0x40_0000
RIGHTS: Final = (READ | WRITE, READ | WRITE, READ | WRITE, READ, 0)
MOST: Final = 6
NR_MAPPINGS: Final = 70_000
KERNELS: Final = (
    ('sim', MODERN_BUILD, 12),
    ('sim', MODERN_PLAIN, 12),
    ('sim', MODERN_BUILDS['recursive'], 6),
    ('sim', MODERN_BUILDS['fixmap'], 6),
    ('jit', MODERN_BUILD, 1500),
    ('qemu', MODERN_PLAIN, 40),
)


class Family:
    """Spaces by their addresses, with what the models of them answer."""

    def __init__(self, driver: Driver, seed: int) -> None:
        self.driver, self.rng = driver, random.Random(seed)
        self.spaces: list[tuple[int, Model]] = []
        self.nr_memories = 0
        self.loaded = 0
        self.begin(Model({}))

    def begin(self, model: Model) -> None:
        self.spaces.append((self.driver.call('vm_create'), model))

    def fork(self) -> None:
        user, model = self.rng.choice(self.spaces)
        child = self.driver.call('vm_fork', user)
        assert child != 0
        self.spaces.append((child, model.fork()))

    def end(self) -> None:
        user, _model = self.spaces.pop(self.rng.randrange(len(self.spaces)))
        self.use(0)
        assert self.driver.call('vm_destroy', user) == OK

    def use(self, user: int) -> None:
        self.driver.call('vm_use', user)
        self.loaded = user

    def change_spaces(self) -> None:
        """Fork, end or load one."""
        if len(self.spaces) < MOST and self.rng.random() < 0.6:
            self.fork()
        elif len(self.spaces) > 1:
            self.end()
        self.use(self.rng.choice([0, self.spaces[0][0], self.spaces[-1][0]]))

    def steps(self) -> list[Step]:
        draws = [self.map, self.map_shared, self.unmap, self.protect, *[self.store] * 4, self.load, self.load]
        found: list[Step] = []
        while len(found) < 25:
            found += self.rng.choice(draws)(*self.rng.choice(self.spaces))
        return found

    # -------------------------------------------------------------- calls
    def place(self) -> int:
        return self.rng.choice((LOW, LOW, LOW + 2 * MIB - 4 * PAGE)) + self.rng.randrange(10) * PAGE

    def nbytes(self) -> int:
        return self.rng.randrange(1, 9) * PAGE

    def map(self, user: int, model: Model) -> list[Step]:
        start, nbytes, rights = self.place(), self.nbytes(), self.rng.choice(RIGHTS)
        return [('vm_map_at', (user, start, nbytes, rights), model.map_at(start, nbytes, Page(rights)))]

    def map_shared(self, user: int, model: Model) -> list[Step]:
        start, nbytes, rights = self.place(), self.nbytes(), self.rng.choice(RIGHTS)
        self.nr_memories += 1
        model.memories[self.nr_memories] = {}
        wanted = model.map_at(start, nbytes, Page(rights, IS_SHARED, self.nr_memories))
        return [('vm_map_shared', (user, start, nbytes, rights), wanted)]

    def unmap(self, user: int, model: Model) -> list[Step]:
        start, nbytes = self.place(), self.nbytes()
        return [('vm_unmap', (user, start, nbytes), model.unmap(start, nbytes))]

    def protect(self, user: int, model: Model) -> list[Step]:
        start, nbytes, rights = self.place(), self.nbytes(), self.rng.choice(RIGHTS)
        return [('vm_protect', (user, start, nbytes, rights), model.protect(start, nbytes, rights))]

    def store(self, user: int, model: Model) -> list[Step]:
        va, value = self.place(), self.rng.randrange(1 << 62)
        code = model.fault(va, WRITE_ERROR)
        found: list[Step] = [('vm_store64', (user, va, value), OK if code == OK else BAD_POINTER)]
        if code == OK:
            model.set_value(va, value)
            found += [('load', (va,), value)] if self.loaded == user else []  # through the page tables
        return found

    def load(self, user: int, model: Model) -> list[Step]:
        va = self.place()
        code = model.fault(va, 0)
        found: list[Step] = [('vm_load64', (user, va), model.value(va) if code == OK else BAD_POINTER)]
        if code == OK and self.loaded == user:
            found += [('load', (va,), model.value(va))]
        return found


IDS: Final = ('sim', 'sim-plain', 'sim-recursive', 'sim-fixmap', 'jit', 'qemu-plain')


@pytest.mark.parametrize(('place', 'build', 'nr_rounds'), KERNELS, ids=IDS)
def test_the_same_families(place: str, build: Build, nr_rounds: int) -> None:
    with open_driver(place, build=build) as driver:
        assert driver.call('vm_init') == OK
        assert driver.call('vm_destroy', driver.call('vm_create')) == OK
        driver.call('shrink')
        before = driver.call('nr_free_frames')
        family = Family(driver, 1)
        for index in range(nr_rounds):
            play(driver, family.steps())
            family.change_spaces()
            if index % (nr_rounds // 4) == 0:
                check(driver)
        while family.spaces:
            family.end()
        check(driver)
        driver.call('shrink')
        assert driver.call('nr_free_frames') == before


def check(driver: Driver) -> None:
    for name in ('vm_check', 'check_vmm', 'check_pmm', 'check_heap'):
        assert driver.call(name) == OK


def test_70000_maps_of_one_frame() -> None:
    """A page that is borrowed, and one of shared memory, are mapped again and again; many at a time."""
    with open_driver('jit', build=MODERN_BUILD) as driver:
        assert driver.call('vm_init') == OK
        user = driver.call('vm_create')
        assert driver.call('vm_map_at', user, LOW, PAGE, READ | WRITE) == LOW
        assert driver.call('vm_map_shared', user, LOW + PAGE, PAGE, READ | WRITE) == LOW + PAGE
        assert driver.call('vm_store64', user, LOW, 1) == driver.call('vm_store64', user, LOW + PAGE, 2) == OK
        nr_done = 0
        while nr_done < NR_MAPPINGS:
            children = driver.execute([call_of('vm_fork', user)] * 500)
            assert 0 not in children
            play(driver, [('vm_load64', (child, LOW + PAGE), 2 + nr_done) for child in children])
            last = children[-1]
            nr_done += 2 * len(children)
            play(driver, [('vm_store64', (last, LOW + PAGE, 2 + nr_done), OK), ('vm_load64', (last, LOW), 1)])
            if nr_done % 14_000 == 0:
                assert driver.call('vm_check') == OK
            play(driver, [('vm_destroy', (child,), OK) for child in children])
        assert driver.call('vm_load64', user, LOW) == 1
        assert driver.call('vm_load64', user, LOW + PAGE) == 2 + nr_done
        assert driver.call('vm_destroy', user) == OK
        check(driver)


def test_there_are_4095_families() -> None:
    with open_driver('jit', build=MODERN_BUILD) as driver:
        assert driver.call('vm_init') == OK
        spaces = driver.execute([call_of('vm_create')] * 4096)
        assert [space == 0 for space in spaces] == [False] * 4095 + [True]
        child = driver.call('vm_fork', spaces[7])
        assert child != 0
        assert driver.call('vm_destroy', spaces[7]) == OK
        assert driver.call('vm_create') == 0  # the child has the number still
        assert driver.call('vm_destroy', child) == OK
        spaces[7:8] = [driver.call('vm_create')]
        assert driver.call('vm_check') == OK
        play(driver, [('vm_destroy', (space,), OK) for space in islice(spaces, 4095)])
        check(driver)
