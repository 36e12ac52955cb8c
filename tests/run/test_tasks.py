"""C programs of several tasks: what they write and how they end is what Linux makes of them, in each place."""

from pathlib import Path
from typing import Final

import pytest

from ..budget import FULL
from .ring3 import Case, Seen, built
from .tasks_lab import ENVIRONMENT, TASKS, compare_in_roots, make_shell_root, on_host, ways_of

BUILDS: Final = ('musl', 'glibc')
SOURCES: Final = sorted(path.stem for path in TASKS.glob('*.c'))
EVERY: Final = 'all'
IN_SIM: Final = (
    *('orphan', 'with_vfork', 'clone_with_stack', 'last_owner', 'copy_out', 'protect_fork_protect', 'full', 'broken'),
    *('specific', 'errors', 'requeues', 'robust', 'mended', 'fatal', 'between_processes'),
    *(
        'edges',
        'edges_of_room',
        'once',
        'counters',
        'closing',
        'nested',
        'infos',
        'wait_is_interrupted',
        'stops',
        'kill_group',
        'scripts',
        'links',
        'sleepers_in_order',
    ),
)  # ways that need few instructions


WAYS: Final = [(source, way) for source in SOURCES for way in ways_of(TASKS / f'{source}.c')]
ALL_IN_ONE: Final = [(source, EVERY) for source in SOURCES]
IN_PLACES: Final = [
    *(('jit', source, way, 'musl') for source, way in WAYS),
    *(('jit', source, way, 'glibc') for source, way in (WAYS if FULL else ALL_IN_ONE)),
    *(('sim', source, way, 'musl') for source, way in WAYS if FULL or way in IN_SIM),
    *(('qemu', source, way, build) for source, way in ALL_IN_ONE for build in BUILDS),
]


def make_roots(folder: Path, source: str, build: str) -> tuple[Path, Path]:
    """Ours and the host's."""
    program = built(TASKS / f'{source}.c', build)
    for name in ('ours', 'theirs'):
        make_shell_root(folder / name, {})
        (folder / name / source).write_bytes(program.read_bytes())
        (folder / name / source).chmod(0o755)
    return folder / 'ours', folder / 'theirs'


def case_of(source: str, way: str) -> Case:
    """A way of a program."""
    return Case(way, source, (way,), environment=ENVIRONMENT, memory_bytes=128 << 20)


@pytest.mark.parametrize('build', BUILDS)
@pytest.mark.parametrize('source', SOURCES)
def test_the_host_says_what_is_expected(tmp_path: Path, source: str, build: str) -> None:
    """The programs check themselves, so that what is compared means something."""
    _ours, theirs = make_roots(tmp_path, source, build)
    seen = on_host(theirs, f'/{source}', case_of(source, EVERY))
    assert b'not so:' not in seen.stdout, seen
    assert b'somebody is left' not in seen.stdout, seen
    assert (seen.status, seen.signal) == (0, 0), seen
    for way in ways_of(TASKS / f'{source}.c'):
        assert b'\n%s: exited with 0\n' % way.encode() in seen.stdout, (way, seen)


@pytest.mark.parametrize('source', SOURCES)
def test_what_the_host_says_depends_on_nothing(tmp_path: Path, source: str) -> None:
    """Another run says the same."""
    seen: list[Seen] = []
    for name in ('one', 'two'):
        _ours, theirs = make_roots(tmp_path / name, source, 'musl')
        seen.append(on_host(theirs, f'/{source}', case_of(source, EVERY)))
    assert seen[0] == seen[1]


@pytest.mark.parametrize(('place', 'source', 'way', 'build'), IN_PLACES)
def test_tasks_do_what_they_do_on_linux(tmp_path: Path, place: str, source: str, way: str, build: str) -> None:
    ours, theirs = make_roots(tmp_path, source, build)
    compare_in_roots(place, f'/{source}', case_of(source, way), ours, theirs)
