"""Each call that takes a pointer, with each kind of bad one: an error, and nothing of the kernel has changed."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest

from incroos.kernel import files, heap, pmm, vm
from incroos.kernel.layout import DIRECT_MAP_START, PAGE_BYTES
from incroos.kernel.state import File, table_of, whereabouts_of
from incroos.kernel.task.actions import flags_of, handler_of

from .programs import HOLE, TERMINAL, Machine, machine

EFAULT: Final = -14
HERE: Final = -100
TEXT: Final = 0x40_1000  # of the program: readable, not writable

BAD: Final = {
    'null': 0,
    'kernel': DIRECT_MAP_START,
    'image': -(2 << 30) + 0x10_0000,
    'hole of addresses': 0x8000_0000_0000,
    'last page': 0x7FFF_FFFF_F000,
    'not mapped': HOLE,
    'wrapping': -8,
    'end of positive words': (1 << 63) - 4,
    'start of negative words': -1 << 63,
}


class Pointer(NamedTuple):
    """A pointer among a call's arguments."""

    is_output: bool = False
    may_be_null: bool = False


IN: Final = Pointer()
OUT: Final = Pointer(is_output=True)
IN_OR_NULL: Final = Pointer(may_be_null=True)
OUT_OR_NULL: Final = Pointer(is_output=True, may_be_null=True)

CALLS: Final = {  # by name: the number and the arguments; 3 is an open file, 4 a folder
    'read': (0, 3, OUT, 16),
    'read zeros': (0, 5, OUT, 100_000),
    'write': (1, 1, IN, 16),
    'open': (2, IN, 0),
    'stat': (4, IN, 'room'),
    'stat to': (4, 'path', OUT),
    'fstat': (5, 3, OUT),
    'lstat': (6, 'path', OUT),
    'poll': (7, OUT, 2, 0),
    'rt_sigaction': (13, 10, IN_OR_NULL, 0, 8),
    'rt_sigaction to': (13, 10, 0, OUT_OR_NULL, 8),
    'rt_sigprocmask': (14, 0, IN_OR_NULL, 0, 8),
    'rt_sigprocmask to': (14, 0, 0, OUT_OR_NULL, 8),
    'ioctl': (16, 0, 0x5401, OUT),
    'ioctl window': (16, 0, 0x5413, OUT),
    'ioctl bytes': (16, 3, 0x541B, OUT),
    'pread64': (17, 3, OUT, 16, 0),
    'readv': (19, 3, IN, 1),
    'writev': (20, 1, IN, 1),
    'access': (21, IN, 0),
    'select': (23, 3, OUT_OR_NULL, 0, 0, 'span'),
    'select span': (23, 0, 0, 0, 0, IN_OR_NULL),
    'nanosleep': (35, IN, 0),
    'statfs': (137, IN, 'room'),
    'statfs to': (137, 'path', OUT),
    'fstatfs': (138, 3, OUT),
    'getxattr': (191, IN, 'path', 0, 0),
    'uname': (63, OUT),
    'getcwd': (79, OUT, 100),
    'chdir': (80, IN),
    'rename': (82, IN, 'path'),
    'mkdir': (83, IN, 0),
    'rmdir': (84, IN),
    'creat': (85, IN, 0),
    'unlink': (87, IN),
    'symlink': (88, 'path', IN),
    'memfd_create': (319, IN, 0),
    'readlink': (89, IN, 'room', 100),
    'readlink to': (89, 'link', OUT, 100),
    'gettimeofday': (96, OUT_OR_NULL, 0),
    'gettimeofday zone': (96, 0, OUT_OR_NULL),
    'getrlimit': (97, 3, OUT),
    'getrusage': (98, 0, OUT),
    'sysinfo': (99, OUT),
    'times': (100, OUT_OR_NULL),
    'getresuid': (118, 'room', 'room', OUT),
    'getresgid': (120, OUT, 'room', 'room'),
    'rt_sigpending': (127, OUT, 8),
    'sigaltstack': (131, IN_OR_NULL, 0),
    'sigaltstack to': (131, 0, OUT_OR_NULL),
    'prctl name': (157, 15, IN),
    'prctl get': (157, 16, OUT),
    'arch_prctl get': (158, 0x1003, OUT),
    'setrlimit': (160, 4, IN),
    'setgroups': (116, 2, IN),
    'time': (201, OUT_OR_NULL),
    'sched_getaffinity': (204, 0, 8, OUT),
    'getdents64': (217, 4, OUT, 1000),
    'clock_gettime': (228, 1, OUT),
    'clock_getres': (229, 1, OUT_OR_NULL),
    'clock_nanosleep': (230, 1, 0, IN, 0),
    'openat': (257, HERE, IN, 0),
    'newfstatat': (262, HERE, IN, 'room', 0),
    'newfstatat to': (262, HERE, 'path', OUT, 0),
    'newfstatat empty': (262, 3, 'empty', OUT, 0x1000),
    'readlinkat': (267, HERE, 'link', OUT, 50),
    'faccessat': (269, HERE, IN, 0),
    'ppoll': (271, OUT, 1, 'span'),
    'ppoll span': (271, 'room', 0, IN_OR_NULL),
    'pselect6': (270, 1, OUT_OR_NULL, 0, 0, 'span'),
    'prlimit64': (302, 0, 3, IN_OR_NULL, 0),
    'prlimit64 to': (302, 0, 3, 0, OUT_OR_NULL),
    'getcpu': (309, OUT_OR_NULL, OUT_OR_NULL),
    'getrandom': (318, OUT, 100, 0),
    'statx': (332, HERE, IN, 0, 0x7FF, 'room'),
    'statx to': (332, HERE, 'path', 0, 0x7FF, OUT),
    'faccessat2': (439, HERE, IN, 0, 0),
}


class Ready(NamedTuple):
    """A machine whose descriptors 3, 4 and 5 are open, and places in its memory."""

    machine: Machine
    places: dict[str, int]
    edge: int  # the end of what is mapped there


@pytest.fixture(scope='module')
def ready() -> Iterator[Ready]:
    made = machine(standard=(TERMINAL,) * 3)
    room = made.room(PAGE_BYTES * 2)
    assert made.call(11, room + PAGE_BYTES, PAGE_BYTES) == 0
    for at, text in ((0, b'/etc/motd'), (100, b'/link'), (200, b'/etc'), (300, b'/dev/zero'), (400, b'')):
        made.put(room + at, text + b'\0')
    made.put(room + 1000, bytes(16))
    places = {
        'page': room,
        'path': room,
        'link': room + 100,
        'empty': room + 400,
        'room': room + 2000,
        'span': room + 1000,
    }
    assert [made.call(2, room + at, 0) for at in (0, 200, 300)] == [3, 4, 5]
    yield Ready(made, places, room + PAGE_BYTES)
    assert vm.check(made.k) == pmm.check(made.k) == heap.check(made.k) == files.check(made.k) == 0


def cases() -> list[tuple[str, int, str]]:
    """Call, which of its pointers, and which bad one it is."""
    found = []
    for name, (_number, *arguments) in CALLS.items():
        for index, kind in enumerate(arguments):
            if isinstance(kind, Pointer):
                found += [(name, index, bad) for bad in BAD if bad != 'null' or not kind.may_be_null]
                found += [(name, index, 'straddling')]
                found += [(name, index, 'read-only')] if kind.is_output else []
    return found


def state_of(made: Machine) -> tuple[object, ...]:
    """What of the kernel a refused call leaves as it was: all that is known but pages, calls and time."""
    task, user = made.task, made.user
    opened = []
    table = table_of(task)
    for index in range(table.end_descriptors):
        at = table.descriptors[index].file
        opened.append((at, File(made.k.m, at).position, File(made.k.m, at).nr_users) if at else at)
    actions = [(handler_of(task, signal), flags_of(task, signal)) for signal in range(1, 65)]
    limits = (user.limit_address_space, user.limit_data, user.limit_stack)
    ranges = (user.nr_ranges, user.nr_pages, user.brk)
    stack = [task.alternate_stack[index] for index in range(3)]
    name = [task.name[index] for index in range(2)]
    where = whereabouts_of(task)
    masks = (task.blocked, task.pending.signals, task.shared.signals, task.clear_on_exit, where.umask, where.folder)
    return opened, actions, limits, ranges, stack, name, masks, heap.used_bytes(made.k)


def word_of(ready: Ready, argument: object) -> int:
    """An argument; other pointers than the bad one are good."""
    if isinstance(argument, int):
        return argument
    return ready.places[argument if isinstance(argument, str) else 'room']


@pytest.mark.parametrize(('name', 'index', 'bad'), cases(), ids=lambda value: str(value))
def test_a_bad_pointer_is_an_error(ready: Ready, name: str, index: int, bad: str) -> None:
    made, arguments = ready.machine, CALLS[name]
    words = [word_of(ready, argument) for argument in arguments]
    words[index + 1] = {'straddling': ready.edge - 1, 'read-only': TEXT}.get(bad, BAD.get(bad, 0))
    made.put(ready.edge - 16, b'x' * 16)
    made.get(TEXT, 1)  # whose page has a frame from now on
    before = state_of(made)
    result = made.call(*words)
    if bad == 'straddling' and result == 1:  # a transfer of bytes ends before the bad page
        made.call(8, 3, 0, 0)
    else:
        assert result == EFAULT, name
    assert state_of(made) == before
