"""What a kernel was doing when it panicked: the return addresses that it put, as functions or lines of Python.

The image's symbols tell the function; one that was compiled into its caller has none. An image with debug information
tells the line, too. The lines of the backtrace: kernel/trap/kernel_faults.py.
"""

import bisect
import io
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .images import KernelImage

RETURN: Final = re.compile(rb'^backtrace: 0x([0-9A-F]{16})$', re.MULTILINE)


def calls_in(output: bytes | bytearray, image: 'KernelImage') -> list[str]:
    """The functions that were being called, the innermost first; none where the output has no backtrace."""
    addresses = [int(digits, 16) for digits in RETURN.findall(output)]
    if not addresses:
        return []
    # A call may be its function's last instruction: what counts is the byte before the address behind it.
    looked_up = [addresses[0], *(address - 1 for address in addresses[1:])]
    lines = Lines(image.path.read_bytes())
    return [f'{function_at(address, image.facts["symbols"])}{lines.at(address)}' for address in looked_up]


def function_at(address: int, symbols: dict[str, int]) -> str:
    """The function that an address is in; or the address, where it is in none."""
    start, end = symbols.get('__text_start', 0), symbols.get('__text_end', 0)
    before = ((place, name) for name, place in symbols.items() if start <= place <= address and name[:2] != '__')
    return max(before)[1] if start <= address < end else f'{address:#x}'


class Lines:
    """The lines of an image with debug information; of another one, none."""

    def __init__(self, elf: bytes) -> None:
        self._rows: list[tuple[int, str]] = []
        if b'.debug_line' in elf:
            self._rows = sorted(rows_of(elf), key=lambda row: row[0])

    def at(self, address: int) -> str:
        """`, file:line` of the code at an address, or nothing."""
        index = bisect.bisect_right(self._rows, address, key=lambda row: row[0]) - 1
        return f', {self._rows[index][1]}' if index >= 0 and self._rows[index][1] else ''


def rows_of(elf: bytes) -> 'Iterator[tuple[int, str]]':
    """Address and place of each row of the line tables; an empty place where code ends."""
    from elftools.elf.elffile import ELFFile

    dwarf: Any = ELFFile(io.BytesIO(elf)).get_dwarf_info()
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        files: Iterable[Any] = program['file_entry']
        names = [entry.name.decode(errors='replace') for entry in files]
        first = 1 if program['version'] < 5 else 0
        for entry in program.get_entries():
            if state := entry.state:
                place = '' if state.end_sequence else f'{names[state.file - first]}:{state.line}'
                yield state.address, place
