"""Range operations: against a dict in every place, with every way to reach tables; sizes, splits, joints, flushes."""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from incroos.inspect.digest import differences, digests
from incroos.kernel.codes import (
    ALREADY_MAPPED,
    ENTRY_IN_USE,
    NO_FRAME,
    NOT_MAPPED,
    OK,
)
from incroos.kernel.vmm import ACCESSED, DIRTY, GLOBAL, NX, PAT, PAT_LARGE, PRESENT, USER, WRITABLE
from incroos.lang import VirtAddr
from incroos.run.harness import Driver

from ..drivers import CLASSIC_BUILDS, MODERN_BUILDS, PLACES, open_driver
from ..guest import WHOLE_4_MIB, CountedLoads, Guest
from ..models import BAD, nr_steps_in, play
from .range_model import WINDOW_BYTES, WINDOWS, Ranges, pages_in, sizes_in

PAGE: Final = 0x1000
HUGE: Final = 2 << 20
GIANT: Final = 1 << 30
FAR: Final = 0x7000_0000_0000
DATA: Final = PRESENT | WRITABLE | NX
UNSIGNED: Final = (1 << 64) - 1
BUILDS: Final = {
    f'{config}-{way}': build
    for config, builds in (('classic', CLASSIC_BUILDS), ('modern', MODERN_BUILDS))
    for way, build in builds.items()
}


@pytest.fixture(params=[(place, name) for place in PLACES for name in BUILDS], ids='-'.join)
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    place, name = request.param
    with open_driver(place, build=BUILDS[name]) as driver:
        yield driver


@pytest.fixture
def guest() -> Guest:
    return Guest(4 << 20, WHOLE_4_MIB)


def assert_tables_say(driver: Driver, model: Ranges) -> None:
    """Pages in RAM are the model's, and the metadata is right."""
    expected = {va: (pa, flags & UNSIGNED) for va, (pa, flags) in model.pages.items()}
    assert pages_in(driver, driver.kernel.space.root) == expected
    assert driver.call('check_vmm') == driver.call('check_pmm') == OK


def unmap_all(driver: Driver, model: Ranges) -> None:
    """Every window, whatever is in it."""
    for va in sorted(model.pages):
        if va in model.pages:
            end = va
            while end in model.pages:
                end += PAGE
            play(driver, [('unmap_range', (va, end - va), model.unmap_range(va, end - va))])


# ------------------------------------------------------------------ against a dict
def test_ranges_against_a_dict(driver: Driver) -> None:
    tables = driver.kernel.space.nr_tables
    model = Ranges()
    sizes = {1: 0, 2: 0, 3: 0}
    rng = random.Random(11)
    for _ in range(5):
        play(driver, list(islice(model.steps(rng), nr_steps_in(driver) // 50)))
        assert_tables_say(driver, model)
        found = sizes_in(driver, driver.kernel.space.root)
        sizes = {level: sizes[level] + found[level] for level in sizes}
    assert sizes[1]
    assert sizes[2]
    unmap_all(driver, model)
    assert_tables_say(driver, model)
    assert driver.kernel.space.nr_tables == tables


@pytest.mark.parametrize('name', BUILDS)
def test_the_same_ranges_leave_the_same_memory_in_every_place(name: str) -> None:
    steps = list(islice(Ranges().steps(random.Random(5)), 60))
    memories = []
    for place in PLACES:
        with open_driver(place, build=BUILDS[name]) as driver:
            play(driver, steps)
            memories.append(digests(driver.ram))
    assert differences(memories[0], memories[1]) == differences(memories[0], memories[2]) == []


pages = st.integers(0, WINDOW_BYTES // PAGE - 1)
flag_sets = st.sampled_from([3, 7, 3 | PAT, DATA, DATA | GLOBAL, BAD[1]])


class RangesAgainstADict(RuleBasedStateMachine):
    """The same model, with Hypothesis to choose, and with frames that are refused."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = ExitStack()
        self.driver = self.closing.enter_context(open_driver('sim', 3 << 20))
        self.model = Ranges()
        self.tables = self.driver.kernel.space.nr_tables

    def call(self, refused: int, name: str, *words: int) -> None:
        """Make the call; if it wanted the refused frame, it must have changed nothing."""
        before = dict(self.model.pages)
        expected = getattr(self.model, name)(*words)
        self.driver.call('refuse_at', refused)
        code = self.driver.call(name, *words)
        was_refused = refused and self.driver.kernel.frames.requests >= refused
        self.driver.call('refuse_at', 0)
        if was_refused:
            assert code == NO_FRAME
            self.model.pages = before
        else:
            assert code == expected

    @rule(
        window=st.sampled_from(WINDOWS), at=pages, nr=st.integers(0, 1200), pa=pages, flags=flag_sets,
        refused=st.integers(0, 3), is_round=st.booleans(),
    )  # fmt: skip
    def map_range(self, window: int, at: int, nr: int, pa: int, flags: int, refused: int, is_round: bool) -> None:
        start = window + (at * PAGE & -HUGE if is_round else at * PAGE)
        nbytes = min(nr * PAGE, window + WINDOW_BYTES - start)
        memory = pa * PAGE + start % HUGE if not is_round else pa << 30
        self.call(refused, 'map_range', start, memory & -PAGE, nbytes, flags)

    @rule(at=st.integers(0), nr=st.integers(0, 700), refused=st.integers(0, 3))
    def unmap_range(self, at: int, nr: int, refused: int) -> None:
        self.call(refused, 'unmap_range', *self.some_range(at, nr))

    @rule(at=st.integers(0), nr=st.integers(0, 700), flags=flag_sets, refused=st.integers(0, 3))
    def protect_range(self, at: int, nr: int, flags: int, refused: int) -> None:
        self.call(refused, 'protect_range', *self.some_range(at, nr), flags)

    @rule(at=st.integers(0), nr=st.integers(0, 700))
    def merge(self, at: int, nr: int) -> None:
        assert self.driver.call('merge', *self.some_range(at, nr)) >= 0

    def some_range(self, at: int, nr: int) -> tuple[int, int]:
        """Pages in a row from one that is mapped, if any is."""
        if not self.model.pages:
            return WINDOWS[0], nr * PAGE
        start = sorted(self.model.pages)[at % len(self.model.pages)]
        end = start
        while end < start + nr * PAGE and end in self.model.pages:
            end += PAGE
        return start, end - start

    @invariant()
    def nothing_leaks(self) -> None:
        assert pages_in(self.driver, self.driver.kernel.space.root) == {
            va: (pa, flags & UNSIGNED) for va, (pa, flags) in self.model.pages.items()
        }
        if not self.model.pages:
            assert self.driver.kernel.space.nr_tables == self.tables

    def teardown(self) -> None:
        assert_tables_say(self.driver, self.model)
        unmap_all(self.driver, self.model)
        assert self.driver.kernel.space.nr_tables == self.tables
        self.closing.close()


TestRangesAgainstADict = RangesAgainstADict.TestCase
TestRangesAgainstADict.settings = settings(max_examples=8, stateful_step_count=12)


# ------------------------------------------------------------------ sizes
def leaf(guest: Guest, va: int) -> tuple[int, int]:
    """The level of the page at va, and its entry without its address."""
    *_, entry = guest.entries_to(va)
    found = guest.walk(va)
    assert found is not None
    return found[1], entry & ~(0x000F_FFFF_FFFF_E000 if found[1] > 1 else 0x000F_FFFF_FFFF_F000)


@pytest.mark.parametrize(
    ('va', 'pa', 'nbytes', 'levels'),
    [
        (FAR, 0, 3 * PAGE, [1, 1, 1]),
        (FAR, 0, HUGE, [2]),
        (FAR, PAGE, HUGE, [1] * 512),
        (FAR, HUGE, GIANT, [2] * 512),
        (FAR, GIANT, GIANT, [3]),
        (FAR + HUGE, HUGE, GIANT, [2] * 512),
        (FAR + GIANT - HUGE - PAGE, GIANT - HUGE - PAGE, 2 * HUGE + GIANT + 2 * PAGE, [1, 2, 3, 2, 1]),
        (-GIANT, 0, GIANT, [3]),
        (-HUGE - PAGE, 0, PAGE + HUGE, [1] * 513),
    ],
)  # fmt: skip
def test_the_largest_pages_that_fit(guest: Guest, va: int, pa: int, nbytes: int, levels: list[int]) -> None:
    before = guest.state()
    assert guest.call('map_range', va, pa, nbytes, DATA) == OK
    found = []
    at = va
    while at < va + nbytes:
        walked = guest.walk(at)
        assert walked is not None
        assert walked[0] == pa + at - va
        found.append(walked[1])
        at += PAGE << 9 * (walked[1] - 1)
    assert found == levels
    assert guest.call('check_vmm') == OK
    assert guest.call('unmap_range', va, nbytes) == OK
    assert guest.state() == before


def test_no_giant_pages_where_the_processor_has_none(guest: Guest) -> None:
    guest.sim.machine.cpuid = lambda leaf, subleaf: (0, 0, 0, 0)  # type: ignore[method-assign]
    assert guest.call('map_range', FAR, 0, GIANT, DATA) == OK
    assert leaf(guest, FAR)[0] == 2
    assert guest.call('merge', FAR, GIANT) == 0


@pytest.mark.parametrize('flag', [WRITABLE, USER, GLOBAL, PAT, NX, ACCESSED, DIRTY, 1 << 3, 1 << 4, 1 << 11, 1 << 62])
def test_flags_are_carried_through_splits_and_joints(guest: Guest, flag: int) -> None:
    small, large = PRESENT | flag, PRESENT | (PAT_LARGE if flag == PAT else flag) | 0x80
    assert guest.call('map_range', FAR, GIANT, GIANT, small) == OK
    whole = guest.state()
    assert leaf(guest, FAR) == (3, large)
    assert guest.call('unmap_range', FAR + 5 * PAGE, PAGE) == OK
    assert guest.walk(FAR + 5 * PAGE) is None
    assert leaf(guest, FAR + 4 * PAGE) == leaf(guest, FAR + 6 * PAGE) == (1, small)
    assert leaf(guest, FAR + HUGE) == leaf(guest, FAR + GIANT - HUGE) == (2, large)
    assert guest.walk(FAR + 6 * PAGE) == (GIANT + 6 * PAGE, 1)
    assert guest.walk(FAR + 7 * HUGE + 8) == (GIANT + 7 * HUGE + 8, 2)
    assert guest.call('map_range', FAR + 5 * PAGE, GIANT + 5 * PAGE, PAGE, small) == OK
    assert guest.call('check_vmm') == OK
    assert guest.call('merge', FAR + HUGE, PAGE) == 0
    assert guest.call('merge', FAR + PAGE, PAGE) == 2
    assert guest.state() == whole


def test_protecting_a_part_splits_and_protecting_it_back_joins(guest: Guest) -> None:
    assert guest.call('map_range', FAR, 0, GIANT, DATA) == OK
    whole = guest.state()
    assert guest.call('protect_range', FAR + HUGE, PAGE, PRESENT) == OK
    assert leaf(guest, FAR + HUGE) == (1, PRESENT)
    assert leaf(guest, FAR + HUGE + PAGE) == (1, DATA)
    assert guest.call('protect_range', FAR + HUGE, HUGE, PRESENT) == OK
    assert leaf(guest, FAR + HUGE) == (2, PRESENT | 0x80)
    assert guest.call('protect_range', FAR + HUGE, HUGE, DATA) == OK
    assert guest.state() == whole


def test_a_part_that_has_the_rights_already_is_not_split(guest: Guest) -> None:
    assert guest.call('map_range', FAR, 0, GIANT, DATA) == OK
    guest.k.frames.refuse_at = guest.k.frames.requests + 1
    before = guest.state()
    assert guest.call('protect_range', FAR + PAGE, HUGE, DATA) == OK
    assert guest.state() == before


def test_accessed_and_dirty_of_the_parts_are_the_whole_ones(guest: Guest) -> None:
    """The test's own addresses: RAM of the zone, seen at FAR."""
    assert guest.call('map_range', FAR, HUGE, HUGE, DATA) == OK
    assert guest.call('protect_range', FAR + PAGE, PAGE, PRESENT | NX) == OK
    guest.sim.machine.fill(VirtAddr(FAR + 9 * PAGE), 7, 8)
    assert leaf(guest, FAR + 9 * PAGE) == (1, DATA | ACCESSED | DIRTY)
    assert leaf(guest, FAR + 8 * PAGE) == (1, DATA)
    assert guest.call('protect_range', FAR + PAGE, PAGE, DATA) == OK
    assert leaf(guest, FAR) == (2, DATA | ACCESSED | DIRTY | 0x80)
    assert guest.call('protect_range', FAR + PAGE, PAGE, PRESENT | NX) == OK
    assert leaf(guest, FAR + 8 * PAGE) == (1, DATA | ACCESSED | DIRTY)


def test_pages_that_lead_elsewhere_are_not_joined(guest: Guest) -> None:
    assert guest.call('map_range', FAR, HUGE, 511 * PAGE, DATA) == OK
    assert guest.call('map_range', FAR + 511 * PAGE, 0, PAGE, DATA) == OK
    assert guest.call('map_range', FAR + HUGE, PAGE, HUGE, DATA) == OK  # in a row, from no multiple of 2 MiB
    assert guest.call('merge', FAR, 2 * HUGE) == 0


def test_pages_with_a_note_of_somebodys_are_told_from_those_without(guest: Guest) -> None:
    assert guest.call('map_range', FAR, HUGE, HUGE, DATA) == OK
    assert guest.call('protect_range', FAR, PAGE, DATA | 1 << 9) == OK
    assert leaf(guest, FAR)[0] == 1
    assert guest.call('merge', FAR, HUGE) == 0


# ------------------------------------------------------------------ all or nothing
@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('map_range', (FAR - PAGE, GIANT - PAGE, GIANT + HUGE + PAGE, DATA)),
        ('map_range', (FAR - (2 << 39), PAGE, HUGE, DATA | USER)),
        ('unmap_range', (FAR - GIANT + PAGE, HUGE)),
        ('unmap_range', (FAR - GIANT + PAGE, GIANT - 2 * PAGE)),
        ('unmap_range', (FAR - 2 * GIANT + PAGE, 2 * GIANT - 2 * PAGE)),
        ('protect_range', (FAR - GIANT + PAGE, GIANT - 2 * PAGE, PRESENT | USER)),
        ('protect_range', (FAR - 2 * GIANT + PAGE, 2 * GIANT - 2 * PAGE, PRESENT)),
    ],
)
def test_every_frame_refused_once(name: str, words: tuple[int, ...]) -> None:
    refused, code = 0, NO_FRAME
    while code == NO_FRAME:
        refused += 1
        guest = Guest(4 << 20, WHOLE_4_MIB)
        if name != 'map_range':
            assert guest.call('map_range', FAR - 2 * GIANT, 0, 2 * GIANT, DATA) == OK
        guest.k.frames.refuse_at = guest.k.frames.requests + refused
        before = guest.state()
        code = guest.call(name, *words)
        assert code == OK or guest.state() == before
        assert guest.call('check_vmm') == guest.call('check_pmm') == OK
    assert code == OK
    assert refused > 2


@pytest.mark.parametrize('at', [0, PAGE, HUGE - PAGE, HUGE, 2 * HUGE + 5 * PAGE, 4 * HUGE - PAGE])
def test_a_page_in_the_way_leaves_everything_as_it_was(guest: Guest, at: int) -> None:
    assert guest.call('map_page', FAR + at, 0, DATA) == OK
    before = guest.state()
    assert guest.call('map_range', FAR, 0, 4 * HUGE, DATA | USER) == ALREADY_MAPPED
    assert guest.call('map_range', FAR, PAGE, 4 * HUGE, DATA | USER) == ALREADY_MAPPED
    assert guest.state() == before


@pytest.mark.parametrize('at', [0, PAGE, HUGE - PAGE, HUGE, 2 * HUGE + 5 * PAGE, 4 * HUGE - PAGE])
def test_a_page_that_is_missing_leaves_everything_as_it_was(guest: Guest, at: int) -> None:
    assert guest.call('map_range', FAR, 0, 4 * HUGE, DATA) == OK
    assert guest.call('unmap_range', FAR + at, PAGE) == OK
    before = guest.state()
    assert guest.call('unmap_range', FAR, 4 * HUGE) == NOT_MAPPED
    assert guest.call('protect_range', FAR, 4 * HUGE, PRESENT) == NOT_MAPPED
    assert guest.state() == before


def test_a_note_in_the_way_is_somebodys(guest: Guest) -> None:
    assert guest.call('map_page', FAR, 0, DATA) == OK
    slot = guest.slots_to(FAR)[-1]
    guest.poke(slot + 8 * 9, '<q', 0x42)
    guest.k.frames.records[slot >> 12].nr_entries += 1
    before = guest.state()
    assert guest.call('map_range', FAR + PAGE, 0, HUGE, DATA) == ENTRY_IN_USE
    assert guest.call('unmap_range', FAR, 16 * PAGE) == NOT_MAPPED
    assert guest.state() == before


# ------------------------------------------------------------------ what it costs
def test_each_table_is_walked_to_a_few_times_and_not_once_a_page(guest: Guest) -> None:
    loads = CountedLoads(guest)
    assert guest.call('map_range', FAR + PAGE, 0, HUGE, DATA) == OK
    assert loads.nr_loads < 512 + 130
    loads.nr_loads = 0
    assert guest.call('unmap_range', FAR + PAGE, HUGE) == OK
    assert loads.nr_loads < 512 + 130


def test_few_pages_are_flushed_one_by_one_and_many_at_once(guest: Guest) -> None:
    loads_of_cr3 = []
    write_cr3 = guest.sim.machine.write_cr3

    def noted(value: int) -> None:
        loads_of_cr3.append(value)
        write_cr3(value)

    guest.sim.machine.write_cr3 = noted  # type: ignore[method-assign]
    threshold = guest.k.config.flush_threshold
    for nr, one_by_one in ((1, True), (threshold, True), (threshold + 1, False), (512, False)):
        for name, words in (('protect_range', (FAR, nr * PAGE, PRESENT)), ('unmap_range', (FAR, nr * PAGE))):
            if name == 'protect_range':
                assert guest.call('map_range', FAR, PAGE, nr * PAGE, DATA) == OK
            guest.flushed.clear()
            loads_of_cr3.clear()
            assert guest.call(name, *words) == OK
            assert guest.flushed == ([FAR + at * PAGE for at in range(nr)] if one_by_one else [])
            assert len(loads_of_cr3) == (0 if one_by_one else 1)


def test_mapping_flushes_nothing(guest: Guest) -> None:
    guest.flushed.clear()
    assert guest.call('map_range', FAR, PAGE, HUGE, DATA) == OK
    assert guest.flushed == []
