"""A run at which somebody types: the host's terminal is raw for its time, and what is typed goes to the kernel at once.

The kernel's terminal does what a terminal does (files/terminal.py): echo, lines, signals. So the host's must do nothing
of that, and what it was set to is restored however the run ends. Bytes go through a pipe, which each place can read:

    0xFF 0xFF                    the byte 0xFF
    0xFF 1 rows columns          the window has another size; two bytes each, lowest first
    LEAVE                        goes nowhere: the run ends

A thread hands on, since `sim` has no other moment for it.
"""

import contextlib
import os
import select
import signal
import struct
import termios
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, Self

LEAVE: Final = b'\x1d'  # Ctrl-]
LEAVE_NAME: Final = 'Ctrl-]'
MESSAGE: Final = b'\xff'
WINDOW: Final = struct.Struct('<BBHH')
WINDOW_KIND: Final = 1
MOST_BYTES: Final = 4096

NEW_SIZE: Final = b's'  # what the thread is woken with
END: Final = b'e'

# Places in what termios.tcgetattr gives
INPUT_MODES, OUTPUT_MODES, CONTROL_MODES, LOCAL_MODES, KEYS = 0, 1, 2, 3, 6


class Keyboard:
    """The host's terminal, entered for a run. `leave` is called in another thread when LEAVE is typed."""

    def __init__(self, terminal: int, leave: Callable[[], object]) -> None:
        self._terminal, self._leave = terminal, leave
        self.was_left = False
        self.input = -1  # a descriptor: what the kernel reads

    def size(self) -> tuple[int, int]:
        """Rows and columns of the window; 0 where nobody knows."""
        try:
            columns, rows = os.get_terminal_size(self._terminal)
        except OSError:
            return 0, 0
        return rows, columns

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._terminal)
        with contextlib.ExitStack() as opened:
            self.input, self._to_kernel = pipe_in(opened)
            self._wakes, self._to_thread = pipe_in(opened)
            os.set_blocking(self._to_kernel, False)
            os.set_blocking(self._to_thread, False)  # a handler of signals writes to it
            self._files = opened.pop_all()
        self._thread = threading.Thread(target=self._hand_on, daemon=True)
        self._handler = signal.signal(signal.SIGWINCH, self._on_new_size)
        termios.tcsetattr(self._terminal, termios.TCSADRAIN, raw(self._before))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)
        signal.signal(signal.SIGWINCH, self._handler)
        os.write(self._to_thread, END)
        self._thread.join()
        self._files.close()

    def _on_new_size(self, number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._to_thread, NEW_SIZE)

    # -------------------------------------------------------------- the thread
    def _hand_on(self) -> None:
        """Hand on what is typed until the run is over. What the kernel has not taken yet waits here."""
        waiting = bytearray()
        sources = [self._terminal, self._wakes]
        while True:
            readable, writable, _ = select.select(sources, [self._to_kernel] if waiting else [], [])
            if self._wakes in readable:
                if END in os.read(self._wakes, MOST_BYTES):
                    return
                waiting += WINDOW.pack(MESSAGE[0], WINDOW_KIND, *self.size())
            if self._terminal in readable:
                typed = self._read()
                if not typed:
                    sources.remove(self._terminal)
                waiting += typed.partition(LEAVE)[0].replace(MESSAGE, MESSAGE * 2)
                if LEAVE in typed:
                    self.was_left = True
                    self._leave()
            if writable:
                with contextlib.suppress(BlockingIOError, BrokenPipeError):
                    del waiting[: os.write(self._to_kernel, waiting)]

    def _read(self) -> bytes:
        """What is typed; nothing where the terminal is gone, and will not come back."""
        try:
            return os.read(self._terminal, MOST_BYTES)
        except OSError:
            return b''


def pipe_in(opened: contextlib.ExitStack) -> tuple[int, int]:
    """The two ends of a pipe, closed with the rest."""
    ends = os.pipe()
    for end in ends:
        opened.callback(os.close, end)
    return ends


def raw(settings: list[Any]) -> list[Any]:
    """Settings of a terminal that hands on each byte as it is, and shows what it gets as it is."""
    changed = list(settings)
    changed[INPUT_MODES] &= ~(
        termios.BRKINT | termios.ICRNL | termios.IGNCR | termios.INLCR | termios.INPCK | termios.ISTRIP | termios.IXON
    )
    changed[OUTPUT_MODES] &= ~termios.OPOST
    changed[LOCAL_MODES] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.IEXTEN | termios.ISIG)
    changed[KEYS] = list(settings[KEYS])
    changed[KEYS][termios.VMIN], changed[KEYS][termios.VTIME] = 1, 0
    return changed
