"""Kernels to be driven by tests, one call at a time, in every place: `open_driver(place)`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from incroos.kernel import heap, mailbox, main
from incroos.kernel.config import CLASSIC_CHECKED
from incroos.run import images, jit, qemu_guest
from incroos.run.harness import DirectDriver, Driver, MailboxDriver
from incroos.run.sim import Sim
from incroos.run.simulated import EntryPoints

from .flat import FlatGuest

PLACES: Final = ('sim', 'jit', 'qemu')
MEMORY: Final = 64 << 20
MAILBOX_ENTRIES: Final = EntryPoints(mailbox.mailbox_main, main.on_page_fault, main.on_exception)


@contextmanager
def open_driver(place: str, memory_bytes: int = MEMORY) -> Iterator[Driver]:
    """A kernel that has just started, in its checked build with fault injection. 'flat' is the tests' own computer."""
    if place == 'flat':
        guest = FlatGuest(memory_bytes)
        heap.init(guest.k)
        yield DirectDriver(guest.k, guest.m.ram)
    elif place == 'sim':
        sim = Sim(memory_bytes, CLASSIC_CHECKED)
        sim.start(mailbox.start)
        yield DirectDriver(sim.kernel, sim.ram)
    else:
        yield from guest_driver(place, memory_bytes)


def guest_driver(place: str, memory_bytes: int) -> Iterator[MailboxDriver]:
    """A kernel behind its mailbox, in a process of its own."""
    with make_guest(place, memory_bytes) as running:
        driver = MailboxDriver(running.ram, running.is_running, config=CLASSIC_CHECKED)
        driver.wait_until_ready()
        yield driver


def make_guest(place: str, memory_bytes: int) -> jit.Guest | qemu_guest.Guest:
    """The guest of a place, not started yet."""
    if place == 'jit':
        return jit.Guest(memory_bytes, jit.cached_kernel(print, MAILBOX_ENTRIES, CLASSIC_CHECKED, checked=True))
    image = images.kernel_image(print, entry=images.MAILBOX, config=images.CLASSIC_CHECKED, checked=True)
    return qemu_guest.Guest(image.path, memory_bytes)
