"""Fixtures of the kernel's tests: a kernel in each place."""

from collections.abc import Iterator

import pytest

from incroos.run.harness import Driver

from .drivers import PLACES, PLAIN, open_driver


@pytest.fixture(params=PLACES)
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """A kernel that has just started; the test runs once in each place."""
    with open_driver(request.param) as driver:
        yield driver


@pytest.fixture(params=PLACES)
def plain_driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """The same in the build that users get: no checks by the compiler, no poison, no fault injection."""
    with open_driver(request.param, build=PLAIN) as driver:
        yield driver


@pytest.fixture
def sim() -> Iterator[Driver]:
    """An interpreted kernel, for what needs no second place: the checkers, and what is told in words."""
    with open_driver('sim') as driver:
        yield driver
