"""What is typed, echoed and read: against a model that is too simple to be wrong, and against Linux itself."""

from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from incroos.kernel.files import terminal_modes as modes
from incroos.kernel.state.terminal import QUEUE_BYTES

from ...budget import FULL
from .line_lab import OurTerminal, host_terminal

NR_EXAMPLES: Final = 2000 if FULL else 60
SIGNAL_KEYS: Final = b'\x03\x1a\x1c'

# Each is drawn often: all keys of the default settings, control characters, parts of UTF-8, letters
KEYS: Final = b'\x7f\x15\x04\x12\x17\x16\r\n\t\b\x00\x01\x1b\xff' + SIGNAL_KEYS
LETTERS: Final = b'ab _.7\xc3\xa4\xd7\x80'

bytes_typed = st.lists(st.sampled_from(KEYS + LETTERS) | st.integers(0, 255), max_size=40).map(bytes)
input_modes = st.sets(
    st.sampled_from([modes.STRIP, modes.NEWLINE_TO_RETURN, modes.IGNORE_RETURN, modes.RETURN_TO_NEWLINE, modes.UTF8])
)
output_modes = st.sets(
    st.sampled_from(
        [
            modes.PROCESS,
            modes.RETURN_BEFORE_NEWLINE,
            modes.OUTPUT_RETURN_TO_NEWLINE,
            modes.NO_RETURN_AT_START,
            modes.NEWLINE_RETURNS,
            modes.TABS_TO_BLANKS,
        ]
    )
)
local_modes = st.sets(
    st.sampled_from(
        [
            modes.ECHO_ERASE,
            modes.ECHO_KILL,
            modes.ECHO_NEWLINE,
            modes.NO_FLUSH,
            modes.ECHO_CONTROL,
            modes.ECHO_KILL_BY_ERASING,
            modes.EXTENDED,
            modes.SIGNALS,
        ]
    )
)
steps = st.lists(
    st.tuples(st.just('type'), bytes_typed)
    | st.tuples(st.just('write'), bytes_typed)
    | st.tuples(st.just('read'), st.integers(1, 80))
    | st.tuples(st.just('lines'), st.booleans())
    | st.tuples(st.just('echo'), st.booleans()),
    max_size=12,
)


def with_modes(terminal: OurTerminal, *, on: int, off: int = 0) -> None:
    """Change the local modes."""
    own = bytearray(terminal.settings())
    changed = int.from_bytes(own[12:16], 'little') & ~off | on
    own[12:16] = changed.to_bytes(4, 'little')
    terminal.set(bytes(own))


# ------------------------------------------------------------------ a simple model
class Model:
    """A terminal in lines that knows letters, erase, kill and the end of a line."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.line = b''

    def type(self, byte: int) -> None:
        if byte == 0x7F:
            self.line = self.line[:-1]
        elif byte == 0x15:
            self.line = b''
        elif byte == 0x04:
            self.lines.append(self.line)
            self.line = b''
        elif byte == 0x0A:
            self.lines.append(self.line + b'\n')
            self.line = b''
        else:
            self.line += bytes([byte])


@given(st.lists(st.sampled_from(b'abc\x7f\x15\x04\n'), max_size=60).map(bytes))
@settings(max_examples=NR_EXAMPLES)
def test_lines_are_those_of_a_simple_model(data: bytes) -> None:
    ours, model = OurTerminal(), Model()
    ours.type(data)
    for byte in data:
        model.type(byte)
    assert ours.nr_to_read() == sum(map(len, model.lines))
    for line in model.lines:
        assert ours.can_read()
        assert ours.read(QUEUE_BYTES) == line
    assert not ours.can_read()


# ------------------------------------------------------------------ what can be said in a line
@pytest.mark.parametrize(
    ('typed', 'echoed', 'read'),
    [
        (b'ls\r', b'ls\r\n', b'ls\n'),
        (b'lx\x7fs\n', b'lx\b \bs\r\n', b'ls\n'),
        (b'\x01\x7fa\n', b'^A\b \b\b \ba\r\n', b'a\n'),
        (b'a\t\x7fb\n', b'a\t\b\b\b\b\b\b\bb\r\n', b'ab\n'),
        (b'one two\x17\n', b'one two' + b'\b \b' * 3 + b'\r\n', b'one \n'),
        (b'ab\x15c\n', b'ab' + b'\b \b' * 2 + b'c\r\n', b'c\n'),
        (b'\x16\x03\n', b'^\b^C\r\n', b'\x03\n'),
        (b'ab\x12c\n', b'ab^R\r\nabc\r\n', b'abc\n'),
        (b'ab\x04', b'ab', b'ab'),
        (b'\x04', b'', b''),
    ],
)
def test_a_line_is_edited(typed: bytes, echoed: bytes, read: bytes) -> None:
    ours = OurTerminal()
    assert ours.type(typed) == []
    assert ours.written() == echoed
    assert ours.can_read()
    assert ours.read(100) == read
    assert not ours.can_read()


@pytest.mark.parametrize(('key', 'signal', 'echoed'), [(3, 2, b'^C'), (0x1C, 3, b'^\\'), (0x1A, 20, b'^Z')])
def test_a_key_means_a_signal_and_empties_the_line(key: int, signal: int, echoed: bytes) -> None:
    ours = OurTerminal()
    ours.type(b'old\nab')
    ours.written()
    assert ours.type(bytes([key])) == [signal]
    assert ours.written() == echoed
    assert not ours.can_read()
    ours.type(b'c\n')
    assert ours.read(9) == b'c\n'


def test_output_stops_and_starts() -> None:
    ours = OurTerminal()
    ours.type(b'\x13')
    assert ours.at.has_stopped == 1
    ours.type(b'\x11')
    assert ours.at.has_stopped == 0
    assert ours.written() == b''


def test_a_full_line_can_be_ended() -> None:
    ours = OurTerminal()
    ours.type(b'x' * (QUEUE_BYTES + 100))
    assert not ours.can_read()
    ours.type(b'\n')
    assert ours.read(2 * QUEUE_BYTES) == b'x' * (QUEUE_BYTES - 1) + b'\n'


def test_a_queue_with_a_line_takes_no_more_than_fits() -> None:
    ours = OurTerminal()
    ours.type(b'\n' + b'x' * 2 * QUEUE_BYTES)
    assert ours.at.head - ours.at.tail == QUEUE_BYTES - 1


def test_all_that_one_byte_can_write_has_room() -> None:
    ours = OurTerminal()
    ours.type(b'\x01' * QUEUE_BYTES)
    ours.written()
    ours.type(b'\x15')
    assert ours.written() == b'\b \b' * 2 * (QUEUE_BYTES - 1)


# ------------------------------------------------------------------ Linux
Steps = list[tuple[str, Any]]


def compare(input_set: set[int], output_set: set[int], local_set: set[int], what: Steps, patience: float) -> None:
    """Do the same with both, and look at all that comes."""
    ours = OurTerminal()
    own = bytearray(ours.settings())
    own[0:4] = sum(input_set).to_bytes(4, 'little')
    own[4:8] = sum(output_set).to_bytes(4, 'little')
    own[12:16] = (sum(local_set) | modes.LINES | modes.ECHO).to_bytes(4, 'little')
    ours.set(bytes(own))
    with host_terminal(patience) as host:
        host.set(bytes(own))
        for step, value in what:
            if step == 'type':
                for byte in value:
                    ours.type(bytes([byte]))
                    host.type(bytes([byte]))
                    expected = ours.written()
                    assert host.written(len(expected)) == expected
                host.settle()
            elif step == 'write':
                ours.write(value)
                host.write(value)
                expected = ours.written()
                assert host.written(len(expected)) == expected
            elif step == 'read':
                assert host.nr_to_read(ours.nr_to_read()) == ours.nr_to_read()
                assert host.read(value) == (ours.read(value) if ours.can_read() else None)
            else:
                bit = modes.LINES if step == 'lines' else modes.ECHO
                assert host.nr_to_read(ours.nr_to_read()) == ours.nr_to_read()
                with_modes(ours, on=bit if value else 0, off=bit)
                host.set(ours.settings())
        ours.write(b'!')  # nothing else has come
        host.write(b'!')
        assert host.written(2) == ours.written() == b'!'


@given(input_modes, output_modes, local_modes, steps)
@settings(max_examples=NR_EXAMPLES, deadline=None)
@example({modes.RETURN_TO_NEWLINE}, set(), {modes.EXTENDED}, [('type', b'ab\ncd\n'), ('read', 2), ('read', 9)])
@example(set(), set(), set(), [('type', b'ab\x04cd\x04'), ('read', 2), ('read', 2), ('read', 2)])
@example(set(), set(), set(), [('lines', False), ('type', b'ab'), ('lines', True), ('read', 9)])
def test_it_does_what_linux_does(input_set: set[int], output_set: set[int], local_set: set[int], what: Steps) -> None:
    try:
        compare(input_set, output_set, local_set, what, 0.2)
    except AssertionError:  # the host was slow
        compare(input_set, output_set, local_set, what, 3.0)
