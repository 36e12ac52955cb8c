"""Interrupt controllers, timer, input and idle, on the simulated computer: what goes to their ports, and what comes."""

import os
import threading
import time
from collections.abc import Iterator
from typing import Final

import pytest

from incroos.kernel.codes import INPUT_FAILED
from incroos.kernel.configs import CLASSIC
from incroos.kernel.devices import channels, idle, interrupts, timer
from incroos.kernel.layout import KERNEL_STATE
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr
from incroos.machine.errors import MachineStopped
from incroos.run.channels import Channels, Input
from incroos.run.sim import Sim

ROOM: Final = VirtAddr(0x18_0000)
MILLISECOND: Final = 1_000_000


def started(source: Input = b'') -> Sim:
    """A computer whose devices were set up. The tasks' flags are read, and nobody else writes them here."""
    sim = Sim(4 << 20, CLASSIC, channels=Channels(input=source))
    sim.machine.poke(KERNEL_STATE, bytes(Kernel.SIZE))
    interrupts.init(sim.kernel)
    timer.init(sim.kernel)
    channels.init(sim.kernel)
    return sim


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def writes_of(sim: Sim, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What goes to ports from now on; nothing of it gets there."""
    writes: list[tuple[int, int]] = []
    monkeypatch.setattr(sim.machine, 'out8', lambda port, value: writes.append((port, value)))
    return writes


# ---------------------------------------------------------------- interrupt controllers
def test_all_lines_are_masked_at_the_start() -> None:
    sim = started()
    assert [sim.machine.in8(port) for port in (0x21, 0xA1)] == [0xFF, 0xFF]
    assert [sim.computer.cpu.pics[index].vector for index in (0, 1)] == [32, 40]


def test_what_is_let_through_already_costs_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    sim = started()
    writes = writes_of(sim, monkeypatch)
    for step in (timer.stop, timer.start, timer.start, timer.stop, timer.stop):
        step(sim.kernel)
    assert writes == [(0x21, 0xFE), (0x21, 0xFF)]


READ: Final = 0x0B
END: Final = 0x20
ACKNOWLEDGED: Final[list[tuple[int, int, list[tuple[int, int]]]]] = [
    # vector, what is in service at its controller, what goes to the ports
    (32, 0, [(0x20, END)]),
    (35, 0, [(0x20, END)]),
    (36, 0, [(0x20, END)]),
    (39, 1 << 7, [(0x20, READ), (0x20, END)]),
    (39, 0, [(0x20, READ)]),
    (39, 0x7F, [(0x20, READ)]),
    (40, 0, [(0xA0, END), (0x20, END)]),
    (47, 1 << 7, [(0xA0, READ), (0xA0, END), (0x20, END)]),
    (47, 0, [(0xA0, READ), (0x20, END)]),
]


@pytest.mark.parametrize(('vector', 'in_service', 'wanted'), ACKNOWLEDGED)
def test_an_interrupt_is_acknowledged_and_one_without_a_cause_is_not(
    monkeypatch: pytest.MonkeyPatch, vector: int, in_service: int, wanted: list[tuple[int, int]]
) -> None:
    sim = started()
    writes = writes_of(sim, monkeypatch)
    monkeypatch.setattr(sim.machine, 'in8', lambda _port: in_service)
    interrupts.acknowledge(sim.kernel, vector)
    assert writes == wanted


def test_which_vectors_are_interrupts() -> None:
    assert [vector for vector in range(256) if interrupts.is_interrupt(vector)] == list(range(32, 48))


# ---------------------------------------------------------------- timer
@pytest.mark.parametrize(
    ('nanoseconds', 'divisor'), [(10_000_000, 11931), (1_000_000, 1193), (1, 2), (838, 2), (5_000_000, 5965)]
)
def test_a_period_becomes_a_divisor(nanoseconds: int, divisor: int) -> None:
    sim = started()
    timer.set_period(sim.kernel, nanoseconds)
    assert sim.computer.cpu.timer_divisor == divisor


# ---------------------------------------------------------------- input
def test_an_answer_may_be_taken_in_parts() -> None:
    sim = started(b'abcdefgh')
    k = sim.kernel
    assert not channels.has_input(k)
    channels.ask_input(k, 5)
    channels.ask_input(k, 3)  # one is outstanding
    assert channels.has_input(k)
    assert channels.take_input(k, ROOM, 2) == 2
    assert channels.has_input(k)
    channels.ask_input(k, 3)  # and is to be taken
    assert channels.take_input(k, VirtAddr(ROOM + 2), 100) == 3
    assert bytes(sim.ram[ROOM : ROOM + 5]) == b'abcde'
    assert not channels.has_input(k)
    channels.ask_input(k, 100)
    assert channels.take_input(k, ROOM, 100) == 3
    channels.ask_input(k, 100)
    assert channels.has_input(k)
    assert channels.take_input(k, ROOM, 100) == 0


def test_nobody_waits_for_an_answer_that_does_not_come(pipe: tuple[int, int]) -> None:
    sim = started(pipe[0])
    channels.ask_input(sim.kernel, 10)
    assert not channels.has_input(sim.kernel)
    os.write(pipe[1], b'abc')
    assert channels.has_input(sim.kernel)
    assert channels.take_input(sim.kernel, ROOM, 10) == 3


def test_input_that_cannot_be_read() -> None:
    folder = os.open('/', os.O_RDONLY)
    sim = started(folder)
    channels.ask_input(sim.kernel, 10)
    assert channels.has_input(sim.kernel)
    assert channels.take_input(sim.kernel, ROOM, 10) == INPUT_FAILED
    os.close(folder)
    channels.ask_input(sim.kernel, 10)  # it goes on
    assert channels.take_input(sim.kernel, ROOM, 10) == INPUT_FAILED


# ---------------------------------------------------------------- idle
def test_idle_without_anything_to_wait_for_is_a_halt() -> None:
    with pytest.raises(MachineStopped):
        idle.idle(started().kernel, idle.FOR_EVER)


def test_idle_ends_with_input(pipe: tuple[int, int]) -> None:
    """And leaves the lines as they were."""
    sim = started(pipe[0])
    timer.start(sim.kernel)
    channels.ask_input(sim.kernel, 10)
    writer = threading.Timer(0.3, lambda: os.write(pipe[1], b'x'))
    writer.start()
    start = time.monotonic()
    assert idle.idle(sim.kernel, idle.FOR_EVER) == 0
    assert 0.2 < time.monotonic() - start < 20
    assert channels.has_input(sim.kernel)
    assert sim.machine.in8(0x21) == 0xFE
    assert idle.idle(sim.kernel, 1000 * MILLISECOND) == 0
    writer.join()


@pytest.mark.parametrize(
    ('asked', 'passed'), [(1000 * MILLISECOND, timer.TICK), (3 * MILLISECOND, 3 * MILLISECOND), (0, 0), (-2, 0)]
)
def test_idle_takes_as_long_as_it_says(pipe: tuple[int, int], asked: int, passed: int) -> None:
    """With and without a request that nobody answers."""
    for has_request in (False, True):
        sim = started(pipe[0])
        if has_request:
            channels.ask_input(sim.kernel, 10)
        start = time.monotonic()
        assert idle.idle(sim.kernel, asked) == passed
        assert time.monotonic() - start > 0.9 * passed / 1e9
        assert sim.machine.in8(0x21) == 0xFF
        assert sim.computer.cpu.timer_divisor == 11931
