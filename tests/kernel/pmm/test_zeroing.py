"""Frames that are zeroed ahead of time: free until they are asked for, and full of zeros then."""

from collections.abc import Iterator

import pytest

from incroos.guest import mailbox
from incroos.kernel import pmm
from incroos.kernel.codes import DOUBLE_FREE, NO_FRAME, OK
from incroos.kernel.layout import DIRECT_MAP_START, PAGE_BYTES
from incroos.kernel.pmm.all.zones import MIDDLE
from incroos.kernel.state import NR_SLOTS
from incroos.run.harness import Driver, call_of
from incroos.run.sim import Sim

from ..drivers import MODERN_BUILD, PLACES, open_driver

MIB = 1 << 20
FREE_FRAME = 0x1000  # by its number, of those that nobody takes at the start


@pytest.fixture(params=PLACES)
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """Config modern, checked, in each place: it poisons frames that are freed."""
    with open_driver(request.param, 3 * MIB, MODERN_BUILD) as found:
        yield found


def nr_other(driver: Driver, pa: int) -> int:
    """How many bytes of a frame are not 0."""
    return driver.call('count_other', DIRECT_MAP_START + pa, 0, PAGE_BYTES)


def test_frames_in_stock_are_free_and_zero_when_they_are_taken(driver: Driver) -> None:
    used = driver.execute([call_of('alloc_page')] * 40)
    for pa in used:
        assert driver.call('free_page', pa) == OK
    nr_free = driver.call('nr_free_frames')
    assert driver.call('zero_ahead', 10) == 10
    assert driver.call('nr_free_frames') == nr_free
    assert driver.call('check_pmm') == 0
    taken = driver.execute([call_of('alloc_page')] * 12)  # two more than were in stock
    assert set(taken) <= set(used)
    assert len(set(taken)) == len(taken)
    assert [nr_other(driver, pa) for pa in taken] == [0] * len(taken)
    assert driver.call('nr_free_frames') == nr_free - len(taken)
    assert driver.call('check_pmm') == 0


def test_a_frame_in_stock_was_not_handed_out(driver: Driver) -> None:
    frame = driver.call('alloc_page')
    assert driver.call('free_page', frame) == OK
    assert driver.call('zero_ahead', 1) == 1
    assert driver.call('free_page', frame) == DOUBLE_FREE
    assert driver.call('alloc_page') == frame


def test_the_stock_is_limited_and_what_is_in_it_can_be_had(driver: Driver) -> None:
    assert driver.call('zero_ahead', 0) == driver.call('zero_ahead', -1) == 0
    assert driver.call('zero_ahead', 1000) == NR_SLOTS
    assert driver.call('zero_ahead', 1) == 0
    nr_free = driver.call('nr_free_frames')
    tables = driver.execute([call_of('alloc_table', 1)] * (nr_free + 1))  # these do not look into the stock first
    assert NO_FRAME not in tables[:-1]
    assert tables[-1] == NO_FRAME
    assert driver.call('zero_ahead', 1) == 0
    assert driver.execute([call_of('free_table', pa) for pa in tables[:-1]]) == [OK] * nr_free
    assert driver.call('check_pmm') == 0


def test_the_last_free_frames_can_be_had_out_of_the_stock(driver: Driver) -> None:
    """No other frame is free, and none below 1 MiB, on which a request could fall back."""
    nr_free = driver.call('nr_free_frames')
    taken = driver.execute([call_of('alloc_table', 1)] * nr_free)
    freed = [pa for pa in taken if pa >= MIB][:5]
    assert driver.execute([call_of('free_table', pa) for pa in freed]) == [OK] * 5
    assert driver.call('zero_ahead', 1000) == 5
    tables = driver.execute([call_of('alloc_table', 1)] * 6)
    assert sorted(tables[:5]) == sorted(freed)
    assert tables[5] == NO_FRAME
    assert driver.call('check_pmm') == 0


def test_a_refused_request_leaves_the_stock_alone(driver: Driver) -> None:
    assert driver.call('zero_ahead', 3) == 3
    nr_free = driver.call('nr_free_frames')
    driver.call('refuse_at', 1)
    assert driver.call('alloc_page') == NO_FRAME
    assert driver.call('nr_free_frames') == nr_free
    assert driver.call('zero_ahead', 1000) == NR_SLOTS - 3


@pytest.mark.parametrize(('wrong', 'code'), [('count', 241), ('twice', 242), ('free', 231)])
def test_the_checker_sees_a_stock_that_is_wrong(wrong: str, code: int) -> None:
    sim = Sim(64 * MIB, MODERN_BUILD.config)
    sim.start(mailbox.start)
    assert pmm.zero_ahead(sim.kernel, 2) == 2
    zone = sim.kernel.blocks.zones[MIDDLE]
    if wrong == 'count':
        zone.zeroed.limit = 1
    else:
        zone.zeroed.slots[1] = zone.zeroed.slots[0] if wrong == 'twice' else FREE_FRAME
    assert pmm.check(sim.kernel) == 1000 + code
