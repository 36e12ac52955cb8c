"""Debug information: an object that names the Python files, lines, functions and locals it was compiled from."""

import io
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from incroos.build.codegen import compile_bare
from incroos.kernel.configs import CLASSIC
from incroos.kernel.heap import kfree, kmalloc
from incroos.kernel.heap.chunk import first_fit
from incroos.lang.frontend import BARE, compile_unit


@pytest.fixture(scope='module', params=[False, True], ids=['plain', 'checked'])
def dwarf(request: pytest.FixtureRequest) -> Any:
    unit = compile_unit({'kmalloc': kmalloc, 'kfree': kfree}, BARE, CLASSIC, checked=request.param, debug=True)
    return ELFFile(io.BytesIO(compile_bare(unit.ir, '', debug=True).object_bytes)).get_dwarf_info()


def attributes(dwarf: Any, tag: str) -> list[Any]:
    (unit,) = dwarf.iter_CUs()
    return [die.attributes for die in unit.iter_DIEs() if die.tag == tag]


def test_the_lines_are_those_of_the_python_files(dwarf: Any) -> None:
    (unit,) = dwarf.iter_CUs()
    program = dwarf.line_program_for_CU(unit)
    files = [entry.name.decode() for entry in program['file_entry']]
    assert {'first_fit.py', 'mapping.py'} <= set(files)
    lines: dict[str, set[int]] = {}
    for entry in program.get_entries():
        if entry.state is not None and not entry.state.end_sequence:
            lines.setdefault(files[entry.state.file - 1], set()).add(entry.state.line)
    text = Path(str(first_fit.__file__)).read_text().splitlines()
    start = next(number for number, line in enumerate(text, 1) if line.startswith('def alloc('))
    body = {number for number in range(start, start + 20) if text[number - 1].startswith('    free = find_free(')}
    assert body
    assert body <= lines['first_fit.py']
    assert all(text[number - 1].strip() for number in lines['first_fit.py'] - {0})


def test_functions_and_locals_have_their_names(dwarf: Any) -> None:
    names = {found['DW_AT_name'].value.decode() for found in attributes(dwarf, 'DW_TAG_subprogram')}
    assert {'kmalloc', 'kfree', 'find_free'} <= names
    locals_ = {found['DW_AT_name'].value.decode() for found in attributes(dwarf, 'DW_TAG_variable')}
    assert {'nbytes', 'chunk_bytes', 'heap', 'end'} <= locals_


def test_a_build_without_debug_information_has_none() -> None:
    unit = compile_unit({'kfree': kfree}, BARE, CLASSIC)
    assert '!dbg' not in unit.ir
    assert not ELFFile(io.BytesIO(compile_bare(unit.ir, '', debug=False).object_bytes)).has_dwarf_info()
