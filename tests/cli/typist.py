"""A command at a pseudo terminal: a test types, and reads what is shown."""

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

ROOT: Final = Path(__file__).parents[2]
COMMAND: Final = ('-c', 'from incroos.cli import main; main()')
MOST: Final = 1 << 16


class Typist:
    """Starts a command with the terminal as its standard input, output and error; ended with the block."""

    def __init__(
        self,
        *arguments: str,
        seconds: float = 60,
        rows: int = 30,
        columns: int = 100,
        command: Sequence[str] = COMMAND,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command = (sys.executable, *command, *arguments)
        self.seconds = seconds
        self._environment = os.environ | {'PYTHONPATH': str(ROOT / 'src'), 'TERM': 'xterm'} | dict(environment or {})
        self.ours, self.its = os.openpty()
        self.resize(rows, columns, tell=False)
        self.before = self.settings()
        self.shown = b''  # all of it
        self._seen = 0  # of it, by expect

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command,
            stdin=self.its,
            stdout=self.its,
            stderr=self.its,
            env=self._environment,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self.ours)
        os.close(self.its)

    def settings(self) -> list[Any]:
        """Of the terminal."""
        return termios.tcgetattr(self.its)

    def resize(self, rows: int, columns: int, tell: bool = True) -> None:
        """Give the window another size."""
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
        if tell:
            os.kill(self.process.pid, signal.SIGWINCH)

    def type(self, text: str | bytes) -> None:
        """Type, all of it."""
        left = text.encode() if isinstance(text, str) else text
        while left:
            left = left[os.write(self.ours, left) :]

    def read(self, seconds: float) -> bool:
        """Take what is shown; False if nothing is in so many seconds."""
        if not select.select([self.ours], [], [], max(seconds, 0))[0]:
            return False
        self.shown += os.read(self.ours, MOST)
        return True

    def expect(self, pattern: str | bytes, seconds: float | None = None) -> bytes:
        """Wait until something is shown, behind what was waited for before: what was shown until then."""
        wanted = re.compile(pattern.encode() if isinstance(pattern, str) else pattern)
        deadline = time.monotonic() + (self.seconds if seconds is None else seconds)
        while not (found := wanted.search(self.shown, self._seen)):
            if time.monotonic() > deadline or not (self.read(0.1) or self.process.poll() is None):
                raise AssertionError(f'{pattern!r} was not shown, but {self.shown[self._seen :]!r}')
        start, self._seen = self._seen, found.end()
        return self.shown[start : self._seen]

    def end(self) -> int:
        """Wait for the end of the command: its status."""
        deadline = time.monotonic() + self.seconds
        while self.process.poll() is None:
            self.read(0.02)
            if time.monotonic() > deadline:
                raise AssertionError(f'the command does not end; it has shown {self.shown[self._seen :]!r}')
        while self.read(0):
            pass
        return self.process.returncode
