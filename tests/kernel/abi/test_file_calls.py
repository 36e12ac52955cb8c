"""Calls on files answer as Linux's: paths, open files, descriptors, folders, and what is changed."""

import errno
import struct
from typing import Final

import pytest

from incroos.kernel import files
from incroos.kernel.devices import channels
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import CLOCK_IS_TSC, Kernel
from incroos.run.archive import Entry

from .programs import FILES, LINK, PROGRAM, SMALL, TERMINAL, Machine, machine

READ, WRITE, OPEN, CLOSE, LSEEK, IOCTL, PREAD, READV, WRITEV = 0, 1, 2, 3, 8, 16, 17, 19, 20
DUP, DUP2, FCNTL, GETCWD, CHDIR, READLINK, GETDENTS64, OPENAT, DUP3 = 32, 33, 72, 79, 80, 89, 217, 257, 292
STAT, LSTAT, ACCESS, TIME = 4, 6, 21, 201
HERE: Final = -100
MOTD: Final = b'Hello, file!\n'
O_TMPFILE: Final = 0o20200000
O_CREAT, O_EXCL, O_TRUNC, O_DIRECTORY, O_NOFOLLOW, O_CLOEXEC, O_PATH = (
    0o100,
    0o200,
    0o1000,
    0o200000,
    0o400000,
    1 << 19,
    1 << 21,
)


@pytest.fixture
def made() -> Machine:
    return machine(given=b'some input\n')


def path(made: Machine, text: bytes) -> int:
    """A place in the program's memory with a path."""
    at = made.room(2 * PAGE_BYTES)
    made.put(at, text + b'\0')
    return at


def opened(made: Machine, text: bytes, flags: int = 0) -> int:
    return made.call(OPEN, path(made, text), flags)


def content(made: Machine, descriptor: int, nbytes: int = 4096) -> bytes:
    room = made.room()
    done = made.call(READ, descriptor, room, nbytes)
    assert done >= 0, errno.errorcode[-done]
    return made.get(room, done)


PATHS: Final = {  # what open says
    b'/etc/motd': 0,
    b'etc/motd': 0,
    b'//etc/./../etc//motd': 0,
    b'/../../etc/motd': 0,
    b'/link': 0,
    b'/upwards/motd': 0,
    b'/etc': 0,
    b'/etc/': 0,
    b'/': 0,
    b'/proc/self/exe': 0,
    b'/dev/null': 0,
    b'/etc/motd/': errno.ENOTDIR,
    b'/etc/motd/x': errno.ENOTDIR,
    b'/etc/motd/..': errno.ENOTDIR,
    b'/link/': errno.ENOTDIR,
    b'/loop': errno.ELOOP,
    b'/loop/x': errno.ELOOP,
    b'/dangling': errno.ENOENT,
    b'/nowhere': errno.ENOENT,
    b'/nowhere/x': errno.ENOENT,
    b'': errno.ENOENT,
    b'/dev/tty': errno.ENXIO,
    b'/' + b'n' * 255: errno.ENOENT,
    b'/' + b'n' * 256: errno.ENAMETOOLONG,
    b'/' * 4095: 0,
    b'/' * 4096: errno.ENAMETOOLONG,
}


@pytest.mark.parametrize('text', PATHS)
def test_paths_lead_where_linux_follows_them(text: bytes) -> None:
    made = machine(entries=[*FILES, Entry(b'dangling', LINK, 1, b'nowhere')])
    assert opened(made, text) == (-PATHS[text] or 3)


def test_forty_symlinks_are_followed_and_no_more() -> None:
    links = [Entry(b'l%d' % n, LINK, 1, b'l%d' % (n + 1)) for n in range(41)]
    made = machine(entries=[*FILES, *links, Entry(b'l41', 0o100644, 1, b'end')])
    assert opened(made, b'/l1') == 3
    assert opened(made, b'/l0') == -errno.ELOOP


def test_the_working_directory(made: Machine) -> None:
    room = made.room()
    assert made.call(GETCWD, room, 100) == 2
    assert made.get(room, 2) == b'/\0'
    assert made.call(CHDIR, path(made, b'etc')) == 0
    assert made.call(GETCWD, room, 5) == 5
    assert made.get(room, 5) == b'/etc\0'
    assert made.call(GETCWD, room, 4) == -errno.ERANGE
    assert content(made, opened(made, b'motd')) == MOTD
    assert made.call(CHDIR, path(made, b'motd')) == -errno.ENOTDIR
    assert made.call(81, opened(made, b'/')) == 0
    assert made.call(GETCWD, room, 100) == 2


def test_descriptors_of_folders_begin_paths(made: Machine) -> None:
    folder = opened(made, b'/etc')
    assert content(made, made.call(OPENAT, folder, path(made, b'motd'), 0)) == MOTD
    assert made.call(OPENAT, 99, path(made, b'motd'), 0) == -errno.EBADF
    assert made.call(OPENAT, 99, path(made, b'/etc/motd'), 0) == 5
    assert made.call(OPENAT, 5, path(made, b'motd'), 0) == -errno.ENOTDIR


# ------------------------------------------------------------------ reading
def test_reading_and_seeking(made: Machine) -> None:
    file = opened(made, b'/etc/motd')
    assert content(made, file, 5) == MOTD[:5]
    assert content(made, file, 100) == MOTD[5:]
    assert content(made, file, 100) == b''
    assert made.call(LSEEK, file, -3, 2) == len(MOTD) - 3
    assert content(made, file) == MOTD[-3:]
    assert made.call(LSEEK, file, -100, 1) == -errno.EINVAL
    assert made.call(LSEEK, file, 1 << 62, 1) > 0
    assert content(made, file) == b''
    assert made.call(LSEEK, file, (1 << 63) - 1, 1) == -errno.EINVAL
    assert made.call(LSEEK, file, 0, 9) == -errno.EINVAL
    room = made.room()
    assert made.call(PREAD, file, room, 5, 7) == 5
    assert made.get(room, 5) == MOTD[7:12]
    assert made.call(PREAD, file, room, 5, -1) == -errno.EINVAL
    assert made.call(PREAD, 0, room, 5, 0) == -errno.ESPIPE
    assert made.call(LSEEK, 1, 0, 0) == -errno.ESPIPE


def test_a_transfer_ends_where_memory_ends(made: Machine) -> None:
    room = made.room(2 * PAGE_BYTES)
    assert made.call(11, room + PAGE_BYTES, PAGE_BYTES) == 0
    edge = room + PAGE_BYTES
    file = opened(made, b'/etc/motd')
    assert made.call(READ, file, edge - 5, 100) == 5
    assert made.get(edge - 5, 5) == MOTD[:5]
    assert made.call(READ, file, edge, 100) == -errno.EFAULT
    assert content(made, file) == MOTD[5:]
    made.put(edge - 6, b'output')
    assert made.call(WRITE, 1, edge - 6, 100) == 6
    assert made.call(WRITE, 2, edge, 1) == -errno.EFAULT
    assert (bytes(made.output), bytes(made.errors)) == (b'output', b'')


def test_input_that_cannot_be_copied_is_not_lost(made: Machine) -> None:
    assert made.call(READ, 0, 0x40_1000, 4) == -errno.EFAULT
    assert content(made, 0, 7) == b'some'  # what the host gave for the first read
    assert content(made, 0, 100) == b' input\n'
    assert content(made, 0, 100) == b''
    assert made.call(READ, 1, made.room(), 1) == -errno.EBADF
    assert made.call(WRITE, 0, made.room(), 1) == -errno.EBADF


def test_parts(made: Machine) -> None:
    room = made.room()
    made.put(room, b'Hello, output!\n')
    made.put(room + 100, struct.pack('<6Q', room, 7, room + 3, 0, room + 7, 8))
    assert made.call(WRITEV, 1, room + 100, 3) == 15
    assert made.output == b'Hello, output!\n'
    assert made.call(READV, opened(made, b'/etc/motd'), room + 100, 3) == len(MOTD)
    assert made.get(room, len(MOTD)) == MOTD
    assert made.call(WRITEV, 1, room + 100, 1025) == -errno.EINVAL
    assert made.call(WRITEV, 1, room + 100, -1) == -errno.EINVAL
    made.put(room + 100, struct.pack('<2Q', room, 1 << 63))
    assert made.call(WRITEV, 1, room + 100, 1) == -errno.EINVAL
    assert made.call(WRITEV, 1, room + 100, 0) == 0


def test_devices(made: Machine) -> None:
    null, zero = opened(made, b'/dev/null', 2), opened(made, b'/dev/zero', 2)
    assert content(made, null) == b''
    room = made.room()
    made.put(room, b'x' * 9)
    assert made.call(READ, zero, room, 9) == 9
    assert made.get(room, 9) == bytes(9)
    assert made.call(WRITE, null, room, 9) == 9
    assert made.call(LSEEK, zero, 100, 0) == 0
    assert made.call(STAT, path(made, b'/dev/null'), room) == 0
    assert struct.unpack('<I', made.get(room + 24, 4)) == (0o020666,)
    assert made.word(room + 40) == 0x103


# ------------------------------------------------------------------ descriptors
def test_the_lowest_free_descriptor_is_given(made: Machine) -> None:
    assert [opened(made, b'/etc/motd') for _ in range(3)] == [3, 4, 5]
    assert made.call(CLOSE, 4) == 0
    assert made.call(DUP, 3) == 4
    assert content(made, 3, 5) == MOTD[:5]
    assert content(made, 4) == MOTD[5:]  # one position
    assert made.call(CLOSE, 3) == 0
    assert made.call(LSEEK, 4, 0, 0) == 0
    assert made.call(CLOSE, 3) == made.call(DUP, 3) == made.call(DUP2, 3, 3) == -errno.EBADF
    assert made.call(DUP2, 4, 4) == 4
    assert made.call(DUP2, 4, 0) == 0
    assert made.call(DUP3, 4, 4, 0) == made.call(DUP3, 4, 5, 1) == -errno.EINVAL
    assert made.call(DUP2, 4, 256) == made.call(DUP2, 4, -1) == -errno.EBADF
    assert made.call(DUP3, 4, 9, O_CLOEXEC) == 9
    assert made.call(FCNTL, 9, 1, 0) == 1
    assert made.call(FCNTL, 4, 0, 20) == 20
    assert made.call(FCNTL, 4, 1030, 20) == 21
    assert made.call(FCNTL, 21, 1, 0) == 1
    assert made.call(FCNTL, 4, 0, 256) == made.call(FCNTL, 4, 99, 0) == -errno.EINVAL


def test_a_table_that_is_full(made: Machine) -> None:
    place = path(made, b'/etc/motd')
    assert [made.call(OPEN, place, 0) for _ in range(253)] == list(range(3, 256))
    assert made.call(OPEN, place, 0) == made.call(DUP, 0) == -errno.EMFILE
    assert made.call(CLOSE, 100) == 0
    assert made.call(OPEN, place, 0) == 100


def listing_of(made: Machine, folder: int) -> list[tuple[bytes, int]]:
    """What getdents64 lists, in small pieces: names and types."""
    room = made.room()
    found = []
    while (nbytes := made.call(GETDENTS64, folder, room, 70)) > 0:
        at, listing = 0, made.get(room, nbytes)
        while at < nbytes:
            inode, _next, length, kind = struct.unpack_from('<QQHB', listing, at)
            assert inode > 0
            assert length % 8 == 0
            found.append((listing[at + 19 : at + length].rstrip(b'\0'), kind))
            at += length
    assert nbytes == 0
    return found


def test_standard_files_are_the_hosts() -> None:
    made = machine(standard=(TERMINAL, TERMINAL, TERMINAL))
    room = made.room()
    assert made.call(IOCTL, 1, 0x5401, room) == 0
    assert made.call(5, 0, room) == 0
    assert struct.unpack('<I', made.get(room + 24, 4)) == (0o020620,)
    assert made.word(room + 40) == 0x8801
    piped = machine()
    assert piped.call(IOCTL, 1, 0x5401, piped.room()) == -errno.ENOTTY
    assert piped.call(IOCTL, 99, 0x5401, 0) == -errno.EBADF


# ------------------------------------------------------------------ folders
def test_folders_are_listed(made: Machine) -> None:
    folder, room = opened(made, b'/'), made.room()
    assert listing_of(made, folder) == [
        (b'.', 4), (b'..', 4), (b'bin', 4), (b'etc', 4), (b'link', 10), (b'loop', 10), (b'upwards', 10),
    ]  # fmt: skip
    assert made.call(LSEEK, folder, 0, 0) == 0
    assert made.call(GETDENTS64, folder, room, 10) == -errno.EINVAL
    assert made.call(GETDENTS64, opened(made, b'/etc/motd'), room, 100) == -errno.ENOTDIR
    assert made.call(READ, folder, room, 10) == -errno.EISDIR


def test_proc_lists_the_descriptors_that_are_open(made: Machine) -> None:
    """One that is closed meanwhile is not listed, and each other one once: programs close all that they find."""
    room = made.room()
    dots = [(b'.', 4), (b'..', 4)]
    folder = opened(made, b'/proc/self/fd', O_DIRECTORY)
    high = made.call(DUP3, 0, 200, 0)
    links = [(b'%d' % descriptor, 10) for descriptor in (0, 1, 2, folder, high)]
    assert listing_of(made, folder) == [*dots, *links]
    assert listing_of(made, opened(made, b'/dev/fd', O_DIRECTORY)) == [*dots, *links[:-1], (b'4', 10), links[-1]]
    assert made.call(LSEEK, folder, 0, 0) == 0
    assert made.call(GETDENTS64, folder, room, 72) == 72  # dots and 0
    assert made.call(CLOSE, 1) == 0
    assert listing_of(made, folder) == [(b'2', 10), (b'3', 10), (b'4', 10), (b'200', 10)]
    assert made.call(LSEEK, folder, 1 << 62, 0) == 1 << 62
    assert listing_of(made, folder) == []


def test_what_stat_tells(made: Machine) -> None:
    room = made.room()
    assert made.call(STAT, path(made, b'/link'), room) == 0
    assert struct.unpack('<I', made.get(room + 24, 4)) == (0o100644,)
    assert (made.word(room + 48), made.word(room + 64), made.word(room + 88)) == (len(MOTD), 8, 7)
    assert made.call(LSTAT, path(made, b'/link'), room) == 0
    assert struct.unpack('<I', made.get(room + 24, 4)) == (0o120777,)
    assert made.call(READLINK, path(made, b'/link'), room, 3) == 3
    assert made.get(room, 3) == b'etc'
    assert made.call(READLINK, path(made, b'/etc'), room, 3) == -errno.EINVAL
    assert made.call(READLINK, path(made, b'/link'), room, 0) == -errno.EINVAL
    assert made.call(READLINK, path(made, b'/proc/self/exe'), room, 100) == len(PROGRAM) + 1
    assert made.get(room, len(PROGRAM) + 1) == b'/' + PROGRAM.encode()
    assert content(made, opened(made, b'/proc/self/cmdline')) == b'program\0one\0'
    assert content(made, opened(made, b'/proc/self/exe'), 64) == SMALL[:64]


# ------------------------------------------------------------------ opening and changing
OPENS: Final = {
    (b'/etc/motd', 1): 0,
    (b'/etc/motd', O_TRUNC): 0,
    (b'/etc/new', O_CREAT | 1): 0,
    (b'/etc/new/', O_CREAT | 1): errno.EISDIR,
    (b'/bin/program', 1): errno.ETXTBSY,
    (b'/etc', O_TMPFILE | 2): errno.EOPNOTSUPP,
    (b'/proc/self/maps', 1): errno.EACCES,
    (b'/nowhere/new', O_CREAT | 1): errno.ENOENT,
    (b'/etc/motd', O_CREAT): 0,
    (b'/etc/motd', O_CREAT | O_EXCL): errno.EEXIST,
    (b'/link', O_CREAT | O_EXCL): errno.EEXIST,
    (b'/etc', 1): errno.EISDIR,
    (b'/etc', O_CREAT): errno.EISDIR,
    (b'/etc/motd', O_DIRECTORY): errno.ENOTDIR,
    (b'/link', O_NOFOLLOW): errno.ELOOP,
    (b'/link', O_NOFOLLOW | O_PATH): 0,
    (b'/dev/null', O_CREAT | O_TRUNC | 2): 0,
}


@pytest.mark.parametrize(('text', 'flags'), OPENS)
def test_how_files_are_opened(made: Machine, text: bytes, flags: int) -> None:
    assert opened(made, text, flags) == (-OPENS[text, flags] or 3)


CHANGES: Final[dict[str, tuple[int, bytes, int | bytes, int]]] = {  # number, the first two arguments, what Linux says
    'mkdir that exists': (83, b'/etc', 0o777, errno.EEXIST),
    'mkdir nowhere': (83, b'/nowhere/new', 0o777, errno.ENOENT),
    'mkdir in a file': (83, b'/etc/motd/new', 0o777, errno.ENOTDIR),
    'mkdir of a dot': (83, b'/etc/.', 0o777, errno.EEXIST),
    'mkdir with a slash': (83, b'/etc/new/', 0o777, 0),
    'mkdir of a symlink': (83, b'/link', 0o777, errno.EEXIST),
    'rmdir of what is full': (84, b'/etc', 0, errno.ENOTEMPTY),
    'rmdir of a file': (84, b'/etc/motd', 0, errno.ENOTDIR),
    'rmdir of a dot': (84, b'/etc/.', 0, errno.EINVAL),
    'rmdir of dots': (84, b'/etc/..', 0, errno.ENOTEMPTY),
    'rmdir of the root': (84, b'/', 0, errno.EBUSY),
    'rmdir of the own': (84, b'/dev', 0, errno.EBUSY),
    'unlink nowhere': (87, b'/etc/nowhere', 0, errno.ENOENT),
    'unlink of a folder': (87, b'/etc', 0, errno.EISDIR),
    'unlink with a slash': (87, b'/etc/motd/', 0, errno.ENOTDIR),
    'unlink of a dot': (87, b'/etc/.', 0, errno.EISDIR),
    'mknod of a folder': (133, b'/new', 0o040777, errno.EPERM),
    'mknod of nothing': (133, b'/new', 0o170777, errno.EINVAL),
    'truncate of a folder': (76, b'/etc', 1, errno.EISDIR),
    'truncate below 0': (76, b'/etc/motd', -1, errno.EINVAL),
    'truncate of what runs': (76, b'/bin/program', 0, errno.ETXTBSY),
    'truncate to more than there is memory': (76, b'/etc/motd', 1 << 35, 0),
    'truncate to far too much': (76, b'/etc/motd', 1 << 50, errno.EFBIG),
    'rename into itself': (82, b'/etc', b'/etc/motd/x', errno.ENOTDIR),
    'rename below itself': (82, b'/etc', b'/etc/new', errno.EINVAL),
    'rename of a folder over a file': (82, b'/bin', b'/etc/motd', errno.ENOTDIR),
    'rename of a file over a folder': (82, b'/etc/motd', b'/bin', errno.EISDIR),
    'rename of a folder over a full one': (82, b'/bin', b'/etc', errno.ENOTEMPTY),
    'rename over its own folder': (82, b'/etc/motd', b'/etc', errno.EISDIR),
    'rename nowhere': (82, b'/nowhere', b'/new', errno.ENOENT),
    'rename to nowhere': (82, b'/etc/motd', b'/nowhere/new', errno.ENOENT),
    'rename of a file to a slash': (82, b'/etc/motd', b'/new/', errno.ENOTDIR),
    'rename of a folder to a slash': (82, b'/etc', b'/new/', 0),
    'rename of a dot': (82, b'/etc/.', b'/new', errno.EBUSY),
    'rename of the root': (82, b'/', b'/new', errno.EBUSY),
    'rename of the own': (82, b'/dev', b'/new', errno.EBUSY),
    'link of a folder': (86, b'/etc', b'/new', errno.EPERM),
    'link over a file': (86, b'/etc/motd', b'/link', errno.EEXIST),
    'symlink over a file': (88, b'x', b'/link', errno.EEXIST),
    'symlink with a slash': (88, b'x', b'/new/', errno.ENOENT),
    'symlink to nothing': (88, b'', b'/new', errno.ENOENT),
}


@pytest.mark.parametrize('name', CHANGES)
def test_changes_follow_the_rules_of_linux(made: Machine, name: str) -> None:
    number, text, second, expected = CHANGES[name]
    first = path(made, text)
    result = made.call(number, first, path(made, second) if isinstance(second, bytes) else second)
    assert errno.errorcode.get(-result, result) == errno.errorcode.get(expected, expected)
    assert files.check(made.k) == 0


def test_times_of_files_follow_the_clock_however_fast_its_counter_counts(made: Machine) -> None:
    made.k.tasks.flags |= CLOCK_IS_TSC
    made.k.tasks.counter_rate = 2_000_000  # two in a nanosecond
    made.sim.computer.cpu.tsc = 10_000_000_000
    opened(made, b'/etc/new', O_CREAT | 1)
    room = made.room()
    assert made.call(STAT, path(made, b'/etc/new'), room) == 0
    assert made.word(room + 88) == made.k.tasks.start_seconds + 5 == made.call(TIME, 0)


def test_access(made: Machine) -> None:
    place = path(made, b'/etc/motd')
    assert [made.call(ACCESS, place, wanted) for wanted in (0, 4, 2, 1, 8)] == [
        0, 0, 0, -errno.EACCES, -errno.EINVAL,
    ]  # fmt: skip
    assert made.call(ACCESS, path(made, b'/etc'), 1) == 0
    assert made.call(ACCESS, path(made, b'/dev/null'), 6) == 0


@pytest.mark.parametrize(('first', 'rest'), [(5, 100), (0, 100), (3, 2), (11, 0), (100, 100)])
def test_a_read_in_parts_does_not_wait_for_more_than_has_come(
    made: Machine, monkeypatch: pytest.MonkeyPatch, first: int, rest: int
) -> None:
    """A pipe's writer may wait for an answer: what is there is taken, and the host is asked once."""
    asked = []
    ask_input = channels.ask_input

    def counted(k: Kernel, nbytes: int) -> None:
        asked.append(nbytes)
        ask_input(k, nbytes)

    monkeypatch.setattr(channels, 'ask_input', counted)
    room = made.room()
    made.put(room, struct.pack('<QQQQ', room + 1000, first, room + 2000, rest))
    wanted = min(first + rest, 11)
    assert made.call(READV, 0, room, 2) == wanted
    assert (
        made.get(room + 1000, min(first, wanted)) + made.get(room + 2000, wanted - min(first, wanted))
        == (b'some input\n'[:wanted])
    )
    assert asked == [first + rest]
    made.put(room, struct.pack('<QQQQ', room + 1000, 0, room + 2000, 0))
    assert made.call(READV, 0, room, 2) == 0
    assert len(asked) == 1
