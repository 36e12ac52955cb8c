"""Frames against sets, in every place: the same long random use."""

import random
from collections.abc import Sequence
from itertools import islice

import pytest

from incroos.kernel.codes import OK
from incroos.run.harness import Driver

from ..models import ZONE, Frames, nr_steps_in, play

POOL_OF_A_PC = range(0x1_0000, 0x9_F000, 0x1000)


@pytest.mark.parametrize(
    ('alloc_shares', 'nr_steps'),
    [((0.98, 0.1), 10_000), ((0.9, 0.3, 0.6, 0.1), 400)],
    ids=['until none is free', 'up and down'],
)
def test_frames_against_sets(driver: Driver, alloc_shares: Sequence[float], nr_steps: int) -> None:
    model = Frames(set(POOL_OF_A_PC), set(ZONE))
    assert_counts(driver, model)
    play(driver, list(islice(model.steps(random.Random(nr_steps), alloc_shares, nr_steps), nr_steps_in(driver))))
    assert_counts(driver, model)
    play(driver, [('free_page', (pa,), model.free_page(pa)) for pa in list(model.pages)])
    play(driver, [('free_table', (pa,), model.free_table(pa)) for pa in list(model.tables)])
    assert_counts(driver, model)
    assert driver.kernel.frames.zone.nr_free_frames == len(ZONE)
    assert driver.call('check_vmm') == OK


def assert_counts(driver: Driver, model: Frames) -> None:
    """The kernel counts what the model counts, and its own invariants hold."""
    counts = driver.call('nr_free_frames'), driver.call('nr_free_pool_frames')
    assert counts == (len(model.zone), len(model.pool))
    assert driver.call('nr_total_frames') == len(ZONE)
    assert driver.call('nr_total_pool_frames') == len(POOL_OF_A_PC)
    assert driver.call('check_pmm') == OK
