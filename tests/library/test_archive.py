"""libincro_mm.a: what its object defines and wants, and which registers and memory its code uses."""

import io
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import capstone
import pytest
from capstone import x86
from elftools.elf.elffile import ELFFile

from incroos.run.library import library_files
from incroos.run.library_constants import STATE_BYTES
from incroos.run.library_functions import all_functions
from incroos.run.names import library_config

from .c_kernels import library_folder

BUILDS: Final = [(config, checked) for config in ('classic', 'modern') for checked in (False, True)]
each_build = pytest.mark.parametrize(('config', 'checked'), BUILDS)
VECTOR_OR_X87: Final = re.compile(r'([xyz]?mm\d+|st(\(\d\))?|k[0-7])$')


@pytest.fixture
def elf(config: str, checked: bool, tmp_path: Path) -> ELFFile:
    """The one object of the archive."""
    archive = library_folder(config, checked) / 'libincro_mm.a'
    listed = subprocess.run(['ar', 't', archive], capture_output=True, text=True, check=True).stdout.split()
    assert listed == ['incro_mm.o']
    subprocess.run(['ar', 'x', archive], cwd=tmp_path, check=True)
    return ELFFile(io.BytesIO((tmp_path / 'incro_mm.o').read_bytes()))


def public_names(config: str) -> set[str]:
    return {each.prototype.name for each in (*all_functions(library_config(config)), STATE_BYTES)}


def symbols(elf: Any) -> list[Any]:
    return [symbol for symbol in elf.get_section_by_name('.symtab').iter_symbols() if symbol.name]


@each_build
def test_global_is_what_the_header_has_and_nothing_is_undefined(elf: Any, config: str) -> None:
    seen = {symbol.name for symbol in symbols(elf) if symbol['st_info']['bind'] != 'STB_LOCAL'}
    assert seen == public_names(config)
    assert [symbol.name for symbol in symbols(elf) if symbol['st_shndx'] == 'SHN_UNDEF'] == []


@each_build
def test_the_code_is_position_independent_and_asks_for_no_stack_that_is_executed(elf: Any) -> None:
    """Only distances are relocated, so that it can be linked at any address."""
    sections = [section for section in elf.iter_sections() if section['sh_type'] in ('SHT_RELA', 'SHT_REL')]
    kinds = {entry['r_info_type'] for section in sections for entry in section.iter_relocations()}
    assert kinds <= {2, 4}  # R_X86_64_PC32, R_X86_64_PLT32: System V ABI, AMD64 supplement
    assert elf.get_section_by_name('.note.GNU-stack')['sh_flags'] & 4 == 0
    writable = [section.name for section in elf.iter_sections() if section['sh_flags'] & 1 and section['sh_size']]
    assert writable == ['.bss']
    assert elf.get_section_by_name('.bss')['sh_size'] <= 16


@pytest.mark.parametrize('start', ['0x100000', '0xFFFFFFFF80100000', '0x123456789000'])
def test_it_links_at_any_address(tmp_path: Path, start: str) -> None:
    """Also the archive alone, all of it: nothing is missing."""
    options = ['-m', 'elf_x86_64', '-static', '-nostdlib', '--fatal-warnings', '--no-undefined', '-e', 'kmalloc']
    archive = str(library_folder('modern') / 'libincro_mm.a')
    command = ['ld', *options, f'-Ttext={start}', '-o', str(tmp_path / 'image'), '--whole-archive', archive]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, '')


def instructions(elf: Any) -> Iterator[Any]:
    """All of them, to the last byte."""
    text = elf.get_section_by_name('.text').data()
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    end = 0
    for instruction in decoder.disasm(text, 0):
        yield instruction
        end += instruction.size
    assert end == len(text)


@each_build
def test_no_vector_register_and_no_red_zone(elf: Any) -> None:
    nr_instructions = 0
    for instruction in instructions(elf):
        nr_instructions += 1
        for operand in instruction.operands:
            if operand.type == x86.X86_OP_REG:
                assert not VECTOR_OR_X87.match(instruction.reg_name(operand.reg)), instruction
            if operand.type == x86.X86_OP_MEM and operand.mem.base == x86.X86_REG_RSP:
                assert operand.mem.disp >= 0, instruction
    assert nr_instructions > 3000


@each_build
def test_the_stack_that_the_header_tells_is_that_of_the_code(config: str, checked: bool) -> None:
    folder, facts = library_files(lambda remark: None, config=library_config(config), checked=checked)
    assert f'#define INCRO_MM_STACK_BYTES {facts["stack_bytes"]} ' in (folder / 'incro_mm.h').read_text()
    assert 100 < facts['stack_bytes'] < 4096


@pytest.mark.parametrize('config', ['classic', 'modern'])
def test_a_checked_build_names_the_line_of_each_trap(config: str) -> None:
    sites = (library_folder(config, checked=True) / 'incro_mm.sites').read_text().splitlines()
    assert len(sites) > 100
    for site in sites:
        file, _, line = site.rpartition(':')
        assert 0 < int(line) <= len(Path(file).read_text().splitlines())
    assert not (library_folder(config) / 'incro_mm.sites').exists()
