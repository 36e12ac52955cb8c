"""gdb on the booted kernel stops at a line of Python and shows what is there."""

from pathlib import Path

import pytest

from incroos.kernel.boot import main
from incroos.kernel.heap.chunk import first_fit, header
from incroos.run.gdb import NoSuchPlace, debug
from incroos.run.images import kernel_image
from incroos.run.outcome import Status, Unusable

from ..cli.command import run

MEMORY = 64 << 20


def test_stops_at_a_line_of_the_heap(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = Path(first_fit.__file__).read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if text.startswith('    chunk_bytes = max('))
    chunk_bytes = (100 + header.HEADER_BYTES + 15) & -16
    console = bytearray()
    status = debug(
        kernel_image(print, debug=True).path,
        f'first_fit.py:{line}',
        MEMORY,
        console.extend,
        ['-batch', '-ex', 'backtrace', '-ex', 'print nbytes', '-ex', 'next', '-ex', 'print chunk_bytes'],
    )
    said = capfd.readouterr().out
    assert status == 0
    assert f'Breakpoint 1, alloc () at {first_fit.__file__}:{line}' in said
    assert lines[line - 1] in said
    assert f' in kmain () at {main.__file__}:' in said
    assert '$1 = 100\n' in said  # the self-test's kmalloc(100)
    assert f'$2 = {chunk_bytes}\n' in said
    assert console.startswith(b'Hello, 64-bit kernel World!\n')
    assert console.endswith(b'\nkmalloc(100): ')  # and it did not run on when gdb ended


def test_stops_at_a_function_behind_its_first_lines(capfd: pytest.CaptureFixture[str]) -> None:
    image = kernel_image(print, debug=True).path
    debug(image, 'kmalloc', MEMORY, lambda data: None, ['-batch', '-ex', 'print nbytes'])
    assert '$1 = 100\n' in capfd.readouterr().out


@pytest.mark.parametrize('at', ['nowhere_at_all', 'first_fit.py:1000000', 'no_file.py:3'])
def test_a_place_that_is_not_there(at: str) -> None:
    with pytest.raises(NoSuchPlace, match=f'^--break {at}: .*: name a function of the kernel, or a line as '):
        debug(kernel_image(print, debug=True).path, at, MEMORY, lambda data: None)


def test_the_command_says_so_in_a_sentence() -> None:
    done = run('gdb', '--break', 'nowhere_at_all')
    assert done.status == Status.WRONG_USAGE
    assert 'Function "nowhere_at_all" not defined' in done.sentence


def test_no_gdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(Unusable, match=r'^gdb is not installed: install it'):
        debug(Path('kernel.elf'), 'kmain', MEMORY, lambda data: None)
