"""What stands round ring 3 on the simulated computer: CPUID, channels, modules, time, and what can go wrong."""

import _thread
import os
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from incroos.kernel.configs import MODERN
from incroos.lang import VirtAddr
from incroos.machine import cpuid
from incroos.machine.computer import Computer
from incroos.run import jit, sim, simulated
from incroos.run.channels import Channels
from incroos.run.handover import module_start
from incroos.run.interpreted_processor import InterpretedProcessor
from incroos.run.outcome import Outcome, Status, Unusable
from incroos.run.user_processor import UserProcessor

from . import ring3_kernel as mini
from .ring3_lab import DATA, ENTRIES, MEMORY, PLACES, compiled, page, run

END: Final = 'mov eax, 0; syscall'
PASSED: Final = Outcome(Status.PASSED)
FOR_EVER: Final = '1: jmp 1b'


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# ---------------------------------------------------------------- CPUID
ASKED: Final = [
    *((leaf, 0 if subleaf == cpuid.ANY else subleaf) for leaf, subleaf, *_ in cpuid.ROWS),
    (0xE, 0),
    (0x2000_0000, 0),
    (0x4000_0002, 0),
    (0x8000_0009, 0),
    (0xFFFF_FFFF, 0),
    (7, 1),
]


def test_cpuid_is_one_table(place: str) -> None:
    questions = b''.join(struct.pack('<2I', *question) for question in ASKED).ljust(4096, b'\0')
    text = f"""
        mov r8, {page(4)}; mov r9, {page(5)}; mov r10d, {len(ASKED)}
        1: mov eax, [r8]; mov ecx, [r8 + 4]; cpuid
        mov [r9], eax; mov [r9 + 4], ebx; mov [r9 + 8], ecx; mov [r9 + 12], edx
        add r8, 8; add r9, 16; dec r10d; jnz 1b; {END}"""
    ran = run(place, text, first={4: DATA, 5: DATA}, frames={4: questions})
    answers = [struct.unpack_from('<4I', ran.content(5), 16 * index) for index in range(len(ASKED))]
    last_basic = next(tuple(row[2:]) for row in cpuid.ROWS if row[:2] == (0xD, 0))
    wanted = [tuple(row[2:]) for row in cpuid.ROWS] + [last_basic] * 5 + [(0, 0, 0, 0)]
    assert answers == wanted


# ---------------------------------------------------------------- channels
PUT: Final = f'mov eax, {mini.PUT}; mov edi, {{port}}; mov esi, {{source}}; mov edx, {{nbytes}}; syscall; '


def test_what_is_put_goes_to_its_sink(place: str) -> None:
    found: list[bytearray] = [bytearray(), bytearray(), bytearray()]
    start = mini.SCRATCH + 4090  # over the end of a page
    text = ''.join(PUT.format(port=0xE9 + index, source=start + index, nbytes=10) for index in range(3))
    store = f'mov eax, {mini.WRITE_PHYSICAL}; mov edi, {start}; mov rsi, 0x0A0D030201000807; syscall; '
    outputs = found[0].extend, found[1].extend, found[2].extend
    ran = run(place, store + text + END, channels=Channels(outputs))
    content = bytes.fromhex('07080001 02030D0A') + bytes(10)
    assert ran.outcome == PASSED
    assert [bytes(part) for part in found] == [content[index : index + 10] for index in range(3)]


def test_what_is_put_may_be_pages_long(place: str) -> None:
    found = bytearray()
    text = PUT.format(port=0xEA, source=mini.SCRATCH, nbytes=5000) + END
    assert run(place, text, channels=Channels((None, found.extend, None))).outcome == PASSED
    assert found == bytes(5000)


def test_what_nobody_takes_vanishes(place: str) -> None:
    assert run(place, PUT.format(port=0xE9, source=mini.SCRATCH, nbytes=10) + END).outcome == PASSED


GET: Final = f'mov eax, {mini.GET}; mov edi, {{wanted}}; syscall; '


def test_input_is_asked_for(place: str) -> None:
    """Three bytes of five, the other two, and the end."""
    text = GET.format(wanted=3) + 'mov ebx, eax; ' + GET.format(wanted=7) + 'shl ebx, 8; or ebx, eax; '
    text += GET.format(wanted=9) + 'shl ebx, 8; or ebx, eax; '
    ran = run(place, text + END, channels=Channels(input=b'abcde'))
    assert (ran.outcome, ran.end.rbx) == (PASSED, 0x030200)
    assert ran.ram[mini.SCRATCH + 8 :][:3].tobytes() == b'dec'


def test_input_over_pages_from_a_descriptor(place: str) -> None:
    content = bytes(range(256)) * 16
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        ran = run(place, GET.format(wanted=4096) + 'mov ebx, eax; ' + END, channels=Channels(input=file.fileno()))
    assert ran.end.rbx == 4096
    assert ran.ram[mini.SCRATCH + 8 :][:4096].tobytes() == content


def test_input_that_cannot_be_read(place: str, tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    ran = run(place, GET.format(wanted=3) + 'mov ebx, eax; ' + END, channels=Channels(input=folder))
    os.close(folder)
    assert ran.end.rbx == 0xFFFF_FFFF


# ---------------------------------------------------------------- modules
@pytest.mark.parametrize('nbytes', [1, 4096, 33920])
def test_a_module_lies_where_qemu_puts_it(nbytes: int) -> None:
    """QEMU 7.2 with 64M of RAM put a module of 33,920 bytes at 0x3FCF000."""
    computer = Computer(64 << 20)
    start = module_start(64 << 20, nbytes)
    assert start == (0x3FD_7FFF - nbytes) & -4096
    memory: dict[int, bytes] = {}
    simulated.prepare(computer, memory.__setitem__, MODERN, module=b'x' * nbytes)
    assert memory[start] == b'x' * nbytes
    assert memory[simulated.MODULE] == struct.pack('<4Q', start, nbytes, 0, 0)
    info = memory[simulated.START_INFO]
    assert struct.unpack_from('<I', info, 12) == (1,)
    end = -(-(start + nbytes) // 4096) * 4096
    assert struct.pack('<QQII', start, end - start, simulated.TYPE_RESERVED, 0) in info


def test_a_module_that_does_not_fit() -> None:
    with pytest.raises(Unusable, match='do not fit a memory of 4,096K: ask for more with --memory'):
        simulated.prepare(Computer(MEMORY), lambda *_: None, MODERN, module=bytes(3 << 20))


# ---------------------------------------------------------------- time
def test_a_program_that_never_ends(place: str) -> None:
    start = time.monotonic()
    ran = run(place, FOR_EVER, seconds=1)
    assert ran.outcome.status is Status.HANG
    assert time.monotonic() - start < 30


def test_a_program_that_calls_for_ever(place: str) -> None:
    assert run(place, f'1: mov eax, {mini.ADD}; syscall; jmp 1b', seconds=1).outcome.status is Status.HANG


@pytest.fixture
def interrupt() -> Iterator[None]:
    """Ctrl-C, a second later."""
    timer = threading.Timer(1, _thread.interrupt_main)
    timer.start()
    yield
    timer.cancel()
    timer.join()


@pytest.mark.usefixtures('interrupt')
@pytest.mark.parametrize('text', [FOR_EVER, f'1: mov eax, {mini.ADD}; syscall; jmp 1b'])
def test_control_c_ends_an_interpreted_program(text: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        run('sim', text, seconds=60)


def test_what_the_engine_is_stopped_for_changes_nothing() -> None:
    """The interpreter looks for signals now and then; a program that runs for a while counts right."""
    ran = run('sim', f'xor ebx, ebx; mov ecx, 300000000; 1: inc ebx; cmp ebx, ecx; jne 1b; {END}', seconds=60)
    assert (ran.outcome, ran.end.rbx) == (PASSED, 300_000_000)


# ---------------------------------------------------------------- what can go wrong
def test_without_unicorn_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'unicorn', None)
    for make in (
        lambda: sim.Sim(MEMORY, MODERN, ENTRIES),
        lambda: jit.Guest(MEMORY, compiled(False)),
    ):
        with pytest.raises(Unusable, match='takes Unicorn, the processor of ring 3'):
            make()


def test_a_kernel_without_programs_needs_no_unicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'unicorn', None)
    assert sim.Sim(MEMORY, MODERN).user is None


def test_another_unicorn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that keeps the address of a fault where it is not found."""
    monkeypatch.setattr('incroos.run.user_processor.PROBED', (0x1234_5678_9ABD, 0x1000))
    monkeypatch.setattr('ctypes.string_at', lambda *_: b'')
    with pytest.raises(Unusable, match='this version of Unicorn'):
        UserProcessor(Computer(MEMORY))


def test_a_crash_of_unicorn_is_a_panic_with_a_sentence() -> None:
    guest = jit.Guest(MEMORY, compiled(False))
    processor = guest.computer.cpu.user
    processor.call_run = 16  # nothing can be called there
    guest.poke(mini.NOTES, bytes(8192))
    with guest:
        end = guest.wait(20)
    assert end.status is Status.PANIC
    assert 'SIGSEGV ended the process of the compiled kernel' in end.remark


def test_what_is_raised_in_a_callback_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """C would lose it."""

    def fail(*_: object) -> int:
        raise LookupError('in a fill')

    monkeypatch.setattr('incroos.machine.strict.SimulatedMachine.tell_user_page', fail)
    ran = run('sim', END)
    assert ran.outcome.status is Status.PANIC
    assert 'LookupError: in a fill' in ran.outcome.remark


def test_a_stop_while_the_engine_asks_for_a_page_does_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter looks for signals then, too. The page is read first, and gets its frame when it is written."""
    tell = InterpretedProcessor._tell

    def tick_and_tell(processor: InterpretedProcessor, cpu: object, va: VirtAddr, kind: int) -> int:
        processor.tick()
        return tell(processor, cpu, va, kind)

    monkeypatch.setattr(InterpretedProcessor, '_tell', tick_and_tell)
    ran = run(
        'sim',
        f'xor eax, eax; mov ebx, 1; mov rdi, {page(4)}; lock cmpxchg [rdi], rbx; mov rbx, rax; ' + END,
        first={4: DATA},
    )
    assert (ran.outcome, ran.end.rbx) == (PASSED, 0)
