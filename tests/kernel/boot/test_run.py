"""The start of a kernel that runs programs: what it makes of what the loader hands over. Booted, in QEMU."""

import struct
from pathlib import Path
from typing import Final

import pytest

from incroos.kernel.configs import MODERN
from incroos.kernel.state.run_info import RUN_MAGIC, RunInfo
from incroos.run.images import RUN, kernel_image
from incroos.run.outcome import Status
from incroos.run.qemu_guest import Guest

from ...budget import SECONDS

MEMORY: Final = 64 << 20


def head(strings: int, strings_bytes: int, archive: int, archive_bytes: int, magic: int = RUN_MAGIC) -> bytes:
    """A module of 8 KiB with nothing but a head."""
    words = struct.pack('<8q', magic, 0, strings, strings_bytes, 1, 0, archive, archive_bytes)
    return words.ljust(8192, b'\0')


SIZE: Final = RunInfo.SIZE
REFUSED: Final = {
    'none': (b'', 'the loader handed over no module'),
    'copied': (bytes(64), 'the loader handed over no module'),
    'too short': (bytes(SIZE - 1), 'the module is not where it can be used'),
    'other': (bytes(8192), 'the module has another head'),
    'near': (head(SIZE, 8, 4096, 4096, RUN_MAGIC ^ 1), 'the module has another head'),
    'strings in the head': (head(SIZE - 8, 8, 4096, 4096), 'the module ends before its parts'),
    'strings that wrap': (head(SIZE, (1 << 63) - 1, 4096, 4096), 'the module ends before its parts'),
    'strings of less than nothing': (head(SIZE, -1, 4096, 4096), 'the module ends before its parts'),
    'archive behind': (head(SIZE, 8, 8192 + 4096, 0), 'the module ends before its parts'),
    'archive too long': (head(SIZE, 8, 4096, 4097), 'the module ends before its parts'),
    'archive before': (head(SIZE, 8, -4096, 4096), 'the module ends before its parts'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_module_that_is_no_programs(tmp_path: Path, case: str) -> None:
    """Each is a panic that says so."""
    content, sentence = REFUSED[case]
    file = tmp_path / 'module'
    file.write_bytes(content)
    image = kernel_image(print, entry=RUN, config=MODERN)
    with Guest(image.path, MEMORY, extra=('-initrd', str(file)) if content else ()) as guest:
        assert guest.wait(SECONDS).status == Status.PANIC
        assert guest.console().decode().startswith(f'PANIC: run: {sentence}')
