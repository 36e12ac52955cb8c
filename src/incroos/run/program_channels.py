"""The host's side of a program's channels, where the computer is another process: pipes to relay, input to answer.

Output comes by pipes and is handed on as it comes. Input is asked for: four bytes say how many bytes the program wants,
the answer is four bytes with how many come (0: the end of the file, FAILED: it could not be read) and the bytes. So a
program that does not read leaves the host's input alone.
"""

import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Final

from .boot import Sink

MOST_INPUT: Final = 1 << 16
FAILED: Final = 0xFFFF_FFFF
NUMBER: Final = struct.Struct('<I')
PIPE_BYTES: Final = 1 << 16


class Relay:
    """Waits for all channels at once. A source is a descriptor and what takes its bytes; it is done at its end."""

    def __init__(self) -> None:
        self._poll = select.poll()  # other than epoll, it takes regular files
        self._takers: dict[int, Callable[[], bool]] = {}

    def add(self, descriptor: int, take: Callable[[], bool]) -> None:
        """Call `take` when there is something to read; it answers whether more may come."""
        self._takers[descriptor] = take
        self._poll.register(descriptor, select.POLLIN)

    def remove(self, descriptor: int) -> None:
        """Look at a descriptor no more."""
        if self._takers.pop(descriptor, None):
            self._poll.unregister(descriptor)

    def add_pipe(self, descriptor: int, sink: Sink) -> None:
        """Hand on what comes from a pipe."""

        def take() -> bool:
            data = os.read(descriptor, PIPE_BYTES)
            if data:
                sink(data)
            return bool(data)

        self.add(descriptor, take)

    def run(self, deadline: float | None, while_open: Callable[[], bool]) -> bool:
        """Hand on until nothing that counts is open any more; False if time is over."""
        while while_open():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            for descriptor, _ in self._poll.poll(None if left is None else left * 1000 + 1):
                take = self._takers.get(descriptor)
                if take and not take():
                    self.remove(descriptor)
        return True

    def has(self, descriptor: int) -> bool:
        """Is it still looked at?"""
        return descriptor in self._takers


class Input:
    """Answers what the kernel asks on a socket with what it reads from a descriptor of the host."""

    def __init__(self, channel: socket.socket, source: int, relay: Relay) -> None:
        self._channel, self._source, self._relay = channel, source, relay
        self._asked = b''
        channel.setblocking(False)
        relay.add(channel.fileno(), self._take_request)

    def _take_request(self) -> bool:
        try:
            data = self._channel.recv(NUMBER.size - len(self._asked))
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._asked += data
        if len(self._asked) == NUMBER.size:
            self._relay.add(self._source, self._read)
        return bool(data)

    def _read(self) -> bool:
        """There is something to read, and the kernel waits for it."""
        (nbytes,) = NUMBER.unpack(self._asked)
        try:
            data = os.read(self._source, min(nbytes, MOST_INPUT))
            answer = NUMBER.pack(len(data)) + data
        except BlockingIOError:  # somebody else took it
            return True
        except OSError:
            answer = NUMBER.pack(FAILED)
        self._asked = b''
        self._answer(answer)
        return False

    def _answer(self, answer: bytes) -> None:
        """Send it: the kernel has taken all that was sent before, so that the socket has room."""
        self._channel.setblocking(True)
        with contextlib.suppress(OSError):  # the computer has ended meanwhile
            self._channel.sendall(answer)
        self._channel.setblocking(False)
