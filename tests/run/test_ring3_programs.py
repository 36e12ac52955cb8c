"""C programs of all kinds: what they write and how they end is what Linux makes of the same binary, in each place."""

import re
from pathlib import Path
from signal import SIGILL
from typing import Final

import pytest

from incroos.machine.strict import MAX_RAM

from ..budget import FULL
from .ring3 import BUILDS, SOURCES, Case, built, compare, in_place, make_root, on_host
from .ring3_cases import ENDS, PROGRAMS, TEXT, WITH_FLAGS

PIE_TOO: Final = ('hello', 'floats', 'auxiliary', 'own-maps', 'statics', 'write-text', 'self-modifying', 'mappings')


def names(cases: list[tuple[Case, str]]) -> list[str]:
    """For pytest."""
    return [f'{case.name}-{build}' for case, build in cases]


def builds(case: Case) -> list[str]:
    """In which it is run: all with a large budget, else one of each library, and all where it may differ."""
    if FULL or case.name in PIE_TOO:
        return list(BUILDS)
    return ['musl'] if case in ENDS else ['musl', 'glibc']


def is_run(place: str, index: int, case: Case, build: str) -> bool:
    """All in jit; in sim what needs few instructions, of musl; in QEMU, where each is a boot, one in four."""
    if case == WITH_FLAGS:
        return place == 'qemu'  # elsewhere there is a waiver, below
    if place == 'sim' and case.memory_bytes > MAX_RAM:
        return False  # waiver: a strict computer has no more
    if FULL or place == 'jit':
        return True
    if place == 'sim':
        return case.in_sim and build == 'musl'
    return index % 4 == 0


LARGE_PAGES: Final = {
    'one write': 1,
    'three writes': 1,
    'brought': 1,
    'all': 3,
    'rights of a part': 2,
    'no rights at an edge': 1,
    'all rights again': 1,
    'a whole one is gone': 2,
    'two edges are gone': 0,
    'another one in the middle': 0,
    'zeros': 1,
    'written anew': 1,
    'wanted no more': 1,
    'moved': 2,
    'moved a part': 1,
    'shorter': 0,
    'longer': 1,
    'child': 0,
    'child writes again': 0,
    'parent': 0,
    'parent writes': 0,
    'child with less': 0,
    'parent in the end': 0,
    'through a pipe': 3,
    'locked': 2,
    'forbidden': 0,
    'allowed again': 1,
}
ALL: Final = [(case, build) for case in PROGRAMS + ENDS for build in builds(case)]


@pytest.mark.parametrize(('case', 'build'), ALL, ids=names(ALL))
def test_the_host_says_what_is_expected(tmp_path: Path, case: Case, build: str) -> None:
    """The programs check themselves: on Linux each ends as its name says, so that what is compared means something."""
    program = built(SOURCES / f'{case.source}.c', build)
    make_root(tmp_path / 'root', program, case.files)
    seen = on_host(program, case, tmp_path / 'root')
    assert b'not so:' not in seen.stdout, seen
    if case in PROGRAMS and case.name not in ('mapped-file-beyond-its-end', 'buffering-aborted'):
        assert seen.signal == 0, seen
    assert seen.stdout or seen.stderr or case.source == 'input'


IN_PLACES: Final = [
    (place, case, build)
    for place in ('jit', 'sim', 'qemu')
    for index, (case, build) in enumerate(ALL)
    if is_run(place, index, case, build)
]


# Waiver: Unicorn 2.1.4 keeps no exceptions of SSE, and of x87 only the division by zero; hardware and QEMU keep all.
FLAGS: Final = b'----- ----- ----- ----- -----\n-d--- -d--- -----\n'


@pytest.mark.parametrize('place', ['jit', 'sim'])
def test_flags_of_floating_point_in_unicorn(tmp_path: Path, place: str) -> None:
    program = built(SOURCES / 'float_flags.c', 'musl')
    make_root(tmp_path / 'root', program, {})
    assert in_place(place, program, WITH_FLAGS, tmp_path / 'root')[0].stdout == FLAGS


# Waivers: Unicorn 2.1.4 clears the last bit in BZHI where it should clear none, and takes an AVX instruction of 128
# bits for the one of SSE, whose destination is its first source too. Ring 3 has no AVX (CPUID says so): it should be
# an invalid instruction, as it is in QEMU.
@pytest.mark.parametrize('place', ['jit', 'sim', 'qemu'])
def test_instructions_that_unicorn_gets_wrong(tmp_path: Path, place: str) -> None:
    program = built(SOURCES / 'instructions.c', 'musl')
    make_root(tmp_path / 'root', program, {})
    host = on_host(program, Case('bzhi', 'instructions', ('bzhi',)), tmp_path / 'root')
    assert host.stdout.endswith(b': ffffffffffffffff\n')
    bzhi, _ran = in_place(place, program, Case('bzhi', 'instructions', ('bzhi',)), tmp_path / 'root')
    avx, _ran = in_place(place, program, Case('avx', 'instructions', ('avx',)), tmp_path / 'root')
    if place == 'qemu':
        assert bzhi.stdout == host.stdout
        assert avx.signal == SIGILL
    else:
        assert bzhi.stdout.endswith(b': 7fffffffffffffff\n')
        assert avx.stdout.endswith(b': 4\n')  # 5 + 5


@pytest.mark.parametrize(
    ('place', 'case', 'build'), IN_PLACES, ids=[f'{place}-{case.name}-{build}' for place, case, build in IN_PLACES]
)
def test_a_program_does_what_it_does_on_linux(tmp_path: Path, place: str, case: Case, build: str) -> None:
    compare(place, built(SOURCES / f'{case.source}.c', build), case, tmp_path / 'root')


def test_large_pages_are_told_of(tmp_path: Path) -> None:
    """How many kilobytes smaps and meminfo count, step by step. Linux keeps some large that are not here (ADR 531)."""
    program = built(SOURCES / 'large_pages.c', 'musl')
    case = Case('large-pages', 'large_pages', ('counts',))
    make_root(tmp_path / 'root', program, case.files)
    seen, _ran = in_place('jit', program, case, tmp_path / 'root')
    counts = re.findall(rb'(.*): [0-9a-f]+, (\d+) and (\d+) kB\n', seen.stdout)
    assert {what.decode(): int(kilobytes) // 2048 for what, kilobytes, _all in counts} == LARGE_PAGES
    assert all(kilobytes == of_all for _what, kilobytes, of_all in counts)


@pytest.mark.parametrize('place', ['jit', 'sim', 'qemu'])
def test_a_program_that_takes_all_memory_ends_alone(tmp_path: Path, place: str) -> None:
    """With a limit it is told that there is none; without, it is ended, and the kernel has all frames again."""
    program = built(SOURCES / 'all_memory.c', 'musl')
    case = Case('all-memory', 'all_memory', memory_bytes=24 << 20 if place == 'sim' else 64 << 20)
    make_root(tmp_path / 'root', program, case.files)
    seen, _ran = in_place(place, program, case, tmp_path / 'root')
    assert (seen.stdout, seen.status, seen.signal) == (b'begins\n', 0, 9)
    seen, _ran = in_place(place, program, case, tmp_path / 'root', limit_address_space=6 << 20)
    assert (seen.stdout, seen.status, seen.signal) == (b'begins\nno more: errno 12\n', 3, 0)


@pytest.mark.parametrize('place', ['jit', 'sim', 'qemu'])
def test_a_program_in_cxx_does_what_it_does_on_linux(tmp_path: Path, place: str) -> None:
    case = Case('objects', 'objects', input=TEXT)
    compare(place, built(SOURCES / 'objects.cpp', 'glibc'), case, tmp_path / 'root')
