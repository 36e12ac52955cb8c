"""The archive is read where it lies; one that is not what it should be is refused, and nothing is left behind."""

import random
from typing import Final

import pytest

from incroos.kernel import files, heap, pmm
from incroos.kernel.codes import BAD_ARCHIVE, NO_KERNEL_MEMORY, OK
from incroos.kernel.files.archive import NR_OWN
from incroos.lang import VirtAddr
from incroos.run.archive import Entry, archive_of
from incroos.run.handover import Start

from ...budget import FULL
from ..abi.programs import FILES, FOLDER, LINK, REGULAR, SMALL, Machine

SEED: Final = 5
NR_MUTATIONS: Final = 20_000 if FULL else 500
ENTRIES: Final = [Entry(b'bin/program', REGULAR, 4, SMALL), *FILES]
HEADER_BYTES: Final = 110


def machine_with(entries: list[Entry]) -> Machine:
    return Machine(entries, Start((b'program',)))


def init_with(entries: list[Entry]) -> int:
    """What files.init says of an archive, with nothing lost when it refuses."""
    made = machine_with(entries)
    before = heap.used_bytes(made.k)
    code = made.init_files()
    if code != OK:
        assert heap.used_bytes(made.k) == before
    else:
        assert files.check(made.k) == 0
    return code


def test_an_archive_is_taken() -> None:
    made = machine_with(ENTRIES)
    assert made.init_files() == OK
    assert files.check(made.k) == 0
    assert made.k.files.nr_nodes == len(ENTRIES) + NR_OWN


REFUSED: Final = {
    'the same file twice': [*ENTRIES, Entry(b'etc/motd', REGULAR, 1, b'x')],
    'a file where a folder is': [*ENTRIES, Entry(b'etc', REGULAR, 1, b'x')],
    'a folder where a file is': [*ENTRIES, Entry(b'etc/motd', FOLDER, 1)],
    'a file in a file': [*ENTRIES, Entry(b'etc/motd/x', REGULAR, 1, b'x')],
    'a file in a symlink': [*ENTRIES, Entry(b'link/x', REGULAR, 1, b'x')],
    'an absolute name': [*ENTRIES, Entry(b'/x', REGULAR, 1, b'x')],
    'dots': [*ENTRIES, Entry(b'etc/../x', REGULAR, 1, b'x')],
    'a dot': [*ENTRIES, Entry(b'./x', REGULAR, 1, b'x')],
    'two slashes': [*ENTRIES, Entry(b'etc//x', REGULAR, 1, b'x')],
    'a slash at the end': [*ENTRIES, Entry(b'new/', FOLDER, 1)],
    'no name': [*ENTRIES, Entry(b'', REGULAR, 1, b'x')],
    'a long name': [*ENTRIES, Entry(b'x' * 256, REGULAR, 1, b'x')],
    'a long path': [*ENTRIES, Entry(b'x/' * 2048 + b'x', REGULAR, 1, b'x')],
    'too many folders that are missing': [*ENTRIES, *(Entry(b'%d/x' % n, REGULAR, 1, b'x') for n in range(65))],
    'an empty symlink': [*ENTRIES, Entry(b'nowhere', LINK, 1, b'')],
}


@pytest.mark.parametrize('name', REFUSED)
def test_what_cannot_be_is_refused(name: str) -> None:
    assert init_with(REFUSED[name]) == BAD_ARCHIVE


def test_folders_that_are_missing_are_made_and_described_later() -> None:
    assert init_with([Entry(b'a/b/c', REGULAR, 1, b'x'), Entry(b'a', 0o040700, 9), Entry(b'.', 0o040711, 3)]) == OK


def test_without_memory_nothing_is_left() -> None:
    made = machine_with(ENTRIES)
    heap.shrink(made.k)
    before = pmm.nr_free_frames(made.k)
    for refused in range(1, 1000):
        made.k.frames.requests, made.k.frames.refuse_at = 0, refused
        code = made.init_files()
        made.k.frames.refuse_at = 0
        if code == OK:
            assert refused > 3
            return
        assert code == NO_KERNEL_MEMORY
        heap.shrink(made.k)
        assert pmm.nr_free_frames(made.k) == before, refused
    raise AssertionError('it never succeeds')


def headers(archive: bytes) -> list[int]:
    """Where the headers of all entries are."""
    found, at = [], archive.find(b'070701')
    while at >= 0:
        found.append(at)
        at = archive.find(b'070701', at + 6)
    return found


def test_mutated_archives_are_taken_or_refused() -> None:
    chance = random.Random(SEED)
    made = machine_with(ENTRIES)
    archive = archive_of(ENTRIES)
    start, places = made.info.addr + made.info.archive, headers(archive)
    nr_taken = 0
    for _ in range(NR_MUTATIONS):
        at = min(chance.choice(places) + chance.randrange(HEADER_BYTES + 12), len(archive) - 8)
        old = [made.k.m.load8(VirtAddr(start + at + index)) for index in range(8)]
        for index in range(chance.choice((1, 2, 8))):
            made.k.m.store8(VirtAddr(start + at + index), chance.choice(b'\x000129aAfFgG/.\xff'))
        if chance.random() < 0.2:
            made.info.archive_bytes = chance.randrange(len(archive))
        before = heap.used_bytes(made.k)
        code = made.init_files()
        assert code in (OK, BAD_ARCHIVE)
        if code == OK:
            nr_taken += 1
            assert files.check(made.k) == 0
        files.deinit(made.k)
        assert heap.used_bytes(made.k) == before
        made.info.archive_bytes = len(archive)
        for index, byte in enumerate(old):
            made.k.m.store8(VirtAddr(start + at + index), byte)
    assert nr_taken > 50
    assert heap.check(made.k) == 0
