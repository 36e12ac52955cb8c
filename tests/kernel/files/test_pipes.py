"""Pipes are queues of bytes: against a model too simple to be wrong, and the rules of pipe(7) one by one."""

import errno
import random
import signal
from collections import deque
from typing import Final

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from incroos.kernel import files, heap
from incroos.kernel.codes import OK
from incroos.kernel.files import pipes
from incroos.kernel.files.pipes import ATOMIC_BYTES, LEAST_ROOM, MOST_ROOM
from incroos.kernel.state import BY_SIGNAL, RECORD_END, File, Pipe
from incroos.lang import VirtAddr

from ...budget import FULL
from ..abi.programs import HOLE, Machine, machine

READ, WRITE, CLOSE, FSTAT, POLL, LSEEK, IOCTL, READV, WRITEV = 0, 1, 3, 5, 7, 8, 16, 19, 20
PREAD, PWRITE, PIPE, DUP, FCNTL, EVENTFD, PIPE2 = 17, 18, 22, 32, 72, 290, 293
O_NONBLOCK, O_CLOEXEC, FIONREAD, F_GETPIPE_SZ = 0o4000, 0o2000000, 0x541B, 1032
POLLIN, POLLOUT, POLLERR, POLLHUP, POLLNVAL = 1, 4, 8, 16, 32
SEED: Final = 6
ROOM: Final = 1 << 17


@pytest.fixture
def made() -> Machine:
    return machine()


def ends(made: Machine, flags: int = O_NONBLOCK) -> tuple[int, int]:
    """The two descriptors of a pipe."""
    at = made.room()
    assert made.call(PIPE2, at, flags) == 0
    both = made.get(at, 8)
    return int.from_bytes(both[:4], 'little'), int.from_bytes(both[4:], 'little')


def pipe_of(made: Machine, descriptor: int) -> Pipe:
    return Pipe(made.k.m, File(made.k.m, files.file_at(made.task, descriptor)).pipe)


def polled(made: Machine, descriptor: int, events: int = POLLIN | POLLOUT) -> int:
    at = made.room()
    made.put(at, descriptor.to_bytes(4, 'little') + events.to_bytes(2, 'little') + b'\0\0')
    assert made.call(POLL, at, 1, 0) in (0, 1)
    return int.from_bytes(made.get(at + 6, 2), 'little')


class PipeModel(RuleBasedStateMachine):
    """A pipe that nobody waits for, beside a deque."""

    def __init__(self) -> None:
        super().__init__()
        self.made = machine()
        self.source, self.target = ends(self.made)
        self.queue: deque[int] = deque()
        self.room = self.made.room(ROOM)
        self.random = random.Random(SEED)
        self.is_read = self.is_written = True

    @rule(nbytes=strategies.one_of(strategies.integers(0, 200), strategies.integers(0, 20_000)))
    def write(self, nbytes: int) -> None:
        if not self.is_written:
            return
        content = self.random.randbytes(nbytes)
        self.made.put(self.room, content)
        done = self.made.call(WRITE, self.target, self.room, nbytes)
        free = MOST_ROOM - len(self.queue)
        if nbytes == 0:
            assert done == 0
        elif nbytes <= ATOMIC_BYTES:
            assert done == (nbytes if nbytes <= free else -errno.EAGAIN)
        else:
            assert done == (min(nbytes, free) if free else -errno.EAGAIN)
        self.queue.extend(content[: max(done, 0)])

    @rule(nbytes=strategies.one_of(strategies.integers(0, 200), strategies.integers(0, 20_000)))
    def read(self, nbytes: int) -> None:
        done = self.made.call(READ, self.source, self.room, nbytes)
        if self.queue or nbytes == 0 or not self.is_written:
            assert done == min(nbytes, len(self.queue))
        else:
            assert done == -errno.EAGAIN
        wanted = bytes(self.queue.popleft() for _ in range(max(done, 0)))
        assert self.made.get(self.room, max(done, 0)) == wanted

    @precondition(lambda self: self.is_written)
    @rule(chance=strategies.integers(0, 9))
    def close_writer(self, chance: int) -> None:
        if chance == 0:
            assert self.made.call(CLOSE, self.target) == 0
            self.is_written = False

    @invariant()
    def is_whole(self) -> None:
        pipe = pipe_of(self.made, self.source)
        assert pipes.check(pipe) == OK
        assert pipe.nbytes == len(self.queue)
        assert polled(self.made, self.source) & POLLIN == (POLLIN if self.queue else 0)
        assert polled(self.made, self.source) & POLLHUP == (0 if self.is_written else POLLHUP)


PipeModel.TestCase.settings = settings(max_examples=40 if FULL else 6, stateful_step_count=25, deadline=None)
TestPipeModel = PipeModel.TestCase


# ------------------------------------------------------------------ rules one by one
def test_what_is_written_is_read(made: Machine) -> None:
    source, target = ends(made)
    room = made.room()
    made.put(room, b'hello')
    assert made.call(READ, source, room, 9) == -errno.EAGAIN
    assert made.call(WRITE, target, room, 5) == 5
    assert made.call(IOCTL, source, FIONREAD, room + 100) == 0
    assert made.get(room + 100, 4) == b'\5\0\0\0'
    assert made.call(READ, source, room + 10, 3) == 3
    assert made.get(room + 10, 3) == b'hel'
    assert made.call(READ, source, room + 10, 9) == 2
    assert made.call(FCNTL, target, F_GETPIPE_SZ, 0) == MOST_ROOM


def test_the_ends_are_for_one_thing_each(made: Machine) -> None:
    source, target = ends(made)
    room = made.room()
    assert made.call(READ, target, room, 1) == made.call(WRITE, source, room, 1) == -errno.EBADF
    for end in source, target:
        assert made.call(LSEEK, end, 0, 0) == -errno.ESPIPE
        assert made.call(PREAD, end, room, 1, 0) == made.call(PWRITE, end, room, 1, 0) == -errno.ESPIPE
        assert made.call(FSTAT, end, room) == 0
        assert int.from_bytes(made.get(room + 24, 4), 'little') == 0o010600
    assert made.call(PIPE2, room, 1) == -errno.EINVAL


def test_the_end_of_a_pipe(made: Machine) -> None:
    source, target = ends(made, 0)
    other = made.call(DUP, target)
    room = made.room()
    assert made.call(WRITE, target, room, 2) == 2
    assert made.call(CLOSE, target) == 0
    assert polled(made, source) == POLLIN
    assert made.call(CLOSE, other) == 0
    assert polled(made, source) == POLLIN | POLLHUP
    assert made.call(READ, source, room, 9) == 2
    assert made.call(READ, source, room, 9) == 0
    assert polled(made, source) == POLLHUP


def test_nobody_reads(made: Machine) -> None:
    source, target = ends(made)
    room = made.room()
    made.call(13, 13, ignoring(made), 0, 8)
    assert polled(made, target) == POLLOUT
    assert made.call(CLOSE, source) == 0
    assert polled(made, target) == POLLOUT | POLLERR
    assert made.call(WRITE, target, room, 1) == -errno.EPIPE
    assert made.call(WRITE, target, room, 0) == 0


def ignoring(made: Machine) -> int:
    """A struct sigaction that ignores a signal."""
    at = made.room()
    made.put(at, (1).to_bytes(8, 'little') + bytes(24))
    return at


def test_sigpipe_ends_the_program(made: Machine) -> None:
    source, target = ends(made)
    assert made.call(CLOSE, source) == 0
    [end] = [each for each in made.end(WRITE, target, made.room(), 1) if each.kind == RECORD_END]
    assert (end.number, end.words[0]) == (BY_SIGNAL, signal.SIGPIPE)


def test_a_bad_pointer_takes_nothing(made: Machine) -> None:
    source, target = ends(made)
    room = made.room()
    assert made.call(WRITE, target, HOLE, 10) == -errno.EFAULT
    assert made.call(WRITE, target, room, 10) == 10
    assert made.call(READ, source, HOLE, 10) == -errno.EFAULT
    assert made.call(READ, source, room, 10) == 10
    assert made.call(PIPE, HOLE) == -errno.EFAULT
    assert made.call(DUP, 0) == target + 1


def test_parts_are_written_together(made: Machine) -> None:
    source, target = ends(made)
    room = made.room(ROOM)
    assert made.call(WRITE, target, room, MOST_ROOM - 100) == MOST_ROOM - 100
    parts = made.room()
    made.put(parts, b''.join(each.to_bytes(8, 'little') for each in (room, 60, room, 60)))
    assert made.call(WRITEV, target, parts, 2) == -errno.EAGAIN
    assert made.call(WRITEV, target, parts, 1) == 60
    assert made.call(READ, source, room, 20) == 20
    assert made.call(WRITEV, target, parts, 2) == -errno.EAGAIN
    assert made.call(READ, source, room, 60) == 60
    assert made.call(WRITEV, target, parts, 2) == 120
    made.put(parts, b''.join(each.to_bytes(8, 'little') for each in (room, 5, room + 5, ROOM - 5)))
    assert made.call(READV, source, parts, 2) == MOST_ROOM


def test_pipes_have_their_share_of_the_memory(made: Machine) -> None:
    nr_pipes = 0
    room = made.room(ROOM)
    while made.call(PIPE2, room, O_NONBLOCK) == 0:
        target = int.from_bytes(made.get(room + 4, 4), 'little')
        assert made.call(WRITE, target, room, MOST_ROOM) > 0
        assert polled(made, target, POLLOUT) == 0  # else a program that polls would spin: the write is refused
        assert made.call(WRITE, target, room, 1) == -errno.EAGAIN
        nr_pipes += 1
    assert nr_pipes == 126
    assert made.k.files.nr_pipe_bytes < (32 << 20) // 8 + MOST_ROOM
    for descriptor in range(3, 256):
        made.call(CLOSE, descriptor)
    assert made.k.files.nr_pipe_bytes == 0


def test_each_allocation_may_fail(made: Machine) -> None:
    room = made.room()
    made.put(room, bytes(8))
    heap.shrink(made.k)
    before = heap.used_bytes(made.k)
    for refused in range(1, 50):
        made.k.frames.requests, made.k.frames.refuse_at = 0, refused
        done = made.call(PIPE2, room, 0)
        made.k.frames.refuse_at = 0
        if done == 0:
            return
        assert done == -errno.ENFILE
        assert heap.used_bytes(made.k) == before
        heap.shrink(made.k)
    raise AssertionError('it never succeeds')


def test_a_ring_that_cannot_grow_does(made: Machine) -> None:
    source, target = ends(made)
    room = made.room(ROOM)
    made.put(room, bytes(range(256)) * 32)
    assert made.call(WRITE, target, room, 100) == 100
    heap.shrink(made.k)
    made.k.frames.requests, made.k.frames.refuse_at = 0, 1
    done = made.call(WRITE, target, room + 100, ATOMIC_BYTES)
    made.k.frames.refuse_at = 0
    assert done == -errno.EAGAIN
    assert pipe_of(made, source).room == LEAST_ROOM
    assert made.call(WRITE, target, room + 100, ATOMIC_BYTES) == ATOMIC_BYTES
    assert made.call(READ, source, room + ROOM // 2, ROOM) == 100 + ATOMIC_BYTES
    assert made.get(room + ROOM // 2, 100 + ATOMIC_BYTES) == made.get(room, 100 + ATOMIC_BYTES)


# ------------------------------------------------------------------ event counters
def test_event_counters(made: Machine) -> None:
    counter = made.call(EVENTFD, 3, O_NONBLOCK)
    room = made.room()
    assert polled(made, counter) == POLLIN | POLLOUT
    assert made.call(READ, counter, room, 7) == -errno.EINVAL
    assert made.call(READ, counter, room, 8) == 8
    assert made.word(room) == 3
    assert polled(made, counter) == POLLOUT
    assert made.call(READ, counter, room, 8) == -errno.EAGAIN
    for value, wanted in ((1 << 63, 8), ((1 << 64) - 1, -errno.EINVAL), (1 << 63, -errno.EAGAIN), ((1 << 63) - 2, 8)):
        made.put(room, value.to_bytes(8, 'little'))
        assert made.call(WRITE, counter, room, 8) == wanted
    assert polled(made, counter) == POLLIN
    assert made.call(READ, counter, room, 8) == 8
    assert made.word(room) == (1 << 64) - 2
    one_by_one = made.call(EVENTFD, 2, O_NONBLOCK | 1)
    for _ in range(2):
        assert made.call(READ, one_by_one, room, 8) == 8
        assert made.word(room) == 1
    assert made.call(READ, one_by_one, room, 8) == -errno.EAGAIN
    assert VirtAddr(made.call(CLOSE, counter)) == 0
