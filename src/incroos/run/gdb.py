"""Boots an image with debug information in QEMU, stopped in gdb at a line of Python.

gdb talks to QEMU's stub through a socket in a folder that only this user can enter. The machine stands still until gdb
lets it run; when gdb ends, so does the machine.
"""

import contextlib
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import Final

from incroos.build.own_folder import own_folder

from .images import kernel_image
from .outcome import Say, Unusable
from .qemu_process import Qemu, find_qemu

PROGRAM: Final = 'gdb'


class NoSuchPlace(ValueError):
    """There is no such function or line in the image."""


# The processor is in real mode at first: from that gdb would guess another architecture. And gdb lets go of a machine
# that it was attached to; one that it takes for its own it kills at its end, so that the kernel does not run on.
COMMANDS: Final = """\
set confirm off
set pagination off
set architecture i386:x86-64
set remote query-attached-packet off
target remote {remote}
break {at}
continue
"""


def find_gdb() -> str:
    """Where gdb is. Raises Unusable where it is not installed."""
    gdb = shutil.which(PROGRAM)
    if gdb is None:
        raise Unusable('gdb is not installed: install it (on Debian and Ubuntu: apt install gdb)')
    return gdb


def debug_kernel(at: str, memory_bytes: int, say: Say) -> int:
    """Build the kernel with debug information and run gdb; what it writes comes to standard output."""
    find_gdb()  # before anything is built for it
    find_qemu()

    def console_sink(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    return debug(kernel_image(say, debug=True).path, at, memory_bytes, console_sink)


def debug(
    image: Path, at: str, memory_bytes: int, console_sink: Callable[[bytes], object], arguments: Sequence[str] = ()
) -> int:
    """Run gdb until the user leaves it; its exit status. It stops first at `at`, a function or `file:line`.

    `arguments` go to gdb, behind the commands that lead to the first stop. Raises Unusable where gdb is missing,
    NoSuchPlace for a wrong `at`.
    """
    gdb = find_gdb()
    require_place(gdb, image, at)
    with own_folder() as folder:
        remote, commands = folder / 'stub', folder / 'commands'
        commands.write_text(COMMANDS.format(remote=remote, at=at))
        stub = ('-chardev', f'socket,id=gdb,path={remote},server=on,wait=off', '-gdb', 'chardev:gdb')
        with Qemu(image, memory_bytes, 'tcg', extra=stub) as qemu:
            reader = threading.Thread(target=relay, args=(qemu.serial, console_sink))
            reader.start()
            try:
                with interrupts_left_to_gdb():
                    return subprocess.call([gdb, '-q', '-nx', str(image), '-x', str(commands), *arguments])
            finally:
                qemu.end()
                reader.join()


def require_place(gdb: str, image: Path, at: str) -> None:
    """Raise NoSuchPlace where gdb cannot set a breakpoint there."""
    commands = ('-ex', 'set breakpoint pending off', '-ex', f'break {at}')
    done = subprocess.run([gdb, '-q', '-nx', '-batch', *commands, str(image)], capture_output=True, text=True)
    if done.returncode != 0:
        said = ' '.join(done.stderr.split()).rstrip('.')
        raise NoSuchPlace(f'--break {at}: {said}: name a function of the kernel, or a line as first_fit.py:100')


def relay(serial: FileIO, console_sink: Callable[[bytes], object]) -> None:
    """Hand on what comes from the serial port until it is closed."""
    while data := serial.read(1 << 16):
        console_sink(data)


@contextlib.contextmanager
def interrupts_left_to_gdb() -> Iterator[None]:
    """Ctrl-C reaches gdb as well, and is meant for it."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
