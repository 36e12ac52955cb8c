"""The ways to reach a page table, each as the only one: no map of memory shows a table that they must reach.

In config `classic` the identity map loses all tables, in `modern` the direct map loses all RAM.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final, cast

import pytest

from incroos.kernel import vmm
from incroos.kernel.codes import NO_FRAME, NOT_MAPPED, OK, RESERVED
from incroos.kernel.config import MODERN_SPACE, RECURSIVE
from incroos.kernel.layout import BOOT_TABLES, BOOT_TABLES_END, DIRECT_MAP_START, PAGE_BYTES, POOL_END, POOL_START
from incroos.kernel.state import Kernel
from incroos.kernel.vmm import NX, PRESENT, WRITABLE, windows
from incroos.lang import PhysAddr, VirtAddr
from incroos.machine.errors import MachineStopped
from incroos.run.harness import DirectDriver, Driver

from ..drivers import CLASSIC_BUILDS, MODERN_BUILDS, PLACES, Build, open_driver
from ..models import BASES, MODERN_BASES, OPEN_BASES, Pages, leaves_in, nr_steps_in, play

SIGN: Final = (1 << 64) - 1
BUILDS: Final = {
    f'{config}-{way}': builds[way]
    for config, builds in (('classic', CLASSIC_BUILDS), ('modern', MODERN_BUILDS))
    for way in ('recursive', 'fixmap')
}
PAGE: Final = 0x7FFF_C000_0000  # nothing near it: three new tables
DATA: Final = PRESENT | WRITABLE | NX


@contextmanager
def only_way(place: str, build: Build) -> Iterator[Driver]:
    """A kernel whose page tables, the boot code's too, are in no map of memory any more."""
    with open_driver(place, build=build) as driver:
        if build.config.space == MODERN_SPACE:
            for start, nbytes in direct_map_of(driver):
                assert driver.call('unmap_range', start, nbytes) == OK
        else:
            for pa in (*range(BOOT_TABLES, BOOT_TABLES_END, PAGE_BYTES), *range(POOL_START, POOL_END, PAGE_BYTES)):
                if driver.call('get_physical', pa) == pa:
                    assert driver.call('unmap_page', pa) == pa
        yield driver


def direct_map_of(driver: Driver) -> list[tuple[int, int]]:
    """Start and bytes of the pages in a row in the direct map."""
    runs: list[tuple[int, int]] = []
    for va, level, _ in leaves_in(driver, driver.kernel.space.root):
        if DIRECT_MAP_START <= va < DIRECT_MAP_START // 2:
            nbytes = PAGE_BYTES << 9 * (level - 1)
            if runs and sum(runs[-1]) == va:
                nbytes += runs.pop()[1]
                va -= nbytes - (PAGE_BYTES << 9 * (level - 1))
            runs.append((va, nbytes))
    return runs


@pytest.fixture(params=[(place, name) for place in PLACES for name in BUILDS], ids='-'.join)
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    place, name = request.param
    with only_way(place, BUILDS[name]) as driver:
        yield driver


@pytest.fixture(params=BUILDS)
def k(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    """The same, interpreted, for what a driver cannot ask for."""
    with only_way('sim', BUILDS[request.param]) as driver:
        yield cast(DirectDriver, driver).k


def is_way(va: int) -> bool:
    """Whether the address belongs to the recursive slot or to the fixmap."""
    return va >> 39 == windows.RECURSIVE_INDEX - 512 or va >> 21 == windows.FIXMAP_START >> 21


class Tables:
    """What the kernel has mapped for itself, and a model of what a test maps beside it."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        is_modern = driver.ram.config.space == MODERN_SPACE
        self.model = Pages(MODERN_BASES if is_modern else BASES)
        if is_modern:  # tables under the root are there for good
            for base in OPEN_BASES:
                self.model.under[base & -(1 << 39), 4] += 1
        else:  # a base of the model is in the fixmap's 512 GiB
            for level in (2, 3, 4):
                self.model.under[windows.FIXMAP_START & -(1 << 3 + 9 * level), level] += 1
        self.nr_tables = driver.kernel.space.nr_tables - self.model.nr_tables
        self.own = self.leaves().keys()

    def leaves(self) -> dict[tuple[int, int], int]:
        """Address, level and entry of all pages but the windows."""
        leaves = leaves_in(self.driver, self.driver.kernel.space.root)
        return {(va, level): entry for va, level, entry in leaves if not is_way(va)}

    def assert_right(self) -> None:
        """Pages in RAM are the kernel's own and the model's, with as many tables as they need."""
        found = self.leaves()
        assert self.own <= found.keys()
        assert {key: entry for key, entry in found.items() if key not in self.own} == {
            (va, level): (pa | flags | (0x80 if level > 1 else 0)) & SIGN
            for (va, level), (pa, flags) in self.model.pages.items()
        }
        assert self.driver.kernel.space.nr_tables == self.nr_tables + self.model.nr_tables
        assert self.driver.call('check_vmm') == self.driver.call('check_pmm') == OK


def test_pages_against_a_dict(driver: Driver) -> None:
    tables = Tables(driver)
    model = tables.model
    play(driver, list(islice(model.steps(random.Random(7)), nr_steps_in(driver))))
    assert model.pages
    tables.assert_right()
    for va, level in list(model.pages):
        play(driver, [('unmap_leaf', (va, level), model.unmap_leaf(va, level))])
    tables.assert_right()


def test_every_table_refused_once(driver: Driver) -> None:
    nr_tables = driver.kernel.space.nr_tables
    nr_free = driver.call('nr_free_frames')
    for refused in (1, 2, 3):
        driver.call('refuse_at', refused)
        assert driver.call('map_page', PAGE, 0, DATA) == NO_FRAME
        assert driver.kernel.space.nr_tables == nr_tables
        assert driver.call('nr_free_frames') == nr_free
    driver.call('refuse_at', 0)
    assert driver.call('map_page', PAGE, 0, DATA) == OK
    assert driver.call('check_vmm') == OK


@pytest.mark.parametrize('unmap', ['unmap_page', 'unmap_range'])
def test_a_table_that_left_is_not_seen_in_the_place_of_the_next(driver: Driver, unmap: str) -> None:
    """A page goes with its three tables, another takes them, and the page that comes again has three others."""
    words = (PAGE,) if unmap == 'unmap_page' else (PAGE, PAGE_BYTES)
    elsewhere = [PAGE - (number << 39) for number in (1, 2, 3)]
    for other in elsewhere:
        assert driver.call('map_page', PAGE, 0, DATA) == OK
        assert driver.call(unmap, *words) == OK
        assert driver.call('map_page', other, PAGE_BYTES, DATA) == OK
        assert driver.call('map_page', PAGE + PAGE_BYTES, 0, DATA) == OK
        assert [driver.call('get_physical', va) for va in (PAGE, other + PAGE_BYTES)] == [NOT_MAPPED] * 2
        assert driver.call('unmap_range', PAGE + PAGE_BYTES, PAGE_BYTES) == OK
    assert [driver.call('unmap_page', other) for other in elsewhere] == [PAGE_BYTES] * 3
    assert driver.call('check_vmm') == OK


def test_the_way_itself_is_nobody_elses(k: Kernel) -> None:
    places = [windows.FIXMAP_START, windows.FIXMAP_START + 6 * PAGE_BYTES]
    if k.config.table_access == RECURSIVE:
        places += [windows.recursive_start(k.space), windows.recursive_start(k.space) + (1 << 39) - PAGE_BYTES]
    for place in map(VirtAddr, places):
        assert vmm.map_page(k, place, PhysAddr(0), DATA) == RESERVED
        assert vmm.unmap_page(k, place) == RESERVED
        assert vmm.protect(k, place, DATA) == RESERVED
        assert vmm.map_leaf(k, VirtAddr(place & -(1 << 30)), PhysAddr(0), DATA, 3) == RESERVED
    assert vmm.check(k) == OK


def test_no_table_is_seen_in_a_map_of_memory(k: Kernel) -> None:
    """What the fixture takes for granted: the tables' addresses fault."""
    root = VirtAddr(k.config.frame_window + k.space.root)
    assert vmm.get_physical(k, root) < 0
    with pytest.raises(MachineStopped):
        k.m.load64(root)


def test_a_window_that_is_open_is_not_opened_and_is_found(k: Kernel) -> None:
    windows.get_window(k.space, windows.LOOSE, k.space.root)
    assert vmm.check(k) == 6
    with pytest.raises(MachineStopped):
        windows.get_window(k.space, windows.LOOSE, k.space.root)


def test_a_window_that_is_closed_is_not_closed(k: Kernel) -> None:
    windows.get_window(k.space, windows.LOOSE, k.space.root)
    windows.put_window(k.space, windows.LOOSE)
    with pytest.raises(MachineStopped):
        windows.put_window(k.space, windows.LOOSE)


def test_windows_of_different_levels_nest(k: Kernel) -> None:
    slot = PhysAddr(k.space.root + 8 * 255)
    first = windows.get_window(k.space, 4, slot)
    second = windows.get_window(k.space, 3, slot)
    assert first != second
    assert k.m.load64(first) == k.m.load64(second)
    windows.put_window(k.space, 3)
    windows.put_window(k.space, 4)
    assert vmm.check(k) == OK
