"""Calls on the terminal, made one by one: what is typed comes by a pipe."""

import os
import struct
from collections.abc import Iterator
from errno import EAGAIN, EFAULT, EINVAL, EIO, ENOTTY, ENXIO, EPERM, ESRCH
from typing import Final

import pytest

from incroos.kernel.files import terminal_modes as modes
from incroos.kernel.files.terminal import terminal_of
from incroos.kernel.state import BY_SIGNAL, CHECK_IN_THE_END, INTERACTIVE, RECORD_CHECK, RECORD_END, Kernel
from incroos.kernel.state.terminal import QUEUE_BYTES, Terminal
from incroos.kernel.task import schedule, waiting
from incroos.run.records import Told

from .programs import HOLE, Machine, machine

READ, WRITE, OPEN, POLL, IOCTL, ACTION, MASK, SLEEP = 0, 1, 2, 7, 16, 13, 14, 35
GET_MODES, SET_MODES, SET_MODES_AND_FLUSH, FLUSH, FLOW = 0x5401, 0x5402, 0x5404, 0x540B, 0x540A
TAKE_CONTROL, GET_GROUP, SET_GROUP, TYPE_BYTE, GET_WINDOW, SET_WINDOW = 0x540E, 0x540F, 0x5410, 0x5412, 0x5413, 0x5414
NR_READABLE, GIVE_UP_CONTROL, GET_SESSION, KEYBOARD_TYPE = 0x541B, 0x5422, 0x5429, 0x4B33
READ_WRITE, NOT_TERMINAL, NONBLOCK = 2, 0o400, 0o4000
SIGHUP, SIGINT, SIGTTIN, SIGTTOU = 1, 2, 21, 22
FIRST: Final = 2
OTHER_GROUP: Final = 99


class Typed:
    """A machine at whose terminal a test types."""

    def __init__(self) -> None:
        source, self._keyboard = os.pipe()
        self.made: Machine = machine(given=source, flags=INTERACTIVE | CHECK_IN_THE_END, rows=30, columns=100)
        self._source = source
        self.room = self.made.room()

    def close(self) -> None:
        os.close(self._source)
        self.hang_up()

    def hang_up(self) -> None:
        if self._keyboard >= 0:
            os.close(self._keyboard)
        self._keyboard = -1

    @property
    def terminal(self) -> Terminal:
        return terminal_of(self.made.k)

    def type(self, data: bytes) -> None:
        os.write(self._keyboard, data)

    def read(self, nbytes: int = 1000, descriptor: int = 0) -> bytes | int:
        """What a read gives; the error, negative."""
        done = self.made.call(READ, descriptor, self.room, nbytes)
        return self.made.get(self.room, done) if done >= 0 else done

    def write(self, data: bytes) -> int:
        self.made.put(self.room, data)
        return self.made.call(WRITE, 1, self.room, len(data))

    def ioctl(self, request: int, argument: int | bytes = 0, descriptor: int = 0) -> int:
        if isinstance(argument, bytes):
            self.made.put(self.room, argument)
            argument = self.room
        return self.made.call(IOCTL, descriptor, request, argument)

    def get(self, request: int, nbytes: int) -> bytes:
        assert self.ioctl(request, self.room) == 0
        return self.made.get(self.room, nbytes)

    def set_local(self, on: int = 0, off: int = 0, least: int = 1, time: int = 0) -> int:
        """Change the local modes, and how a raw read waits."""
        own = bytearray(self.get(GET_MODES, 36))
        local = int.from_bytes(own[12:16], 'little') & ~off | on
        own[12:16] = local.to_bytes(4, 'little')
        own[17 + modes.TIME], own[17 + modes.LEAST] = time, least
        return self.ioctl(SET_MODES, bytes(own))

    def pass_time(self) -> None:
        """Sleep a microsecond: what was typed before is looked at."""
        self.made.put(self.room, struct.pack('<QQ', 0, 1000))
        assert self.made.call(SLEEP, self.room, 0) == 0

    def poll(self) -> int:
        """What can be done with descriptor 0."""
        self.made.put(self.room, struct.pack('<ihh', 0, 0x41 | 0x104, 0))
        self.made.call(POLL, self.room, 1, 0)
        return int.from_bytes(self.made.get(self.room + 6, 2), 'little')


@pytest.fixture
def typed() -> Iterator[Typed]:
    made = Typed()
    yield made
    made.close()


def ended_by(records: list[Told]) -> int:
    """The signal that ended the program; nothing of it, or of the terminal, is left."""
    (check,) = (record for record in records if record.kind == RECORD_CHECK)
    assert check.words[:3] == (0, 0, 0)
    (end,) = (record for record in records if record.kind == RECORD_END)
    assert end.number == BY_SIGNAL
    return end.words[0]


# ------------------------------------------------------------------ reading and writing
def test_a_line_is_edited_echoed_and_read(typed: Typed) -> None:
    typed.type(b'ab\x7fc\r')
    assert typed.read() == b'ac\n'
    assert typed.made.output == b'ab\b \bc\r\n'


def test_a_line_is_read_in_parts(typed: Typed) -> None:
    typed.type(b'abc\nd\n')
    assert [typed.read(2) for _ in range(3)] == [b'ab', b'c\n', b'd\n']


def test_the_end_of_a_file_is_typed(typed: Typed) -> None:
    typed.type(b'ab\x04\x04')
    assert typed.read() == b'ab'
    assert typed.read() == b''


def test_what_is_written_is_processed(typed: Typed) -> None:
    assert typed.write(b'one\ntwo') == 7
    assert typed.made.output == b'one\r\ntwo'


def test_a_bad_pointer_loses_no_byte(typed: Typed) -> None:
    typed.type(b'ab\n')
    assert typed.made.call(READ, 0, HOLE, 3) == -EFAULT
    assert typed.made.call(WRITE, 1, HOLE, 3) == -EFAULT
    assert typed.read() == b'ab\n'


def test_more_is_typed_than_fits(typed: Typed) -> None:
    lines = b''.join(b'%d\n' % number for number in range(3000))
    assert len(lines) > 3 * QUEUE_BYTES
    typed.type(lines)
    taken = b''
    while len(taken) < len(lines):
        part = typed.read()
        assert isinstance(part, bytes)
        assert part.endswith(b'\n')
        taken += part
    assert taken == lines


def test_a_key_is_seen_behind_what_nobody_reads(typed: Typed) -> None:
    typed.type(b'x\n' * QUEUE_BYTES + b'\x03')
    records = typed.made.end(34)  # pause
    assert ended_by(records) == SIGINT


def test_output_stops_and_goes_on(typed: Typed) -> None:
    assert typed.ioctl(FLOW, 0) == 0
    made = typed.made
    assert made.call(72, 1, 4, READ_WRITE | NONBLOCK) == 0  # fcntl: F_SETFL
    assert typed.write(b'ab') == -EAGAIN
    assert typed.ioctl(FLOW, 1) == 0
    assert typed.write(b'cd') == 2
    assert made.output == b'cd'
    assert typed.ioctl(FLOW, 4) == -EINVAL


@pytest.mark.parametrize(
    ('least', 'time', 'text', 'read'),
    [(0, 0, b'', b''), (0, 1, b'', b''), (0, 1, b'ab', b'ab'), (3, 1, b'ab', b'ab'), (2, 0, b'abc', b'abc')],
)
def test_a_raw_read_waits_as_it_is_told(typed: Typed, least: int, time: int, text: bytes, read: bytes) -> None:
    assert typed.set_local(off=modes.LINES | modes.ECHO, least=least, time=time) == 0
    if text:
        typed.type(text)
    typed.pass_time()
    before = typed.made.k.tasks.clock
    assert typed.read() == read
    waited = typed.made.k.tasks.clock - before
    assert (waited >= 100_000_000) == (time != 0 and len(read) < max(least, 1))


@pytest.mark.parametrize(('least', 'text'), [(0, b''), (3, b'ab')])
def test_a_raw_read_that_is_woken_early_waits_for_the_rest_of_its_time(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, least: int, text: bytes
) -> None:
    """Another task may change the terminal meanwhile."""
    look_around, woken = schedule.look_around, [0]

    def wake_early(k: Kernel) -> None:
        look_around(k)
        if typed.made.task.deadline != 0 and k.tasks.clock > woken[-1] + 20_000_000:
            woken.append(k.tasks.clock)
            waiting.wake_all(k, typed.terminal.addr)

    assert typed.set_local(off=modes.LINES | modes.ECHO, least=least, time=1) == 0
    typed.type(text)
    typed.pass_time()
    before = typed.made.k.tasks.clock
    monkeypatch.setattr(schedule, 'look_around', wake_early)
    assert typed.read() == text
    assert len(woken) > 2
    assert 100_000_000 <= typed.made.k.tasks.clock - before < 120_000_000


# ------------------------------------------------------------------ settings
def test_settings_are_kept(typed: Typed) -> None:
    before = typed.get(GET_MODES, 36)
    assert before[:17] == struct.pack('<IIIIB', 0o2400, 5, 0o277, 0o105073, 0)
    assert before[17:] == b'\x03\x1c\x7f\x15\x04\0\1\0\x11\x13\x1a\0\x12\x0f\x17\x16\0\0\0'
    changed = bytes(range(36))
    assert typed.ioctl(SET_MODES, changed) == 0
    assert typed.get(GET_MODES, 36) == changed


def test_settings_with_a_flush_forget_what_was_typed(typed: Typed) -> None:
    own = typed.get(GET_MODES, 36)
    typed.type(b'old\n')
    typed.pass_time()
    assert typed.ioctl(SET_MODES_AND_FLUSH, own) == 0
    typed.type(b'new\n')
    assert typed.read() == b'new\n'


def test_the_window_has_a_size(typed: Typed) -> None:
    assert struct.unpack('<4H', typed.get(GET_WINDOW, 8)) == (30, 100, 0, 0)
    assert typed.ioctl(SET_WINDOW, struct.pack('<4H', 24, 80, 5, 6)) == 0
    assert struct.unpack('<4H', typed.get(GET_WINDOW, 8)) == (24, 80, 5, 6)
    typed.type(struct.pack('<BBHH', 0xFF, 1, 255, 0xFFFF) + b'x\xff\xffy\n')
    assert typed.read() == b'x\xffy\n'
    assert struct.unpack('<4H', typed.get(GET_WINDOW, 8)) == (255, 0xFFFF, 5, 6)


def test_bytes_that_can_be_read_are_counted_and_flushed(typed: Typed) -> None:
    typed.type(b'ab\ncd')
    assert typed.read(1) == b'a'
    assert typed.get(NR_READABLE, 4) == (2).to_bytes(4, 'little')
    assert typed.poll() == 0x41 | 0x104
    assert typed.ioctl(FLUSH, 0) == 0
    assert typed.get(NR_READABLE, 4) == bytes(4)
    assert typed.poll() == 0x104
    assert typed.ioctl(FLUSH, 3) == -EINVAL


def test_what_no_terminal_here_can_do_is_refused(typed: Typed) -> None:
    assert typed.ioctl(KEYBOARD_TYPE, typed.room) == -ENOTTY
    assert typed.ioctl(TYPE_BYTE, b'x') == -EIO


@pytest.mark.parametrize('request_', [GET_MODES, SET_MODES, GET_WINDOW, SET_WINDOW, GET_GROUP, SET_GROUP, GET_SESSION])
def test_bad_pointers(typed: Typed, request_: int) -> None:
    assert typed.ioctl(request_, int(HOLE)) == -EFAULT


# ------------------------------------------------------------------ sessions and groups
def test_the_first_program_is_in_the_foreground(typed: Typed) -> None:
    assert typed.get(GET_GROUP, 4) == FIRST.to_bytes(4, 'little')
    assert typed.get(GET_SESSION, 4) == FIRST.to_bytes(4, 'little')
    assert typed.ioctl(SET_GROUP, FIRST.to_bytes(4, 'little')) == 0
    assert typed.ioctl(SET_GROUP, (77).to_bytes(4, 'little')) == -ESRCH
    assert typed.ioctl(SET_GROUP, b'\xff' * 4) == -EINVAL


def open_path(typed: Typed, path: bytes, flags: int) -> int:
    typed.made.put(typed.room, path + b'\0')
    return typed.made.call(OPEN, typed.room, flags, 0)


def test_a_terminal_is_given_up_and_taken(typed: Typed) -> None:
    assert open_path(typed, b'/dev/tty', READ_WRITE) == 3
    assert typed.made.call(ACTION, SIGHUP, typed.room, 0, 8) == 0
    typed.made.put(typed.room, (1).to_bytes(8, 'little') + bytes(24))
    assert typed.made.call(ACTION, SIGHUP, typed.room, 0, 8) == 0  # ignored
    assert typed.ioctl(GIVE_UP_CONTROL) == 0
    assert typed.ioctl(GIVE_UP_CONTROL) == -ENOTTY
    assert typed.ioctl(GET_GROUP, typed.room) == -ENOTTY
    assert open_path(typed, b'/dev/tty', READ_WRITE) == -ENXIO
    assert open_path(typed, b'/dev/console', READ_WRITE | NOT_TERMINAL) == 4
    assert open_path(typed, b'/dev/tty', READ_WRITE) == -ENXIO
    assert open_path(typed, b'/dev/tty0', READ_WRITE) == 5
    assert open_path(typed, b'/dev/tty', READ_WRITE) == 6
    assert typed.get(GET_GROUP, 4) == FIRST.to_bytes(4, 'little')
    assert typed.ioctl(TAKE_CONTROL) == 0
    typed.terminal.session = OTHER_GROUP
    assert typed.ioctl(TAKE_CONTROL) == -EPERM


def test_nobody_lets_an_orphaned_group_go_on(typed: Typed) -> None:
    own = typed.get(GET_MODES, 36)
    typed.type(b'ab\n')
    typed.pass_time()
    typed.terminal.foreground = OTHER_GROUP
    assert typed.read() == -EIO
    assert typed.ioctl(SET_MODES, own) == -EIO
    assert typed.ioctl(SET_GROUP, FIRST.to_bytes(4, 'little')) == -ENOTTY
    assert typed.write(b'x') == 1
    typed.terminal.local_modes |= modes.STOP_BACKGROUND
    assert typed.write(b'y') == -EIO


@pytest.mark.parametrize('how', ['ignored', 'blocked'])
def test_a_signal_that_nobody_takes_stops_nobody(typed: Typed, how: str) -> None:
    own = typed.get(GET_MODES, 36)
    for signal in (SIGTTIN, SIGTTOU):
        typed.made.put(typed.room, (1).to_bytes(8, 'little') + bytes(24))
        if how == 'ignored':
            assert typed.made.call(ACTION, signal, typed.room, 0, 8) == 0
        else:
            typed.made.put(typed.room, (1 << (signal - 1)).to_bytes(8, 'little'))
            assert typed.made.call(MASK, 0, typed.room, 0, 8) == 0
    typed.terminal.foreground = OTHER_GROUP
    typed.terminal.local_modes |= modes.STOP_BACKGROUND
    assert typed.read() == -EIO
    assert typed.write(b'x') == 1
    assert typed.ioctl(SET_MODES, own) == 0


# ------------------------------------------------------------------ signals
def test_a_key_ends_the_program(typed: Typed) -> None:
    typed.type(b'ab\x03')
    records = typed.made.end(READ, 0, typed.room, 10)
    assert ended_by(records) == SIGINT
    assert typed.made.output == b'ab^C'


def test_a_hang_up_ends_the_program(typed: Typed) -> None:
    typed.hang_up()
    records = typed.made.end(READ, 0, typed.room, 10)
    assert ended_by(records) == SIGHUP


def test_who_outlives_a_hang_up_has_no_terminal(typed: Typed) -> None:
    typed.made.put(typed.room, (1).to_bytes(8, 'little') + bytes(24))
    assert typed.made.call(ACTION, SIGHUP, typed.room, 0, 8) == 0
    typed.hang_up()
    assert typed.read() == b''
    assert typed.write(b'x') == -EIO
