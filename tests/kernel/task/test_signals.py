"""Signals that are sent, kept, taken and waited for: against a model of lists, and call by call."""

import errno
import struct
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incroos.kernel import heap
from incroos.kernel.codes import NO_KERNEL_MEMORY, OK
from incroos.kernel.state import MAX_QUEUED
from incroos.kernel.state.records import RECORD_CHECK, RECORD_END
from incroos.kernel.state.run_info import CHECK_IN_THE_END
from incroos.kernel.task import sending
from incroos.lang.words import signed, unsigned
from incroos.machine.errors import MachineStopped

from ...budget import FULL
from ..abi.programs import Machine, machine
from .test_frames import HANDLER, SA_RESTORER, SA_SIGINFO, act, ended_by, field, stack_of

PAUSE, NANOSLEEP, GETITIMER, ALARM, SETITIMER, KILL, SIGPENDING, SIGTIMEDWAIT = 34, 35, 36, 37, 38, 62, 127, 128
QUEUEINFO, SIGSUSPEND, SIGPROCMASK, TGKILL = 129, 130, 14, 234
SIGKILL, SIGUSR1, SIGUSR2, SIGALRM, SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP = 9, 10, 12, 14, 17, 18, 19, 20
SA_RESTART: Final = 0x1000_0000
REAL_TIME: Final = range(32, 65)
SYNCHRONOUS: Final = {4, 5, 7, 8, 11, 31}
STOPS: Final = {19, 20, 21, 22}
IGNORED: Final = {17, 18, 23, 28}
MINE: Final = 2


@pytest.fixture
def made() -> Machine:
    return machine(flags=CHECK_IN_THE_END)


def bit(signal: int) -> int:
    return 1 << (signal - 1)


def set_of(made: Machine, *signals: int) -> int:
    """A set in the program's memory."""
    room = made.room(4096)
    made.put(room, struct.pack('<Q', sum(bit(each) for each in signals)))
    return room


# ------------------------------------------------------------------ the model
class Model:
    """What waits: of standard signals the first that was sent, of the others all, in order."""

    def __init__(self) -> None:
        self.standard: dict[int, int] = {}
        self.queued: list[tuple[int, int]] = []
        self.blocked: set[int] = set()

    def send(self, signal: int, value: int) -> None:
        if signal in STOPS:
            self.standard.pop(SIGCONT, None)
        if signal == SIGCONT:
            for each in STOPS:
                self.standard.pop(each, None)
        if signal in IGNORED and signal not in self.blocked:
            return
        if signal in REAL_TIME:
            self.queued.append((signal, value))
        else:
            self.standard.setdefault(signal, value)

    @property
    def pending(self) -> set[int]:
        return set(self.standard) | {signal for signal, _value in self.queued}

    def take(self) -> tuple[int, int] | None:
        ready = self.pending - self.blocked
        if not ready:
            return None
        signal = SIGKILL if SIGKILL in ready else min(ready & SYNCHRONOUS or ready)
        if signal in REAL_TIME:
            found = next(each for each in self.queued if each[0] == signal)
            self.queued.remove(found)
            return found
        return signal, self.standard.pop(signal)


STEPS: Final = st.lists(
    st.one_of(
        st.tuples(st.just('send'), st.one_of(st.integers(1, 64), st.integers(30, 36), st.integers(17, 23))),
        st.tuples(st.just('block'), st.integers(0, (1 << 64) - 1)),
        st.tuples(st.just('take'), st.just(0)),
    ),
    max_size=60,
)
SHARED: Final[list[Machine]] = []


@settings(max_examples=2000 if FULL else 60)
@given(steps=STEPS)
def test_what_is_sent_is_what_is_taken(steps: list[tuple[str, int]]) -> None:
    if not SHARED:
        SHARED.append(machine())
    made, model = SHARED[0], Model()
    k, task = made.k, made.task
    for index, (step, value) in enumerate(steps):
        if step == 'send':
            assert sending.send_with(k, task, value, 0, index, 2 * index) == OK
            model.send(value, index)
        elif step == 'block':
            task.blocked = signed(value & ~(bit(SIGKILL) | bit(SIGSTOP)))
            model.blocked = {each for each in range(1, 65) if unsigned(task.blocked) & bit(each)}
        else:
            ready = sending.deliverable(task)
            expected = model.take()
            assert (ready != 0) == (expected is not None)
            if expected is not None:
                signal = sending.next_of(task, ready)
                assert (signal, sending.take(k, task, signal)[1]) == expected
        assert unsigned(task.shared.signals) == sum(bit(each) for each in model.pending)
        assert k.tasks.nr_queued == len(model.queued)
    sending.take_back(k, task, -1)
    assert (task.shared.signals, task.shared.queued, k.tasks.nr_queued, heap.check(k)) == (0, 0, 0, 0)
    task.blocked = 0
    k.tasks.attention = 0


# ------------------------------------------------------------------ the queue's ends
def test_the_queue_has_an_end(made: Machine) -> None:
    k, task = made.k, made.task
    task.blocked = -1
    k.tasks.nr_queued = MAX_QUEUED
    assert sending.send_with(k, task, 40, 0xFFFF_FFFF, 1, 2) == NO_KERNEL_MEMORY
    assert (task.shared.queued, task.shared.signals) == (0, 0)
    assert sending.send_with(k, task, 40, 0, 1, 2) == OK  # of kill
    assert (task.shared.queued, unsigned(task.shared.signals)) == (0, bit(40))
    k.tasks.nr_queued = 0
    assert sending.take(k, task, 40) == (0, 0, 0)
    assert task.shared.signals == 0


def test_a_signal_for_which_there_is_no_memory_is_not_queued(made: Machine) -> None:
    k, task = made.k, made.task
    task.blocked = -1
    room = made.room(4096)
    made.put(room, struct.pack('<4Iqq', 40, 0, 0xFFFF_FFFF, 0, MINE, 7))
    nr_sent = 0
    heap.shrink(k)
    k.frames.requests, k.frames.refuse_at = 0, 1
    while made.call(QUEUEINFO, MINE, 40, room) == 0:
        nr_sent += 1
        assert nr_sent < MAX_QUEUED
        assert k.tasks.nr_queued == nr_sent
    assert made.regs.rax == -errno.EAGAIN
    assert k.tasks.nr_queued == nr_sent
    k.frames.refuse_at = 0
    assert [sending.take(k, task, 40)[1:] for _ in range(nr_sent)] == [(MINE, 7)] * nr_sent
    assert (task.shared.signals, heap.check(k)) == (0, 0)


# ------------------------------------------------------------------ calls
KILLS: Final[dict[str, tuple[tuple[int, ...], int]]] = {
    'itself': ((KILL, MINE, 0), 0),
    'its group': ((KILL, 0, 0), 0),
    'its group, named': ((KILL, -MINE, 0), 0),
    'init': ((KILL, 1, SIGKILL), 0),
    'init, no such signal': ((KILL, 1, 65), errno.EINVAL),
    'all others': ((KILL, -1, SIGKILL), errno.ESRCH),
    'nobody': ((KILL, 3, SIGKILL), errno.ESRCH),
    'no group': ((KILL, -3, SIGKILL), errno.ESRCH),
    'the least number': ((KILL, -1 << 31, 0), errno.ESRCH),
    'no such signal': ((KILL, MINE, 65), errno.EINVAL),
    'a signal below 0': ((KILL, MINE, -1), errno.EINVAL),
    'nobody, no such signal': ((KILL, 3, 65), errno.ESRCH),
    'a thread of another group': ((TGKILL, 3, MINE, 0), errno.ESRCH),
    'a thread': ((TGKILL, MINE, MINE, 0), 0),
    'thread 0': ((TGKILL, MINE, 0, 0), errno.EINVAL),
}


@pytest.mark.parametrize('name', KILLS)
def test_who_can_be_sent_a_signal(made: Machine, name: str) -> None:
    call, expected = KILLS[name]
    assert made.call(*call) == -expected


def test_a_siginfo_of_the_sender_is_not_taken_for_the_kernels(made: Machine) -> None:
    room = made.room(4096)
    for code, expected in ((0, -errno.ESRCH), (-6, -errno.ESRCH), (-1, -errno.ESRCH)):
        made.put(room, struct.pack('<3iI2q', 0, 0, code, 0, 0, 0))
        wanted = -errno.EPERM if code != -1 else expected
        assert made.call(QUEUEINFO, 3, SIGUSR1, room) == wanted
        assert made.call(QUEUEINFO, MINE, 0, room) == 0
    assert made.call(QUEUEINFO, MINE, SIGUSR1, 0) == -errno.EFAULT


# ------------------------------------------------------------------ calls that wait
def alarm_in(made: Machine, microseconds: int, every: int = 0) -> None:
    room = made.room(4096)
    made.put(room, struct.pack('<4Q', 0, every, 0, microseconds))
    assert made.call(SETITIMER, 0, room, 0) == 0


def begin(made: Machine, number: int, *arguments: int) -> Any:
    """Make a call that a handler interrupts: the registers as the frame has them."""
    made.regs.rip = 0x40_1002  # behind the syscall, as the processor has it
    made.call(number, *arguments)
    assert made.regs.rip == HANDLER
    frame = made.get(made.regs.rsp, 440)
    return field(frame, 176), signed(field(frame, 152)), field(frame, 304)


@pytest.mark.parametrize('flags', [0, SA_RESTART])
def test_pause_is_never_made_anew(made: Machine, flags: int) -> None:
    act(made, SIGALRM, SA_RESTORER | flags)
    stack_of(made)
    alarm_in(made, 1000)
    assert begin(made, PAUSE)[:2] == (0x40_1002, -errno.EINTR)
    assert made.task.has_waited == 0


def test_a_sleep_says_what_is_left(made: Machine) -> None:
    act(made, SIGALRM, SA_RESTORER | SA_RESTART)
    stack_of(made)
    room = made.room(4096)
    made.put(room, struct.pack('<4Q', 10, 0, 0, 0))
    alarm_in(made, 250_000)
    assert begin(made, NANOSLEEP, room, room + 16)[:2] == (0x40_1002, -errno.EINTR)
    seconds, nanoseconds = struct.unpack('<2Q', made.get(room + 16, 16))
    assert seconds == 9
    assert 750_000_000 < nanoseconds < 750_100_000


def test_a_read_is_made_anew_if_the_handler_lets_it(made: Machine) -> None:
    for flags, expected in ((SA_RESTART, (0x40_1000, 0)), (0, (0x40_1002, -errno.EINTR))):
        act(made, SIGALRM, SA_RESTORER | flags)
        stack_of(made)
        room = made.room(4096)
        assert made.call(293, room, 0) == 0  # pipe2
        reading = struct.unpack('<I', made.get(room, 4))[0]
        alarm_in(made, 1000)
        assert begin(made, 0, reading, room, 10)[:2] == expected
        made.task.blocked = 0


def test_an_ignored_signal_ends_no_call(made: Machine) -> None:
    act(made, SIGUSR1, SA_RESTORER, handler=1)
    act(made, SIGALRM, SA_RESTORER, handler=1)
    room = made.room(4096)
    made.put(room, struct.pack('<2Q', 3, 0))
    alarm_in(made, 1000, 1000)
    assert made.call(NANOSLEEP, room, 0) == 0
    assert made.k.tasks.clock >= 3 * 10**9  # it slept to the end


def test_sigsuspend_blocks_again_what_was_blocked(made: Machine) -> None:
    act(made, SIGUSR1, SA_RESTORER)
    stack_of(made)
    assert made.call(SIGPROCMASK, 0, set_of(made, SIGUSR1, SIGUSR2), 0, 8) == 0
    assert made.call(KILL, MINE, SIGUSR1) == 0
    where, result, mask = begin(made, SIGSUSPEND, set_of(made, SIGUSR2), 8)
    assert (where, result, mask) == (0x40_1002, -errno.EINTR, bit(SIGUSR1) | bit(SIGUSR2))
    assert unsigned(made.task.blocked) == bit(SIGUSR1) | bit(SIGUSR2)


def test_a_signal_that_is_waited_for_is_taken(made: Machine) -> None:
    wanted, room = set_of(made, SIGUSR1, SIGALRM, 40), made.room(4096)
    made.put(room, struct.pack('<2Q', 0, 1000))
    assert made.call(SIGPROCMASK, 0, wanted, 0, 8) == 0
    assert made.call(SIGTIMEDWAIT, wanted, 0, room, 7) == -errno.EINVAL
    made.put(room, struct.pack('<2Q', 0, 0))
    assert made.call(SIGTIMEDWAIT, wanted, 0, room, 8) == -errno.EAGAIN
    assert made.call(KILL, MINE, 40) == made.call(KILL, MINE, SIGUSR1) == 0
    assert made.call(SIGTIMEDWAIT, wanted, room + 100, 0, 8) == SIGUSR1
    assert struct.unpack('<4I2I', made.get(room + 100, 24)) == (SIGUSR1, 0, 0, 0, MINE, 0)
    assert made.call(SIGTIMEDWAIT, wanted, 0, 0, 8) == 40
    alarm_in(made, 1000)
    assert made.call(SIGTIMEDWAIT, wanted, 0, 0, 8) == SIGALRM


def test_alarms_ring_by_the_clock(made: Machine) -> None:
    act(made, SIGALRM, SA_RESTORER | SA_SIGINFO)
    room = made.room(4096)
    assert made.call(ALARM, 10) == 0
    assert made.call(ALARM, 5) == 10
    assert made.call(GETITIMER, 0, room) == 0
    every, every_rest, seconds, rest = struct.unpack('<4Q', made.get(room, 32))
    assert (every, every_rest) == (0, 0)
    assert 4_999_000 < seconds * 1_000_000 + rest <= 5_000_000
    assert made.call(ALARM, 0) == 5
    assert made.k.tasks.nr_timers == 0
    made.put(room, struct.pack('<4Q', 0, 1_000_000, 0, 0))
    assert made.call(SETITIMER, 0, room, 0) == made.call(SETITIMER, 3, 0, 0) == -errno.EINVAL
    stack_of(made)
    alarm_in(made, 1000, 5000)
    before = made.k.tasks.clock
    for nr_rung in range(3):
        begin(made, PAUSE)
        made.task.blocked = 0
        assert 0 <= made.k.tasks.clock - before - 1_000_000 - nr_rung * 5_000_000 < 100_000
    assert made.k.tasks.nr_timers == 1


# ------------------------------------------------------------------ by default
@pytest.mark.parametrize('signal', [1, 2, 3, 4, 6, 8, 11, 13, 14, 15, 31, 40, 64])
def test_by_default_a_signal_ends_the_program(made: Machine, signal: int) -> None:
    with pytest.raises(MachineStopped):
        made.call(KILL, MINE, signal)
    assert ended_by(made) == signal


@pytest.mark.parametrize('signal', [SIGCHLD, SIGCONT, 23, 28, SIGTSTP, 21, 22])
def test_by_default_nothing_happens(made: Machine, signal: int) -> None:
    """The group of the first program is an orphan: keys do not stop it."""
    assert made.call(KILL, MINE, signal) == 0
    assert (made.task.shared.signals, made.task.is_stopped) == (0, 0)


def test_sigkill_is_first(made: Machine) -> None:
    assert made.call(SIGPROCMASK, 0, set_of(made, *range(1, 65)), 0, 8) == 0
    assert made.call(KILL, MINE, 4) == 0
    with pytest.raises(MachineStopped):
        made.call(KILL, MINE, SIGKILL)
    assert [each.words[0] for each in made.records() if each.kind == RECORD_END] == [SIGKILL]
    assert [each.words[:3] for each in made.records() if each.kind == RECORD_CHECK] == [(0, 0, 0)]
