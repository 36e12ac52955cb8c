"""Runs the command `incroos` as a user does, in a process of its own, and sees what it leaves behind."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from ..budget import SECONDS

ROOT: Final = Path(__file__).resolve().parents[2]
COMMAND: Final = [sys.executable, '-c', 'from incroos.cli import main; main()']
TAG: Final = 'INCROOS_TEST_TAG'  # in the environment of a command and of all that it starts
PLACES: Final = ('sim', 'jit', 'qemu')


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it wrote."""

    status: int
    output: str
    remarks: str

    @property
    def sentence(self) -> str:
        """The last remark; there is no traceback among them."""
        assert 'Traceback' not in self.remarks
        assert 'Exception ignored' not in self.remarks
        return self.remarks.splitlines()[-1].removeprefix('incroos: ') if self.remarks else ''


class Running:
    """A command that runs, started by `with`. Ends with the block, which checks that it left no process behind."""

    def __init__(self, *arguments: str, prefix: list[str] | None = None, **options: Any) -> None:
        self.tag = uuid.uuid4().hex
        environment = {**os.environ, **options.pop('environment', {}), TAG: self.tag}
        channels = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE}
        command = [*(prefix or COMMAND), *arguments]
        self.process = subprocess.Popen(
            command, env=environment, cwd=options.pop('cwd', ROOT), start_new_session=True, **{**channels, **options}
        )

    def __enter__(self) -> 'Running':
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def wait_for(self, text: bytes, channel: IO[bytes] | None) -> bytes:
        """Read a channel until the text was there; what was read."""
        assert channel is not None
        seen = b''
        while text not in seen:
            data = os.read(channel.fileno(), 1)
            assert data, f'{text!r} never came: {seen!r}'
            seen += data
        return seen

    def end(self) -> Done:
        """Wait for the end."""
        output, remarks = self.process.communicate(timeout=SECONDS)
        return Done(
            self.process.returncode, (output or b'').decode(errors='replace'), (remarks or b'').decode(errors='replace')
        )

    def processes(self) -> list[int]:
        """The processes of this command that there are."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir('/proc'))) if self._is_ours(pid)]

    def is_gone(self, seconds: float = SECONDS) -> bool:
        """Are all of its processes gone, now or soon?"""
        end = time.monotonic() + seconds
        while self.processes():
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def _is_ours(self, pid: int) -> bool:
        try:
            return f'{TAG}={self.tag}'.encode() in Path(f'/proc/{pid}/environ').read_bytes().split(b'\0')
        except OSError:
            return False


def run(*arguments: str, environment: Mapping[str, str] | None = None, **options: Any) -> Done:
    """Run the command to its end."""
    with Running(*arguments, environment=environment or {}, **options) as running:
        done = running.end()
        assert running.is_gone()
    return done
