"""Runs a program with the recorder in it, as a user does, bounded in time, and leaves no process behind.

Nothing needs the network: servers listen on 127.0.0.1 alone, at a port that was free, and end with the recording.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.executable import CannotBench

INCROOS: Final = Path(sys.executable).parent / 'incroos'
SECONDS: Final = 120  # that a program may take
HOST: Final = '127.0.0.1'
# The same in every country and for every user
ENVIRONMENT: Final = {
    'LC_ALL': 'C',
    'HOME': '/nonexistent',
    'GIT_CONFIG_NOSYSTEM': '1',
    'GIT_PAGER': 'cat',
    'TZ': 'UTC',
}


@dataclass(frozen=True)
class Program:
    """One recording: what it is called, what the program does, and how to make the trace in a folder of its own."""

    name: str
    words: str
    record: Callable[[Path, Path], None]


def record(
    folder: Path, output: Path, *command: str | Path, environment: Mapping[str, str] | None = None, text: bytes = b''
) -> None:
    """Record a command that ends by itself, with such a text as its input. Raises CannotBench."""
    with started(folder, output, *command, environment=environment) as process:
        try:
            process.communicate(text, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise CannotBench(f'{command[0]} had not ended after {SECONDS} s') from None
        if process.returncode != 0:
            raise CannotBench(f'{command[0]} ended with {process.returncode}')


def record_server(folder: Path, output: Path, port: int, load: Callable[[], None], *command: str | Path) -> None:
    """Record a server from its start until the load is done. Raises CannotBench."""
    with started(folder, output, *command) as process:
        wait_for(port, process)
        load()
        process.send_signal(signal.SIGTERM)  # which the recorder hands on
        try:
            process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise CannotBench(f'{command[0]} did not stop') from None
        if not output.exists():
            raise CannotBench(f'{command[0]} ended with {process.returncode} and left no trace')


@contextlib.contextmanager
def started(
    folder: Path, output: Path, *command: str | Path, environment: Mapping[str, str] | None = None
) -> Iterator['subprocess.Popen[bytes]']:
    """A command with the recorder in it; whatever of it is left at the end is ended."""
    process = subprocess.Popen(
        [INCROOS, 'trace', 'record', '-o', output, '--', *command],
        cwd=folder,
        env={**os.environ, **ENVIRONMENT, 'XDG_CACHE_HOME': str(cache_home()), **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def cache_home() -> Path:
    """Where the recorder is kept, although the program has no home."""
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')


def free_port() -> int:
    """A port of this computer that nobody listens at."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def wait_for(port: int, process: 'subprocess.Popen[bytes]') -> None:
    """Until the server answers. Raises CannotBench."""
    end = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.02)
    raise CannotBench(f'no server came up at port {port}')


def run(folder: Path, *command: str | Path, text: bytes = b'') -> str:
    """Run a command that is not recorded; what it prints. Raises CannotBench."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **ENVIRONMENT},
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotBench(f'{command[0]} failed: {error}') from error
    return done.stdout.decode(errors='replace')
