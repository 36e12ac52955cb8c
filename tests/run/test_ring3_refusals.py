"""Each frame that a program needs, from its exec on, is refused once: an error or a signal, and nothing is lost."""

from collections.abc import Mapping
from errno import EFAULT, ENOMEM
from pathlib import Path
from signal import SIGKILL
from typing import Any, Final

import pytest

from incroos.run.names import CHEAP, NamedConfig

from ..budget import FULL
from .ring3 import SOURCES, Case, built, in_place, make_root, on_host
from .ring3_cases import ROOT

CHECKED: Final[Mapping[str, Any]] = {
    'config': NamedConfig('incroos.kernel.configs', 'MODERN_CHECKED', CHEAP),
    'is_checked': True,
}
CASE: Final = Case('asks', 'asks')
NR_FRAMES: Final = 90  # more than it asks for
STEP: Final = 1 if FULL else 5


@pytest.fixture
def program(tmp_path: Path) -> Path:
    program = built(SOURCES / 'asks.c', 'musl')
    make_root(tmp_path / 'root', program, ROOT)
    return program


def test_it_is_refused_nothing_where_there_is_enough(tmp_path: Path, program: Path) -> None:
    expected = on_host(program, CASE, tmp_path / 'root')
    assert (expected.stdout, expected.stderr) == (b'0 refused\n', b'')
    assert in_place('jit', program, CASE, tmp_path / 'root', **CHECKED)[0] == expected
    last = in_place('jit', program, CASE, tmp_path / 'root', **CHECKED, refuse_at=NR_FRAMES)[0]
    assert last == expected  # so many are not asked for


@pytest.mark.parametrize('start', range(1, NR_FRAMES, 10))
def test_a_frame_that_is_refused_is_an_error_or_ends_the_program(tmp_path: Path, program: Path, start: int) -> None:
    """After each the checkers find nothing, and all frames are there again."""
    for refuse_at in range(start, start + 10, STEP):
        seen, ran = in_place('jit', program, CASE, tmp_path / 'root', **CHECKED, refuse_at=refuse_at)
        if seen.signal:
            assert seen.signal == SIGKILL, (refuse_at, ran.sentence)
        elif seen.stdout:
            assert seen.stdout in (b'0 refused\n', b'1 refused\n'), refuse_at
            assert (b'refused: ' in seen.stderr) == (seen.stdout != b'0 refused\n')
        else:
            assert ran.ending is not None
            assert ran.ending.refusal in (ENOMEM, EFAULT), (refuse_at, ran.sentence)  # the second of its first stack
