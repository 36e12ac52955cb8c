"""Threads, call by call: who belongs to which process, what is left when one ends; what fails leaves nothing behind."""

import errno
from typing import Final

import pytest

from incroos.kernel.state import ENDED, GONE, MAX_TASKS, READY, Task, table_of, whereabouts_of
from incroos.kernel.task import check as tasks
from incroos.kernel.task import ring as rings
from incroos.kernel.task.actions import actions_of

from ..abi.programs import Machine
from .tasks import (
    ANY,
    CLONE,
    EXECVE,
    EXIT,
    FORK,
    WAIT4,
    YIELD,
    check,
    fill_slabs,
    free,
    number,
    put_texts,
    refusals,
    ring,
    started,
    status,
)
from .test_exec import FILES

THREAD: Final = 0x1_0F00 | 0x4_0000  # CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM
TELL: Final = 0x30_0000  # CLONE_PARENT_SETTID, CHILD_CLEARTID
EXIT_GROUP: Final = 231
GETPID: Final = 39
GETTID: Final = 186
GETPPID: Final = 110
KILL: Final = 62
TGKILL: Final = 234
FUTEX: Final = 202
CLOSE: Final = 3
DUP: Final = 32
ACCESS: Final = 21
UMASK: Final = 95
SETPGID: Final = 109
PRLIMIT: Final = 302
SIGKILL: Final = 9
SIGSTOP: Final = 19
SIGCONT: Final = 18
NR_TASKS: Final = 6


def thread(made: Machine, word: int = 0) -> int:
    """Another thread, which has not run yet: its number."""
    return made.call(CLONE, THREAD | (TELL if word else 0), made.regs.rsp, word, word, 0)


def test_a_thread_is_of_its_process() -> None:
    made = started()
    assert thread(made) == 3
    assert made.call(FORK) == 4
    made.call(YIELD)
    assert (made.call(GETPID), made.call(GETTID), made.call(GETPPID)) == (2, 3, 1)
    made.call(YIELD)
    assert (made.call(GETPID), made.call(GETTID), made.call(GETPPID)) == (4, 4, 2)
    assert ring(made.k) == [2, 3, 4]
    check(made)


def test_threads_share_all_but_registers() -> None:
    made = started()
    thread(made)
    made.call(YIELD)
    assert made.call(DUP, 1) == 3
    made.call(UMASK, 0o77)
    assert made.call(SETPGID, 0, 0) == -errno.EPERM  # the leader of a session
    made.call(YIELD)
    assert (number(made), made.call(UMASK, 0)) == (2, 0o77)
    assert made.call(CLOSE, 3) == 0
    assert table_of(made.task).nr_users == whereabouts_of(made.task).nr_users == actions_of(made.task).nr_users == 2
    check(made)


def test_one_that_ends_is_nobody() -> None:
    made = started()
    room = made.room()
    assert thread(made, room) == 3
    assert made.word(room) == 3
    before = free(made)
    made.call(YIELD)
    made.call(EXIT, 5)
    assert (number(made), ring(made.k), made.word(room)) == (2, [2], 0)
    assert made.call(WAIT4, ANY, 0, 0, 0) == -errno.ECHILD
    assert made.call(TGKILL, 2, 3, 0) == -errno.ESRCH
    assert free(made) >= before
    check(made)


def test_a_leader_that_ends_first_is_gone_until_the_last_one_ends() -> None:
    made = started()
    room = made.room()
    made.call(FORK)
    made.call(YIELD)
    assert thread(made) == 4
    made.call(EXIT, 7)  # of 3, the leader
    leader = Task(made.k.m, rings.find(made.k, 3))
    assert (leader.number, leader.state, leader.nr_threads) == (3, GONE, 1)
    check(made)
    while number(made) != 2:
        made.call(YIELD)
    assert made.call(WAIT4, 3, room, 1, 0) == 0
    assert made.call(KILL, 3, 0) == 0
    made.call(YIELD)
    assert (number(made), made.call(GETPID)) == (4, 3)
    made.call(EXIT, 9)  # the status is the leader's
    assert made.call(WAIT4, 3, room, 0, 0) == 3
    assert (status(made, room), ring(made.k)) == (7 << 8, [2])
    check(made)


@pytest.mark.parametrize('who', [0, 1, 2])
def test_exit_group_ends_all(who: int) -> None:
    made = started()
    room = made.room()
    made.call(FORK)
    made.call(YIELD)
    assert (thread(made), thread(made)) == (4, 5)
    while number(made) != 3 + who:
        made.call(YIELD)
    made.call(EXIT_GROUP, 11)
    assert made.call(WAIT4, 3, room, 0, 0) == 3
    assert (status(made, room), ring(made.k)) == (11 << 8, [2])
    check(made)


def test_a_signal_stops_continues_and_kills_all() -> None:
    made = started()
    room = made.room()
    made.call(FORK)
    made.call(YIELD)
    thread(made)
    while number(made) != 2:
        made.call(YIELD)
    assert made.call(KILL, 4, SIGSTOP) == 0  # by the number of a thread
    made.call(YIELD)
    while number(made) != 2:
        made.call(YIELD)  # 4 goes on until the leader takes the signal
    assert made.call(WAIT4, 3, room, 2, 0) == 3
    assert status(made, room) == SIGSTOP << 8 | 0x7F
    assert made.call(KILL, 3, SIGCONT) == 0
    made.call(YIELD)
    assert number(made) in (3, 4)
    while number(made) != 2:
        made.call(YIELD)
    assert made.call(TGKILL, 3, 4, SIGKILL) == 0
    assert made.call(WAIT4, 3, room, 0, 0) == 3
    assert (status(made, room), ring(made.k)) == (SIGKILL, [2])
    check(made)


def test_exec_makes_a_thread_the_leader() -> None:
    made = started(FILES)
    room = made.room(1 << 20)
    made.put(room, b'/bin/other\0')
    argv = put_texts(made, room + 0x2000, (b'a',))
    assert (thread(made), thread(made)) == (3, 4)
    made.call(YIELD)
    assert number(made) == 3
    assert made.call(EXECVE, room, argv, 0) == 0
    assert (number(made), ring(made.k), made.task.nr_threads, made.task.state) == (2, [2], 1, READY)
    check(made)


# ------------------------------------------------------------------ limits and memory
def test_threads_count_as_tasks() -> None:
    made = started()
    room = made.room()
    made.put(room, (3).to_bytes(8, 'little') * 2)
    assert made.call(PRLIMIT, 0, NR_TASKS, room, 0) == 0
    assert (thread(made), thread(made)) == (3, 4)
    assert thread(made) == -errno.EAGAIN
    made.call(YIELD)
    assert number(made) == 3
    assert thread(made) == -errno.EAGAIN  # the limit is the process's
    assert MAX_TASKS > 3


def test_a_thread_without_memory_changes_nothing() -> None:
    made = started()
    room = made.room()
    fill_slabs(made)
    before = free(made)
    for refused in refusals(made):
        result = thread(made, room)
        made.k.frames.refuse_at = 0
        if result != -errno.ENOMEM:
            assert result == 3
            assert refused > 1
            break
        assert (ring(made.k), made.task.nr_threads, free(made)) == ([2], 1, before)
        assert refused < 20
        check(made)
    check(made)


def test_exec_without_memory_leaves_all_threads() -> None:
    made = started(FILES)
    room = made.room(1 << 20)
    made.put(room, b'/bin/other\0')
    argv = put_texts(made, room + 0x2000, (b'a',))
    thread(made)
    fill_slabs(made)
    before = free(made)
    for refused in refusals(made):
        result = made.call(EXECVE, room, argv, 0)
        made.k.frames.refuse_at = 0
        if result == 0:
            assert refused > 3
            break
        assert result in (-errno.ENOMEM, -errno.EFAULT)
        assert (ring(made.k), made.task.nr_threads) == ([2, 3], 2)
        assert free(made) == before
        check(made)
    assert ring(made.k) == [2]
    check(made)


def test_a_word_is_waited_for_until_it_is_named() -> None:
    made = started()
    room = made.room()
    thread(made)
    made.regs.rax = FUTEX
    assert made.call(FUTEX, room, 128, 1, 0, 0, 0) == -errno.EAGAIN
    made.call(YIELD)
    assert number(made) == 3
    other = Task(made.k.m, made.task.next)
    assert made.call(FUTEX, room, 129, 1, 0, 0, 0) == 0
    assert other.state == READY


# ------------------------------------------------------------------ the checker
def break_leader(made: Machine) -> None:
    made.task.nr_threads = 3


def break_thread_ring(made: Machine) -> None:
    made.task.next_thread = made.task.addr


def break_group(made: Machine) -> None:
    Task(made.k.m, made.task.next_thread).group = 99


def break_table(made: Machine) -> None:
    table_of(made.task).nr_users = 1


def break_actions(made: Machine) -> None:
    actions_of(made.task).nr_users = 3


def break_whereabouts(made: Machine) -> None:
    whereabouts_of(made.task).nr_users = 3


@pytest.mark.parametrize(
    ('change', 'found'),
    [
        (break_leader, 7),
        (break_thread_ring, 7),
        (break_group, 7),
        (break_table, 8),
        (break_actions, 8),
        (break_whereabouts, 8),
    ],
)
def test_the_checker_finds_what_is_broken_of_threads(change: object, found: int) -> None:
    made = started()
    thread(made)
    assert tasks.check(made.k) == 0
    assert callable(change)
    change(made)
    assert tasks.check(made.k) == found
    assert made.task.state != ENDED


# ------------------------------------------------------------------ /proc
def test_proc_lists_threads_and_nothing_of_who_has_ended() -> None:
    made = started()
    room = made.room()

    def access(path: bytes) -> int:
        made.put(room, path + b'\0')
        return made.call(ACCESS, room, 0)

    thread(made)
    assert (access(b'/proc/2/task/3/status'), access(b'/proc/3/status')) == (0, 0)
    assert access(b'/proc/2/task/4') == -errno.ENOENT
    assert made.call(FORK) == 4
    while number(made) != 4:
        made.call(YIELD)
    assert (access(b'/proc/4/fd/1'), access(b'/proc/2/task/4')) == (0, -errno.ENOENT)
    made.call(EXIT, 0)
    assert access(b'/proc/4/fd/1') == -errno.ENOENT
    assert access(b'/proc/4/fd') == access(b'/proc/4/status') == 0
