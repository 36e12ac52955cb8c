"""ELF files that are wrong in some place go the whole way to the kernel: whatever becomes of them, it stands."""

import random
import struct
from pathlib import Path
from typing import Final

import pytest

from incroos.run import elf_check

from ..budget import FULL
from .ring3 import SOURCES, Case, built, in_place, make_root

HEAD_BYTES: Final = 64
HEADER_BYTES: Final = 56  # of a program header
WORDS: Final = (
    0,
    1,
    0xFFF,
    0x1000,
    1 << 31,
    (1 << 47) - 0x1000,
    1 << 47,
    1 << 48,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
)
FILES_A_TEST: Final = 10


def mutated(program: bytes, source: random.Random) -> bytes:
    """A program with some of its headers changed, or cut off."""
    hostile = bytearray(program)
    (nr_headers,) = struct.unpack_from('<H', program, 56)
    for _change in range(source.choice((1, 1, 2, 5))):
        at = source.randrange(HEAD_BYTES + nr_headers * HEADER_BYTES)
        kind = source.randrange(4)
        if kind == 0:
            hostile[at] = source.randrange(256)
        elif kind == 1:
            struct.pack_into('<Q', hostile, at & -8, source.choice(WORDS))
        elif kind == 2:
            struct.pack_into('<H', hostile, at & -2, source.choice(WORDS) & 0xFFFF)
        else:
            (word,) = struct.unpack_from('<Q', hostile, at & -8)
            struct.pack_into('<Q', hostile, at & -8, (word + source.choice((-0x1000, -1, 1, 0x1000))) % (1 << 64))
    if source.randrange(8) == 0:
        del hostile[source.randrange(len(hostile)) :]
    return bytes(hostile)


@pytest.mark.parametrize('seed', range(200 if FULL else 4))
@pytest.mark.parametrize('build', ['musl', 'glibc-pie'])
def test_a_hostile_program_harms_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build: str, seed: int) -> None:
    """What would be refused before anything starts is let through; checkers find nothing, no frame is lost."""
    monkeypatch.setattr(elf_check, 'check_program', lambda *_arguments: None)
    source = random.Random(seed)
    program = built(SOURCES / 'hello.c', build)
    content = program.read_bytes()
    for number in range(FILES_A_TEST):
        folder = tmp_path / str(number)
        make_root(folder, program, {})
        (folder / program.name).write_bytes(mutated(content, source))
        in_place('jit', program, Case('hostile', 'hello'), folder)
