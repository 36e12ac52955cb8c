"""A shell at which somebody types: job control, the ends of a run, and the host's terminal as it was before."""

import hashlib
import os
import shutil
import signal
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from incroos.run.status import Status

from ..budget import SECONDS
from .typist import Typist

CTRL_C, CTRL_D, CTRL_Z, CTRL_BACKSLASH, CTRL_BRACKET = '\x03', '\x04', '\x1a', '\x1c', '\x1d'
PROMPT: Final = '%> '
PLACES: Final = ('jit', 'sim', 'qemu')
PATIENCE: Final = SECONDS


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a shell, and applets of which there are as many as `ls bin` says."""
    folder = tmp_path_factory.mktemp('root')
    (folder / 'bin').mkdir()
    busybox = shutil.which('busybox')
    assert busybox is not None, 'busybox is not installed: make setup should have done it'
    shutil.copy(busybox, folder / 'bin' / 'busybox')
    for applet in ('sh', 'cat', 'ls', 'sleep', 'wc', 'yes', 'head', 'stty', 'seq', 'tty', 'true', 'env', 'md5sum'):
        (folder / 'bin' / applet).symlink_to('busybox')
    return folder


def at_shell(root: Path, place: str = 'jit') -> Typist:
    """A shell with a prompt that nothing else shows."""
    return Typist(
        *('run', '--on', place, '--root', str(root), '--env', 'PS1=%> ', '--env', 'PATH=/bin'),
        *('--interactive', '/bin/sh'),
        seconds=PATIENCE,
    )


@pytest.fixture
def shell(root: Path) -> Iterator[Typist]:
    """A shell that has shown its prompt, in jit."""
    with at_shell(root) as typist:
        typist.expect(PROMPT)
        yield typist
        assert typist.process.poll() is not None, 'the test ends the run'
        assert typist.settings() == typist.before


def start_sleeping(shell: Typist) -> None:
    """Have the shell run something in the foreground that is there when this comes back."""
    shell.type("sh -c 'echo ready; exec sleep 1000'\r")
    shell.expect(r'\r\nready\r\n')


def leave(shell: Typist, status: int = 0) -> None:
    """End the shell by the end of its input: it has the status of what it ran last."""
    shell.type(CTRL_D)
    assert shell.end() == status


# ------------------------------------------------------------------ in each place
@pytest.mark.parametrize('place', PLACES)
def test_a_shell(root: Path, place: str) -> None:
    with at_shell(root, place) as shell:
        shell.expect(r'Ctrl-\] ends the run\r\n')
        shell.expect(PROMPT)
        shell.type('echo a line | wc -c\r')
        shell.expect(r'\r\n7\r\n')
        shell.expect(PROMPT)
        start_sleeping(shell)
        shell.type(CTRL_C)
        shell.expect(r'\^C\r\n')
        shell.expect(PROMPT)
        start_sleeping(shell)
        shell.type(CTRL_Z)
        shell.expect(r'\^Z.*Stopped')
        shell.expect(PROMPT)
        shell.type('bg\r')
        shell.expect(PROMPT)
        shell.type('jobs\r')
        shell.expect('Running')
        shell.expect(PROMPT)
        shell.type('fg\r')
        shell.expect(r'sleep 1000"?\r\n')
        shell.type(CTRL_Z)
        shell.expect(PROMPT)
        shell.type('kill %1; bg\r')
        shell.expect(PROMPT)
        shell.type('wait; jobs; echo gone\r')
        shell.expect(r'\r\ngone\r\n')
        shell.expect(PROMPT)
        shell.type('exit 3\r')
        assert shell.end() == 3
        assert shell.settings() == shell.before


# ------------------------------------------------------------------ the ends of a run
@pytest.mark.parametrize('place', PLACES)
def test_ctrl_bracket_ends_a_run(root: Path, place: str) -> None:
    with at_shell(root, place) as shell:
        shell.expect(PROMPT)
        start_sleeping(shell)
        shell.type(CTRL_BRACKET)
        assert shell.end() == Status.INTERRUPTED
        assert shell.shown.endswith(b'\nincroos: Ctrl-] ended the run\r\n')
        assert shell.settings() == shell.before


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_and_leaves_the_terminal_as_it_was(root: Path, number: int) -> None:
    with at_shell(root) as shell:
        shell.expect(PROMPT)
        assert shell.settings() != shell.before
        os.kill(shell.process.pid, number)
        assert shell.end() == 128 + number
        assert shell.settings() == shell.before


def test_the_end_of_time_leaves_the_terminal_as_it_was(root: Path) -> None:
    with Typist(
        *('run', '--root', str(root), '--timeout', '2', '--interactive', '/bin/sleep', '1000'), seconds=PATIENCE
    ) as typist:
        assert typist.end() == 124
        assert typist.settings() == typist.before


def test_what_is_left_is_killed_when_the_shell_ends(shell: Typist) -> None:
    shell.type('sh -c \'trap "" HUP; echo stays; sleep 1000\' & sh -c \'trap "" HUP; while true; do :; done\' &\r')
    shell.expect(r'(?<!echo )stays\r\n')
    shell.type('exit 5\r')
    assert shell.end() == 5


def test_a_hang_up_is_heard_of(shell: Typist) -> None:
    shell.type("trap 'exit 9' HUP; kill -HUP $$\r")
    assert shell.end() == 9


# ------------------------------------------------------------------ keys
def test_a_busy_program_is_interrupted(shell: Typist) -> None:
    shell.type("sh -c 'echo busy; while :; do :; done'\r")
    shell.expect(r'\r\nbusy\r\n')
    shell.type(CTRL_C)
    shell.expect(PROMPT)
    start_sleeping(shell)
    shell.type(CTRL_BACKSLASH)
    shell.expect('Quit')
    shell.expect(PROMPT)
    leave(shell, 128 + signal.SIGQUIT)


def test_a_program_that_writes_for_ever_is_interrupted(shell: Typist) -> None:
    shell.type('yes\r')
    shell.expect(r'(y\r\n){1000}')
    shell.type(CTRL_C)
    shell.expect(PROMPT)
    leave(shell, 128 + signal.SIGINT)


def test_a_background_program_does_not_read(shell: Typist) -> None:
    shell.type('cat &\r')
    shell.expect(PROMPT)
    shell.type('jobs\r')
    shell.expect('Stopped')
    shell.expect(PROMPT)
    shell.type('fg\r')
    shell.expect(r'cat\r\n')
    shell.type('typed\r')
    shell.expect(r'typed\r\ntyped\r\n')
    shell.type(CTRL_D)
    shell.expect(PROMPT)
    leave(shell)


def test_a_background_program_is_stopped_when_it_writes_if_the_terminal_says_so(shell: Typist) -> None:
    shell.type('stty tostop; echo written & sleep 1; jobs\r')
    shell.expect('Stopped')
    shell.expect(PROMPT)
    shell.type('fg\r')
    shell.expect(r'\r\nwritten\r\n')
    shell.expect(PROMPT)
    leave(shell)


# ------------------------------------------------------------------ the terminal
def test_a_program_without_a_shell_reads_lines(root: Path) -> None:
    with Typist('run', '--root', str(root), '--interactive', '/bin/cat', seconds=PATIENCE) as typist:
        typist.expect('ends the run')
        typist.type('helxo\x7f\x7flo\r')
        typist.expect(r'hel')
        typist.expect(r'\r\nhello\r\n')
        typist.type(CTRL_D)
        assert typist.end() == 0
        assert typist.settings() == typist.before


def test_the_size_of_the_window_is_handed_over(shell: Typist) -> None:
    shell.type('stty size\r')
    shell.expect(r'\r\n30 100\r\n')
    shell.expect(PROMPT)
    shell.resize(41, 121)
    shell.type('sleep 1; stty size\r')
    shell.expect(r'\r\n41 121\r\n')
    shell.expect(PROMPT)
    leave(shell)


def test_the_terminal_is_set_by_programs(shell: Typist) -> None:
    shell.type('stty -echo; echo ready; cat; stty echo; echo back\r')
    shell.expect(r'\r\nready\r\n')
    shell.type(f'secret\r{CTRL_D}')
    assert shell.expect(r'\r\nback\r\n').count(b'secret') == 1
    shell.expect(PROMPT)
    leave(shell)


def test_much_is_typed_at_once(shell: Typist) -> None:
    lines = ''.join(f'{number:09d}\r' for number in range(1000))
    shell.type('stty -echo; echo ready; md5sum; stty echo\r')
    shell.expect(r'\r\nready\r\n')
    shell.type(lines + CTRL_D)
    shell.expect(hashlib.md5(lines.replace('\r', '\n').encode()).hexdigest())
    shell.expect(PROMPT)
    leave(shell)


def test_much_is_written(shell: Typist) -> None:
    shell.type('yes | head -10000\r')
    assert shell.expect(PROMPT).count(b'y\r\n') == 10000
    leave(shell)


def test_the_environment_is_what_a_shell_wants(root: Path) -> None:
    with Typist('run', '--root', str(root), '--interactive', '/bin/env', seconds=PATIENCE) as typist:
        assert typist.end() == 0
    assert set(typist.shown.split(b'\r\n')) >= {b'TERM=xterm', b'HOME=/', b'PATH=/bin:/sbin:/usr/bin:/usr/sbin'}


def test_time_is_real(shell: Typist) -> None:
    shell.type('sleep 1000 & sleep 1; jobs\r')
    shell.expect('Running')
    shell.expect(PROMPT)
    leave(shell)


# ------------------------------------------------------------------ what is refused
WITHOUT_INPUT: Final = """
import os, sys
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
from incroos.cli import main
main()
"""


def test_standard_input_must_be_a_terminal(root: Path) -> None:
    command = ('-c', WITHOUT_INPUT)
    with Typist(*('run', '--interactive', '--root', str(root), '/bin/sh'), seconds=PATIENCE, command=command) as typist:
        assert typist.end() == 2
    assert b'standard input is no terminal' in typist.shown


def test_pdb_and_the_program_cannot_both_read(root: Path) -> None:
    with Typist(
        *('run', '--on', 'sim', '--break', 'vm.fault', '--interactive', '--root', str(root), '/bin/sh'),
        seconds=PATIENCE,
    ) as typist:
        assert typist.end() == 2
    assert b'pdb reads what is typed' in typist.shown


def test_settings_that_the_terminal_had_are_restored(root: Path) -> None:
    typist = Typist('run', '--root', str(root), '--interactive', '/bin/true', seconds=PATIENCE)
    changed = typist.settings()
    changed[3] &= ~termios.ECHO
    changed[6][termios.VINTR] = b'\x18'
    termios.tcsetattr(typist.its, termios.TCSANOW, changed)
    typist.before = typist.settings()
    with typist:
        assert typist.end() == 0
        assert typist.settings() == typist.before
