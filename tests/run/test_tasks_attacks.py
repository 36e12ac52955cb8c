"""Attacks of several tasks: only the offender suffers, a task beside it lives on, and the kernel is as it was.

An exception from what Linux does is a waiver with its reason, and named here.
"""

from pathlib import Path
from typing import Any, Final

import pytest

from ..budget import FULL
from .ring3 import ATTACKS, Case, Seen, built, in_place
from .tasks_lab import ENVIRONMENT, make_shell_root, on_host, ways_of
from .test_ring3_attacks import PLACES, options

BESIDE: Final = b'the task beside: exited with 7\n'
IN_SIM: Final = ('stacks', 'many_forks')
BOMBS: Final = [
    (place, way) for place in PLACES for way in ways_of(ATTACKS / 'bombs.c') if FULL or place != 'sim' or way in IN_SIM
]
MANY: Final = {'jit': 100_000, 'qemu': 100_000, 'sim': 50}
FEWER: Final = {'jit': 3000, 'qemu': 10_000, 'sim': 20}
SMALL_STACK: Final = {'STACK': str(128 << 10)}  # in sim: each page of a stack is a fault
ALIGNED: Final = 'flags-aligned'
# Frames after which Linux ends the task, or does not, and we do otherwise, with the reason.
WAIVERS: Final[dict[str, dict[str, str]]] = {
    'jit': {},
    'sim': {},
    'qemu': {},
}
OURS: Final = {
    ALIGNED: 'came back',  # CR0.AM is not set
    'flags-all': 'ended by signal 11',  # the same: by the direction flag
}


def run_attack(place: str, folder: Path, name: str, arguments: tuple[str, ...], **more: Any) -> Seen:
    """An attack in a root of its own, with all that the processor has; how it ended."""
    program = built(ATTACKS / f'{name}.c', 'musl')
    make_shell_root(folder, {})
    (folder / name).write_bytes(program.read_bytes())
    (folder / name).chmod(0o755)
    environment = {**ENVIRONMENT, **more.pop('environment', {})}
    case = Case(name, name, arguments, environment=environment, memory_bytes=more.pop('memory_bytes', 128 << 20))
    seen, ran = in_place(place, program, case, folder, path=f'/{name}', **options(place), **more)
    assert b'not so:' not in seen.stdout, (seen, ran.sentence)
    return seen


def frames_of(text: bytes) -> dict[str, str]:
    """What became of each frame."""
    found: dict[str, str] = {}
    came_back = False
    for line in text.decode().splitlines():
        name, colon, end = line.partition(': ')
        if line == 'came back':
            came_back = True
        elif colon and name != 'the task beside':
            found[name] = 'came back' if came_back and end == 'exited with 5' else end
            came_back = False
    return found


@pytest.mark.parametrize('place', PLACES)
def test_a_forged_frame_does_what_it_does_on_linux(tmp_path: Path, place: str) -> None:
    program = built(ATTACKS / 'wild_frames.c', 'musl')
    make_shell_root(tmp_path / 'theirs', {})
    (tmp_path / 'theirs' / 'wild_frames').write_bytes(program.read_bytes())
    (tmp_path / 'theirs' / 'wild_frames').chmod(0o755)
    case = Case('wild-frames', 'wild_frames', ('all_of_them',), environment=ENVIRONMENT)
    host = on_host(tmp_path / 'theirs', '/wild_frames', case)
    seen = run_attack(place, tmp_path / 'ours', 'wild_frames', ('all_of_them',))
    assert host.stdout.endswith(BESIDE), host
    assert seen.stdout.endswith(BESIDE), seen
    expected = {**frames_of(host.stdout), **OURS, **WAIVERS[place]}
    found = frames_of(seen.stdout)
    assert {name: found.get(name) for name in expected if found.get(name) != expected[name]} == {}


@pytest.mark.parametrize('place', PLACES)
def test_signals_to_all_and_nobody(tmp_path: Path, place: str) -> None:
    seen = run_attack(place, tmp_path, 'wild_kills', ('wild_kills',))
    assert (seen.status, seen.signal) == (0, 0), seen
    assert BESIDE in seen.stdout


@pytest.mark.parametrize(('place', 'way'), BOMBS)
def test_a_bomb_hurts_nobody_else(tmp_path: Path, place: str, way: str) -> None:
    """Fork bombs, pipe bombs, ends of stacks and memory; a hundred thousand forks with a large budget.

    In sim a stack ends after 128 KiB, but with a large budget.
    """
    many = {'MANY': str((MANY if FULL else FEWER)[place])}
    if place == 'sim' and not FULL:
        many |= SMALL_STACK
    seen = run_attack(place, tmp_path, 'bombs', (way,), environment=many)
    assert (seen.status, seen.signal) == (0, 0), seen
    assert seen.stdout.endswith(BESIDE), seen


@pytest.mark.parametrize('seed', range(200 if FULL else 6))
@pytest.mark.parametrize('place', ['jit', 'qemu'] if FULL else ['jit'])
def test_random_calls_of_several_tasks(tmp_path: Path, place: str, seed: int) -> None:
    """Whatever becomes of them, the kernel is as it was."""
    seen = run_attack(place, tmp_path, 'random_tasks', (str(seed), '600'))
    assert seen.stderr.endswith(b'all have ended\n'), seen


@pytest.mark.parametrize('seed', range(100 if FULL else 3))
@pytest.mark.parametrize('place', ['jit', 'qemu'])
def test_random_instructions(tmp_path: Path, place: str, seed: int) -> None:
    """What they do is no matter: the kernel survives, and their parent."""
    seen = run_attack(place, tmp_path, 'random_instructions', (str(seed), '40'))
    assert seen.stderr.endswith(b'children were ended: 1\n'), seen
