"""The core of the simulated computer is one text: its tests run it interpreted, compiled, and compiled with checks."""

import pytest

from .lab import Bench


@pytest.fixture(params=['interpreted', 'compiled', 'checked'])
def bench(request: pytest.FixtureRequest) -> Bench:
    """A computer with an empty root table."""
    return Bench(request.param)
