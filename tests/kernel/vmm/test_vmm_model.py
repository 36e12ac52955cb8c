"""Page tables against a dict, in every place: the same long random use, and Hypothesis in the interpreted kernel."""

import random
from contextlib import ExitStack
from itertools import islice

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from incroos.kernel.codes import OK
from incroos.run.harness import Driver

from ..drivers import open_driver
from ..models import BAD, BASES, FLAGS, PAGE_BYTES, Pages, leaves_in, nr_steps_in, play


def assert_tables_say(driver: Driver, model: Pages) -> None:
    """The leaves in RAM are the model's, those of the identity map left out; nothing else took frames."""
    found = {(va, level): entry for va, level, entry in leaves_in(driver) if not 0 <= va < BASES[0]}
    expected = {
        (va, level): (pa | flags | (0x80 if level > 1 else 0)) & (1 << 64) - 1
        for (va, level), (pa, flags) in model.pages.items()
    }
    assert found == expected
    assert driver.kernel.space.nr_tables == model.nr_tables
    pool = driver.kernel.frames.pool
    assert pool.nr_total_frames - pool.nr_free_frames == model.nr_tables
    assert driver.call('check_vmm') == driver.call('check_pmm') == OK


@pytest.mark.parametrize('seed', [1, 2])
def test_pages_against_a_dict(driver: Driver, seed: int) -> None:
    model = Pages()
    play(driver, list(islice(model.steps(random.Random(seed)), nr_steps_in(driver))))
    assert model.pages
    assert_tables_say(driver, model)
    for va, level in list(model.pages):
        play(driver, [('unmap_leaf', (va, level), model.unmap_leaf(va, level))])
    assert_tables_say(driver, model)
    assert model.nr_tables == 0


levels = st.integers(1, 3)
flag_sets = st.sets(st.sampled_from(FLAGS)).map(lambda flags: 1 | sum(flags)) | st.sampled_from(BAD)


@st.composite
def addresses(draw: st.DrawFn, level: int) -> int:
    va = draw(st.sampled_from(BASES)) + draw(st.integers(0, 3)) * PAGE_BYTES[level]
    va &= -PAGE_BYTES[level]
    return BASES[1] if 0 <= va < BASES[0] else va


class PagesAgainstADict(RuleBasedStateMachine):
    """The same model, with Hypothesis to choose and to find the shortest way to a difference."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = ExitStack()
        self.driver = self.closing.enter_context(open_driver('sim', 3 << 20))
        self.model = Pages()
        self.edge_tables = self.driver.kernel.space.nr_tables  # of the zone, which ends inside 2 MiB here

    @rule(data=st.data(), level=levels, frame=st.integers(0, 1 << 22), flags=flag_sets)
    def map_leaf(self, data: st.DataObject, level: int, frame: int, flags: int) -> None:
        words = data.draw(addresses(level)), frame * PAGE_BYTES[level], flags, level
        play(self.driver, [('map_leaf', words, self.model.map_leaf(*words))])

    @rule(data=st.data(), level=levels, refused=st.integers(1, 3))
    def map_leaf_while_a_frame_is_refused(self, data: st.DataObject, level: int, refused: int) -> None:
        va = data.draw(addresses(level))
        before = self.driver.kernel.space.nr_tables
        self.driver.call('refuse_at', refused)
        code = self.driver.call('map_leaf', va, 0, 1, level)
        was_refused = self.driver.kernel.frames.requests >= refused
        self.driver.call('refuse_at', 0)
        if was_refused:
            assert code < 0
            assert self.driver.kernel.space.nr_tables == before
        else:
            assert code == self.model.map_leaf(va, 0, 1, level)

    @rule(data=st.data(), level=levels)
    def unmap_leaf(self, data: st.DataObject, level: int) -> None:
        va = data.draw(addresses(level))
        play(self.driver, [('unmap_leaf', (va, level), self.model.unmap_leaf(va, level))])

    @rule(data=st.data(), level=levels, flags=flag_sets)
    def protect_leaf(self, data: st.DataObject, level: int, flags: int) -> None:
        va = data.draw(addresses(level))
        play(self.driver, [('protect_leaf', (va, flags, level), self.model.protect_leaf(va, flags, level))])

    @rule(data=st.data(), level=levels, off=st.integers(-(1 << 31), 1 << 31))
    def translate(self, data: st.DataObject, level: int, off: int) -> None:
        va = data.draw(addresses(level)) + off
        if not 0 <= va < 0x40_0000:
            play(self.driver, [('get_physical', (va,), self.model.get_physical(va))])

    @invariant()
    def tables_are_those_that_are_needed(self) -> None:
        assert self.driver.kernel.space.nr_tables == self.model.nr_tables + self.edge_tables

    def teardown(self) -> None:
        assert self.driver.call('check_vmm') == self.driver.call('check_pmm') == OK
        for va, level in list(self.model.pages):
            play(self.driver, [('unmap_leaf', (va, level), self.model.unmap_leaf(va, level))])
        assert self.driver.kernel.space.nr_tables == self.edge_tables
        assert self.driver.call('check_vmm') == self.driver.call('check_pmm') == OK
        self.closing.close()


TestPagesAgainstADict = PagesAgainstADict.TestCase
TestPagesAgainstADict.settings = settings(max_examples=25, stateful_step_count=40)
