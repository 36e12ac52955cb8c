"""Calls on memory, limits, signals and time, and how a program ends."""

import errno
import struct
from collections.abc import Callable
from typing import Final

import pytest

from incroos.kernel import files, heap, pmm, vm, vmm
from incroos.kernel.abi import shapes
from incroos.kernel.codes import FAULT_BEYOND_CONTENT, FAULT_NO_RANGE, FAULT_NO_RIGHT, NO_FRAME, OK
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state.records import (
    NO_CALL,
    RECORD_CALL,
    RECORD_CHECK,
    RECORD_END,
    RECORD_REMARK,
    RECORD_STATISTICS,
    RECORD_UNKNOWN_CALL,
    REMARK_WAITS_FOR_EVER,
)
from incroos.kernel.state.run_info import CHECK_IN_THE_END, PUT_CALLS
from incroos.kernel.task import go_on, on_fault
from incroos.kernel.task.start import drop_first
from incroos.lang import VirtAddr
from incroos.machine.errors import MachineStopped
from incroos.run.records import Told
from incroos.run.system_calls import SystemCall, system_call

from .programs import HOLE, Machine, machine

MMAP, MPROTECT, MUNMAP, BRK, MADVISE = 9, 10, 11, 12, 28
SIGACTION, SIGPROCMASK, KILL, TGKILL, TKILL, EXIT, EXIT_GROUP = 13, 14, 62, 234, 200, 60, 231
ARCH_PRCTL, PRLIMIT = 158, 302
ANONYMOUS: Final = 0x22
SIGABRT, SIGKILL, SIGUSR1, SIGSEGV, SIGPIPE, SIGCHLD, SIGSTOP = 6, 9, 10, 11, 13, 17, 19


@pytest.fixture
def made() -> Machine:
    return machine(flags=CHECK_IN_THE_END)


def ending(records: list[Told]) -> tuple[int, int]:
    """How a program ended: by itself or by a signal, and which; the checkers found nothing, no frame is lost."""
    assert [record.words[:3] for record in records if record.kind == RECORD_CHECK] == [(0, 0, 0)]
    assert len([record for record in records if record.kind == RECORD_STATISTICS]) == 1
    (end,) = [record for record in records if record.kind == RECORD_END]
    return end.number, end.words[0]


# ------------------------------------------------------------------ memory
def test_memory_is_mapped_and_given_back(made: Machine) -> None:
    at = made.call(MMAP, 0, 3 * PAGE_BYTES, 3, ANONYMOUS, -1, 0)
    made.put(at, b'x' * 100)
    assert made.call(MPROTECT, at, PAGE_BYTES, 1) == 0
    assert made.call(63, at) == -errno.EFAULT
    assert made.call(MUNMAP, at, PAGE_BYTES) == 0
    assert made.call(MPROTECT, at, PAGE_BYTES, 1) == -errno.ENOMEM
    assert made.call(MUNMAP, at + 1, PAGE_BYTES) == made.call(MUNMAP, at, 0) == -errno.EINVAL
    assert made.call(MUNMAP, at, -PAGE_BYTES) == -errno.EINVAL


MMAPS: Final = {
    'no bytes': ((0, 0, 3, ANONYMOUS, -1, 0), errno.EINVAL),
    'no kind': ((0, 4096, 3, 0x20, -1, 0), errno.EINVAL),
    'an offset in a page': ((0, 4096, 3, ANONYMOUS, -1, 1), errno.EINVAL),
    'too much': ((0, 1 << 47, 3, ANONYMOUS, -1, 0), errno.ENOMEM),
    'negative': ((0, -4096, 3, ANONYMOUS, -1, 0), errno.ENOMEM),
    'no file': ((0, 4096, 1, 2, 99, 0), errno.EBADF),
    'page 0': ((0, 4096, 3, ANONYMOUS | 0x10, -1, 0), errno.EPERM),
    'kernel addresses': ((-1 << 47, 4096, 3, ANONYMOUS | 0x10, -1, 0), errno.ENOMEM),
    'the last page': ((0x7FFF_FFFF_F000, 4096, 7, ANONYMOUS | 0x10, -1, 0), errno.ENOMEM),
    'an address in a page': ((0x10_0001, 4096, 3, ANONYMOUS | 0x10, -1, 0), errno.EINVAL),
    'where something is': ((0x40_1000, 4096, 3, ANONYMOUS | 0x10_0000, -1, 0), errno.EEXIST),
    'a pipe': ((0, 4096, 1, 2, 0, 0), errno.ENODEV),
    'a file that would be written': ((0, 4096, 3, 1, 3, 0), errno.EACCES),
    'huge pages': ((0, 4096, 3, ANONYMOUS | 0x4_0000, -1, 0), errno.ENOMEM),
}


@pytest.mark.parametrize('name', MMAPS)
def test_what_cannot_be_mapped(made: Machine, name: str) -> None:
    room = made.room()
    made.put(room, b'/etc/motd\0')
    assert made.call(2, room, 0) == 3
    arguments, expected = MMAPS[name]
    assert made.call(MMAP, *arguments) == -expected


def test_a_file_is_mapped_privately(made: Machine) -> None:
    room = made.room()
    made.put(room, b'/etc/motd\0')
    file = made.call(2, room, 0)
    at = made.call(MMAP, 0, 100, 3, 2, file, 0)
    assert made.call(3, file) == 0
    assert made.get(at, 20) == b'Hello, file!\n'.ljust(20, b'\0')
    made.put(at, b'J')
    file = made.call(2, room, 0)
    assert made.call(0, file, room + 100, 5) == 5
    assert made.get(room + 100, 5) == b'Hello'
    assert made.get(at, 5) == b'Jello'
    assert made.call(MADVISE, at, 100, 4) == 0
    assert made.get(at, 5) == b'Hello'


def test_pages_that_are_not_needed_are_zero_again(made: Machine) -> None:
    room = made.room(4 * PAGE_BYTES)
    made.put(room, b'x' * 4 * PAGE_BYTES)
    resident = made.user.nr_resident
    assert made.call(MADVISE, room + PAGE_BYTES, PAGE_BYTES + 1, 4) == 0
    assert made.user.nr_resident == resident - 2
    assert made.get(room, 4 * PAGE_BYTES) == b'x' * PAGE_BYTES + bytes(2 * PAGE_BYTES) + b'x' * PAGE_BYTES
    assert made.call(MADVISE, room + 1, PAGE_BYTES, 4) == made.call(MADVISE, room, 1, 99) == -errno.EINVAL
    assert made.call(MADVISE, HOLE, PAGE_BYTES, 4) == -errno.ENOMEM


def test_the_break(made: Machine) -> None:
    start = made.call(BRK, 0)
    assert made.call(BRK, start + 5000) == start + 5000
    made.put(start, b'x' * 5000)
    assert made.call(BRK, start) == start
    assert [made.call(BRK, wanted) for wanted in (-1, 1 << 47, -1 << 63, start - 1)] == [start] * 4


def test_limits(made: Machine) -> None:
    room = made.room()
    made.put(room, struct.pack('<2Q', made.user.nr_pages * PAGE_BYTES + 8192, 1 << 63))
    assert made.call(PRLIMIT, 0, 9, room, 0) == 0
    assert made.call(MMAP, 0, 3 * 4096, 3, ANONYMOUS, -1, 0) == -errno.ENOMEM
    assert made.call(MMAP, 0, 2 * 4096, 3, ANONYMOUS, -1, 0) > 0
    assert made.call(97, 3, room) == 0
    assert made.word(room) == 8 << 20
    assert made.call(PRLIMIT, 7, 9, 0, 0) == -errno.ESRCH
    assert made.call(PRLIMIT, 0, 16, 0, 0) == -errno.EINVAL
    made.put(room, struct.pack('<2Q', 5, 4))
    assert made.call(PRLIMIT, 0, 9, room, 0) == made.call(160, 2, room) == -errno.EINVAL


def test_bases_of_segments(made: Machine) -> None:
    room = made.room()
    assert made.call(ARCH_PRCTL, 0x1002, 0x7FFF_FFFF_EFFF) == 0
    assert made.call(ARCH_PRCTL, 0x1001, 0x1234) == 0
    assert made.call(ARCH_PRCTL, 0x1003, room) == made.call(ARCH_PRCTL, 0x1004, room + 8) == 0
    assert (made.word(room), made.word(room + 8)) == (0x7FFF_FFFF_EFFF, 0x1234)
    assert (made.sim.computer.cpu.fs_base, made.sim.computer.cpu.kernel_gs_base) == (0x7FFF_FFFF_EFFF, 0x1234)
    for value in (0x7FFF_FFFF_F000, 1 << 47, -1, -1 << 47):
        assert made.call(ARCH_PRCTL, 0x1002, value) == made.call(ARCH_PRCTL, 0x1001, value) == -errno.EPERM
    assert made.call(ARCH_PRCTL, 0x3001, 0) == -errno.EINVAL


# ------------------------------------------------------------------ signals
@pytest.mark.parametrize(
    'send', [lambda made, n: (KILL, 2, n), lambda made, n: (TKILL, 2, n), lambda made, n: (TGKILL, 2, 2, n)]
)
def test_a_signal_to_itself_ends_the_program(made: Machine, send: Callable[[Machine, int], tuple[int, ...]]) -> None:
    assert made.call(*send(made, 0)) == made.call(*send(made, SIGCHLD)) == 0
    assert made.call(*send(made, 65)) == -errno.EINVAL
    assert ending(made.end(*send(made, SIGABRT))) == (1, SIGABRT)


def test_signals_are_ignored_blocked_and_delivered_later(made: Machine) -> None:
    room = made.room()
    made.put(room, struct.pack('<4Q', 1, 0, 0, 0) + struct.pack('<Q', 1 << (SIGUSR1 - 1) | 1 << (SIGKILL - 1)))
    assert made.call(SIGACTION, SIGPIPE, room, 0, 8) == 0
    assert made.call(KILL, 2, SIGPIPE) == 0
    assert made.call(SIGPROCMASK, 0, room + 32, room + 40, 8) == 0
    assert made.word(room + 40) == 0
    assert made.call(KILL, 2, SIGUSR1) == 0
    assert made.call(127, room + 40, 8) == 0
    assert made.word(room + 40) == 1 << (SIGUSR1 - 1)
    assert ending(made.end(SIGPROCMASK, 1, room + 32, 0, 8)) == (1, SIGUSR1)


def test_kill_cannot_be_ignored_nor_blocked(made: Machine) -> None:
    room = made.room()
    made.put(room, struct.pack('<4Q', 1, 0, 0, 0) + b'\xff' * 8)
    assert made.call(SIGACTION, SIGKILL, room, 0, 8) == -errno.EINVAL
    assert made.call(SIGACTION, SIGSTOP, room, 0, 8) == -errno.EINVAL
    assert made.call(SIGACTION, SIGKILL, 0, room + 48, 8) == 0
    assert made.call(SIGPROCMASK, 2, room + 32, 0, 8) == 0
    assert ending(made.end(KILL, 2, SIGKILL)) == (1, SIGKILL)


@pytest.mark.parametrize('call', [(34,), (7, 0, 0, -1), (KILL, 2, SIGSTOP)])
def test_what_would_wait_for_ever_ends_the_program(made: Machine, call: tuple[int, ...]) -> None:
    records = made.end(*call)
    assert ending(records) == (1, SIGKILL)
    about = NO_CALL & (1 << 64) - 1 if call[0] == KILL else call[0]
    remarks = [(record.number, record.words[0]) for record in records if record.kind == RECORD_REMARK]
    assert remarks == [(REMARK_WAITS_FOR_EVER, about)]


FAULTS: Final = {FAULT_NO_RANGE: SIGSEGV, FAULT_NO_RIGHT: SIGSEGV, FAULT_BEYOND_CONTENT: 7, NO_FRAME: SIGKILL}


@pytest.mark.parametrize('code', FAULTS)
def test_a_fault_says_where_it_was(made: Machine, code: int) -> None:
    regs = made.regs
    regs.vector, regs.error, regs.rip = 14, 7, 0x40_1003
    on_fault(made.k, regs, code, VirtAddr(0x40_1234))
    with pytest.raises(MachineStopped):
        go_on(made.k)
    records = made.records()
    assert ending(records) == (1, FAULTS[code])
    (end,) = [record for record in records if record.kind == RECORD_END]
    assert (*end.words[1:], end.result) == (0x40_1234, 14, 7, 0x40_1003, 0x40_1000, 0x40_2000)
    assert end.text == struct.pack('<I', 5)


@pytest.mark.parametrize(('number', 'status'), [(EXIT, 0), (EXIT_GROUP, 255), (EXIT_GROUP, 0x1234)])
def test_the_status_of_a_program_that_ends(made: Machine, number: int, status: int) -> None:
    assert ending(made.end(number, status)) == (0, status & 0xFF)


# ------------------------------------------------------------------ time, chance, and what is not there
def test_virtual_time_passes_when_somebody_looks_or_sleeps() -> None:
    made, again = machine(start_seconds=1000), machine(start_seconds=1000)
    room = made.room()
    assert again.room() == room
    times: list[tuple[int, ...]] = []
    for each in (made, again):
        each.put(room, struct.pack('<2Q', 5, 7))
        assert each.call(35, room, 0) == each.call(228, 0, room) == 0
        times.append((each.word(room), each.word(room + 8)))
        assert each.call(318, room, 8, 0) == 8
        times[-1] += (each.word(room),)
    assert times[0] == times[1]
    assert times[0][0] == 1005
    assert 7 < times[0][1] < 1_000_000
    assert made.call(228, 99, room) == -errno.EINVAL
    made.put(room, struct.pack('<2Q', 0, 1_000_000_000))
    assert made.call(35, room, 0) == -errno.EINVAL
    assert made.call(318, room, 8, 8) == -errno.EINVAL


def test_a_call_that_is_not_there_is_named_once(made: Machine) -> None:
    numbers = (101, 101, 166, 1000, 5000, -1, 166, 1 << 32 | 101)
    assert [made.call(number) for number in numbers] == [-errno.ENOSYS] * len(numbers)
    assert [record.number for record in made.records() if record.kind == RECORD_UNKNOWN_CALL] == [101, 166, 1000]
    assert made.call(334) == -errno.ENOSYS
    assert len(made.records()) == 3


# ------------------------------------------------------------------ records
def test_records_of_calls_have_texts_and_buffers() -> None:
    made = machine(flags=PUT_CALLS)
    room = made.room()
    made.put(room, b'/etc/motd\0')
    file = made.call(2, room, 0)
    assert made.call(0, file, room + 100, 5) == 5
    made.put(room + 200, b'y' * 100)
    assert made.call(1, 1, room + 200, 100) == 100
    assert made.call(2, 0, 0) == -errno.EFAULT
    assert made.call(0, 99, room, 5) == -errno.EBADF
    told = [record for record in made.records() if record.kind == RECORD_CALL][1:]
    assert [(record.number, record.result) for record in told] == [(2, 3), (0, 5), (1, 100), (2, -14), (0, -9)]
    texts = [record.texts() for record in told]
    assert texts[:3] == [[(9, b'/etc/motd')], [(5, b'Hello')], [(100, b'y' * 64)]]
    assert texts[3:] == [[(0xFFFF_FFFF, b'')]] * 2
    assert told[1].words[:3] == (3, room + 100, 5)


def test_the_kernel_and_the_host_agree_on_texts() -> None:
    kinds = {'path': shapes.PATH, 'in': shapes.INPUT, 'out': shapes.OUTPUT}
    for number in range(512):
        call: SystemCall = system_call(number)
        shape = sum(int(kinds.get(kind, 0)) << 2 * index for index, kind in enumerate(call.kinds))
        assert shapes.shape_of(number) == shape, call


# ------------------------------------------------------------------ without memory
def test_exec_without_memory_leaves_nothing() -> None:
    made = machine()
    for refused in range(1, 200):
        again = machine_unstarted()
        free_frames = free_without_caches(again)
        again.info.refuse_at = refused
        code = again.create()
        again.k.frames.refuse_at = 0
        if code == OK:
            assert refused > 5
            break
        assert again.k.tasks.current == 0
        assert free_without_caches(again) == free_frames, refused
        check(again)
    check(made)


def free_without_caches(made: Machine) -> int:
    """Free frames, when page cache and heap have given back what they keep."""
    vm.give_up_pages(made.k)
    heap.shrink(made.k)
    return pmm.nr_free_frames(made.k)


def machine_unstarted() -> Machine:
    """A machine whose first program was not made yet."""
    made = machine()
    drop_first(made.k, made.task)
    return made


def check(made: Machine) -> None:
    k = made.k
    assert pmm.check(k) == vmm.check(k) == heap.check(k) == vm.check(k) == files.check(k) == 0


CALLS_WITHOUT_MEMORY: Final = {
    'mmap': (MMAP, 0, 1 << 20, 3, ANONYMOUS, -1, 0),
    'brk': (BRK, 0x50_0000),
    'mprotect': (MPROTECT, 0x40_3000, 4096, 1),
    'munmap': (MUNMAP, 0x40_3000, 4096),
    'read': (0, 3, 'fresh', 13),
    'open': (2, 'text', 0),
    'open maps': (2, 'maps', 0),
    'dup': (32, 3),
}


@pytest.mark.parametrize('name', CALLS_WITHOUT_MEMORY)
def test_a_call_without_memory_fails_and_nothing_is_lost(name: str) -> None:
    for refused in range(1, 100):
        made = machine()
        room = made.room()
        made.put(room, b'/etc/motd\0')
        made.put(room + 100, b'/proc/self/maps\0')
        assert made.call(2, room, 0) == 3
        places = {'text': room, 'maps': room + 100, 'fresh': made.room()}
        number, *rest = (places[word] if isinstance(word, str) else word for word in CALLS_WITHOUT_MEMORY[name])
        heap.shrink(made.k)
        before = (made.user.nr_ranges, made.user.nr_pages, made.user.brk, made.user.nr_resident)
        made.k.frames.requests, made.k.frames.refuse_at = 0, refused
        result = made.call(number, *rest)
        was_refused = made.k.frames.requests >= refused
        made.k.frames.refuse_at = 0
        if not was_refused:
            return
        if result in (-errno.ENOMEM, -errno.EFAULT) or (name == 'brk' and result != rest[0]):
            assert (made.user.nr_ranges, made.user.nr_pages, made.user.brk, made.user.nr_resident) == before
        check(made)
        made.k.tasks.flags = CHECK_IN_THE_END
        assert ending(made.end(EXIT, 0)) == (0, 0)
    raise AssertionError('it asks for frames again and again')
