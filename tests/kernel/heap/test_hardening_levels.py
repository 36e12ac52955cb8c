"""The levels of hardening by name, and the heap in those that are not the usual one: what it does is the same."""

import random
from dataclasses import replace

import pytest

from incroos.kernel import configs
from incroos.kernel.codes import BAD_FREE
from incroos.kernel.config import CHEAP, FULL, NO_HARDENING
from incroos.kernel.configs import CLASSIC_OFF, MODERN_OFF
from incroos.kernel.heap.chunk.header import BYTES_MASK
from incroos.run.harness import Driver
from incroos.run.names import KERNELS, kernel_config
from incroos.run.names import LEVELS as LEVEL_NAMES

from ..drivers import PLACES, Build, open_driver

LEVELS = {'_OFF': NO_HARDENING, '': CHEAP, '_FULL': FULL}
OFF_BUILDS = {
    'classic': Build(CLASSIC_OFF, is_checked=False, is_quick=True),
    'modern': Build(MODERN_OFF, is_checked=False, is_quick=True),
}


@pytest.mark.parametrize('name', ['CLASSIC', 'MODERN', 'MODERN_LA57'])
def test_each_configuration_has_each_level(name: str) -> None:
    plain = getattr(configs, name)
    for ending, level in LEVELS.items():
        config = getattr(configs, name + ending)
        assert config.hardening == level
        assert replace(config, hardening=CHEAP) == plain


def mix(driver: Driver, seed: int) -> list[int]:
    """Random requests, each filled and verified; the answers."""
    rng = random.Random(seed)
    live: dict[int, tuple[int, int]] = {}
    answers = []
    for step in range(300):
        if live and rng.randrange(5) < 2:
            ptr = rng.choice(list(live))
            nbytes, byte = live.pop(ptr)
            assert driver.call('count_other', ptr, byte, min(nbytes, 64)) == 0
            answers.append(driver.call('kfree', ptr))
        else:
            nbytes = rng.choice((16, 40, 100, 700, 1500, 5000, 20_000))
            ptr = driver.call('kmalloc', nbytes)
            assert ptr != 0
            live[ptr] = nbytes, step % 251
            driver.call('fill', ptr, step % 251, nbytes)
            answers.append(ptr)
    assert driver.call('check_heap') == 0
    for ptr in live:
        assert driver.call('kfree', ptr) == 0
    assert driver.call('used_bytes') == 0
    assert driver.call('check_heap') == 0
    return answers


@pytest.mark.parametrize('place', PLACES[1:])
@pytest.mark.parametrize('name', OFF_BUILDS)
def test_without_hardening_headers_are_plain_and_the_metadata_still_tells_what_it_knows(place: str, name: str) -> None:
    with open_driver(place, build=OFF_BUILDS[name]) as driver:
        first, second = driver.call('kmalloc', 5000), driver.call('kmalloc', 5000)
        assert driver.call('load', first - 8) & ~15 == driver.call('load', first - 8) & BYTES_MASK == 5008 + 15 & ~15
        assert driver.call('kfree', first) == 0
        assert driver.call('kfree', first) == BAD_FREE
        assert driver.call('kfree', 8) == BAD_FREE
        assert driver.call('kfree', second) == 0
        assert driver.call('used_bytes') == 0
        assert set(mix(driver, 3)) > {0}


def test_the_command_names_them_all() -> None:
    named = [kernel_config(name, level) for name in KERNELS for level in LEVEL_NAMES]
    assert named == [getattr(configs, name + ending) for name in KERNELS.values() for ending in LEVELS]
