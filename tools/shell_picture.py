"""Runs a shell on the kernel at a pseudo terminal, types into it, and writes what its screen shows as SVG.

`make picture` makes docs/shell.svg so. Nothing of the picture is written here but what is typed, and the command line
in its first row.
"""

import contextlib
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

from incroos.build.whole_file import write_whole

COMMAND: Final = ('run', '--root', 'rootfs', '--interactive', '/bin/sh')
PROMPT: Final = b'/ # '
CTRL_C: Final = '\x03'
CTRL_Z: Final = '\x1a'
# What is typed, and what must be shown before the next is
SESSION: Final = (
    ('ls /bin | wc -l\r', PROMPT),
    ("echo 'forked by our kernel' | tr a-z A-Z\r", PROMPT),
    ("sh -c 'echo sleeping; exec sleep 1000'\r", b'sleeping\r\n'),
    (CTRL_C, PROMPT),
    ("sh -c 'echo sleeping; exec sleep 1000'\r", b'sleeping\r\n'),
    (CTRL_Z, PROMPT),
    ('bg\r', PROMPT),
    ('jobs\r', PROMPT),
    ('kill %1; wait\r', PROMPT),
    ('exit\r', b''),
)
SECONDS: Final = 600  # for what is shown; a kernel may have to be built first

# The first characters of what a terminal does not show: escape sequences of the kind CSI
SEQUENCE: Final = re.compile(rb'\x1b\[[0-9;?]*[A-Za-z]')

ROW: Final = 19  # pixels
COLUMN: Final = 8.5
MARGIN: Final = 16
SVG: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"
     aria-label="A shell on the kernel: pipes, Ctrl-C, Ctrl-Z, jobs">
  <rect width="{width}" height="{height}" rx="6" fill="#1f2933"/>
  <g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" fill="#e4e7eb" xml:space="preserve">
{rows}
  </g>
</svg>
"""


@dataclass
class Screen:
    """What a terminal shows of bytes: rows that only grow."""

    rows: list[str] = field(default_factory=lambda: [''])
    column: int = 0

    def show(self, data: bytes) -> None:
        """Show bytes; of escape sequences nothing."""
        for char in SEQUENCE.sub(b'', data).decode():
            if char == '\n':
                self.rows.append('')
            elif char == '\r':
                self.column = 0
            elif char == '\b':
                self.column = max(self.column - 1, 0)
            elif char.isprintable():
                row = self.rows[-1].ljust(self.column)
                self.rows[-1] = row[: self.column] + char + row[self.column + 1 :]
                self.column += 1

    def svg(self) -> str:
        """The picture."""
        rows = [row.rstrip() for row in self.rows]
        while rows and not rows[-1]:
            rows.pop()
        texts = (
            f'    <text x="{MARGIN}" y="{MARGIN + ROW * number + 14}">{escape(row)}</text>'
            for number, row in enumerate(rows)
            if row
        )
        width = round(2 * MARGIN + COLUMN * max(map(len, rows)))
        return SVG.format(width=width, height=2 * MARGIN + ROW * len(rows), rows='\n'.join(texts))


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder with rootfs in it: busybox, and all of its applets."""
    busybox = shutil.which('busybox')
    if busybox is None:
        sys.exit('busybox is not installed: make setup does it')
    with tempfile.TemporaryDirectory() as name:
        programs = Path(name) / 'rootfs' / 'bin'
        programs.mkdir(parents=True)
        shutil.copy(busybox, programs / 'busybox')
        for applet in subprocess.run([busybox, '--list'], capture_output=True, text=True, check=True).stdout.split():
            if applet != 'busybox':
                (programs / applet).symlink_to('busybox')
        yield Path(name)


def wait_for(terminal: int, wanted: bytes, deadline: float) -> bytes:
    """What is shown until what is wanted is the end of it, or nothing more comes."""
    shown = b''
    while not wanted or not SEQUENCE.sub(b'', shown).endswith(wanted):
        if not select.select([terminal], [], [], max(deadline - time.monotonic(), 0))[0]:
            sys.exit(f'{wanted!r} is not shown within {SECONDS} s, but {shown!r}')
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # nobody has the other end any more
            break
    return shown


def main() -> None:
    """Write the picture to the path that is the first argument."""
    output = Path(sys.argv[1])
    screen = Screen()
    screen.show(f'$ incroos {" ".join(COMMAND)}\r\n'.encode())
    deadline = time.monotonic() + SECONDS
    with folder() as work:
        ours, its = os.openpty()
        program = Path(sys.executable).parent / 'incroos'
        with subprocess.Popen([program, *COMMAND], stdin=its, stdout=its, stderr=its, cwd=work) as process:
            os.close(its)
            screen.show(drop_remark(wait_for(ours, PROMPT, deadline)))
            for typed, wanted in SESSION:
                os.write(ours, typed.encode())
                screen.show(wait_for(ours, wanted, deadline))
            if process.wait() != 0:
                sys.exit(f'the run ends with {process.returncode}')
        os.close(ours)
    write_whole(output, screen.svg().encode())


def drop_remark(shown: bytes) -> bytes:
    """The same without the remark that a kernel is being built, which a second run does not make."""
    return shown.replace(b'incroos: building the kernel\r\n', b'')


if __name__ == '__main__':
    main()
