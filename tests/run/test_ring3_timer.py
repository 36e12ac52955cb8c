"""The timer of the simulated computer, and what a processor that waits is woken by, in `sim` and `jit`."""

import itertools
import os
import socket
import threading
import time
from typing import Final

import pytest

from incroos.machine.interrupts import CODE_BYTES
from incroos.run.channels import NO_CHANNELS, Channels
from incroos.run.outcome import Outcome, Status

from . import ring3_kernel as mini
from .ring3_lab import CODE, DATA, PLACES, Ran, page, run

PASSED: Final = Outcome(Status.PASSED)
HALTED: Final = Outcome(Status.HANG, 'the kernel halted the processor, and nothing can wake it')
END: Final = 'mov eax, 0; syscall; '
ASK: Final = b''.join(byte.to_bytes(1, 'little') for byte in (5, 0, 0, 0))


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def out(*pairs: tuple[int, int]) -> str:
    """Writes to ports; they spoil RAX, RCX, RDI, RSI and R11."""
    return ''.join(f'mov eax, {mini.OUT}; mov edi, {port}; mov esi, {value}; syscall; ' for port, value in pairs)


def read(port: int) -> str:
    return f'mov eax, {mini.IN}; mov edi, {port}; syscall; '


SET_UP: Final = out((0x20, 0x11), (0x21, 32), (0x21, 4), (0x21, 1), (0x21, 0xFF))
RUN: Final = out((0x43, 0x34), (0x40, 0x9C), (0x40, 0x2E))  # 100 Hz
UNMASK, MASK = out((0x21, 0xFE)), out((0x21, 0xFF))
STARTED: Final = SET_UP + RUN + UNMASK
WAIT: Final = f'mov eax, {mini.WAIT}; syscall; '


def loop(rounds: int, label: int = 1) -> str:
    """So many rounds of 8 bytes, which RBX counts: the DEC and JNZ of a loop are in one block with the rest."""
    return f'mov r12d, {rounds}; .balign 16; {label}: inc rbx; dec r12d; jnz {label}b; '


ROUND_BYTES: Final = 8
SLICE: Final = CODE_BYTES // ROUND_BYTES  # rounds


# ---------------------------------------------------------------- when it interrupts
def test_it_interrupts_again_and_again(place: str) -> None:
    ran = run(place, STARTED + 'xor ebx, ebx; ' + loop(5 * SLICE) + END)
    assert ran.outcome == PASSED
    assert ran.end.rbx == 5 * SLICE
    assert len(ran.ticks) == 5
    counts = [rbx for _, rbx in ran.ticks]
    assert [second - first for first, second in itertools.pairwise(counts)] == [SLICE - 1] * 4
    assert ran.notes.ticks[0].cs == 0x33


def test_it_interrupts_at_the_same_places_in_each_place_and_run() -> None:
    """Blocks of several lengths, page faults, string instructions, calls."""
    text = (
        STARTED
        + f"""xor ebx, ebx; mov r13d, 40000
        1: add rbx, 3; test r13d, 7; jnz 2f
        mov rdi, {page(4)}; mov ecx, 100; rep stosb
        2: call 3f; mov r11, {page(5)}; mov [r14 + r11], rbx; dec r13d; jnz 1b; {END}
        3: mov r14, r13; and r14, 0x1FF8; imul r15, rbx, 77; ret"""
    )
    found = [run(place, text, first={4: DATA, 5: 0, 6: 0}, later={5: DATA, 6: DATA}) for place in ('sim', 'jit', 'sim')]
    assert [ran.outcome for ran in found] == [PASSED] * 3
    assert len(found[0].ticks) > 3
    assert found[0].ticks == found[1].ticks == found[2].ticks
    assert {ran.end.rbx for ran in found} == {3 * 40000}


@pytest.mark.parametrize(
    'text',
    [
        '',  # nothing is set up
        RUN,  # no controller
        SET_UP + UNMASK,  # no divisor
        SET_UP + RUN,  # masked
        SET_UP + out((0x43, 0x30), (0x40, 0), (0x40, 1)) + UNMASK,  # a mode that interrupts once is not modelled
        SET_UP + out((0x43, 0x34), (0x40, 0)) + UNMASK,  # half a divisor
        SET_UP + out((0x43, 0xB4), (0x42, 0), (0x42, 1)) + UNMASK,  # another channel
        STARTED + MASK,
        STARTED + out((0x20, 0x11)),  # the controller is set up anew
    ],
)
def test_it_does_not_interrupt(text: str) -> None:
    ran = run('jit', text + loop(10 * SLICE) + END)
    assert (ran.outcome, ran.notes.nr_ticks) == (PASSED, 0)


def test_it_waits_to_be_acknowledged(place: str) -> None:
    ran = run(place, STARTED + loop(5 * SLICE) + END, leaves_ticks=True)
    assert (ran.outcome, ran.notes.nr_ticks) == (PASSED, 1)


def test_each_start_gives_a_whole_slice(place: str) -> None:
    """Masked and unmasked in time, it never interrupts."""
    part = UNMASK + loop(SLICE // 2) + MASK
    ran = run(place, SET_UP + RUN + f'mov r13d, 6; 2: {part} dec r13d; jnz 2b; ' + END)
    assert (ran.outcome, ran.notes.nr_ticks) == (PASSED, 0)


def test_it_goes_on_after_it_was_masked(place: str) -> None:
    ran = run(place, STARTED + loop(2 * SLICE) + MASK + loop(9 * SLICE) + UNMASK + loop(2 * SLICE) + END)
    assert (ran.outcome, ran.notes.nr_ticks) == (PASSED, 4)


def test_an_interrupt_that_finds_interrupts_disabled_is_lost(place: str) -> None:
    ran = run(place, STARTED + loop(3 * SLICE) + END, rflags=2)
    assert (ran.outcome, ran.notes.nr_ticks) == (PASSED, 0)


def test_what_runs_before_a_timer_is_not_counted() -> None:
    """Code that was translated before is counted, too, once there is a timer."""
    body = f'mov r12d, {SLICE}; .balign 16; 1: inc rbx; dec r12d; jnz 1b; '
    ran = run('jit', f'mov r13d, 2; 2: {body} test r13d, 1; jnz 3f; {STARTED} 3: dec r13d; jnz 2b; {END}')
    assert (ran.outcome, ran.notes.nr_ticks) == (PASSED, 1)


# ---------------------------------------------------------------- exactness


def test_flags_and_registers_live_on(place: str) -> None:
    """A sum of everything that is alive at each block's end, with an interrupt at some of them and without."""
    text = """mov r13d, 60000; mov rbx, 88172645463325252; xor r8d, r8d; stc
    1: pushfq; pop r9; and r9d, 0x8D5; add r8, r9
    mov rax, rbx; shl rax, 13; xor rbx, rax; jc 2f; ror r8, 3
    2: mov rax, rbx; shr rax, 7; xor rbx, rax; adc r8, rbx
    mov rax, rbx; shl rax, 17; xor rbx, rax; jp 3f; rol r8, 5
    3: std; cmp bl, 9; ja 4f; cld
    4: cld; add r8, rax; dec r13d; jnz 1b
    mov rbx, r8; """
    found = [run(place, start + text + END) for start in ('', STARTED)]
    assert found[0].notes.nr_ticks == 0
    assert found[1].notes.nr_ticks > 5
    assert found[0].end.rbx == found[1].end.rbx


def test_vector_and_x87_registers_live_on(place: str) -> None:
    text = f"""mov r13d, 60000; mov rbx, 1; cvtsi2sd xmm0, rbx; mov eax, 3; cvtsi2sd xmm1, rax; movsd xmm2, xmm0
    divsd xmm2, xmm1; fldpi; fld1; fldl2e
    1: addsd xmm0, xmm2; mulsd xmm1, xmm2; xorpd xmm3, xmm0; test r13d, 3; jnz 2f
    fxch st(2); fadd st, st(1); fxch st(1)
    2: paddq xmm4, xmm3; dec r13d; jnz 1b
    movdqu [rip + {page(4)} - {page(0)} - 3f + 0f], xmm4; 3: """
    text = text.replace(f'[rip + {page(4)} - {page(0)} - 3f + 0f]', '[r10]').replace('3: ', '')
    text = f'mov r10, {page(4)}; ' + text + 'movdqu [r10 + 16], xmm0; fstp tbyte ptr [r10 + 32]; '
    text += 'fstp tbyte ptr [r10 + 48]; fstp tbyte ptr [r10 + 64]; '
    found = [run(place, start + text + END, first={4: DATA}, cr4=0) for start in ('', STARTED)]
    assert found[1].notes.nr_ticks > 5
    assert found[0].content(4) == found[1].content(4)
    assert any(found[0].content(4)[64:74])


@pytest.mark.parametrize('flag', [0x100, 0x400, 0x40000])
def test_a_flag_that_is_set_when_it_interrupts(place: str, flag: int) -> None:
    """The trap flag ends the program by itself; the others go with the program's registers, and stay."""
    text = f'pushfq; or dword ptr [rsp], {flag}; popfq; nop; nop; ' + loop(3 * SLICE) + END
    ran = run(place, STARTED + text)
    assert ran.outcome == PASSED
    if flag == 0x100:
        assert (ran.end.vector, ran.notes.nr_ticks) == (1, 0)
    else:
        assert ran.notes.nr_ticks == 3
        assert all(ran.notes.ticks[index].rflags & flag for index in range(3))


def test_faults_between_ticks_are_faults(place: str) -> None:
    """What happens in the block that would have been the last one of a slice is told first."""
    text = f"""xor ebx, ebx; mov r13d, {3 * CODE_BYTES // 16}
    lea r15, [rip + 2f]
    1: inc rbx; nop; nop; ud2
    2: dec r13d; jnz 1b; """
    ran = run(place, STARTED + text + END, goes_on=True, silent=True)
    assert ran.outcome == PASSED
    assert ran.notes.nr_ticks == 2


# ---------------------------------------------------------------- a processor that waits
QUESTION: Final = out((0x2F9, 1), *((0x2F8, byte) for byte in ASK))
LET_INPUT_THROUGH: Final = out((0x21, 0xF7))


def test_a_wait_for_nothing_is_a_halt(place: str) -> None:
    for text in ('', SET_UP, SET_UP + LET_INPUT_THROUGH, SET_UP + RUN, SET_UP + QUESTION):
        assert run(place, text + WAIT + END).outcome == HALTED


def test_a_wait_for_the_timer_takes_wall_time(place: str) -> None:
    start = time.monotonic()
    ran = run(place, STARTED + WAIT * 20 + END)
    assert (ran.outcome, ran.notes.nr_ticks) == (PASSED, 0)
    assert 0.15 < time.monotonic() - start < 10


def test_a_wait_for_the_timer_goes_by_in_the_time_stamp(place: str) -> None:
    text = STARTED + 'rdtsc; mov ebx, eax; ' + WAIT * 2 + 'rdtsc; sub eax, ebx; mov ebx, eax; '
    ran = run(place, text + END)
    assert 2 * 9_990_000 < ran.end.rbx < 2 * 10_010_000


def test_a_wait_ends_with_input(place: str) -> None:
    """Without a timer, when somebody writes."""
    read_end, write_end = os.pipe()
    timer = threading.Timer(0.5, lambda: os.write(write_end, b'abc'))
    timer.start()
    start = time.monotonic()
    text = SET_UP + LET_INPUT_THROUGH + QUESTION + read(0x2FD) + 'mov rbx, rax; ' + WAIT + read(0x2FD)
    ran = run(place, text + 'shl ebx, 8; or ebx, eax; ' + END, channels=Channels(input=read_end))
    timer.join()
    os.close(read_end)
    os.close(write_end)
    assert (ran.outcome, ran.end.rbx) == (PASSED, 0x6061)
    assert time.monotonic() - start > 0.4


def test_a_wait_ends_with_the_end_of_the_input(place: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        timer = threading.Timer(0.5, lambda: ours.shutdown(socket.SHUT_WR))
        timer.start()
        text = SET_UP + LET_INPUT_THROUGH + QUESTION + WAIT + END
        ran = run(place, text, channels=Channels(input=theirs.fileno()))
        timer.join()
    assert ran.outcome == PASSED


def test_what_there_is_needs_no_wait(place: str) -> None:
    """Bytes, and a file: each look finds the answer."""
    text = SET_UP + LET_INPUT_THROUGH + QUESTION + read(0x2FD) + 'mov rbx, rax; ' + WAIT + END
    assert run(place, text, channels=Channels(input=b'abc')).end.rbx == 0x61
    with open(__file__) as file:
        assert run(place, text, channels=Channels(input=file.fileno())).end.rbx == 0x61


def test_a_look_waits_for_nothing(place: str) -> None:
    read_end, write_end = os.pipe()
    ran = run(place, SET_UP + QUESTION + read(0x2FD) + 'mov rbx, rax; ' + END, channels=Channels(input=read_end))
    os.close(read_end)
    os.close(write_end)
    assert (ran.outcome, ran.end.rbx) == (PASSED, 0x60)


def test_time_that_is_over_ends_a_wait(place: str) -> None:
    read_end, write_end = os.pipe()
    start = time.monotonic()
    text = SET_UP + LET_INPUT_THROUGH + QUESTION + WAIT + END
    ran = run(place, text, channels=Channels(input=read_end), seconds=1)
    os.close(read_end)
    os.close(write_end)
    assert ran.outcome.status is Status.HANG
    assert ran.outcome != HALTED
    assert time.monotonic() - start < 20


# ---------------------------------------------------------------- registers
def registers_of(text: str, port: int, channels: Channels = NO_CHANNELS) -> Ran:
    return run('jit', text + read(port) + 'mov rbx, rax; ' + END, channels=channels)


@pytest.mark.parametrize(
    ('text', 'port', 'value'),
    [
        (SET_UP, 0x21, 0xFF),
        (SET_UP + out((0x21, 0xFE)), 0x21, 0xFE),
        (out((0x20, 0x11)), 0x21, 0),
        (out((0xA0, 0x11), (0xA1, 40), (0xA1, 2), (0xA1, 1), (0xA1, 0xEF)), 0xA1, 0xEF),
        (SET_UP, 0x20, 0),
        (SET_UP + out((0x20, 0x0B)), 0x20, 0),
    ],
)
def test_registers_of_the_controllers(text: str, port: int, value: int) -> None:
    assert registers_of(text, port).end.rbx == value


def test_an_interrupt_is_in_service_until_it_is_acknowledged() -> None:
    text = STARTED + loop(2 * SLICE) + out((0x20, 0x0B)) + read(0x20) + 'mov r13, rax; '
    text += out((0x20, 0x20), (0x20, 0x0B)) + read(0x20) + 'shl r13, 8; or rax, r13; mov rbx, rax; '
    ran = run('jit', text + END, leaves_ticks=True, first={0: CODE, 1: CODE})
    assert (ran.end.rbx, ran.notes.nr_ticks) == (0x100, 1)
