"""The command `incroos run`, with small kernels in QEMU that use a program's channels as the real one does."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from incroos.run.outcome import Status
from incroos.run.program import TIME_OVER, TROUBLE

from ..build.small_kernels import SmallKernel, triple_fault, write_small
from ..run import channel_kernel
from ..run.tiny_program import program_that_prints
from . import run_starter
from .command import Done, Running, run

BINARY: Final = bytes(range(256)) * 20


@pytest.fixture
def program(tmp_path: Path) -> str:
    """A program that could run."""
    path = tmp_path / 'program'
    path.write_bytes(program_that_prints(b'hello\n'))
    return str(path)


@pytest.fixture
def kernel(tmp_path: Path) -> Callable[[Callable[..., Any]], list[str]]:
    """Gives what starts the command with a small kernel."""

    def starter(main: Callable[..., Any]) -> list[str]:
        return [sys.executable, '-m', run_starter.__name__, str(write_small(tmp_path, SmallKernel(main)))]

    return starter


Kernel = Callable[[Callable[..., Any]], list[str]]


def run_bytes(prefix: list[str], *arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end; what it wrote is not decoded."""
    with Running('run', '--on', 'qemu', *arguments, prefix=prefix, **options) as running:
        output, errors = running.process.communicate()
        assert running.is_gone()
    return subprocess.CompletedProcess(arguments, running.process.returncode, output, errors)


def test_channels_and_status(kernel: Kernel, program: str, tmp_path: Path) -> None:
    (tmp_path / 'input').write_bytes(BINARY)
    with (tmp_path / 'input').open('rb') as file:
        done = run_bytes(kernel(channel_kernel.echo), program, stdin=file)
    assert (done.returncode, done.stdout) == (3, BINARY)
    assert sorted(done.stderr) == sorted(b'errors\nwords of the kernel\n')  # two channels, one descriptor


def test_one_file_for_both(kernel: Kernel, program: str, tmp_path: Path) -> None:
    with (tmp_path / 'both').open('wb') as file:
        run_bytes(kernel(channel_kernel.alternate), program, stdout=file, stderr=file)
    assert (tmp_path / 'both').read_bytes() == b'AB' * 1000 + b'incroos: SIGABRT ended the program\n'


def test_a_signal(kernel: Kernel, program: str) -> None:
    done = run('run', '--on', 'qemu', program, prefix=kernel(channel_kernel.alternate))
    assert (done.status, done.output) == (128 + signal.SIGABRT, 'A' * 1000)
    assert done.remarks == 'B' * 1000 + 'incroos: SIGABRT ended the program\n'


def test_calls(kernel: Kernel, program: str) -> None:
    done = run('run', '--on', 'qemu', '--calls', program, prefix=kernel(channel_kernel.echo))
    lines = [line for line in done.remarks.splitlines() if '(' in line or '+' in line]
    assert lines == [*['getpid()                                = 0'] * 3, '+++ exited with 3 +++']


def test_time_is_over(kernel: Kernel, program: str) -> None:
    done = run('run', '--on', 'qemu', '--timeout', '1', program, prefix=kernel(channel_kernel.write_for_ever))
    assert (done.status, done.sentence) == (TIME_OVER, 'the program had not ended after 1 s and was stopped')


def test_trouble(kernel: Kernel, program: str) -> None:
    done = run('run', '--on', 'qemu', program, prefix=kernel(triple_fault))
    assert (done.status, done.sentence) == (TROUBLE, 'the processor met a triple fault and reset')


def test_nobody_reads(kernel: Kernel, program: str) -> None:
    """As `incroos run ./yes | head -c 5`."""
    with Running('run', '--on', 'qemu', program, prefix=kernel(channel_kernel.write_for_ever)) as running:
        running.wait_for(b'AAAAA', running.process.stdout)
        assert running.process.stdout is not None
        running.process.stdout.close()
        running.process.stdout = None
        done = running.end()
        assert running.is_gone()
    assert (done.status, done.sentence) == (
        128 + signal.SIGPIPE,
        'SIGPIPE ended the program: nobody reads what it writes',
    )


def test_a_full_disk(kernel: Kernel, program: str) -> None:
    with open('/dev/full', 'wb') as full:
        done = run('run', '--on', 'qemu', program, prefix=kernel(channel_kernel.write_for_ever), stdout=full)
    assert (done.status, done.sentence) == (
        TROUBLE,
        'standard output cannot be written (No space left on device): direct it elsewhere',
    )


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_ended_from_outside(kernel: Kernel, program: str, number: signal.Signals) -> None:
    with Running('run', '--on', 'qemu', program, prefix=kernel(channel_kernel.wait_for_ever)) as running:
        running.wait_for(b'A', running.process.stdout)
        os.kill(running.process.pid, number)
        assert running.end().status == 128 + number
        assert running.is_gone()


def test_no_figures(kernel: Kernel, program: str) -> None:
    done = run('run', '--on', 'qemu', '--stats', '--json', program, prefix=kernel(channel_kernel.alternate))
    assert done.sentence == 'there are no figures: the kernel did not get so far'


def test_closed_descriptors(kernel: Kernel, program: str) -> None:
    """A closed standard input cannot be read; nothing goes astray."""
    command = [*kernel(channel_kernel.echo), 'run', '--on', 'qemu', program]
    done = subprocess.run(['sh', '-c', '"$@" <&-', 'sh', *command], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (channel_kernel.FAILED_STATUS, b'')


# ------------------------------------------------------------------ what is refused
def refused(*arguments: str, **options: Any) -> Done:
    """Run the command, which has nothing to say on standard output."""
    done = run('run', *arguments, **options)
    assert done.output == ''
    return done


def test_wrong_usage(program: str) -> None:
    for arguments, sentence in {
        (): "missing argument 'PROGRAM' (incroos run --help says more)",
        ('--json', program): '--json is for the figures: give --stats too (incroos run --help says more)',
        ('--env', 'A', program): "invalid value for '--env': 'A' is no variable: write NAME=VALUE "
        '(incroos run --help says more)',
        ('--env', '=A', program): "invalid value for '--env': '=A' is no variable: write NAME=VALUE "
        '(incroos run --help says more)',
        (
            '--timeout',
            '0',
            program,
        ): "invalid value for '--timeout': 0 s is no time to run in: write more than 0 and at "
        'most 86400 (incroos run --help says more)',
        (
            '--on',
            'sim',
            '--break',
            'vm.fault',
            '--timeout',
            '9',
            program,
        ): '--timeout is not for --break: pdb takes the time that you take (incroos run --help says more)',
        ('--break', 'vm.fault', program): '--break is for --on sim, where Python runs the kernel, and this is on jit '
        '(incroos run --help says more)',
    }.items():
        done = refused(*arguments)
        assert (done.status, done.sentence) == (Status.WRONG_USAGE, sentence)


@pytest.mark.parametrize('place', ['sim', 'jit', 'qemu'])
def test_no_program(tmp_path: Path, place: str) -> None:
    done = refused('--on', place, 'nothing', cwd=tmp_path)
    assert (done.status, done.remarks) == (
        Status.UNUSABLE,
        'incroos: nothing cannot be run (No such file or directory)\n',
    )


def test_no_root(tmp_path: Path, program: str) -> None:
    done = refused('--root', str(tmp_path / 'nothing'), 'program')
    assert done.status == Status.UNUSABLE
    assert done.sentence == f'{tmp_path}/nothing is no folder: name one with --root'
    done = refused('--root', program, 'program')
    assert done.sentence == f'{program} is no folder: name one with --root'


def test_a_program_in_a_root(tmp_path: Path, program: str) -> None:
    (tmp_path / 'link').symlink_to('/program')
    done = refused('--root', str(tmp_path), '/link/x')
    assert done.sentence == f'/link/x in {tmp_path} cannot be run (Not a directory): name a program by its path there'
    (tmp_path / 'text').write_text('text')
    done = refused('--root', str(tmp_path), 'text')
    assert done.sentence.startswith(f'text in {tmp_path} is not ELF: ')


def test_too_little_memory(program: str) -> None:
    done = refused('--memory', '5M', program)
    assert (done.status, done.sentence) == (
        Status.UNUSABLE,
        'the program and its files, 8K, do not fit a memory of 5,120K: ask for more with --memory',
    )


def test_the_help_teaches() -> None:
    done = run('run', '--help')
    assert done.status == 0
    for word in ('--calls', '--break', '--root', '--env', '124', '125', 'vm.fault', '128'):
        assert word in done.output
