"""A program's input, where the computer is another process: it comes when it is asked for.

Four bytes say how many bytes the program wants; the answer is four bytes with how many come (0: the end of the file,
FAILED: it could not be read) and the bytes. So a program that does not read leaves the host's input alone.
"""

import contextlib
import os
import socket
import struct
from typing import Final

from .relay import Relay

MOST_INPUT: Final = 1 << 16
FAILED: Final = 0xFFFF_FFFF
NUMBER: Final = struct.Struct('<I')


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
