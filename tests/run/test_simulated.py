"""The simulated computer with a kernel on it, interpreted and compiled: faults, ends, devices, configurations."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from incroos.inspect.ram import RamMachine
from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import CLASSIC
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, VirtAddr
from incroos.run import jit, outcome, sim
from incroos.run.outcome import Outcome, Status
from incroos.run.simulated import START_INFO, EntryPoints

from ..budget import SECONDS
from . import scenarios
from .scenarios import NOTES, Notes

ENTRIES = EntryPoints(scenarios.main, scenarios.on_page_fault, scenarios.on_exception)
MEMORY = 4 << 20
GENERAL_PROTECTION = 13
DOUBLE_FAULT = 8
PLACES = ['sim', 'jit', 'checked jit']


@dataclass
class Run:
    """What a scenario left behind."""

    outcome: Outcome
    console: bytes
    notes: Notes
    ram: Any


@cache
def compiled(config: KernelConfig, checked: bool) -> jit.KernelCode:
    return jit.compile_kernel(ENTRIES, config, checked)


def run(place: str, scenario: int, seconds: float = SECONDS, config: KernelConfig = CLASSIC) -> Run:
    """Run one scenario to its end."""
    output = bytearray()
    word = scenario.to_bytes(8, 'little')
    if place == 'sim':
        computer = sim.Sim(MEMORY, config, ENTRIES, output.extend)
        computer.machine.poke(NOTES, word + bytes(Notes.SIZE - 8))
        computer.machine.poke(NOTES + 4096, bytes(8))
        computer.machine.poke(scenarios.GUARD, b'\x07' + bytes(8191))
        outcome, ram = sim.run(computer, scenarios.main, seconds), computer.ram
    else:
        guest = jit.Guest(MEMORY, compiled(config, place == 'checked jit'), output.extend)
        guest.ram[NOTES : NOTES + 8] = word
        guest.ram[scenarios.GUARD] = 7
        with guest:
            outcome, ram = guest.wait(seconds), guest.ram
    return Run(outcome, bytes(output), Notes(RamMachine(ram), VirtAddr(NOTES)), ram)


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# ---------------------------------------------------------------- page faults that the kernel mends
def test_a_page_fault_reaches_the_handler_and_the_access_is_tried_again(place: str) -> None:
    ran = run(place, scenarios.MEND)
    assert ran.outcome == Outcome(Status.PASSED)
    assert (ran.notes.nr_faults, ran.notes.va, ran.notes.error) == (1, scenarios.GUARD, 0)
    assert ran.notes.value == 7


def test_a_store_across_the_end_of_the_page_is_done_once_and_whole(place: str) -> None:
    ran = run(place, scenarios.MEND_STORE)
    assert ran.outcome.status is Status.PASSED
    assert (ran.notes.nr_faults, ran.notes.error) == (1, 2)
    assert ran.notes.va == scenarios.GUARD + 4092
    assert ran.notes.value == 0x1122_3344_5566_7788
    assert bytes(ran.ram[ran.notes.va : ran.notes.va + 8]) == bytes.fromhex('8877665544332211')


def test_a_fault_inside_the_handler_nests(place: str) -> None:
    ran = run(place, scenarios.NEST)
    assert ran.outcome.status is Status.PASSED
    assert (ran.notes.nr_faults, ran.notes.va, ran.notes.second_va) == (2, scenarios.GUARD, NOTES + 4096)
    assert ran.notes.value == 7


# ---------------------------------------------------------------- faults that end the run
def test_a_panic_inside_the_handler(place: str) -> None:
    ran = run(place, scenarios.PANIC_IN_HANDLER)
    assert ran.outcome.status is Status.PANIC
    assert ran.console == b'panic\n'


def test_faults_nested_too_deep_are_a_double_fault(place: str) -> None:
    ran = run(place, scenarios.NEST_FOR_EVER)
    assert ran.outcome.status is Status.PANIC
    assert (ran.notes.vector, ran.notes.exception_error) == (DOUBLE_FAULT, 0)
    assert ran.console == b'exception\n'


def test_faults_nested_too_deep_in_the_double_fault_are_a_triple_fault(place: str) -> None:
    ran = run(place, scenarios.NEST_TWICE_FOR_EVER)
    assert ran.outcome.status is Status.TRIPLE_FAULT
    assert ran.notes.vector == DOUBLE_FAULT


def test_a_fault_without_an_interrupt_table_is_a_triple_fault(place: str) -> None:
    ran = run(place, scenarios.NO_IDT)
    assert ran.outcome.status is Status.TRIPLE_FAULT
    assert ran.notes.nr_faults == 0


@pytest.mark.parametrize('which', range(scenarios.NR_VIOLATIONS))
def test_violations_are_general_protection_faults(place: str, which: int) -> None:
    ran = run(place, scenarios.PROTECT + which)
    assert ran.outcome.status is Status.PANIC
    assert (ran.notes.vector, ran.notes.exception_error) == (GENERAL_PROTECTION, 0)


# ---------------------------------------------------------------- other ends
def test_an_exit_code_that_means_nothing(place: str) -> None:
    ran = run(place, scenarios.STRANGE_CODE)
    assert ran.outcome.status is Status.PANIC
    assert '0x77' in ran.outcome.remark


@pytest.mark.parametrize('scenario', [scenarios.HALT, scenarios.RETURN])
def test_a_processor_that_halts_for_ever_hangs(place: str, scenario: int) -> None:
    ran = run(place, scenario)
    assert ran.outcome.status is Status.HANG
    assert 'halted' in ran.outcome.remark


@pytest.mark.parametrize('scenario', [scenarios.SPIN, scenarios.COUNT])
def test_a_loop_without_end_is_stopped_in_time(place: str, scenario: int) -> None:
    ran = run(place, scenario, seconds=0.3)
    assert ran.outcome.status is Status.HANG
    assert '0.3 s' in ran.outcome.remark


def test_a_boot_ends_in_time_also_when_a_destructor_swallows_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[object] = []
    monkeypatch.setattr(sys, 'unraisablehook', lambda unraisable: lost.append(unraisable.exc_type))
    patience = time.monotonic() + SECONDS

    class Slow:
        def __del__(self) -> None:
            while not lost and time.monotonic() < patience:
                pass

    def main(k: Kernel, start_info: PhysAddr) -> None:
        Slow()
        while time.monotonic() < patience:
            pass

    ended = sim.run(sim.Sim(MEMORY), main, 1)
    assert lost == [sim.TimeIsOver]
    assert ended == outcome.hang(1)


PROFILED = """
import sys
from incroos.run.sim import Alarm, TimeIsOver
alarm = Alarm({seconds})
try:
    with alarm:
        while {seconds} < 1:
            pass
except TimeIsOver:
    alarm.leave()
calls = []
sys.setprofile(lambda *event: calls.append(event))
Alarm(1)
sys.setprofile(None)
print(len(calls) > 0)
"""


@pytest.mark.parametrize('seconds', [100, 0.01])
def test_a_profiler_works_behind_an_alarm(seconds: float) -> None:
    """CPython 3.11 calls no function under one any more once an exception that was set for its thread is withdrawn."""
    text = PROFILED.format(seconds=seconds)
    done = subprocess.run([sys.executable, '-c', text], capture_output=True, text=True, check=False, timeout=SECONDS)
    assert (done.stdout, done.stderr) == ('True\n', '')


def test_an_overflow_in_a_checked_build_names_the_line() -> None:
    ran = run('checked jit', scenarios.OVERFLOW)
    assert ran.outcome.status is Status.PANIC
    file, _, line = ran.outcome.remark.rpartition(' ')[2].rpartition(':')
    assert Path(file).name == 'scenarios.py'
    assert Path(scenarios.__file__).read_text().splitlines()[int(line) - 1].strip() == 'return a + 1'
    assert ran.notes.vector == 6
    assert ran.console == b'exception\n'


def test_an_overflow_in_the_interpreter_names_the_line() -> None:
    ran = run('sim', scenarios.OVERFLOW)
    assert ran.outcome.status is Status.PANIC
    assert 'scenarios.py' in ran.outcome.remark
    assert 'notes.value = overflow(' in ran.outcome.remark


def test_a_python_exception_in_kernel_code_is_a_panic_that_names_the_line() -> None:
    ran = run('sim', scenarios.DIVIDE)
    assert ran.outcome.status is Status.PANIC
    assert 'ZeroDivisionError' in ran.outcome.remark
    assert 'notes.value = 100 // notes.nr_faults' in ran.outcome.remark


# ---------------------------------------------------------------- devices, registers, output
def test_devices(place: str) -> None:
    ran = run(place, scenarios.DEVICES)
    assert ran.outcome.status is Status.PASSED
    assert ran.notes.value == 1
    assert ran.console == b'serial\n'
    assert bytes(ran.ram[0xB8002:0xB8004]) == b'A\x07'


def test_registers(place: str) -> None:
    ran = run(place, scenarios.REGISTERS)
    assert ran.outcome.status is Status.PASSED
    assert ran.notes.value == 1


def test_output_of_any_length_arrives_whole_also_without_a_newline(place: str) -> None:
    ran = run(place, scenarios.TALK)
    assert ran.outcome.status is Status.PASSED
    assert ran.console == b'0123456789' * 3000 + b'\nunfinished'


# ---------------------------------------------------------------- several at once
def test_two_configurations_in_one_process(place: str) -> None:
    other = replace(CLASSIC, fault_injection=1, poison=1)
    assert [run(place, scenarios.CONFIG, config=config).notes.value for config in (CLASSIC, other, CLASSIC)] == [
        0,
        11,
        0,
    ]


def test_two_compiled_kernels_at_the_same_time() -> None:
    other = replace(CLASSIC, fault_injection=1, poison=1)
    guests = [jit.Guest(MEMORY, compiled(config, False)) for config in (CLASSIC, other)]
    for guest in guests:
        guest.ram[NOTES] = scenarios.COUNT
    with guests[0], guests[1]:
        time.sleep(0.05)
        assert all(guest.is_running() for guest in guests)
        for guest in guests:
            guest.ram[NOTES] = 0
        assert [guest.wait(SECONDS).status for guest in guests] == [Status.PASSED] * 2


# ---------------------------------------------------------------- the child process
@pytest.fixture
def endless() -> Iterator[jit.Guest]:
    guest = jit.Guest(MEMORY, compiled(CLASSIC, False))
    guest.ram[NOTES] = scenarios.COUNT
    with guest:
        yield guest


def test_a_child_that_cannot_be_made_leaves_no_file_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    ends = os.pipe()
    monkeypatch.setattr(os, 'pipe', lambda: ends)
    monkeypatch.setattr(os, 'fork', refuse)
    with pytest.raises(BlockingIOError), jit.Guest(MEMORY, compiled(CLASSIC, False)):
        pass
    for end in ends:
        with pytest.raises(OSError, match='Bad file descriptor'):
            os.fstat(end)


def test_a_guest_that_runs_ends_with_its_block(endless: jit.Guest) -> None:
    assert endless.is_running()
    endless.__exit__(None, None, None)
    assert not endless.is_running()
    with pytest.raises(ProcessLookupError):
        os.kill(endless.pid, 0)
    endless.__enter__()


def test_ctrl_c_is_the_parents_affair(endless: jit.Guest) -> None:
    notes = Notes(RamMachine(endless.ram), VirtAddr(NOTES))
    assert eventually(lambda: notes.value == START_INFO)  # the kernel runs
    os.kill(endless.pid, signal.SIGINT)
    time.sleep(0.05)
    assert endless.is_running()


def test_a_child_that_a_signal_ended_is_told_in_one_sentence() -> None:
    guest = jit.Guest(MEMORY, compiled(CLASSIC, False))
    guest.computer.cpu.host_ram = VirtAddr(0)
    with guest:
        outcome = guest.wait(SECONDS)
    assert outcome.status is Status.PANIC
    assert outcome.remark == 'SIGSEGV ended the process of the compiled kernel'


def test_the_child_ends_with_its_parent() -> None:
    read, write = os.pipe()
    middle = os.fork()
    if middle == 0:
        try:
            guest = jit.Guest(MEMORY, compiled(CLASSIC, False))
            guest.ram[NOTES] = scenarios.COUNT
            guest.__enter__()
            os.write(write, guest.pid.to_bytes(8, 'little'))
            time.sleep(0.1)
        finally:
            os._exit(0)  # without ending the guest
    os.close(write)
    child = int.from_bytes(os.read(read, 8), 'little')
    os.close(read)
    os.waitpid(middle, 0)
    assert child != 0
    assert eventually(lambda: is_gone(child))


def is_gone(pid: int) -> bool:
    """Whether the process ended; one that nobody has waited for yet counts."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] == 'Z'
    except FileNotFoundError:
        return True


def eventually(is_so: Callable[[], bool], seconds: float = SECONDS) -> bool:
    """Wait until it is so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_so():
            return True
        time.sleep(0.01)
    return False
