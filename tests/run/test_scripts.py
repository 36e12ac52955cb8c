"""Scripts of busybox sh over its applets, and of bash: output and status are what they are on Linux, in each place.

Those of scripts_apart nobody looked at while the kernel was made: they stand for what others will run.
"""

import shutil
from pathlib import Path
from typing import Final

import pytest

from ..budget import FULL
from .ring3 import Case
from .tasks_lab import APART, ENVIRONMENT, IN_BASH, SCRIPTS, bash, compare_in_roots, make_shell_root, on_host

ALL: Final = [script for folder in (SCRIPTS, APART, IN_BASH) for script in sorted(folder.glob('*.sh'))]
IN_SIM: Final = ('alone',)


def is_run(place: str, index: int, script: Path) -> bool:
    """All in jit; in sim those with little to do; in QEMU, where each is a boot, one in three."""
    return FULL or place == 'jit' or (script.stem in IN_SIM if place == 'sim' else index % 3 == 0)


IN_PLACES: Final = [
    (place, script)
    for place in ('jit', 'sim', 'qemu')
    for index, script in enumerate(ALL)
    if is_run(place, index, script)
]


def shell_of(script: Path) -> str:
    """What runs it."""
    return '/bin/bash' if script.parent == IN_BASH else '/bin/sh'


def make_roots(folder: Path, script: Path) -> tuple[Path, Path, Case]:
    """Ours and the host's, with the script, and what is given to the shell."""
    for name in ('ours', 'theirs'):
        make_shell_root(folder / name, {'script': script.read_bytes()})
        if script.parent == IN_BASH:
            shutil.copy(bash(), folder / name / 'bin' / 'bash')
    case = Case(script.stem, 'busybox', ('/script',), environment=ENVIRONMENT)
    return folder / 'ours', folder / 'theirs', case


@pytest.mark.parametrize('script', ALL, ids=lambda script: script.stem)
def test_what_the_host_says_depends_on_nothing(tmp_path: Path, script: Path) -> None:
    """Another run says the same, something is said, and no applet is missing."""
    seen = []
    for name in ('one', 'two'):
        _ours, theirs, case = make_roots(tmp_path / name, script)
        seen.append(on_host(theirs, shell_of(script), case))
    assert seen[0] == seen[1]
    assert len(seen[0].stdout) > 20, seen
    assert b'applet not found' not in seen[0].stderr


@pytest.mark.parametrize(('place', 'script'), IN_PLACES, ids=[f'{place}-{script.stem}' for place, script in IN_PLACES])
def test_a_script_does_what_it_does_on_linux(tmp_path: Path, place: str, script: Path) -> None:
    ours, theirs, case = make_roots(tmp_path, script)
    compare_in_roots(place, shell_of(script), case, ours, theirs)
