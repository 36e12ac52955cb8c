"""Tasks make children, wait for them and end; what fails for want of memory has changed nothing."""

import errno
from typing import Final

import pytest

from incroos.kernel.state import HELD, MAX_TASKS, READY, WAITING, Task, table_of
from incroos.kernel.task import check as tasks
from incroos.kernel.task import ring as rings
from incroos.kernel.task.actions import actions_of
from incroos.kernel.task.ring import MOST_NUMBER

from ..abi.programs import Machine
from .tasks import (
    ANY,
    CLONE,
    EXIT,
    FORK,
    VFORK,
    WAIT4,
    YIELD,
    check,
    fill_slabs,
    free,
    number,
    refusals,
    ring,
    started,
    status,
)

KILL: Final = 62
SETPGID: Final = 109
SIGCHLD: Final = 17
SIGKILL: Final = 9
NO_HANG: Final = 1
CLEAR_AND_TELL: Final = 0x0120_0000 | SIGCHLD  # what glibc's fork asks for
SAME_SPACE: Final = 0x100


def test_a_child_goes_on_where_its_parent_does() -> None:
    made = started()
    room = made.room()
    made.put(room, b'before')
    made.regs.rbx, made.regs.rip = 77, 0x40_1010
    assert made.call(FORK) == 3
    assert ring(made.k) == [2, 3]
    check(made)
    assert made.call(YIELD) == 0
    assert number(made) == 3
    assert (made.regs.rbx, made.regs.rip, made.regs.rax) == (77, 0x40_1010, 0)
    assert made.call(110) == 2
    assert made.get(room, 6) == b'before'
    made.put(room, b'child!')
    made.call(YIELD)
    assert number(made) == 2
    assert made.get(room, 6) == b'before'
    check(made)


def test_a_parent_waits_until_its_child_has_ended() -> None:
    made = started()
    room = made.room()
    assert made.call(FORK) == 3
    made.regs.rip = 0x40_1010
    made.call(WAIT4, ANY, room, 0, 0)
    assert number(made) == 3
    parent = Task(made.k.m, made.task.parent)
    assert (parent.state, parent.waits_on) == (WAITING, parent.addr)
    assert made.call(EXIT, 5) == 3  # of the parent's call, which is made anew
    assert (number(made), made.regs.rip) == (2, 0x40_100E)
    assert status(made, room) == 0x500
    assert ring(made.k) == [2]
    assert made.call(WAIT4, ANY, room, 0, 0) == -errno.ECHILD
    check(made)


def test_the_last_task_gives_back_all_frames() -> None:
    made = started()
    made.call(FORK)
    made.call(FORK)
    made.call(EXIT, 1)
    made.call(EXIT, 2)
    records = made.end(EXIT, 3)
    figures = made.k.tasks.statistics
    assert figures[9] == made.k.tasks.free_frames  # FREE_AFTER
    assert [record.words[0] for record in records if record.kind == 2] == [1]  # only of the first program


def test_orphans_go_to_init() -> None:
    made = started()
    made.call(FORK)
    made.call(YIELD)
    assert (number(made), made.call(FORK)) == (3, 4)
    made.call(EXIT, 0)  # 3 ends before 4
    assert number(made) == 2
    made.call(YIELD)
    assert (number(made), made.call(110)) == (4, 1)
    made.call(EXIT, 0)
    assert number(made) == 2
    assert ring(made.k) == [2, 3]
    assert made.call(WAIT4, ANY, 0, 0, 0) == 3
    assert ring(made.k) == [2]
    check(made)


def test_a_dead_child_of_a_dead_parent_is_gone() -> None:
    made = started()
    made.call(FORK)
    made.call(YIELD)
    assert (number(made), made.call(FORK)) == (3, 4)
    made.call(YIELD)
    made.call(YIELD)
    assert number(made) == 4
    made.call(EXIT, 0)
    assert (number(made), sorted(ring(made.k))) == (3, [2, 3, 4])
    made.call(EXIT, 0)
    assert sorted(ring(made.k)) == [2, 3]
    check(made)


def test_whoever_ignores_the_ends_of_children_has_none_to_wait_for() -> None:
    made = started()
    actions_of(made.task).with_action = 1 << (SIGCHLD - 1)
    actions_of(made.task).actions[SIGCHLD - 1].handler = 1
    made.call(FORK)
    made.call(WAIT4, ANY, 0, 0, 0)
    assert number(made) == 3
    assert made.call(EXIT, 0) == -errno.ECHILD
    assert number(made) == 2
    assert ring(made.k) == [2]


def test_the_parent_of_vfork_is_held_until_the_end() -> None:
    made = started()
    made.call(VFORK)
    assert (number(made), made.user.nr_tasks) == (3, 2)
    parent = Task(made.k.m, made.task.parent)
    assert (parent.state, made.task.holder) == (HELD, parent.addr)
    check(made)
    room = made.room()
    made.put(room, b'shared')
    made.call(YIELD)
    assert number(made) == 3
    made.call(EXIT, 0)
    assert (number(made), made.regs.rax) == (2, 3)
    assert (made.get(room, 6), made.user.nr_tasks) == (b'shared', 1)
    check(made)


def test_a_held_parent_can_be_killed() -> None:
    made = started()
    made.call(FORK)
    made.call(YIELD)
    made.call(VFORK)
    made.call(YIELD)
    assert number(made) == 4
    assert made.call(KILL, 3, SIGKILL) == 0
    made.call(YIELD)
    assert number(made) == 2
    assert made.call(WAIT4, 3, 0, 0, 0) == 3
    made.call(YIELD)
    assert (number(made), made.task.holder, made.call(110)) == (4, 0, 1)
    check(made)
    made.call(EXIT, 0)
    assert ring(made.k) == [2]
    check(made)


def test_words_are_told_and_cleared() -> None:
    made = started()
    room = made.room()
    made.put(room, b'\xff' * 8)
    assert made.call(CLONE, CLEAR_AND_TELL, 0, 0, room, 0) == 3
    assert made.word(room) == (1 << 64) - 1
    made.call(YIELD)
    assert made.word(room) == 0xFFFF_FFFF_0000_0003
    made.call(EXIT, 0)  # nobody shares its space: nothing is cleared
    made.call(WAIT4, ANY, 0, 0, 0)
    assert made.call(CLONE, CLEAR_AND_TELL | SAME_SPACE, made.regs.rsp, 0, room, 0) == 4
    assert made.word(room) == 0xFFFF_FFFF_0000_0004
    made.call(YIELD)
    made.call(EXIT, 0)
    assert made.word(room) == 0xFFFF_FFFF_0000_0000


@pytest.mark.parametrize(
    ('flags', 'error'),
    [
        (0x800, errno.EINVAL),  # its actions without its space
        (0x1_0000, errno.EINVAL),
        (0x1000_0000, errno.EINVAL),  # a name space
        (65, errno.EINVAL),  # no signal
    ],
)
def test_what_clone_refuses(flags: int, error: int) -> None:
    made = started()
    assert made.call(CLONE, flags, 0, 0, 0, 0) == -error
    assert ring(made.k) == [2]


def test_so_many_tasks_and_no_more() -> None:
    made = started()
    made.k.tasks.nr_tasks = MAX_TASKS
    assert made.call(FORK) == -errno.EAGAIN
    made.k.tasks.nr_tasks = 1
    check(made)


def test_numbers_begin_again_and_leave_out_what_is_used() -> None:
    made = started()
    made.k.tasks.next_number = MOST_NUMBER - 1
    assert made.call(FORK) == MOST_NUMBER - 1
    assert made.call(FORK) == 3
    made.k.tasks.next_number = 2
    assert made.call(FORK) == 4
    assert rings.find(made.k, 4) != 0
    assert rings.find(made.k, 5) == 0


def test_what_wait4_is_asked_for() -> None:
    made = started()
    assert made.call(WAIT4, ANY, 0, 0x100, 0) == -errno.EINVAL
    assert made.call(WAIT4, 1 << 31, 0, 0, 0) == -errno.ESRCH
    made.call(FORK)
    assert made.call(WAIT4, 4, 0, NO_HANG, 0) == -errno.ECHILD
    assert made.call(WAIT4, 3, 0, NO_HANG, 0) == 0
    assert made.call(WAIT4, ANY - 2, 0, NO_HANG, 0) == -errno.ECHILD  # group 3
    assert made.call(SETPGID, 3, 3) == 0
    assert made.call(WAIT4, ANY - 2, 0, NO_HANG, 0) == 0
    assert made.call(WAIT4, 0, 0, NO_HANG, 0) == -errno.ECHILD
    assert made.call(WAIT4, ANY, 0, NO_HANG | 0x8000_0000, 0) == -errno.ECHILD  # __WCLONE
    made.call(YIELD)
    made.call(EXIT, 1)
    assert made.call(WAIT4, ANY - 2, 8, NO_HANG, 0) == -errno.EFAULT  # it is gone all the same, as on Linux
    assert ring(made.k) == [2]


# ------------------------------------------------------------------ without memory
@pytest.mark.parametrize('call', [(FORK,), (VFORK,), (CLONE, CLEAR_AND_TELL, 0, 0, 0x40_2000, 0)])
def test_fork_without_memory_changes_nothing(call: tuple[int, ...]) -> None:
    made = started()
    made.put(0x40_2000, b'touched')
    fill_slabs(made)
    before = free(made)
    for refused in refusals(made):
        result = made.call(*call)
        made.k.frames.refuse_at = 0
        if result != -errno.ENOMEM:
            assert (result, number(made)) in ((3, 2), (0, 3))
            assert refused > 1
            break
        assert (ring(made.k), made.task.state) == ([2], READY)
        assert free(made) == before
        check(made)
    check(made)


# ------------------------------------------------------------------ the checker
def break_ring(made: Machine) -> None:
    made.task.next = made.task.addr


def break_number(made: Machine) -> None:
    Task(made.k.m, made.task.next).number = 2


def break_parent(made: Machine) -> None:
    Task(made.k.m, made.task.next).parent = made.user.addr


def break_space(made: Machine) -> None:
    made.user.nr_tasks = 2


def break_file(made: Machine) -> None:
    table_of(made.task).descriptors[1].file = table_of(made.task).descriptors[0].file


def break_current(made: Machine) -> None:
    made.k.tasks.current = made.user.addr


@pytest.mark.parametrize(
    ('change', 'found'),
    [(break_ring, 1), (break_number, 2), (break_parent, 3), (break_space, 4), (break_file, 5), (break_current, 6)],
)
def test_the_checker_finds_what_is_broken(change: object, found: int) -> None:
    made = started()
    made.call(FORK)
    assert tasks.check(made.k) == 0
    assert callable(change)
    change(made)
    assert tasks.check(made.k) == found
