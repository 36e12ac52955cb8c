"""Generated code: what a kernel must not contain, and code in the memory of this process."""

import io
import mmap
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import capstone
import pytest
from capstone import x86
from elftools.elf.elffile import ELFFile

from incroos.build.boot_pvh import assembly
from incroos.build.codegen import compile_bare
from incroos.build.image import symbols_of
from incroos.build.link import link
from incroos.run.images import kernel_image

from . import memory_kernels
from .small_kernels import LAYOUT

REPOSITORY: Final = Path(__file__).parents[2]
MAP_NORESERVE: Final = 0x4000  # Linux: mmap(2)

VECTOR_OR_X87: Final = re.compile(r'%?([xyz]?mm\d+|st(\(\d\))?|k[0-7])$')


def disassemble(elf: bytes) -> Iterator[Any]:
    """All 64-bit instructions of an image, to the last byte of its text."""
    section: Any = ELFFile(io.BytesIO(elf)).get_section_by_name('.text')
    start, text = section['sh_addr'], section.data()
    first = symbols_of(elf)['pvh.long_start'] - start
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    at = first
    for instruction in decoder.disasm(text[first:], start + first):
        yield instruction
        at += instruction.size
    assert at == len(text), f'not an instruction at {start + at:#x}'


def faults_of(elf: bytes) -> list[str]:
    """The instructions that use a vector or x87 register, or memory below the stack pointer."""
    found = {}
    for instruction in disassemble(elf):
        for operand in instruction.operands:
            is_vector = operand.type == x86.X86_OP_REG and VECTOR_OR_X87.match(instruction.reg_name(operand.reg))
            is_memory = operand.type == x86.X86_OP_MEM and operand.mem.base == x86.X86_REG_RSP
            if is_vector or (is_memory and operand.mem.disp < 0):
                found[f'{instruction.mnemonic} {instruction.op_str}'] = instruction.address
    return list(found)


@pytest.mark.parametrize('checked', [False, True])
@pytest.mark.parametrize('debug', [False, True])
def test_kernel_uses_no_vector_register_and_no_red_zone(checked: bool, debug: bool) -> None:
    elf = kernel_image(print, checked=checked, debug=debug).path.read_bytes()
    assert sum(1 for _ in disassemble(elf)) > 1000
    assert faults_of(elf) == []


HANDLERS: Final = """
define void @on_page_fault(i64 %k, i64 %e, i64 %ip) noredzone nounwind { ret void }
define void @on_exception(i64 %k, i64 %v, i64 %e, i64 %ip, i64 %s) noredzone nounwind { ret void }
"""


def link_ir(body: str) -> bytes:
    """An image of IR text as it is."""
    return link(compile_bare(body + HANDLERS, assembly(LAYOUT), debug=False).object_bytes, LAYOUT)


def test_search_finds_a_red_zone() -> None:
    leaf = """define void @kmain(i64 %k, i64 %s) nounwind {
        %slot = alloca i64
        store volatile i64 %k, ptr %slot
        ret void }"""
    assert faults_of(link_ir(leaf)) != []
    assert faults_of(link_ir(leaf.replace('nounwind', 'noredzone nounwind'))) == []


def test_search_finds_vector_registers() -> None:
    body = 'call void asm sideeffect "movaps %xmm1, %xmm0", ""()'
    elf = link_ir(f'define void @kmain(i64 %k, i64 %s) noredzone nounwind {{ {body} ret void }}')
    assert faults_of(elf) == ['movaps xmm0, xmm1']


def test_loops_that_fill_memory_stay_loops() -> None:
    """Nobody provides memset: a call of it would not link."""
    loop = """define void @kmain(i64 %k, i64 %s) "no-builtins" noredzone nounwind {
        entry: br label %again
        again: %i = phi i64 [0, %entry], [%next, %again]
          %at = getelementptr i8, ptr null, i64 %i
          %there = getelementptr i8, ptr %at, i64 %k
          store i8 0, ptr %there
          %next = add i64 %i, 1
          %more = icmp slt i64 %next, %s
          br i1 %more, label %again, label %end
        end: ret void }"""
    assert 'memset' not in symbols_of(link_ir(loop))


def test_code_in_memory() -> None:
    code = memory_kernels.load(checked=False)
    assert code.function('sum', 1)(5) == 5 + sum(memory_kernels.TEXT)
    assert code.function('double', 1)(-21) == -42
    with pytest.raises(KeyError):
        code.address('triple')


def test_sections_stay_together_whatever_is_mapped() -> None:
    """Code reaches its data with 32-bit offsets: the loader must not put mappings of others between them."""
    mappings = []
    for _ in range(4):
        mappings.append(mmap.mmap(-1, 16 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE))
        assert memory_kernels.load(checked=False).function('sum', 1)(0) == sum(memory_kernels.TEXT)
    for mapping in mappings:
        mapping.close()


@pytest.mark.parametrize('which', [0, 1])
def test_each_loaded_unit_has_its_own_trap(which: int) -> None:
    command = [sys.executable, '-m', 'tests.build.memory_kernels', str(which)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    trap, site = done.stdout.split()
    assert trap == str(which)
    file, line = memory_kernels.unit(checked=True).sites[int(site)].rsplit(':', 1)
    assert 'the line of the trap' in Path(file).read_text().splitlines()[int(line) - 1]
