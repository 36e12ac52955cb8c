"""Standard channels that are closed, full or read by nobody: a sentence and a status, never a traceback."""

import os
import re
import shlex
import subprocess
import sys
from typing import Final

import pytest

from incroos.run.outcome import Status

from ..budget import SECONDS
from .command import COMMAND, ROOT, run

LAST_WORDS: Final = '\nMemory manager operational!\n'
LOST: Final = re.compile(r'standard output cannot be written \((.*)\): direct it elsewhere')


def in_shell(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `$command` is the command with these arguments."""
    line = script.replace('$command', shlex.join([*COMMAND, *arguments]))
    return subprocess.run(
        ['bash', '-c', line],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.parametrize(
    ('redirection', 'reason'), [('>&-', 'Bad file descriptor'), ('>/dev/full', 'No space left on device')]
)
def test_standard_output_cannot_be_written(place: str, redirection: str, reason: str) -> None:
    done = in_shell(f'$command {redirection}', 'boot', '--on', place)
    assert done.returncode == Status.UNUSABLE
    match = LOST.search(done.stderr)
    assert match, done.stderr
    assert match[1] == reason
    assert 'Traceback' not in done.stderr


def test_nobody_reads_standard_output(place: str) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, 'wb') as nobody:
        done = run('boot', '--on', place, stdout=nobody)
    assert done.status == Status.UNUSABLE
    assert done.sentence == 'standard output cannot be written (Broken pipe): direct it elsewhere'


@pytest.mark.parametrize('redirection', ['<&-', '2>&-', '2>/dev/full', '<&- 2>&-'])
def test_the_other_channels_are_not_needed(place: str, redirection: str) -> None:
    done = in_shell(f'$command {redirection}', 'boot', '--on', place)
    assert done.returncode == 0
    assert done.stdout.endswith(LAST_WORDS)
    assert 'Traceback' not in done.stderr


def test_no_channel_at_all(place: str) -> None:
    assert in_shell('$command <&- >&- 2>&-', 'boot', '--on', place).returncode == Status.UNUSABLE


def test_other_commands_say_it_too() -> None:
    done = in_shell('$command >/dev/full', 'build', '-o', '/dev/null', '--json')
    assert done.returncode == Status.UNUSABLE
    assert LOST.search(done.stderr)


def test_help_into_a_full_file() -> None:
    done = in_shell('$command >/dev/full', '--help')
    assert done.returncode == Status.UNUSABLE
    assert 'the system refuses what this needs (No space left on device)' in done.stderr


def test_a_channel_that_others_made_non_blocking() -> None:
    """More than a pipe holds, written before anybody reads; nothing is lost."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    script = 'from incroos.cli.channels import put; put(bytes(200_000))'
    with (
        os.fdopen(read_end, 'rb') as reader,
        subprocess.Popen([sys.executable, '-c', script], stdout=write_end) as process,
    ):
        os.close(write_end)
        assert len(reader.read()) == 200_000
        assert process.wait(SECONDS) == 0
