"""The ways to reach a page table, each as the only one: no table that they must reach is mapped at its own address."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final, cast

import pytest

from incroos.kernel import vmm
from incroos.kernel.codes import NO_FRAME, OK, RESERVED
from incroos.kernel.config import CLASSIC_FIXMAP, CLASSIC_RECURSIVE
from incroos.kernel.layout import BOOT_TABLES, BOOT_TABLES_END, PAGE_BYTES, POOL_END, POOL_START
from incroos.kernel.state import Kernel
from incroos.kernel.vmm import NX, PRESENT, WRITABLE, windows
from incroos.lang import PhysAddr, VirtAddr
from incroos.machine.errors import MachineStopped
from incroos.run.harness import DirectDriver, Driver

from .drivers import PLACES, Build, open_driver
from .models import Pages, leaves_in, nr_steps_in, play

ROOT: Final = BOOT_TABLES
SIGN: Final = (1 << 64) - 1
BUILDS: Final = {
    'recursive': Build(CLASSIC_RECURSIVE, 'CLASSIC_RECURSIVE', is_checked=True),
    'fixmap': Build(CLASSIC_FIXMAP, 'CLASSIC_FIXMAP', is_checked=True),
}
PAGE: Final = 0x7FFF_C000_0000  # nothing near it: three new tables
DATA: Final = PRESENT | WRITABLE | NX


@contextmanager
def only_way(place: str, build: Build) -> Iterator[Driver]:
    """A kernel whose page tables, the boot code's too, are not in the identity map any more."""
    with open_driver(place, build=build) as driver:
        for pa in (*range(BOOT_TABLES, BOOT_TABLES_END, PAGE_BYTES), *range(POOL_START, POOL_END, PAGE_BYTES)):
            if driver.call('get_physical', pa) == pa:
                assert driver.call('unmap_page', pa) == pa
        yield driver


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


def model_of(driver: Driver) -> Pages:
    """No pages, and the tables of the fixmap."""
    model = Pages()
    for level in (2, 3, 4):
        model.under[windows.FIXMAP_START & -(1 << 3 + 9 * level), level] += 1
    assert driver.kernel.pages.nr_tables == model.nr_tables
    return model


def assert_tables_say(driver: Driver, model: Pages) -> None:
    """As in test_vmm_model, but for what the way itself maps."""
    found = {
        (va, level): entry for va, level, entry in leaves_in(driver) if not 0 <= va < 0x1000_0000 and not is_way(va)
    }
    assert found == {
        (va, level): (pa | flags | (0x80 if level > 1 else 0)) & SIGN
        for (va, level), (pa, flags) in model.pages.items()
    }
    assert driver.kernel.pages.nr_tables == model.nr_tables
    assert driver.call('check_vmm') == driver.call('check_pmm') == OK


def test_pages_against_a_dict(driver: Driver) -> None:
    model = model_of(driver)
    play(driver, list(islice(model.steps(random.Random(7)), nr_steps_in(driver))))
    assert model.pages
    assert_tables_say(driver, model)
    for va, level in list(model.pages):
        play(driver, [('unmap_leaf', (va, level), model.unmap_leaf(va, level))])
    assert_tables_say(driver, model)


def test_every_table_refused_once(driver: Driver) -> None:
    model = model_of(driver)
    for refused in (1, 2, 3):
        driver.call('refuse_at', refused)
        assert driver.call('map_page', PAGE, 0, DATA) == NO_FRAME
        assert driver.kernel.pages.nr_tables == model.nr_tables
    driver.call('refuse_at', 0)
    assert driver.call('map_page', PAGE, 0, DATA) == OK
    assert driver.call('check_vmm') == OK


def test_the_way_itself_is_nobody_elses(k: Kernel) -> None:
    places = [windows.FIXMAP_START, windows.FIXMAP_START + 6 * PAGE_BYTES]
    if k.config.table_access == CLASSIC_RECURSIVE.table_access:
        places += [windows.RECURSIVE_START, windows.RECURSIVE_START + (1 << 39) - PAGE_BYTES]
    for place in map(VirtAddr, places):
        assert vmm.map_page(k, place, PhysAddr(0), DATA) == RESERVED
        assert vmm.unmap_page(k, place) == RESERVED
        assert vmm.protect(k, place, DATA) == RESERVED
        assert vmm.map_leaf(k, VirtAddr(place & -(1 << 30)), PhysAddr(0), DATA, 3) == RESERVED
    assert vmm.check(k) == OK


def test_no_address_of_a_table_is_touched_at_its_own_place(k: Kernel) -> None:
    """What the fixture takes for granted: the tables' own addresses fault."""
    assert vmm.get_physical(k, VirtAddr(ROOT)) < 0
    with pytest.raises(MachineStopped):
        k.m.load64(VirtAddr(ROOT))


def test_a_window_that_is_open_is_not_opened(k: Kernel) -> None:
    windows.get_window(k, windows.LOOSE, PhysAddr(ROOT))
    with pytest.raises(MachineStopped):
        windows.get_window(k, windows.LOOSE, PhysAddr(ROOT))


def test_a_window_that_is_closed_is_not_closed(k: Kernel) -> None:
    windows.get_window(k, windows.LOOSE, PhysAddr(ROOT))
    windows.put_window(k, windows.LOOSE)
    with pytest.raises(MachineStopped):
        windows.put_window(k, windows.LOOSE)


def test_windows_of_different_levels_nest(k: Kernel) -> None:
    first = windows.get_window(k, 4, PhysAddr(ROOT + 8 * 255))
    second = windows.get_window(k, 3, PhysAddr(ROOT + 8 * 255))
    assert first != second
    assert k.m.load64(first) == k.m.load64(second)
    windows.put_window(k, 3)
    windows.put_window(k, 4)
    assert vmm.check(k) == OK
