"""Every primitive has its function on the simulated computer, with the primitive's parameters and result."""

import inspect

import pytest

from incroos.lang.primitives import PRIMITIVES
from incroos.machine.cpu import Cpu
from incroos.machine.lowering import LOWERINGS


def test_every_primitive_is_lowered_but_the_way_out() -> None:
    assert LOWERINGS.keys() == PRIMITIVES.keys() - {'call4'}


@pytest.mark.parametrize('name', LOWERINGS)
def test_a_lowering_takes_and_gives_what_the_primitive_does(name: str) -> None:
    wanted, found = inspect.signature(PRIMITIVES[name]), inspect.signature(LOWERINGS[name])
    first, *rest = found.parameters.values()
    assert first.annotation is Cpu
    assert [parameter.annotation for parameter in rest] == [
        parameter.annotation for parameter in list(wanted.parameters.values())[1:]
    ]
    assert found.return_annotation == wanted.return_annotation
