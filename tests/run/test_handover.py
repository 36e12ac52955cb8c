"""What the host hands over with a program: RunInfo, strings, archive; and what of a folder gets into it."""

import os
import socket
import stat
import struct
from pathlib import Path

import pytest

from incroos.inspect.ram import RamMachine
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state.run_info import NO_LIMIT, PUT_CALLS, RUN_MAGIC, RunInfo
from incroos.lang import VirtAddr
from incroos.run.archive import Entry, archive_of, entries_of
from incroos.run.handover import Standard, Start, module_of, module_start
from incroos.run.outcome import Unusable
from incroos.run.program import Program
from incroos.run.root_folder import folder_with, program_alone

from .tiny_program import program_that_prints

MIB = 1 << 20
FILE = stat.S_IFREG | 0o644
ENTRIES = [
    Entry(b'bin/program', stat.S_IFREG | 0o755, 11, b'\x7fELF' + bytes(5000)),
    Entry(b'bin', stat.S_IFDIR | 0o755, 12),
    Entry(b'bin/link', stat.S_IFLNK | 0o777, 13, b'program'),
    Entry(b'empty', FILE, 14),
    Entry(b'odd', FILE, 15, b'odd'),
    Entry(b'last', FILE, 16, bytes(range(256)) * 16),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a little of everything."""
    folder = tmp_path / 'root'
    (folder / 'bin').mkdir(parents=True)
    (folder / 'bin/busybox').write_bytes(b'\x7fELF' + bytes(100))
    (folder / 'bin/busybox').chmod(0o750)
    (folder / 'bin/sh').symlink_to('/bin/busybox')
    (folder / 'sbin').symlink_to('../../bin')
    (folder / 'a-b').write_text('a-b')
    (folder / 'a').mkdir()
    (folder / 'a/file').write_text('text')
    (folder / 'broken').symlink_to('/nowhere')
    os.utime(folder / 'a/file', (7, 1234567.9))
    return folder


def no_remark(sentence: str) -> None:
    raise AssertionError(sentence)


def folder(root: Path, program: str = 'bin/busybox', most_bytes: int = MIB) -> list[Entry]:
    """The entries of a folder about which there is nothing to say."""
    return folder_with(program, root, most_bytes, no_remark)


# ------------------------------------------------------------------ the archive
def test_an_archive_gives_back_its_entries() -> None:
    assert [entry for entry, _ in entries_of(archive_of(ENTRIES))] == ENTRIES


def test_contents_of_files_begin_at_pages() -> None:
    archive = archive_of(ENTRIES)
    for entry, offset in entries_of(archive):
        assert archive[offset : offset + len(entry.content)] == entry.content
        if stat.S_ISREG(entry.mode) and entry.content:
            assert offset % PAGE_BYTES == 0
    assert len(archive) < sum(len(entry.content) + PAGE_BYTES for entry in ENTRIES)


def test_headers_are_those_of_newc() -> None:
    archive = archive_of([Entry(b'f', FILE, 0x1234, b'content')])
    fields = (1, FILE, 0, 0, 1, 0x1234, 7, 0, 0, 0, 0, PAGE_BYTES - 110, 0)
    head = b'070701' + b''.join(b'%08X' % field for field in fields) + b'f\0'
    trailer = b'070701' + b''.join(b'%08X' % field for field in (*[0] * 4, 1, *[0] * 6, 11, 0)) + b'TRAILER!!!\0'
    assert archive == head.ljust(PAGE_BYTES, b'\0') + b'content\0' + trailer.ljust(124, b'\0')


def test_what_is_no_archive() -> None:
    for wrong in (b'', b'070701', archive_of(ENTRIES)[:-124], b'070707' + archive_of(ENTRIES)[6:]):
        with pytest.raises(ValueError, match='no entry of an archive at byte'):
            list(entries_of(wrong))


def test_times_that_the_header_cannot_tell() -> None:
    archive = archive_of([Entry(b'old', FILE, -5), Entry(b'new', FILE, 1 << 40)])
    assert [entry.seconds for entry, _ in entries_of(archive)] == [0, 0xFFFF_FFFF]


# ------------------------------------------------------------------ the module
def test_the_module() -> None:
    start = Start(
        arguments=[b'./prog', b'', b'\xff \n'],
        environment=[b'A=1', b'B='],
        flags=PUT_CALLS,
        seed=42,
        start_seconds=43,
        refuse_at=44,
        limit_data=45,
        standard=[Standard(), Standard(stat.S_IFCHR | 0o620, True, 0x8801), Standard(stat.S_IFREG | 0o600)],
    )
    module = module_of(start, ENTRIES)
    info = RunInfo(RamMachine(bytearray(module[: RunInfo.SIZE])), VirtAddr(0))
    assert (info.magic, info.flags, info.nr_arguments, info.nr_environment) == (RUN_MAGIC, PUT_CALLS, 3, 2)
    assert module[info.strings : info.strings + info.strings_bytes] == b'./prog\0\0\xff \n\0A=1\0B=\0'
    assert info.archive % PAGE_BYTES == 0
    assert info.archive + info.archive_bytes == len(module)
    assert [entry for entry, _ in entries_of(module[info.archive :])] == ENTRIES
    assert (info.limit_address_space, info.limit_data, info.limit_stack) == (NO_LIMIT, 45, 8 * MIB)
    assert (info.seed, info.start_seconds, info.refuse_at) == (42, 43, 44)
    files = [(file.mode, file.is_terminal, file.rdev) for file in info.files]
    assert files == [(0, 0, 0), (stat.S_IFCHR | 0o620, 1, 0x8801), (stat.S_IFREG | 0o600, 0, 0)]


def test_the_module_is_the_same_each_time() -> None:
    assert module_of(Start([b'a']), ENTRIES) == module_of(Start([b'a']), ENTRIES)


def test_the_magic_can_be_read() -> None:
    assert struct.unpack('<8s', module_of(Start([b'a']), [])[:8]) == (b'CROSRUN1',)


def test_where_the_module_lies() -> None:
    assert module_start(64 * MIB, 1) == 64 * MIB - 0x29000
    assert module_start(64 * MIB, 0xFFF) == 64 * MIB - 0x29000
    assert module_start(64 * MIB, 0x1000) == 64 * MIB - 0x2A000
    assert module_start(16 << 30, 1) == (3 << 30) - 0x29000
    assert module_start(0xE000_0000 - 8192, 1) == 0xE000_0000 - 8192 - 0x29000


def test_a_module_that_leaves_no_room_for_the_kernel() -> None:
    with pytest.raises(Unusable, match=r'files, 65,536K, do not fit a memory of 65,536K: ask for more with --memory'):
        module_start(64 * MIB, 64 * MIB)


# ------------------------------------------------------------------ the files
def test_a_program_alone(root: Path) -> None:
    (program,) = program_alone(root / 'bin/busybox')
    assert (program.name, program.mode) == (b'busybox', stat.S_IFREG | 0o750)
    assert program.content == b'\x7fELF' + bytes(100)


def test_a_program_behind_a_symlink_has_the_name_of_the_symlink(tmp_path: Path, root: Path) -> None:
    (tmp_path / 'echo').symlink_to(root / 'bin/busybox')
    (program,) = program_alone(tmp_path / 'echo')
    assert (program.name, program.content) == (b'echo', b'\x7fELF' + bytes(100))


def test_a_folder(root: Path) -> None:
    entries = folder(root)
    assert [entry.name for entry in entries] == [
        *(b'bin/busybox', b'a', b'a/file', b'a-b', b'bin', b'bin/sh', b'broken', b'sbin')
    ]
    by_name = {entry.name: entry for entry in entries}
    assert stat.S_ISDIR(by_name[b'a'].mode)
    assert (by_name[b'a/file'].content, by_name[b'a/file'].seconds) == (b'text', 1234567)
    assert (by_name[b'bin/sh'].content, stat.S_ISLNK(by_name[b'bin/sh'].mode)) == (b'/bin/busybox', True)
    assert by_name[b'broken'].content == b'/nowhere'


@pytest.mark.parametrize('path', ['bin/sh', '/bin/sh', 'sbin/sh', './bin/../bin//sh', '../../bin/sh', '/sbin/busybox'])
def test_a_program_by_any_path_is_the_file_itself(root: Path, path: str) -> None:
    assert folder(root, path)[0].name == b'bin/busybox'


@pytest.mark.parametrize(
    ('path', 'why'),
    [
        ('bin/nothing', 'No such file or directory'),
        ('broken', 'No such file or directory'),
        ('a-b/c', 'Not a directory'),
    ],
)
def test_a_program_that_is_not_in_the_folder(root: Path, path: str, why: str) -> None:
    with pytest.raises(Unusable) as refusal:
        folder(root, path)
    assert str(refusal.value) == f'{path} in {root} cannot be run ({why}): name a program by its path there'


@pytest.mark.parametrize('path', ['', '/', '..', 'bin/../.'])
def test_the_root_is_no_program(root: Path, path: str) -> None:
    with pytest.raises(Unusable, match='cannot be run: it is no file'):
        folder(root, path)


def test_symlinks_without_an_end(root: Path) -> None:
    (root / 'one').symlink_to('two')
    (root / 'two').symlink_to('one')
    with pytest.raises(Unusable, match='cannot be run: its symlinks have no end'):
        folder(root, 'one')


def test_sockets_and_pipes_are_left_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(root / 'a/pipe')
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as there:
        there.bind('socket')
    remarks: list[str] = []
    entries = folder_with('bin/busybox', root, MIB, remarks.append)
    assert {b'a/pipe', b'socket'}.isdisjoint(entry.name for entry in entries)
    (remark,) = remarks
    assert remark.endswith('is neither a file nor a folder nor a symlink, and is left out, and 1 more')


def test_what_cannot_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root can read everything, so that the system's answer is made up."""
    real_open = open

    def refuse(path: bytes, mode: str) -> object:
        if path.endswith(b'file'):
            raise PermissionError(13, 'Permission denied', path)
        return real_open(path, mode)

    monkeypatch.setattr('builtins.open', refuse)
    with pytest.raises(Unusable, match=r'root/a/file cannot be read \(Permission denied\)'):
        folder(root)


def test_a_folder_that_is_too_large_is_not_read_to_its_end(root: Path) -> None:
    (root / 'sparse').touch()
    os.truncate(root / 'sparse', 1 << 40)
    with pytest.raises(Unusable, match='its files do not fit the memory'):
        folder(root)


def test_files_that_do_not_fit_are_not_read(tmp_path: Path) -> None:
    """They take more than any host has; what lies above 4 GiB is no room for them."""
    program = tmp_path / 'program'
    program.write_bytes(program_that_prints(b'words'))
    with program.open('r+b') as file:
        file.truncate(1 << 42)
    for root in (None, tmp_path):
        wanted = Program(path='program' if root else str(program), root=root, memory_bytes=1 << 43)
        wanted.check()
        with pytest.raises(Unusable, match=r'not fit .*: ask for more with --memory'):
            wanted.module()
