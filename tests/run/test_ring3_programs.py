"""C programs of all kinds: what they write and how they end is what Linux makes of the same binary, in each place."""

from pathlib import Path
from typing import Final

import pytest

from ..budget import FULL
from .ring3 import BUILDS, SOURCES, Case, built, make_root, on_host
from .ring3_cases import ENDS, PROGRAMS

PIE_TOO: Final = ('hello', 'floats', 'auxiliary', 'own-maps', 'statics', 'write-text', 'self-modifying', 'mappings')


def names(cases: list[tuple[Case, str]]) -> list[str]:
    """For pytest."""
    return [f'{case.name}-{build}' for case, build in cases]


def builds(case: Case) -> list[str]:
    """In which it is run: all with a large budget, else one of each library, and all where it may differ."""
    if FULL or case.name in PIE_TOO:
        return list(BUILDS)
    return ['musl'] if case in ENDS else ['musl', 'glibc']


ALL: Final = [(case, build) for case in PROGRAMS + ENDS for build in builds(case)]


@pytest.mark.parametrize(('case', 'build'), ALL, ids=names(ALL))
def test_the_host_says_what_is_expected(tmp_path: Path, case: Case, build: str) -> None:
    """The programs check themselves: on Linux each ends as its name says, so that what is compared means something."""
    program = built(SOURCES / f'{case.source}.c', build)
    make_root(tmp_path / 'root', program, case.files)
    seen = on_host(program, case, tmp_path / 'root')
    assert b'not so:' not in seen.stdout, seen
    if case in PROGRAMS and case.name not in ('mapped-file-beyond-its-end', 'buffering-aborted'):
        assert seen.signal == 0, seen
    assert seen.stdout or seen.stderr or case.source == 'input'
