"""exec: another program in the same task; what fails leaves the old one whole."""

import errno
import struct
from typing import Final

import pytest

from incroos.kernel.files import file_at
from incroos.kernel.state import UserSpace
from incroos.kernel.task.actions import actions_of
from incroos.run.archive import Entry

from ..abi.programs import CONTENT, REGULAR, SEGMENTS, SMALL, Machine, elf
from .tasks import EXECVE, FORK, VFORK, WAIT4, YIELD, check, free, number, put_texts, refusals, ring, started

OPENAT: Final = 257
CLOSE_ON_EXEC: Final = 0o2000000
SIGACTION: Final = 13
SIGPROCMASK: Final = 14
HERE: Final = -100 & (1 << 64) - 1
LONG: Final = b'#!/' + b'x' * 300
SCRIPTS: Final = (
    Entry(b'script', REGULAR, 8, b'#! /bin/other \t with  an argument\t \nnot read'),
    Entry(b'plain', REGULAR, 8, b'#!/bin/other'),
    Entry(b'bare', REGULAR, 8, b'#!  \n'),
    Entry(b'empty', REGULAR, 8, b'#!'),
    Entry(b'zero', REGULAR, 8, b'#! \0/bin/other\n'),
    Entry(b'blank', REGULAR, 8, b'#!' + b' ' * 300),
    Entry(b'lost', REGULAR, 8, b'#!/bin/nothing\n'),
    Entry(b'long', REGULAR, 8, LONG),
    Entry(b'cut', REGULAR, 8, b'#!/bin/other ' + b'a' * 300),
    Entry(b'own', REGULAR, 8, b'#!/own\n'),
    Entry(b's1', REGULAR, 8, b'#!/plain\n'),
    Entry(b's2', REGULAR, 8, b'#!/s1 two\n'),
    Entry(b's3', REGULAR, 8, b'#!/s2\n'),
    Entry(b's4', REGULAR, 8, b'#!/s3 four\n'),
    Entry(b's5', REGULAR, 8, b'#!/s4\n'),
)
OTHER: Final = elf(SEGMENTS, entry=0x40_1010, content=CONTENT)
FILES: Final = (
    Entry(b'bin/other', REGULAR, 8, OTHER),
    Entry(b'bin/text', REGULAR, 8, b'echo no program\n'),
    Entry(b'bin/locked', 0o100644, 8, SMALL),
    *SCRIPTS,
)


def execve(
    made: Machine, path: bytes, arguments: tuple[bytes, ...] = (b'a', b'b'), variables: tuple[bytes, ...] = ()
) -> int:
    """Call it with texts that are put into fresh memory first."""
    room = made.room(1 << 20)
    made.put(room, path + b'\0')
    argv = put_texts(made, room + 0x2000, arguments)
    envp = put_texts(made, room + 0x8_0000, variables)
    return made.call(EXECVE, room, argv, envp)


def texts(made: Machine) -> tuple[list[bytes], list[bytes], dict[int, int]]:
    """Arguments, environment and auxiliary vector as the new program finds them."""
    at = made.regs.rsp
    found: list[list[bytes]] = []
    nr_arguments, at = made.word(at), at + 8
    for _ in range(2):
        found.append([])
        while made.word(at):
            found[-1].append(made.text(made.word(at)))
            at += 8
        at += 8
    pairs = struct.iter_unpack('<2Q', made.get(at, 16 * 19))
    assert nr_arguments == len(found[0])
    return found[0], found[1], dict(pairs)


def test_the_new_program_begins_as_a_first_one_does() -> None:
    made = started(FILES)
    made.regs.rbx, made.regs.r15 = 7, 8
    assert execve(made, b'/bin/other', (b'other', b'', b'x' * 5000), (b'A=1', b'B=')) == 0
    assert (made.regs.rip, made.regs.rbx, made.regs.r15, made.regs.rsp % 16) == (0x40_1010, 0, 0, 0)
    arguments, variables, auxiliary = texts(made)
    assert (arguments, variables) == ([b'other', b'', b'x' * 5000], [b'A=1', b'B='])
    assert made.text(auxiliary[31]) == b'/bin/other'
    room = made.room()
    made.call(16 + 141, 16, room)  # prctl(PR_GET_NAME)
    assert made.get(room, 6) == b'other\0'
    made.put(room, b'/proc/self/exe\0')
    assert made.get(room + 64, made.call(89, room, room + 64, 64)) == b'/bin/other'
    assert (number(made), ring(made.k)) == (2, [2])
    check(made)


def test_what_stays_and_what_does_not() -> None:
    made = started(FILES)
    room = made.room()
    made.put(room, b'/etc/motd\0')
    assert made.call(OPENAT, HERE, room, 0) == 3
    assert made.call(OPENAT, HERE, room, CLOSE_ON_EXEC) == 4
    for signal, handler in ((10, 0x40_1000), (12, 1)):
        made.put(room, struct.pack('<4Q', handler, 0x0400_0000, 0x40_1000, 0))
        assert made.call(SIGACTION, signal, room, 0, 8) == 0
    made.put(room, struct.pack('<Q', 1 << 11))
    assert made.call(SIGPROCMASK, 0, room, 0, 8) == 0
    assert execve(made, b'/bin/other') == 0
    assert [file_at(made.task, index) != 0 for index in range(5)] == [True] * 4 + [False]
    assert [actions_of(made.task).actions[signal - 1].handler for signal in (10, 12)] == [0, 1]
    assert made.task.blocked == 1 << 11
    check(made)


@pytest.mark.parametrize(
    ('path', 'error'),
    [
        (b'/nothing', errno.ENOENT),
        (b'', errno.ENOENT),
        (b'/bin', errno.EACCES),
        (b'/bin/locked', errno.EACCES),
        (b'/bin/text', errno.ENOEXEC),
        (b'/bin/text/more', errno.ENOTDIR),
        (b'/loop', errno.ELOOP),
        (b'/bare', errno.ENOEXEC),
        (b'/empty', errno.EACCES),
        (b'/zero', errno.EACCES),
        (b'/blank', errno.ENOEXEC),
        (b'/long', errno.ENOEXEC),
        (b'/lost', errno.ENOENT),
        (b'/own', errno.ELOOP),
        (b'/s5', errno.ELOOP),
        (b'/' + b'x' * 5000, errno.ENAMETOOLONG),
    ],
)
def test_what_cannot_be_executed_leaves_the_caller_whole(path: bytes, error: int) -> None:
    made = started(FILES)
    space, rip = made.task.space, made.regs.rip
    assert execve(made, path) == -error
    assert (made.task.space, made.regs.rip, number(made)) == (space, rip, 2)
    assert made.get(0x40_2000, 4) == b'data'
    check(made)


def test_texts_that_are_too_long_or_not_there() -> None:
    made = started(FILES)
    assert execve(made, b'/bin/other', (b'a', b'x' * (128 << 10))) == -errno.E2BIG
    room = made.room(4 << 20)
    made.put(room, b'/bin/other\0')
    assert made.call(EXECVE, room, 8, 0) == -errno.EFAULT
    assert made.call(EXECVE, room, room + 1, 0) == -errno.EFAULT
    made.put(room + 64, struct.pack('<4096Q', *([room] * 4095), 0))
    made.put(room + 0x1_0000, b'y' * 2000 + b'\0')
    made.put(room + 0x2_0000, struct.pack('<2048Q', *([room + 0x1_0000] * 2047), 0))
    assert made.call(EXECVE, room, room + 64, room + 0x2_0000) == -errno.E2BIG
    assert made.call(EXECVE, room, room + 64, 0) == 0
    assert len(texts(made)[0]) == 4095


def test_without_arguments_there_is_an_empty_one() -> None:
    made = started(FILES)
    room = made.room()
    made.put(room, b'/bin/other\0')
    assert made.call(EXECVE, room, 0, 0) == 0
    assert texts(made)[:2] == ([b''], [])


@pytest.mark.parametrize(
    ('path', 'before'),
    [
        (b'/script', [b'/bin/other', b'with  an argument']),
        (b'/plain', [b'/bin/other']),
        (b'/cut', [b'/bin/other', b'a' * 243]),
        (b'/s1', [b'/bin/other', b'/plain']),
        (b'/s4', [b'/bin/other', b'/plain', b'/s1', b'two', b'/s2', b'/s3', b'four']),
    ],
)
def test_scripts_name_their_interpreters(path: bytes, before: list[bytes]) -> None:
    made = started(FILES)
    assert execve(made, path, (b'zero', b'one', b'two'), (b'E=1',)) == 0
    arguments, variables, auxiliary = texts(made)
    assert arguments == [*before, path, b'one', b'two']
    assert (variables, made.text(auxiliary[31])) == ([b'E=1'], path)


def test_the_parent_of_vfork_goes_on_when_its_child_has_another_program() -> None:
    made = started(FILES)
    space = made.task.space
    made.call(VFORK)
    assert (number(made), made.task.space) == (3, space)
    assert execve(made, b'/bin/other') == 0
    assert (number(made), made.task.holder) == (3, 0)
    assert made.task.space != space
    assert UserSpace(made.k.m, space).nr_tasks == 1
    made.call(YIELD)
    assert (number(made), made.regs.rax, made.task.space) == (2, 3, space)
    check(made)


def test_a_child_that_has_another_program_is_in_no_other_group() -> None:
    made = started(FILES)
    made.call(FORK)
    made.call(YIELD)
    assert execve(made, b'/bin/other') == 0
    made.call(YIELD)
    assert (number(made), made.call(109, 3, 3)) == (2, -errno.EACCES)
    assert made.call(WAIT4, 3, 0, 1, 0) == 0


def test_without_memory_the_old_program_goes_on() -> None:
    made = started(FILES)
    room = made.room(1 << 16)
    made.put(room, b'/s4\0')
    argv = put_texts(made, room + 64, (b'a', b'x' * 9000))
    assert made.call(EXECVE, room + 8, argv, 0) == -errno.ENOENT
    before = free(made)
    for refused in refusals(made):
        space, rip = made.task.space, made.regs.rip
        result = made.call(EXECVE, room, argv, 0)
        made.k.frames.refuse_at = 0
        if result == 0:
            assert refused > 5
            break
        assert result in (-errno.ENOMEM, -errno.EFAULT)
        assert (made.task.space, made.regs.rip) == (space, rip)
        assert free(made) == before
        check(made)
    assert texts(made)[0][-2:] == [b'/s4', b'x' * 9000]
    check(made)
