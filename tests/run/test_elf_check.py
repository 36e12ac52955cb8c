"""Files that are no program for here are refused before anything starts, each with its sentence."""

import os
import struct
import subprocess
from pathlib import Path
from typing import Final

import pytest

from incroos.run.elf_check import check_program
from incroos.run.outcome import Unusable

from .tiny_program import tiny_program

EXECUTABLE: Final = tiny_program(b'\xf4')


def patched(offset: int, *values: int, form: str = '<B') -> bytes:
    """The tiny program with other bytes in its header."""
    elf = bytearray(EXECUTABLE)
    for index, value in enumerate(values):
        struct.pack_into(form, elf, offset + index * struct.calcsize(form), value)
    return bytes(elf)


FILES: Final = {
    b'': 'p is not ELF: name a program that was compiled and linked for Linux',
    b'hello': 'p is not ELF: name a program that was compiled and linked for Linux',
    b'#!/bin/sh\n': 'p is a script: run the program that its first line names, with it as an argument',
    EXECUTABLE[:40]: 'p is cut off: it ends within the header of ELF',
    patched(4, 1): 'p has 32-bit addresses: compile it without -m32 or -mx32',
    patched(18, 3): 'p is for 32-bit x86, and this is x86-64',
    patched(18, 183): 'p is for 64-bit ARM, and this is x86-64',
    patched(18, 0xFFFF, form='<H'): 'p is for machine 65535, and this is x86-64',
    patched(5, 2)[:18] + b'\0\x16' + EXECUTABLE[20:]: 'p is for S/390, and this is x86-64',
    patched(16, 1): 'p is an object file that is not linked: link it with -static',
    patched(16, 4): 'p is what a program left when it crashed (a core): name the program itself',
    patched(64, 3): 'p is linked dynamically, and there are no shared libraries here: link it with -static',
    patched(16, 3)[:24] + bytes(8) + EXECUTABLE[32:]: 'p is a shared library: name a program',
}


def refusal_of(path: str, shown: str) -> str:
    with pytest.raises(Unusable) as refusal:
        check_program(path, shown)
    return str(refusal.value)


@pytest.mark.parametrize(('content', 'sentence'), FILES.items(), ids=list(map(str, range(len(FILES)))))
def test_what_is_no_program(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / 'p').write_bytes(content)
    assert refusal_of(str(tmp_path / 'p'), 'p') == sentence


def test_programs(tmp_path: Path) -> None:
    """Static ones, static PIEs, and what the kernel itself has to judge: headers that lead nowhere."""
    for content in (EXECUTABLE, patched(16, 3), patched(32, 0xFF, form='<Q'), patched(54, 0xFFFF, 0xFFFF, form='<H')):
        (tmp_path / 'p').write_bytes(content)
        check_program(str(tmp_path / 'p'), 'p')


def test_programs_of_this_system(tmp_path: Path) -> None:
    (tmp_path / 'c.c').write_text('int main(void) { return 0; }\n')
    for options, is_refused in ((['-static'], False), (['-static-pie'], False), ([], True)):
        subprocess.run(['cc', *options, '-o', tmp_path / 'c', tmp_path / 'c.c'], check=True)
        if is_refused:
            assert 'is linked dynamically' in refusal_of(str(tmp_path / 'c'), 'c')
        else:
            check_program(str(tmp_path / 'c'), 'c')
    subprocess.run(['cc', '-c', '-o', tmp_path / 'c.o', tmp_path / 'c.c'], check=True)
    assert 'is an object file' in refusal_of(str(tmp_path / 'c.o'), 'c.o')
    subprocess.run(['cc', '-shared', '-o', tmp_path / 'c.so', tmp_path / 'c.c'], check=True)
    assert 'is a shared library' in refusal_of(str(tmp_path / 'c.so'), 'c.so')


def test_what_is_not_there(tmp_path: Path) -> None:
    assert refusal_of(str(tmp_path / 'p'), './p') == './p cannot be run (No such file or directory)'
    assert refusal_of('sh', 'sh').startswith('sh cannot be run (No such file or directory): write its path, /')


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'pipe')
    assert refusal_of(str(tmp_path), 'f') == 'f is a folder: name a program'
    assert refusal_of(str(tmp_path / 'pipe'), 'pipe') == 'pipe is no regular file: name a program'
    assert refusal_of('/dev/null', '/dev/null') == '/dev/null is no regular file: name a program'


def test_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root can read everything, so that the system's answer is made up."""

    def refuse(path: str, mode: str) -> object:
        raise PermissionError(13, 'Permission denied', path)

    (tmp_path / 'p').write_bytes(EXECUTABLE)
    monkeypatch.setattr('builtins.open', refuse)
    assert refusal_of(str(tmp_path / 'p'), 'p') == 'p cannot be read (Permission denied)'


def test_a_name_of_no_letters() -> None:
    assert refusal_of('', '') == "'' cannot be run (No such file or directory)"
