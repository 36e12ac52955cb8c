"""Hands on what comes by several channels, all of them waited for at once, until they are closed or time is over."""

import contextlib
import os
import select
import time
from collections.abc import Callable, Collection
from typing import Final

from .boot import Sink

MOST_BYTES: Final = 1 << 16  # of a pipe, at once


class Relay:
    """A channel is a descriptor and what takes from it; it is looked at until that says that it has ended."""

    def __init__(self) -> None:
        self._poll = select.poll()  # other than epoll, it takes regular files
        self._takers: dict[int, Callable[[], bool]] = {}

    def add(self, descriptor: int, take: Callable[[], bool]) -> None:
        """Call `take` when there is something to read; it answers whether more may come."""
        self._takers[descriptor] = take
        self._poll.register(descriptor, select.POLLIN)

    def add_pipe(self, descriptor: int, sink: Sink) -> None:
        """Hand on what comes from a pipe."""

        def take() -> bool:
            data = os.read(descriptor, MOST_BYTES)
            if data:
                sink(data)
            return bool(data)

        self.add(descriptor, take)

    def run(self, deadline: float | None, descriptors: Collection[int]) -> bool:
        """Hand on until these have ended, whatever comes by others; False if time is over."""
        while any(descriptor in self._takers for descriptor in descriptors):
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            for descriptor, _ in self._poll.poll(None if left is None else left * 1000 + 1):
                take = self._takers.get(descriptor)
                if take and not take():
                    del self._takers[descriptor]
                    self._poll.unregister(descriptor)
        return True


def hand_on_rest(descriptor: int, sink: Sink) -> None:
    """Hand on what a process that was ended had written to a pipe."""
    os.set_blocking(descriptor, False)  # something that it started may live on and hold the pipe
    with contextlib.suppress(BlockingIOError):
        while data := os.read(descriptor, MOST_BYTES):
            sink(data)
