"""Backtraces of a panic: addresses become functions; lines of debug information: tests/kernel/trap/test_ring3.py."""

from pathlib import Path
from typing import Final

from incroos.run.backtrace import calls_in
from incroos.run.images import KernelImage

SYMBOLS: Final = {
    '__text_start': 0x1000,
    'pvh.start': 0x1000,
    'kmain': 0x1100,
    'kernel.vmm.tables.walk': 0x1200,
    '__text_end': 0x2000,
    'text.1': 0x2000,
}


def calls(folder: Path, *addresses: int) -> list[str]:
    """What is told of these addresses, with an image that has no debug information."""
    (folder / 'kernel.elf').write_bytes(b'\x7fELF')
    text = 'words\n' + ''.join(f'backtrace: 0x{address:016X}\n' for address in addresses) + 'PANIC: so\n'
    return calls_in(text.encode(), KernelImage(folder / 'kernel.elf', {'symbols': SYMBOLS}))


def test_addresses_are_in_functions(tmp_path: Path) -> None:
    assert calls(tmp_path, 0x1200, 0x1150) == ['kernel.vmm.tables.walk', 'kmain']


def test_a_call_that_ends_its_function_is_in_it(tmp_path: Path) -> None:
    assert calls(tmp_path, 0x1201, 0x1200) == ['kernel.vmm.tables.walk', 'kmain']


def test_an_address_outside_of_the_text_is_told_as_it_is(tmp_path: Path) -> None:
    assert calls(tmp_path, 0x7FFF_0000, 0x1180) == ['0x7fff0000', 'kmain']


def test_no_backtrace_takes_no_image(tmp_path: Path) -> None:
    assert calls_in(b'PANIC: so\n', KernelImage(tmp_path / 'none', {'symbols': {}})) == []
