"""The host's side of the mailbox: calls of the kernel's functions, one text for all places.

A Driver executes calls: in this process on an interpreted kernel, or through the mailbox in the RAM of a guest that
runs elsewhere. guest/calls.py has the table of what can be called, and its names: `call('kmalloc', 100)`.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from incroos.guest.calls import CODES, OPERATIONS
from incroos.guest.dispatch import WORDS, execute, parameters_of
from incroos.guest.mailbox import BATCH_TOO_LONG, NR_OPERATIONS_MAX, READY, Mailbox
from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import CLASSIC
from incroos.kernel.layout import KERNEL_STATE, MAILBOX
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, offset_of
from incroos.machine.errors import MachineStopped

from ..inspect.ram import RamMachine

NR_WORDS: Final = {name: len(parameters_of(function)) for name, function in OPERATIONS.items()}
DOORBELL: Final = VirtAddr(MAILBOX + offset_of(Mailbox, 'doorbell'))
SERVED: Final = VirtAddr(MAILBOX + offset_of(Mailbox, 'served'))
READY_ADDR: Final = VirtAddr(MAILBOX + offset_of(Mailbox, 'ready'))
NR_BUSY_LOOKS: Final = 2000  # before the host sleeps between its looks at the mailbox
SLEEP_S: Final = 0.0005
SECONDS: Final = 600.0  # after which a guest hangs: so long that a busy host does not make it seem so


class GuestEnded(Exception):
    """The guest ended before it had executed the batch: it panicked, or was told to stop."""


class BatchRefused(Exception):
    """The kernel did nothing of the batch: it is longer than the mailbox."""


class GuestHung(Exception):
    """The guest did not execute the batch in time, and has not ended."""


@dataclass(frozen=True)
class Call:
    """One operation: its code and its words."""

    code: int
    words: tuple[int, ...]

    def __str__(self) -> str:
        names = {code: name for name, code in CODES.items()}
        return f'{names.get(self.code, self.code)}({", ".join(hex(value) for value in self.words)})'


def call_of(name: str, *words: int) -> Call:
    """The call of the operation of that name; addresses and flags with bit 63 set are negative words."""
    if len(words) > NR_WORDS[name]:
        raise ValueError(f'{name} with {len(words)} words: it takes {NR_WORDS[name]}')
    return Call(CODES[name], words)


class Driver(ABC):
    """Executes calls in a kernel that runs somewhere, and sees its RAM."""

    def __init__(self, ram: RamMachine) -> None:
        self.ram = ram
        self.kernel = Kernel(ram, VirtAddr(KERNEL_STATE))

    @abstractmethod
    def execute(self, calls: Sequence[Call]) -> list[int]:
        """The results of the calls, in order."""

    def call(self, name: str, *words: int) -> int:
        """The result of one call."""
        return self.execute([call_of(name, *words)])[0]


class DirectDriver(Driver):
    """Drives an interpreted kernel in this process; it was started by whoever made k."""

    def __init__(self, k: Kernel, ram: Any) -> None:
        super().__init__(RamMachine(ram, k.m.config))
        self.k = k

    def execute(self, calls: Sequence[Call]) -> list[int]:
        try:
            return [execute(self.k, call.code, *padded(call.words)) for call in calls]
        except MachineStopped:
            raise GuestEnded('the kernel ended before it answered') from None


class MailboxDriver(Driver):
    """Drives a kernel that executes mailbox_main, over RAM that it shares with the host.

    is_alive says whether the guest has not ended yet. Waits at most `seconds` for the guest to be ready, and for each
    batch. Only one driver at a time.
    """

    def __init__(
        self, ram: Any, is_alive: Callable[[], bool], seconds: float = SECONDS, config: KernelConfig = CLASSIC
    ) -> None:
        super().__init__(RamMachine(ram, config))
        self.mailbox = Mailbox(self.ram, VirtAddr(MAILBOX))
        self.is_alive, self.seconds = is_alive, seconds

    def wait_until_ready(self) -> None:
        """Wait until the kernel has started and looks at the doorbell."""
        self._wait(READY_ADDR, READY)

    def execute(self, calls: Sequence[Call]) -> list[int]:
        results: list[int] = []
        for start in range(0, len(calls), NR_OPERATIONS_MAX):
            results += self._serve(calls[start : start + NR_OPERATIONS_MAX])
        return results

    def send(self, calls: Sequence[Call]) -> int:
        """Ring for one batch without waiting for its results; the number to wait for. For calls that do not return."""
        if len(calls) > NR_OPERATIONS_MAX:
            raise BatchRefused(too_long(len(calls)))
        for index, call in enumerate(calls):
            operation = self.mailbox.operations[index]
            operation.code = call.code
            operation.a, operation.b, operation.c, operation.d = padded(call.words)
        return self.ring(len(calls))

    def ring(self, nr_operations: int) -> int:
        """Say that a batch of so many operations is complete; the number to wait for."""
        self.mailbox.nr_operations = nr_operations
        number = self.ram.atomic_load64(SERVED) + 1
        self.ram.atomic_store64(DOORBELL, number)
        return number

    def wait_until_served(self, number: int) -> None:
        """Wait until the kernel is done with the batch of this number. BatchRefused when it did nothing of it."""
        self._wait(SERVED, number)
        if self.mailbox.outcome == BATCH_TOO_LONG:
            raise BatchRefused(too_long(self.mailbox.nr_operations))

    def _serve(self, calls: Sequence[Call]) -> list[int]:
        self.wait_until_served(self.send(calls))
        return [self.mailbox.operations[index].result for index in range(len(calls))]

    def _wait(self, addr: VirtAddr, wanted: int) -> None:
        """Look until the word at addr is the one that is wanted."""
        end = time.monotonic() + self.seconds
        looks = 0
        while self.ram.atomic_load64(addr) != wanted:
            looks += 1
            if looks < NR_BUSY_LOOKS:
                continue
            if not self.is_alive():
                if self.ram.atomic_load64(addr) == wanted:
                    return
                raise GuestEnded('the guest ended before it answered')
            if time.monotonic() > end:
                raise GuestHung(f'the guest did not answer in {self.seconds:g} s')
            time.sleep(SLEEP_S)


def too_long(nr_operations: int) -> str:
    """What is wrong with a batch of so many operations."""
    return f'a batch of {nr_operations:,} operations is too long: the mailbox has room for {NR_OPERATIONS_MAX:,}'


def padded(words: Sequence[int]) -> tuple[int, int, int, int]:
    """The words of a call, zeros behind."""
    a, b, c, d = (*words, *[0] * (len(WORDS) - len(words)))
    return a, b, c, d
