"""The console: what arrives on the serial port, what stands on the screen, and where the cursor blinks."""

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incroos.kernel.codes import EXIT_PANIC, EXIT_PASSED
from incroos.kernel.configs import CLASSIC
from incroos.kernel.io import console
from incroos.kernel.io.panic import end_machine, panic
from incroos.lang import PhysAddr
from incroos.machine.errors import MachineStopped
from incroos.machine.faults import flush_serial
from incroos.run.sim import Sim
from incroos.run.simulated import START_INFO

SCREEN: Final = 0xB_8000
WORD_MIN: Final = -1 << 63
WORD_MAX: Final = (1 << 63) - 1


@pytest.fixture
def sim() -> Sim:
    sim = Sim(2 << 20, CLASSIC)
    console.init(sim.kernel, PhysAddr(START_INFO))
    return sim


@pytest.fixture(scope='module')
def shared() -> Sim:
    sim = Sim(2 << 20, CLASSIC)
    console.init(sim.kernel, PhysAddr(START_INFO))
    return sim


def rows_of(sim: Sim) -> list[str]:
    """The text on the screen, without the blanks at the end of each row."""
    cells = bytes(sim.ram[SCREEN : SCREEN + 4000])
    assert set(cells[1::2]) == {0x07}, 'light grey on black'
    text = cells[::2].decode('ascii')
    return [text[start : start + 80].rstrip() for start in range(0, 2000, 80)]


def cursor_of(sim: Sim) -> tuple[int, int]:
    """Row and column that the CRT controller was told, which are those of the struct too."""
    registers = sim.computer.cpu.crt
    place = divmod(registers[14] << 8 | registers[15], 80)
    assert place == (sim.kernel.console.row, sim.kernel.console.column)
    return place


def serial(sim: Sim) -> bytes:
    """What went out of the serial port, the part that the machine still held back included."""
    flush_serial(sim.computer.cpu)
    return sim.console()


def put(sim: Sim, text: bytes) -> None:
    console.put_text(sim.kernel, text)


def test_init_clears_the_screen() -> None:
    sim = Sim(2 << 20, CLASSIC)
    sim.machine.poke(SCREEN, b'firmware' * 500)
    console.init(sim.kernel, PhysAddr(START_INFO))
    assert rows_of(sim) == [''] * 25
    assert cursor_of(sim) == (0, 0)
    assert serial(sim) == b''


def test_init_sets_the_serial_port_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """115,200 baud, eight bits, no parity, FIFOs on, interrupts off; the divisor only while its bit is set."""
    sim = Sim(2 << 20, CLASSIC)
    writes: list[tuple[int, int]] = []
    monkeypatch.setattr(sim.machine, 'out8', lambda port, value: writes.append((port - 0x3F8, value)))
    console.init(sim.kernel, PhysAddr(START_INFO))
    serial_writes = [(register, value) for register, value in writes if 0 <= register < 8]
    divisor = serial_writes[serial_writes.index((3, 0x80)) + 1 : serial_writes.index((3, 0x03))]
    assert sorted(divisor) == [(0, 1), (1, 0)]
    assert serial_writes[0] == (1, 0)
    assert sorted(serial_writes[serial_writes.index((3, 0x03)) + 1 :]) == [(2, 0xC7), (4, 0x03)]


def test_a_port_that_never_gets_ready_does_not_hang_the_kernel(sim: Sim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sim.machine, 'in8', lambda port: 0)
    monkeypatch.setattr(sim.machine, 'pause', lambda: None)
    put(sim, b'x')
    assert rows_of(sim)[0] == 'x'


def test_text_is_the_same_on_the_port_and_on_the_screen(sim: Sim) -> None:
    put(sim, b'Hello, 64-bit kernel World!\nsecond line\n\nfourth')
    assert serial(sim) == b'Hello, 64-bit kernel World!\nsecond line\n\nfourth'
    assert rows_of(sim)[:5] == ['Hello, 64-bit kernel World!', 'second line', '', 'fourth', '']
    assert cursor_of(sim) == (3, 6)


def test_a_full_row_goes_on_in_the_next(sim: Sim) -> None:
    put(sim, b'x' * 79)
    assert cursor_of(sim) == (0, 79)
    put(sim, b'y')
    assert cursor_of(sim) == (1, 0)
    put(sim, b'z')
    assert rows_of(sim)[:2] == ['x' * 79 + 'y', 'z']
    assert serial(sim) == b'x' * 79 + b'yz'


def test_the_screen_scrolls_and_the_port_does_not(sim: Sim) -> None:
    lines = [f'line {number}' for number in range(60)]
    put(sim, '\n'.join(lines).encode())
    assert rows_of(sim) == lines[-25:]
    assert cursor_of(sim) == (24, 7)
    put(sim, b'\n')
    assert rows_of(sim) == [*lines[-24:], '']
    put(sim, b'a' * 80)
    assert rows_of(sim) == [*lines[-23:], 'a' * 80, '']
    assert serial(sim).decode() == '\n'.join(lines) + '\n' + 'a' * 80


def test_the_screen_is_cleared_and_filled_within_its_bounds(sim: Sim) -> None:
    assert bytes(sim.ram[SCREEN - 16 : SCREEN]) == bytes(16)
    put(sim, b'w' * 4000)
    assert bytes(sim.ram[SCREEN - 16 : SCREEN]) == bytes(16)
    assert bytes(sim.ram[SCREEN + 4000 : SCREEN + 4096]) == bytes(96)


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (0, '0000000000000000'),
        (0x1234_5678_9ABC_DEF0, '123456789ABCDEF0'),
        (-1, 'FFFFFFFFFFFFFFFF'),
        (WORD_MIN, '8000000000000000'),
        (WORD_MAX, '7FFFFFFFFFFFFFFF'),
    ],
)
def test_hex(sim: Sim, value: int, text: str) -> None:
    console.put_hex(sim.kernel, value)
    assert serial(sim).decode() == rows_of(sim)[0] == text
    assert cursor_of(sim) == (0, 16)


@settings(max_examples=60)
@given(
    st.integers(WORD_MIN, WORD_MAX)
    | st.sampled_from([0, 1, 9, 10, 8192, WORD_MIN, WORD_MAX, 10**18, 10**18 - 1, -(10**18), -1, -10])
)
def test_decimal(shared: Sim, value: int) -> None:
    shared.output.clear()
    console.put_decimal(shared.kernel, value)
    assert serial(shared).decode() == str(value)


def panic_once(sim: Sim, site: bytes, a: int, b: int, c: int) -> None:
    with pytest.raises(MachineStopped):
        panic(sim.kernel, site, a, b, c)
    assert sim.computer.cpu.stop_code == EXIT_PANIC


def test_panic_prints_its_site_and_words_and_ends_the_machine(sim: Sim) -> None:
    panic_once(sim, b'pmm: a reason', 1, -1, 0xABC)
    line = 'PANIC: pmm: a reason 0x0000000000000001 0xFFFFFFFFFFFFFFFF 0x0000000000000ABC\n'
    assert serial(sim).decode() == line
    assert ''.join(rows_of(sim)[:2]) == line.rstrip()


def test_a_panic_inside_a_panic_ends_the_machine_in_silence(sim: Sim) -> None:
    panic_once(sim, b'first', 0, 0, 0)
    sim.output.clear()
    panic_once(sim, b'second', 0, 0, 0)
    assert serial(sim) == b''


def test_the_machine_ends_only_when_the_port_has_sent_all(sim: Sim, monkeypatch: pytest.MonkeyPatch) -> None:
    """A status of 0x20 says that the FIFO takes more, 0x60 that nothing is left in it."""
    statuses = [0x20, 0x00, 0x20, 0x60]
    order: list[str] = []

    def status(port: int) -> int:
        order.append(f'status {statuses[0]:#x}')
        return statuses.pop(0)

    monkeypatch.setattr(sim.machine, 'in8', status)
    monkeypatch.setattr(sim.machine, 'out8', lambda port, value: order.append(f'{port:#x}'))
    monkeypatch.setattr(sim.machine, 'halt', stop)
    with pytest.raises(MachineStopped):
        end_machine(sim.machine, EXIT_PASSED)
    assert order == ['status 0x20', 'status 0x0', 'status 0x20', 'status 0x60', '0xf4']


def test_a_port_that_never_sends_does_not_keep_the_machine(sim: Sim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sim.machine, 'in8', lambda port: 0x20)
    monkeypatch.setattr(sim.machine, 'pause', lambda: None)
    with pytest.raises(MachineStopped):
        end_machine(sim.machine, EXIT_PASSED)
    assert sim.computer.cpu.stop_code == EXIT_PASSED


def stop() -> None:
    raise MachineStopped
