"""Frames of handlers, byte by byte as Linux has them, and what sigreturn takes from one that was changed."""

import errno
import struct
from typing import Final

import pytest

from incroos.kernel.abi.entry import on_syscall
from incroos.kernel.state.records import RECORD_CHECK, RECORD_END
from incroos.kernel.state.run_info import CHECK_IN_THE_END
from incroos.kernel.task.actions import actions_of
from incroos.lang.words import signed
from incroos.machine.errors import MachineStopped

from ..abi.programs import HOLE, Machine, machine

SIGACTION, SIGPROCMASK, SIGRETURN, SIGALTSTACK, KILL, TKILL = 13, 14, 15, 131, 62, 200
MMAP, YIELD, FORK, FUTEX = 9, 24, 57, 202
SHARED_ANONYMOUS: Final = 0x21
SIGUSR1, SIGSEGV, SIGUSR2 = 10, 11, 12
HANDLER, RESTORER = 0x40_1010, 0x40_1020
SA_SIGINFO, SA_RESTORER, SA_ONSTACK, SA_NODEFER, SA_RESETHAND = 4, 0x0400_0000, 0x0800_0000, 0x4000_0000, 0x8000_0000
MINE: Final = 2  # the number of the only task

# struct rt_sigframe of Linux for x86-64, as its headers have it: offsets in bytes
CONTEXT, INFO, FRAME_BYTES = 8, 312, 440
FLAGS, LINK, STACK, MASK = 8, 16, 24, 304
REGISTERS: Final = (
    'r8',
    'r9',
    'r10',
    'r11',
    'r12',
    'r13',
    'r14',
    'r15',
    'rdi',
    'rsi',
    'rbp',
    'rbx',
    'rdx',
    'rax',
    'rcx',
)
RSP, RIP, RFLAGS, CS, SS = 168, 176, 184, 192, 198
ERROR, VECTOR, OLD_MASK, CR2, VECTORS = 200, 208, 216, 224, 232
VECTOR_BYTES, MXCSR = 512, 24


@pytest.fixture
def made() -> Machine:
    return machine(flags=CHECK_IN_THE_END)


def act(made: Machine, signal: int, flags: int = 0, mask: int = 0, handler: int = HANDLER) -> None:
    """Give a signal a handler."""
    room = made.room(4096)
    made.put(room, struct.pack('<4Q', handler, flags, RESTORER, mask))
    assert made.call(SIGACTION, signal, room, 0, 8) == 0


def stack_of(made: Machine, nbytes: int = 1 << 16) -> int:
    """A stack for the program: its end, off any multiple of 16."""
    top = made.room(nbytes) + nbytes - 24
    made.regs.rsp = top
    return top


def field(frame: bytes, offset: int) -> int:
    return int(struct.unpack_from('<Q', frame, offset)[0])


def interrupted(made: Machine, flags: int = SA_SIGINFO | SA_RESTORER) -> tuple[int, bytes]:
    """Have a handler called: where its frame is, and what is in it."""
    act(made, SIGUSR1, flags)
    stack_of(made)
    assert made.call(KILL, MINE, SIGUSR1) == 0
    return made.regs.rsp, made.get(made.regs.rsp, FRAME_BYTES)


def ended_by(made: Machine) -> int:
    """The signal by which the program ended; nothing is lost."""
    records = made.records()
    assert [each.words[:3] for each in records if each.kind == RECORD_CHECK] == [(0, 0, 0)]
    (end,) = [each for each in records if each.kind == RECORD_END]
    assert end.number == 1
    return end.words[0]


# ------------------------------------------------------------------ before the handler
def test_a_frame_is_as_linux_makes_it(made: Machine) -> None:
    act(made, SIGUSR1, SA_SIGINFO | SA_RESTORER, 1 << (SIGUSR2 - 1) | 1 << 8)
    top = stack_of(made)
    regs = made.regs
    for index, name in enumerate(REGISTERS):
        setattr(regs, name, 0x1111_0000 + index)
    regs.rip, regs.rflags = 0x40_1002, 0x202 | 1 << 10 | 1 << 16
    made.task.blocked = 1 << 3
    kept = {name: getattr(regs, name) for name in (*REGISTERS, 'rsp', 'rip', 'rflags')}
    regs.rax, regs.rdi, regs.rsi = KILL, MINE, SIGUSR1
    kept |= {'rax': 0, 'rdi': MINE, 'rsi': SIGUSR1}
    assert on_syscall(made.k, regs) == 1
    at = regs.rsp
    frame = made.get(at, FRAME_BYTES)
    assert at % 16 == 8
    assert field(frame, 0) == RESTORER
    assert (field(frame, FLAGS), field(frame, LINK)) == (6, 0)
    for index, name in enumerate(REGISTERS):
        assert field(frame, 48 + 8 * index) == kept[name], name
    assert [field(frame, each) for each in (RSP, RIP, RFLAGS)] == [top, 0x40_1002, kept['rflags']]
    assert struct.unpack_from('<4H', frame, CS) == (0x33, 0, 0, 0x2B)
    assert [field(frame, each) for each in (ERROR, VECTOR, CR2)] == [0, 0, 0]
    assert field(frame, OLD_MASK) == field(frame, MASK) == 1 << 3
    assert struct.unpack_from('<4I2I', frame, INFO) == (SIGUSR1, 0, 0, 0, MINE, 0)
    assert frame[INFO + 24 :] == bytes(104)
    vectors = field(frame, VECTORS)
    assert vectors % 64 == 0
    assert at + FRAME_BYTES <= vectors <= top - 128 - VECTOR_BYTES
    state = made.get(vectors, VECTOR_BYTES)
    assert struct.unpack_from('<H', state) == (0x37F,)
    assert struct.unpack_from('<II', state, MXCSR) == (0x1F80, 0xFFFF)
    assert state[416:] == bytes(96)
    # what the handler finds
    assert (regs.rdi, regs.rsi, regs.rdx, regs.rax, regs.rip) == (SIGUSR1, at + INFO, at + CONTEXT, 0, HANDLER)
    assert regs.rflags == 0x202
    assert made.task.blocked == 1 << 3 | 1 << (SIGUSR1 - 1) | 1 << (SIGUSR2 - 1)


def test_a_wait_on_a_futex_that_somebody_named_ends_well_though_a_handler_comes_first(made: Machine) -> None:
    at = made.call(MMAP, 0, 4096, 3, SHARED_ANONYMOUS, -1, 0)
    act(made, SIGUSR1, SA_RESTORER)
    stack_of(made)
    assert made.call(FORK) == 3
    made.call(FUTEX, at, 0, 0, 0)
    assert made.task.number == 3
    assert made.call(FUTEX, at, 1, 1) == 1
    assert made.call(KILL, MINE, SIGUSR1) == 0
    made.call(YIELD)
    assert (made.task.number, made.regs.rip) == (MINE, HANDLER)
    frame = made.get(made.regs.rsp, FRAME_BYTES)
    assert field(frame, 48 + 8 * REGISTERS.index('rax')) == 0


def test_a_handler_without_siginfo_gets_none(made: Machine) -> None:
    _at, frame = interrupted(made, SA_RESTORER)
    assert frame[INFO:] == bytes(128)


def test_what_flags_say_of_the_mask(made: Machine) -> None:
    interrupted(made, SA_RESTORER | SA_NODEFER | SA_RESETHAND)
    assert made.task.blocked == 0
    assert actions_of(made.task).actions[SIGUSR1 - 1].handler == 0


def test_several_signals_are_called_one_in_the_other(made: Machine) -> None:
    """The last frame is that of the highest number: it runs first."""
    for signal in (SIGUSR1, SIGUSR2):
        act(made, signal, SA_RESTORER)
    room = made.room(4096)
    made.put(room, struct.pack('<Q', 1 << (SIGUSR1 - 1) | 1 << (SIGUSR2 - 1)))
    stack_of(made)
    assert made.call(SIGPROCMASK, 0, room, 0, 8) == 0
    assert made.call(KILL, MINE, SIGUSR2) == made.call(KILL, MINE, SIGUSR1) == 0
    made.call(SIGPROCMASK, 1, room, 0, 8)
    assert made.regs.rdi == SIGUSR2
    inner = made.get(made.regs.rsp, FRAME_BYTES)
    assert field(inner, RIP) == HANDLER
    assert field(inner, MASK) == 1 << (SIGUSR1 - 1)
    outer = made.get(field(inner, RSP), FRAME_BYTES)
    assert field(outer, MASK) == 0


STACKS: Final = {
    'in a hole': HOLE + 4096,
    'of the program': 0x40_1800,
    'at the start': 0x100,
    'zero': 0,
    'negative': -1,
    'not canonical': 1 << 47,
    'of the kernel': -(1 << 47) + (1 << 20),
    'the least word': -1 << 63,
    'too near to the start of a range': None,
}


@pytest.mark.parametrize('name', STACKS)
@pytest.mark.parametrize('signal', [SIGUSR1, SIGSEGV])
def test_a_frame_without_room_ends_the_program(made: Machine, name: str, signal: int) -> None:
    act(made, signal, SA_RESTORER)
    rsp = STACKS[name]
    if rsp is None:
        made.room(4096)
        rsp = made.call(9, HOLE, 4096, 3, 0x32, -1, 0) + 1000
    made.regs.rsp = rsp
    with pytest.raises(MachineStopped):
        made.call(KILL, MINE, signal)
    assert ended_by(made) == SIGSEGV


def test_a_frame_without_a_restorer_ends_the_program(made: Machine) -> None:
    act(made, SIGUSR1, SA_SIGINFO)
    stack_of(made)
    with pytest.raises(MachineStopped):
        made.call(KILL, MINE, SIGUSR1)
    assert ended_by(made) == SIGSEGV


def test_where_there_is_no_room_another_stack_helps(made: Machine) -> None:
    act(made, SIGUSR1, SA_RESTORER)
    act(made, SIGSEGV, SA_RESTORER | SA_SIGINFO | SA_ONSTACK, handler=HANDLER + 1)
    stack, room = made.room(8192), made.room(4096)
    made.put(room, struct.pack('<3Q', stack, 0, 8192))
    assert made.call(SIGALTSTACK, room, 0) == 0
    made.regs.rsp = HOLE
    made.call(KILL, MINE, SIGUSR1)
    assert (made.regs.rip, made.regs.rdi) == (HANDLER + 1, SIGSEGV)
    frame = made.get(made.regs.rsp, FRAME_BYTES)
    assert struct.unpack_from('<3I', frame, INFO) == (SIGSEGV, 0, 0x80)
    assert struct.unpack_from('<3Q', frame, STACK) == (stack, 0, 8192)
    assert stack < made.regs.rsp < stack + 8192
    assert made.call(SIGALTSTACK, room, 0) == -errno.EPERM


STACK_CALLS: Final = {
    'too small': (0, 2047, errno.ENOMEM),
    'large enough': (0, 2048, 0),
    'off': (2, 0, 0),
    'of a mode that there is not': (3, 8192, errno.EINVAL),
    'of many modes': (0x7FFF_FFFF, 8192, errno.EINVAL),
    'given up at each handler': (0x8000_0000, 8192, 0),
    'wild': (0, -1, 0),
}


@pytest.mark.parametrize('name', STACK_CALLS)
def test_a_stack_is_refused_as_by_linux(made: Machine, name: str) -> None:
    flags, nbytes, expected = STACK_CALLS[name]
    room = made.room(4096)
    made.put(room, struct.pack('<2Qq', 0x12_3456, flags, nbytes))
    assert made.call(SIGALTSTACK, room, room + 100) == -expected
    if expected == 0:
        assert struct.unpack('<3Q', made.get(room + 100, 24)) == (0, 2, 0)
        assert made.call(SIGALTSTACK, 0, room + 100) == 0
        is_off = flags == 2
        told = struct.unpack('<3Qq', made.get(room + 100, 24) + bytes(8))[:3]
        assert told == (0, 2, 0) if is_off else (0x12_3456, flags, nbytes % (1 << 64))


# ------------------------------------------------------------------ behind the handler
def returned(made: Machine, changed: dict[int, bytes]) -> int:
    """Change what is at offsets of the frame of a handler, and return from that."""
    at, _frame = interrupted(made)
    for offset, content in changed.items():
        made.put(at + offset, content)
    made.regs.rsp = at + 8  # the handler's RET has taken the first word
    return made.call(SIGRETURN)


def quad(value: int) -> bytes:
    return struct.pack('<Q', value % (1 << 64))


def test_all_registers_come_back(made: Machine) -> None:
    values = {48 + 8 * index: quad(0x2222_0000 + index) for index in range(len(REGISTERS))}
    more = {RSP: quad(HOLE), RIP: quad(0x40_1003), MASK: quad(-1), VECTORS: quad(0)}
    assert returned(made, {**values, **more}) == 0x2222_0000 + REGISTERS.index('rax')
    regs = made.regs
    assert [getattr(regs, name) for name in REGISTERS] == [0x2222_0000 + index for index in range(len(REGISTERS))]
    assert (regs.rsp, regs.rip, regs.cs, regs.ss) == (HOLE, 0x40_1003, 0x33, 0x2B)
    assert made.task.blocked == signed(~(1 << 8 | 1 << 18) % (1 << 64))


@pytest.mark.parametrize('value', [0, (1 << 64) - 1])
def test_of_the_flags_only_those_of_a_program_change(made: Machine, value: int) -> None:
    """AC, OF, DF, TF, SF, ZF, AF, PF, CF and RF; IF stays on, and IOPL, NT, VM and ID as they were."""
    returned(made, {RFLAGS: quad(value)})
    assert made.regs.rflags == 0x202 | value & 0x5_0DD5


HARMLESS: Final[dict[str, dict[int, bytes]]] = {
    'RIP not canonical': {RIP: quad(1 << 47)},
    'RIP of the kernel': {RIP: quad(-(1 << 31))},
    'RSP of the kernel': {RSP: quad(-(1 << 31))},
    'RSP not canonical': {RSP: quad(1 << 63)},
    'CS of ring 0 with the same index': {CS: b'\x30\0'},
    'SS of ring 0 with the same index': {SS: b'\x28\0'},
    'SS that nobody asks for': {FLAGS: quad(2), SS: b'\xff\xff'},
    'GS and FS': {CS + 2: b'\xff\xff\xff\xff'},
    'a link': {LINK: quad(-1)},
    'a stack in the kernel': {STACK: struct.pack('<3Q', (1 << 64) - (1 << 47), 0, (1 << 64) - 1)},
    'a stack of no mode': {STACK: struct.pack('<3Q', 1, 0x7FFF_FFFF, 1)},
    'no vector state': {VECTORS: quad(0)},
}


@pytest.mark.parametrize('name', HARMLESS)
def test_a_frame_that_harms_nobody_is_taken(made: Machine, name: str) -> None:
    changed = HARMLESS[name]
    returned(made, changed)
    regs = made.regs
    assert (regs.cs, regs.ss) == (0x33, 0x2B)
    assert regs.rip == signed(field(changed.get(RIP, quad(0x40_1000)), 0))
    if RSP in changed:
        assert regs.rsp == signed(field(changed[RSP], 0))


FATAL: Final[dict[str, dict[int, bytes]]] = {
    'CS 0': {CS: b'\0\0'},
    'CS of the kernel': {CS: b'\x08\0'},
    'CS of the kernel, for ring 3': {CS: b'\x0b\0'},
    'CS of 32 bits': {CS: b'\x23\0'},
    'CS wild': {CS: b'\xff\xff'},
    'SS 0': {SS: b'\0\0'},
    'SS of the kernel': {SS: b'\x10\0'},
    'SS of code': {SS: b'\x33\0'},
    'SS wild': {SS: b'\xfb\xff'},
    'vectors in a hole': {VECTORS: quad(HOLE)},
    'vectors of the kernel': {VECTORS: quad(-(1 << 47))},
    'vectors not canonical': {VECTORS: quad(1 << 47)},
    'vectors of the last page': {VECTORS: quad((1 << 47) - 4096)},
    'vectors at an odd address': {VECTORS: quad(0x40_2001)},
    'vectors at a multiple of 8': {VECTORS: quad(0x40_2008)},
    'vectors beyond their range': {VECTORS: quad(0x40_4FF0)},
}


@pytest.mark.parametrize('name', FATAL)
def test_a_frame_that_is_not_one_of_ring_3_ends_the_program(made: Machine, name: str) -> None:
    with pytest.raises(MachineStopped):
        returned(made, FATAL[name])
    assert ended_by(made) == SIGSEGV


@pytest.mark.parametrize('bit', [0, 6, 15, 16, 17, 31])
def test_which_bits_of_mxcsr_are_taken(bit: int) -> None:
    made = machine(flags=CHECK_IN_THE_END)
    at, frame = interrupted(made)
    made.put(field(frame, VECTORS) + MXCSR, struct.pack('<I', 1 << bit))
    made.regs.rsp = at + 8
    if bit < 16:
        made.call(SIGRETURN)
        assert made.regs.rip == 0x40_1000
    else:
        with pytest.raises(MachineStopped):
            made.call(SIGRETURN)
        assert ended_by(made) == SIGSEGV


@pytest.mark.parametrize('rsp', [0, HOLE, -1, -1 << 63, 1 << 47, -(1 << 47), 0x40_4FF0])
def test_where_no_frame_is_the_program_ends(made: Machine, rsp: int) -> None:
    made.regs.rsp = rsp
    with pytest.raises(MachineStopped):
        made.call(SIGRETURN)
    assert ended_by(made) == SIGSEGV


def test_a_bad_frame_can_be_told_to_a_handler(made: Machine) -> None:
    """It runs with the registers that the frame had."""
    act(made, SIGSEGV, SA_RESTORER | SA_SIGINFO, handler=HANDLER + 2)
    returned(made, {CS: b'\x08\0', RIP: quad(0x40_1005)})
    assert (made.regs.rip, made.regs.rdi) == (HANDLER + 2, SIGSEGV)
    frame = made.get(made.regs.rsp, FRAME_BYTES)
    assert struct.unpack_from('<3I', frame, INFO) == (SIGSEGV, 0, 0x80)
    assert (field(frame, RIP), field(frame, VECTOR)) == (0x40_1005, 13)


def test_the_frame_before_is_the_frame_behind(made: Machine) -> None:
    """A handler that changes nothing leaves nothing changed, the vector state included."""
    at, frame = interrupted(made)
    before = made.get(field(frame, VECTORS), VECTOR_BYTES)
    made.regs.rsp = at + 8
    assert made.call(SIGRETURN) == 0
    assert (made.regs.rip, made.task.blocked) == (0x40_1000, 0)
    stack_of(made)
    assert made.call(TKILL, MINE, SIGUSR1) == 0
    again = made.get(made.regs.rsp, FRAME_BYTES)
    assert made.get(field(again, VECTORS), VECTOR_BYTES) == before
    assert struct.unpack_from('<3I', again, INFO) == (SIGUSR1, 0, 0xFFFF_FFFA)


# ------------------------------------------------------------------ without memory
def test_a_handler_without_memory_for_its_frame_ends_the_program() -> None:
    """Each page that a frame needs is refused once: SIGSEGV, and nothing is lost."""
    for refused in range(1, 20):
        made = machine(flags=CHECK_IN_THE_END)
        act(made, SIGUSR1, SA_RESTORER)
        top = made.room(1 << 16) + (1 << 16) - 4096
        made.regs.rsp = top + 500
        made.k.frames.requests, made.k.frames.refuse_at = 0, refused
        try:
            made.call(KILL, MINE, SIGUSR1)
        except MachineStopped:
            assert ended_by(made) == SIGSEGV
        else:
            assert refused > 1
            assert made.regs.rip == HANDLER
            return
    raise AssertionError('a frame needs 20 pages')
