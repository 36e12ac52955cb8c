"""Tasks that never wait run by turns, exactly: in each place, programs of tests/run/preemption."""

import subprocess
from pathlib import Path
from typing import Final

import pytest

from incroos.inspect.ram import RamMachine
from incroos.kernel.layout import KERNEL_STATE
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr
from incroos.machine import unicorn
from incroos.machine.cpu import Cpu
from incroos.run.outcome import Status
from incroos.run.program import Program
from incroos.run.program_places import run_program

from ..budget import SECONDS
from .ring3 import built

SOURCES: Final = Path(__file__).parent / 'preemption'
PLACES: Final = ('sim', 'jit', 'qemu')
# Enough for many slices: rounds of sums, and of turns between two letters.
ROUNDS: Final = {'sim': '20000', 'jit': '300000', 'qemu': '3000000'}
BETWEEN: Final = {'sim': '20000', 'jit': '100000', 'qemu': '10000000'}


class Run:
    """What a program wrote, and what it left of the kernel's state."""

    def __init__(self, place: str, source: str, *arguments: str, extra: tuple[str, ...] = ()) -> None:
        written = bytearray()
        program = built(SOURCES / f'{source}.c', 'musl', '-O2')
        self.let_through = -1
        ran = run_program(
            place,
            Program(
                path=str(program),
                arguments=[argument.encode() for argument in arguments],
                output=written.extend,
                errors=written.extend,
                seconds=SECONDS,
                look=self._look,
                extra=extra,
            ),
        )
        assert ran.machine.status is Status.PASSED, (ran.machine, written)
        assert ran.ending is not None
        self.status, self.output = ran.ending.status, written.decode()

    def _look(self, ram: RamMachine) -> None:
        self.let_through = Kernel(ram, VirtAddr(KERNEL_STATE)).devices.let_through


@pytest.mark.parametrize('place', PLACES)
def test_two_tasks_that_never_wait_both_get_on(place: str) -> None:
    """Each writes its first letter before the other has written its last."""
    letters = Run(place, 'turns', '8', BETWEEN[place]).output
    assert sorted(letters) == ['a'] * 8 + ['b'] * 8
    assert letters.index('a') < letters.rindex('b')
    assert letters.index('b') < letters.rindex('a')


def test_turns_are_the_same_in_sim_and_jit_and_each_time() -> None:
    found = {Run(place, 'turns', '8', '20000').output for place in ('sim', 'jit', 'jit')}
    assert len(found) == 1
    assert 'ab' in found.pop()


@pytest.mark.parametrize('place', PLACES)
def test_nobody_notices_that_others_run(place: str) -> None:
    """General registers, flags, x87 and vectors of four tasks."""
    found = Run(place, 'sums', ROUNDS[place])
    host = subprocess.run(
        [built(SOURCES / 'sums.c', 'musl', '-O2'), ROUNDS[place]], capture_output=True, text=True, check=True
    )
    assert (found.status, found.output) == (0, host.stdout)
    assert found.output.endswith('wrong: 0\n')


@pytest.mark.parametrize('place', PLACES)
def test_the_timer_stops_when_nobody_needs_it(place: str) -> None:
    """The other one has ended, and the one that is left runs for some more slices."""
    assert Run(place, 'turns', '1', BETWEEN[place], 'alone').let_through == 0


def test_who_runs_alone_is_never_interrupted_in_qemu(tmp_path: Path) -> None:
    """QEMU logs each interrupt. The same program with children is, so that the log says something."""
    counts: list[int] = []
    for more in ((), ('alone',)):
        log = tmp_path / f'log{len(counts)}'
        Run('qemu', 'sums', '1000000', *more, extra=('-d', 'int', '-D', str(log)))
        counts.append(log.read_text().count('hardware INT=0x20'))
    assert counts[0] > 3
    assert counts[1] == 0


def test_who_runs_alone_does_not_count_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """In jit that would make it slower; the same text decides in sim."""
    begun: list[int] = []
    begin = unicorn.begin_to_count

    def note_and_begin(cpu: Cpu, state: unicorn.Unicorn) -> None:
        begun.append(1)
        begin(cpu, state)

    monkeypatch.setattr(unicorn, 'begin_to_count', note_and_begin)
    Run('sim', 'sums', '1000', 'alone')
    assert begun == []
    Run('sim', 'sums', '10')
    assert begun == [1]
