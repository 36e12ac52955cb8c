"""What programs write on the screen of a PC: letters, control characters and sequences."""

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incroos.kernel.configs import CLASSIC
from incroos.kernel.io import console, vt100
from incroos.lang import PhysAddr, VirtAddr
from incroos.machine.faults import flush_serial
from incroos.run.sim import Sim
from incroos.run.simulated import START_INFO

SCREEN: Final = 0xB_8000
BUFFER: Final = 0x8_0000


@pytest.fixture(scope='module')
def shared() -> Sim:
    return Sim(2 << 20, CLASSIC)


def shown(sim: Sim, text: bytes) -> tuple[list[str], tuple[int, int]]:
    """The rows of the screen up to the last one with text, after a program wrote this, and where the cursor is."""
    console.init(sim.kernel, PhysAddr(START_INFO))
    sim.machine.poke(BUFFER, text)
    vt100.put_bytes(sim.kernel, VirtAddr(BUFFER), len(text))
    cells = bytes(sim.ram[SCREEN : SCREEN + 4000])[::2].decode('cp437')
    rows = [cells[start : start + 80].rstrip() for start in range(0, 2000, 80)]
    while rows and not rows[-1]:
        rows.pop()
    state = sim.kernel.console
    registers = sim.computer.cpu.crt
    assert divmod(registers[14] << 8 | registers[15], 80) == (state.row, state.column)
    return rows, (state.row, state.column)


@pytest.mark.parametrize(
    ('text', 'rows', 'cursor'),
    [
        (b'one\r\ntwo', ['one', 'two'], (1, 3)),
        (b'one\rO', ['One'], (0, 1)),
        (b'one\b \b', ['on'], (0, 2)),
        (b'\b\bx', ['x'], (0, 1)),
        (b'a\tb', ['a       b'], (0, 9)),
        (b'\a\0x\x7f', ['x'], (0, 1)),
        (b'abc\x1b[2Dx', ['axc'], (0, 2)),
        (b'abc\x1b[Dx', ['abx'], (0, 3)),
        (b'abc\r\x1b[Cx', ['axc'], (0, 2)),
        (b'\x1b[3;5Hx\x1b[Ay\x1b[2Bz', ['', '     y', '    x', '      z'], (3, 7)),
        (b'\x1b[99;99Hx\x1b[H', ['' for _ in range(23)] + [' ' * 79 + 'x'], (0, 0)),
        (b'abcdef\x1b[3D\x1b[K', ['abc'], (0, 3)),
        (b'abcdef\x1b[3D\x1b[1K', ['    ef'], (0, 3)),
        (b'abcdef\x1b[3D\x1b[2Kx', ['   x'], (0, 4)),
        (b'one\r\ntwo\r\nthree\x1b[2;2H\x1b[J', ['one', 't'], (1, 1)),
        (b'one\r\ntwo\x1b[2J\x1b[1;1Hx', ['x'], (0, 1)),
        (b'\x1b[1;32mgreen\x1b[0m\x1b[?25h', ['green'], (0, 5)),
        (b'\x1b[6nx\x1b=y', ['xy'], (0, 2)),
        (b'\x1b[12345678901234567890Cx', [' ' * 79 + 'x'], (1, 0)),
        (b'\x1b[1;2;3;4;5Hx', [' x'], (0, 2)),
    ],
)
def test_what_is_seen(shared: Sim, text: bytes, rows: list[str], cursor: tuple[int, int]) -> None:
    assert shown(shared, text) == (rows, cursor)


def test_the_serial_port_gets_all_as_it_is(shared: Sim) -> None:
    text = b'\x1b[1;32mgreen\x1b[0m\a\t\b\r\n'
    flush_serial(shared.computer.cpu)
    before = len(shared.console())
    shown(shared, text)
    flush_serial(shared.computer.cpu)
    assert shared.console()[before:] == text


def test_a_sequence_may_come_in_parts(shared: Sim) -> None:
    console.init(shared.kernel, PhysAddr(START_INFO))
    for byte in b'abc\x1b[2Dx':
        shared.machine.poke(BUFFER, bytes([byte]))
        vt100.put_bytes(shared.kernel, VirtAddr(BUFFER), 1)
    assert bytes(shared.ram[SCREEN : SCREEN + 6 : 2]) == b'axc'


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                b'x',
                b'\x1b',
                b'[',
                b';',
                b'9',
                b'1',
                b'A',
                b'B',
                b'C',
                b'D',
                b'H',
                b'J',
                b'K',
                b'\n',
                b'\b',
                b'\t',
                b'\r',
                b'\xff',
            ]
        ),
        max_size=60,
    )
)
def test_any_bytes_leave_the_cursor_on_the_screen(shared: Sim, parts: list[bytes]) -> None:
    _, (row, column) = shown(shared, b''.join(parts))
    assert 0 <= row < 25
    assert 0 <= column < 80
