"""What CPUID answers in ring 3 of the simulated computer is what QEMU's processor says, leaf by leaf."""

import struct
from itertools import product
from pathlib import Path

from incroos.run.program import Program
from incroos.run.program_places import run_program

from ..budget import SECONDS
from .tiny_program import EXIT_GROUP, WRITE, call, load, tiny_program

# All that have rows in machine/cpuid.py, and some behind the last of each group.
LEAVES = [
    *product(range(0x10), range(6)),
    *product([0x1F, 0x20, 0x3FFF_FFFF, 0x7FFF_FFFF, 0xFFFF_FFFF], [0, 1]),
    *product([0x4000_0000, 0x4000_0001, 0x4000_0002, 0x4000_0100], [0, 1]),
    *product(range(0x8000_0000, 0x8000_000B), [0, 1]),
    *product([0xB], [6, 0xFF, 0x105]),
    *product([0x8000_001F, 0x8FFF_FFFF, 0xC000_0000], [0, 1]),
]
CPUID_AND_PUSHES = b'\x0f\xa2\x52\x51\x53\x50'  # cpuid; push rdx, rcx, rbx, rax
RSI_FROM_RSP = b'\x48\x89\xe6'
ANSWER = struct.Struct('<4Q')


def program() -> bytes:
    """Writes the four registers of each leaf, the last one first."""
    asks = b''.join(load('rax', leaf) + load('rcx', subleaf) + CPUID_AND_PUSHES for leaf, subleaf in LEAVES)
    writes = load('rdi', 1) + RSI_FROM_RSP + load('rdx', ANSWER.size * len(LEAVES)) + load('rax', WRITE) + b'\x0f\x05'
    return tiny_program(asks + writes + call(EXIT_GROUP, 0))


def answers(place: str, path: Path) -> dict[str, str]:
    """By leaf and subleaf."""
    output = bytearray()
    ran = run_program(place, Program(str(path), memory_bytes=64 << 20, seconds=SECONDS, output=output.extend))
    assert ran.exit_status == 0, ran.sentence
    found = reversed(list(ANSWER.iter_unpack(output)))
    return {
        f'{leaf:#x}.{subleaf}': ' '.join(f'{register:#x}' for register in registers)
        for (leaf, subleaf), registers in zip(LEAVES, found, strict=True)
    }


def test_cpuid_in_ring_3_is_that_of_the_booted_computer(tmp_path: Path) -> None:
    path = tmp_path / 'cpuid'
    path.write_bytes(program())
    path.chmod(0o755)
    assert answers('jit', path) == answers('qemu', path)
