"""A program leaves the same kernel behind in all places, and the same records on its way.

Compared after it has ended: by then its own frames are free, and what is left of it is what the kernel remembers. What
processors do in their own ways, as how often they ask for a page, is in neither digest nor records.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from incroos.inspect.digest import differences, digests
from incroos.inspect.ram import RamMachine
from incroos.kernel.state.records import RECORD_STATISTICS
from incroos.machine.strict import MAX_RAM
from incroos.run.outcome import Status
from incroos.run.records import Told, statistics_in

from ..budget import FULL
from .ring3 import SOURCES, Case, Seen, built, in_place, make_root
from .ring3_cases import ROOT
from .tasks_lab import ENVIRONMENT, TASKS, make_shell_root

MIB: Final = 1 << 20
CASES: Final = (
    (Case('hello', 'hello'), 'musl'),
    (Case('hello', 'hello'), 'glibc'),
    (Case('allocate', 'allocate', ('300',)), 'musl'),
    (Case('allocate', 'allocate', ('300',), memory_bytes=24 * MIB), 'glibc'),
    (Case('allocate-in-5-gib', 'allocate', ('300',), memory_bytes=5 << 30), 'musl'),  # RAM in two parts, large pages
    (Case('files', 'files', files=ROOT), 'musl'),
    (Case('mapped-file', 'mapped_file', files=ROOT), 'glibc'),
    (Case('large-model', 'large_model', ('1', '30', 'alone'), memory_bytes=32 * MIB), 'musl'),
    (Case('no-memory', 'all_memory', memory_bytes=8 * MIB), 'musl'),
    (Case('read-null', 'ends', ('read-null',)), 'musl'),
    (Case('abort', 'ends', ('abort',)), 'glibc'),
)


@dataclass(frozen=True)
class Left:
    """What a run left behind."""

    seen: Seen
    calls: list[Told]
    records: list[Told]  # of the end, with statistics and checks
    memory: dict[str, str]


def left_by(place: str, program: Path, case: Case, folder: Path) -> Left:
    calls: list[Told] = []
    memory: dict[str, str] = {}

    def look(ram: RamMachine) -> None:
        memory.update(digests(ram))

    seen, ran = in_place(place, program, case, folder, calls=calls.append, look=look)
    assert ran.machine.status == Status.PASSED
    return Left(seen, calls, list(ran.records), memory)


@pytest.mark.parametrize(('case', 'build'), CASES, ids=[f'{case.name}-{build}' for case, build in CASES])
def test_what_a_program_leaves_is_the_same_in_all_places(tmp_path: Path, case: Case, build: str) -> None:
    program = built(SOURCES / f'{case.source}.c', build)
    make_root(tmp_path / 'root', program, case.files)
    jit = left_by('jit', program, case, tmp_path / 'root')
    assert jit.calls
    assert 'Kernel struct' in jit.memory
    for place in ('sim', 'qemu') if case.memory_bytes <= MAX_RAM else ('qemu',):
        found = left_by(place, program, case, tmp_path / 'root')
        assert found.seen == jit.seen
        for index, (ours, theirs) in enumerate(zip(found.calls, jit.calls, strict=False)):
            assert ours == theirs, (place, index)
        assert len(found.calls) == len(jit.calls)
        assert found.records == jit.records
        assert differences(found.memory, jit.memory) == []


# ------------------------------------------------------------------ several tasks
# Of these no task computes for longer than a slice, so that who runs when follows from calls alone.
SEVERAL: Final = (
    ('forks', 'chain'),
    ('forks', 'with_vfork_and_exec'),
    ('cow', 'last_owner'),
    ('cow', 'shared'),
    ('pipes', 'ring'),
    ('signals', 'infos'),
    ('waits', 'statuses'),
    ('futexes', 'requeues'),
    ('threads', 'specific'),
)


USUAL: Final = ('with_vfork_and_exec', 'shared', 'infos', 'requeues', 'specific')


@pytest.mark.parametrize(('source', 'way'), [(source, way) for source, way in SEVERAL if FULL or way in USUAL])
def test_what_several_tasks_leave_is_the_same_in_sim_and_jit(tmp_path: Path, source: str, way: str) -> None:
    """In QEMU the timer interrupts by the host's time: there what is written must be equal, and the free frames."""
    program = built(TASKS / f'{source}.c', 'musl')
    make_shell_root(tmp_path, {})
    (tmp_path / source).write_bytes(program.read_bytes())
    (tmp_path / source).chmod(0o755)
    case = Case(way, source, (way,), environment=ENVIRONMENT)
    jit = left_by('jit', Path(f'/{source}'), case, tmp_path)
    assert left_by('sim', Path(f'/{source}'), case, tmp_path) == jit
    qemu = left_by('qemu', Path(f'/{source}'), case, tmp_path)
    assert qemu.seen == jit.seen
    assert free_frames(qemu) == free_frames(jit)


def free_frames(left: Left) -> list[int]:
    """Before the first program began, and when all had ended."""
    (told,) = [record for record in left.records if record.kind == RECORD_STATISTICS]
    statistics = statistics_in(told)
    return [statistics['free_frames_before'], statistics['free_frames_after']]
