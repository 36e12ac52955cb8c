"""A terminal in a buffer, and a pseudo terminal of the host with the same settings beside it."""

import contextlib
import fcntl
import os
import select
import struct
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from incroos.inspect.ram import RamMachine
from incroos.kernel.files import line_discipline, terminal_modes, terminal_output
from incroos.kernel.state.terminal import Terminal
from incroos.lang import VirtAddr

TERMIOS: Final = VirtAddr(Terminal.SIZE)
MOST: Final = 1 << 16


class OurTerminal:
    """The terminal of the kernel, without a kernel."""

    def __init__(self) -> None:
        self.at = Terminal(RamMachine(bytearray(Terminal.SIZE + terminal_modes.TERMIOS_BYTES + 4)), VirtAddr(0))
        terminal_modes.set_defaults(self.at)
        line_discipline.begin(self.at)

    def set(self, settings: bytes) -> None:
        """Take a struct termios."""
        before = self.at.input_modes, self.at.local_modes
        for index, byte in enumerate(settings):
            self.at.m.store8(VirtAddr(TERMIOS + index), byte)
        terminal_modes.get_termios(self.at, TERMIOS)
        line_discipline.on_new_modes(self.at, *before)

    def settings(self) -> bytes:
        """The struct termios."""
        terminal_modes.put_termios(self.at, TERMIOS)
        return bytes(self.at.m.load8(VirtAddr(TERMIOS + index)) for index in range(terminal_modes.TERMIOS_BYTES))

    def type(self, data: bytes) -> list[int]:
        """Type bytes, as many as there is room for: the signals that they mean."""
        return [
            signal
            for byte in data
            if line_discipline.has_room(self.at) and (signal := line_discipline.receive(self.at, byte))
        ]

    def write(self, data: bytes) -> None:
        """What a program writes."""
        for byte in data:
            terminal_output.put_processed(self.at, byte)

    def written(self) -> bytes:
        """What was written since the last time."""
        data = bytes(self.at.pending[index] for index in range(self.at.nr_pending))
        self.at.nr_pending = 0
        return data

    def can_read(self) -> bool:
        return line_discipline.nr_readable(self.at) > 0

    def nr_to_read(self) -> int:
        return line_discipline.nr_to_read(self.at)

    def read(self, nbytes: int) -> bytes:
        """What a program reads."""
        data = b''
        while len(data) < nbytes:
            part = line_discipline.next_part(self.at, nbytes - len(data))
            tail = self.at.tail
            data += bytes(line_discipline.byte_at(self.at, tail + index) for index in range(part))
            if line_discipline.consume(self.at, part) or part == 0:
                break
        return data


@dataclass
class HostTerminal:
    """A pseudo terminal of the host, which takes what is typed a little later: `patience` seconds are enough for it."""

    patience: float
    keyboard: int
    program: int
    seen: bytearray = field(default_factory=bytearray)

    def settle(self) -> None:
        """Wait until what was typed has been looked at, where nothing tells of it."""
        time.sleep(self.patience / 100)

    def set(self, settings: bytes) -> None:
        fcntl.ioctl(self.program, 0x5402, settings)  # TCSETS

    def type(self, data: bytes) -> None:
        os.write(self.keyboard, data)

    def write(self, data: bytes) -> None:
        os.write(self.program, data)

    def written(self, nbytes: int) -> bytes:
        """What comes, up to so many bytes; fewer if they do not come. What comes beyond them is kept."""
        deadline = time.monotonic() + self.patience
        while len(self.seen) < nbytes and select.select([self.keyboard], [], [], deadline - time.monotonic())[0]:
            self.seen += os.read(self.keyboard, MOST)
        data = bytes(self.seen[:nbytes])
        del self.seen[:nbytes]
        return data

    def nr_to_read(self, expected: int) -> int:
        """FIONREAD, after some time if need be."""
        deadline = time.monotonic() + self.patience
        while True:
            (found,) = struct.unpack('i', fcntl.ioctl(self.program, termios.FIONREAD, bytes(4)))
            if found == expected or time.monotonic() > deadline:
                return int(found)

    def read(self, nbytes: int) -> bytes | None:
        """What a program reads; None where it would wait."""
        try:
            return os.read(self.program, nbytes)
        except BlockingIOError:
            return None


@contextlib.contextmanager
def host_terminal(patience: float) -> Iterator[HostTerminal]:
    keyboard, program = os.openpty()
    os.set_blocking(program, False)
    try:
        yield HostTerminal(patience, keyboard, program)
    finally:
        os.close(keyboard)
        os.close(program)
