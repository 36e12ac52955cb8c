"""Runs a command with the recorder loaded, and makes traces of the recordings."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from incroos.build.own_folder import own_folder
from incroos.run.free_memory import free_bytes, within
from incroos.run.outcome import Unusable

from . import files, raw
from .binary import Encoder
from .programs import RECORDER, Say, compiled, preloaded
from .words import count

NR_RECORDS: Final = 200_000_000  # the file is sparse: those that are not written take no room
BY_SIGNAL: Final = 128
NOTHING: Final = 'nothing was recorded'
NEVER_RECORDED: Final = 'the command is static or has the rights of another user'
WENT_ON: Final = 'the command became a program that is static, lacks LD_PRELOAD, or has the rights of another user'
FULL: Final = 'the disk is full'
PAGE_BYTES: Final = 4096
NO_ROOM: Final = 'limits on the size of files or on memory are too low for it: lift them (ulimit -f, ulimit -v)'


def record(command: list[str], output: Path, with_children: bool, say: Say, nr_records: int = NR_RECORDS) -> int:
    """Run a command to its end and write its trace; the command's status, as a shell gives it. Raises Unusable."""
    program = shutil.which(command[0])
    if program is None:
        raise Unusable(f'{command[0]!r} is not a command that can be started: see to its name and the PATH')
    recorder = compiled(RECORDER, say)
    with folder_beside(output) as folder:
        environment = {
            **os.environ,
            'INCROOS_TRACE_FOLDER': str(folder.absolute()),
            'INCROOS_TRACE_RECORDS': str(nr_records),
            'LD_PRELOAD': ' '.join(filter(None, (preloaded(recorder), os.environ.get('LD_PRELOAD')))),
        }
        if not with_children:
            environment['INCROOS_TRACE_PARENT'] = str(os.getpid())
        try:
            pid, status = run_to_its_end(command, program, environment)
        except OSError as error:
            raise Unusable(f'{program} cannot be started ({error.strerror}): see to it') from error
        if status == BY_SIGNAL + signal.SIGBUS and is_full(folder):
            say(f'{output}: {FULL}, which ended the command: free some space, or name a file on another one')
        with within(free_bytes()):
            write_traces(folder, pid, output, with_children, say)
    return status


@contextmanager
def folder_beside(output: Path) -> Iterator[Path]:
    """A folder for the recorder's files, on the file system of the trace."""
    with contextlib.ExitStack() as closing:
        try:
            folder = closing.enter_context(own_folder(output.parent))
        except OSError as error:
            raise Unusable(f'{output} cannot be written ({error.strerror}): name another file') from error
        yield folder


def run_to_its_end(command: list[str], program: str, environment: dict[str, str]) -> tuple[int, int]:
    """Run a command; its process number and its status. Raises OSError if it cannot be started.

    Ctrl-C and Ctrl-\\ are left to the command, which gets them from the terminal; other signals that end a command are
    passed on to it, also those that arrive while it is being started.
    """
    process: subprocess.Popen[bytes] | None = None
    came_early: list[int] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        if process is None:
            came_early.append(number)
        else:
            process.send_signal(number)

    handlers = {
        **dict.fromkeys((signal.SIGINT, signal.SIGQUIT), lambda *_: None),
        **dict.fromkeys((signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM), hand_on),
    }
    before = {number: signal.getsignal(number) for number in handlers}
    try:
        for number, handler in handlers.items():
            if before[number] != signal.SIG_IGN:
                signal.signal(number, handler)
        process = subprocess.Popen(command, executable=program, env=environment)
        for early in came_early:
            process.send_signal(early)
        status = process.wait()
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)
    return process.pid, BY_SIGNAL - status if status < 0 else status


def write_traces(folder: Path, pid: int, output: Path, with_children: bool, say: Say) -> None:
    """A trace for each program that was recorded. Raises Unusable if the command's own is not among them.

    The last program of the command's own process has the given name. Others have the number of their process appended,
    and how many programs their process was before.
    """
    images: dict[int, list[tuple[int, Path]]] = {}
    with recording_readable(output):
        for file in folder.iterdir():
            number, _, before = file.name.partition('.')
            images.setdefault(int(number), []).append((int(before), file))
        own = sorted(images.get(pid, []))
        lacking = why_nothing(folder, own)
    if not lacking:
        convert(own[-1][1], output, say)
        images[pid].remove(own[-1])
    if with_children:
        for process, found in sorted(images.items()):
            for nth, file in sorted(found):
                write_other(file, Path(f'{output}.{process}{f".{nth}" if nth else ""}'), say)
    if lacking:
        raise Unusable(f'{NOTHING}: {lacking}')


def why_nothing(folder: Path, own: list[tuple[int, Path]]) -> str:
    """Why there is nothing of the command's last program; empty if there is something. Raises OSError."""
    if not own:
        return NEVER_RECORDED
    start = raw.start_of(own[-1][1])
    if start.nr_leaving:
        return WENT_ON
    if not start.has_begun:
        return why_no_room(folder)
    return '' if start.nr_records else 'the command allocates nothing'


def write_other(file: Path, output: Path, say: Say) -> None:
    """A trace of another program than the command's last one, unless it allocates nothing."""
    with recording_readable(output):
        start = raw.start_of(file)
    if not start.has_begun:
        say(f'{output}: {NOTHING}: {why_no_room(file.parent)}')
    elif start.nr_records:
        convert(file, output, say)


@contextmanager
def recording_readable(output: Path) -> Iterator[None]:
    """Name the trace if its recording cannot be read, because users do not know the recording's folder."""
    try:
        yield
    except OSError as error:
        raise Unusable(f'what was recorded for {output} cannot be read ({error.strerror}): record it again') from error


def is_full(folder: Path) -> bool:
    """Is there no room for another page on the folder's file system?"""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize < PAGE_BYTES


def why_no_room(folder: Path) -> str:
    """Why a recorder could not begin."""
    return f'{FULL}: free some space, or name a file on another one' if is_full(folder) else NO_ROOM


def convert(file: Path, output: Path, say: Say) -> None:
    """Convert one recording, which has begun, to a trace; a remark says what is missing."""
    encoder = Encoder()
    with recording_readable(output):
        left = raw.read_raw(file, encoder)
        file.unlink()  # on a full disk, it makes room for the trace
    files.write(encoder.content(), output)
    if left.nr_beyond:
        say(f'{output}: only the beginning, {count(left.nr_beyond, "call")} found no room behind it')
    if left.nr_reused:
        say(f'{output}: {count(left.nr_reused, "free")} unseen; each stands where the address was handed out again')
