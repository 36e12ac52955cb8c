"""The core of the simulated computer is one text: its tests run it interpreted, compiled, and compiled with checks."""

import pytest

from .lab import DATA, Bench, P, W
from .strict_lab import Strict


@pytest.fixture(params=['interpreted', 'compiled', 'checked'])
def bench(request: pytest.FixtureRequest) -> Bench:
    """A computer with an empty root table."""
    return Bench(request.param)


@pytest.fixture
def strict() -> Strict:
    """A strict machine on which one page is mapped."""
    strict = Strict()
    strict.map(DATA | P | W)
    return strict
