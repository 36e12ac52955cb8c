"""Ctrl-C and its relatives, in every place and at every stage: a sentence, a status, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from incroos.run.outcome import Status
from incroos.run.qemu_process import PROGRAM

from ..budget import SECONDS
from . import cases as kernel_cases
from .command import ROOT, Done, Running

Send = Callable[[int, int], None]

TO_THE_GROUP: Final = os.killpg  # as a terminal does
TO_THE_PROCESS: Final = os.kill
ENDS: Final = [
    pytest.param(TO_THE_GROUP, signal.SIGINT, 'interrupted', id='Ctrl-C'),
    pytest.param(TO_THE_PROCESS, signal.SIGINT, 'interrupted', id='SIGINT'),
    pytest.param(TO_THE_PROCESS, signal.SIGTERM, 'ended by SIGTERM', id='SIGTERM'),
    pytest.param(TO_THE_GROUP, signal.SIGHUP, 'ended by SIGHUP', id='SIGHUP'),
    pytest.param(TO_THE_GROUP, signal.SIGQUIT, 'ended by SIGQUIT', id='SIGQUIT'),
    pytest.param(TO_THE_PROCESS, signal.SIGUSR1, 'ended by SIGUSR1', id='SIGUSR1'),
    pytest.param(TO_THE_PROCESS, signal.SIGUSR2, 'ended by SIGUSR2', id='SIGUSR2'),
    pytest.param(TO_THE_PROCESS, signal.SIGALRM, 'ended by SIGALRM', id='SIGALRM'),
]


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where temporary files go; it must be empty in the end."""
    folder = tmp_path / 'temporary'
    folder.mkdir()
    return folder


def shared_memory() -> set[str]:
    """The names of shared memory, which lives longer than the processes that made it."""
    return set(os.listdir('/dev/shm')) if os.path.isdir('/dev/shm') else set()


def hang(starter: list[str], place: str, temporary: Path) -> Running:
    """A boot of a kernel that never ends."""
    return Running(
        *('boot', '--on', place, '--memory', f'{kernel_cases.HANG}M', '--timeout', str(SECONDS)),
        prefix=starter,
        environment={'TMPDIR': str(temporary)},
    )


def check_end(done: Done, number: int, sentence: str) -> None:
    assert done.status == 128 + number
    assert done.sentence == sentence


@pytest.mark.parametrize(('send', 'number', 'sentence'), ENDS)
def test_during_a_boot(cases: list[str], place: str, temporary: Path, send: Send, number: int, sentence: str) -> None:
    before = shared_memory()
    with hang(cases, place, temporary) as running:
        running.wait_for(b'staying\n', running.process.stdout)
        send(running.process.pid, number)
        check_end(running.end(), number, sentence)
        assert running.is_gone()
    assert not list(temporary.iterdir())
    assert shared_memory() <= before


def test_killed(cases: list[str], place: str, temporary: Path) -> None:
    """Nothing can be done any more, yet no process stays, and no file."""
    before = shared_memory()
    with hang(cases, place, temporary) as running:
        running.wait_for(b'staying\n', running.process.stdout)
        assert len(running.processes()) == {'sim': 1, 'jit': 2, 'qemu': 2}[place]
        running.process.kill()
        assert running.end().status == -signal.SIGKILL
        assert running.is_gone()
    assert not list(temporary.iterdir())
    assert shared_memory() <= before


@pytest.mark.parametrize(
    ('place', 'send', 'number', 'sentence'),
    [
        ('jit', TO_THE_GROUP, signal.SIGINT, 'interrupted'),
        ('qemu', TO_THE_GROUP, signal.SIGINT, 'interrupted'),
        ('qemu', TO_THE_PROCESS, signal.SIGTERM, 'ended by SIGTERM'),
    ],
)
def test_during_a_build(tmp_path: Path, temporary: Path, place: str, send: Send, number: int, sentence: str) -> None:
    """The cache stays as it was: empty."""
    environment = {'XDG_CACHE_HOME': str(tmp_path / 'cache'), 'TMPDIR': str(temporary)}
    with Running('boot', '--on', place, environment=environment) as running:
        running.wait_for(b'building the kernel\n', running.process.stderr)
        send(running.process.pid, number)
        done = running.end()
        check_end(done, number, sentence)
        assert done.output == ''
        assert running.is_gone()
    assert not list(tmp_path.glob('cache/incroos/*'))
    assert not list(temporary.iterdir())


def test_during_a_link_that_never_ends(tmp_path: Path, programs: Path, temporary: Path) -> None:
    """The linker is a process too."""
    note = tmp_path / 'started'
    os.mkfifo(note)
    for name in ('ld', 'ld.lld'):
        (programs / name).write_text(f'#!/bin/sh\necho started >{note}\nexec sleep 10000\n')
        (programs / name).chmod(0o755)
    environment = {'XDG_CACHE_HOME': str(tmp_path / 'cache'), 'TMPDIR': str(temporary)}
    with Running('build', '-o', '/dev/null', environment=environment) as running:
        assert note.read_text() == 'started\n'
        os.kill(running.process.pid, signal.SIGTERM)
        check_end(running.end(), signal.SIGTERM, 'ended by SIGTERM')
        assert running.is_gone()
    assert not list(temporary.iterdir())


STARTS_LIKE_QEMU: Final = """#!/bin/sh
: >$TMPDIR/vl.ABCDEF
exec sleep 10000
"""


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGQUIT, signal.SIGKILL])
def test_while_qemu_starts(programs: Path, temporary: Path, number: int) -> None:
    """It has a temporary file then. Of a command that is killed, the next one clears it away; not of one that lives."""
    (programs / PROGRAM).write_text(STARTS_LIKE_QEMU)
    (programs / PROGRAM).chmod(0o755)
    command = ('boot', '--on', 'qemu', '--accel', 'tcg')
    environment = {'TMPDIR': str(temporary)}
    with Running(*command, environment=environment) as running, Running(*command, environment=environment) as living:
        assert wait_for_files(temporary, 2)
        os.kill(running.process.pid, number)
        running.end()
        assert running.is_gone()
        (programs / PROGRAM).write_text('#!/bin/sh\nexit 1\n')
        with Running(*command, environment=environment) as next_one:
            assert next_one.end().status == Status.UNUSABLE
        assert len(list(temporary.rglob('vl.*'))) == 1
        os.kill(living.process.pid, signal.SIGTERM)
        check_end(living.end(), signal.SIGTERM, 'ended by SIGTERM')
    assert not list(temporary.iterdir())


def wait_for_files(folder: Path, number: int) -> bool:
    """Are there so many files of QEMU, now or soon?"""
    end = time.monotonic() + SECONDS
    while len(list(folder.rglob('vl.*'))) < number:
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def test_signals_that_were_ignored_stay_so(cases: list[str], temporary: Path) -> None:
    """As under nohup."""
    with hang(['env', '--ignore-signal=HUP', *cases], 'jit', temporary) as running:
        running.wait_for(b'staying\n', running.process.stdout)
        os.kill(running.process.pid, signal.SIGHUP)
        os.kill(running.process.pid, signal.SIGINT)
        assert running.end().status == Status.INTERRUPTED


LOSES_AN_EXCEPTION: Final = """
import os, signal, time
from incroos import cli
from incroos.cli import commands

class Unlucky:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)

def run():
    unlucky = Unlucky()
    del unlucky
    time.sleep(10_000)

commands.run = run
cli.main()
"""


def test_a_signal_in_a_destructor_is_not_lost() -> None:
    done = subprocess.run(
        [sys.executable, '-c', LOSES_AN_EXCEPTION], cwd=ROOT, capture_output=True, timeout=SECONDS, check=False
    )
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, b'incroos: ended by SIGTERM\n')


STARTS_A_PROCESS: Final = """
import os, signal, subprocess
from incroos import cli
from incroos.build.tool import output_of
from incroos.cli import commands

class Slow(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        os.kill(os.getpid(), signal.SIGTERM)

subprocess.Popen = Slow
commands.run = lambda: output_of(['sleep', '10000'], {}, 'none', 10_000, 'sleep', lambda *_: '')
cli.main()
"""


def test_a_signal_while_a_process_starts_ends_that_too() -> None:
    with Running('-c', STARTS_A_PROCESS, prefix=[sys.executable]) as running:
        check_end(running.end(), signal.SIGTERM, 'ended by SIGTERM')
        assert running.is_gone(10)
