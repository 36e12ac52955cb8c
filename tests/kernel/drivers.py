"""Kernels to be driven by tests, one call at a time, in every place: `open_driver(place)`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from incroos.kernel import mailbox, main
from incroos.kernel.config import CLASSIC, CLASSIC_CHECKED
from incroos.run import images, jit, qemu_guest
from incroos.run.harness import DirectDriver, Driver, MailboxDriver
from incroos.run.sim import Sim
from incroos.run.simulated import EntryPoints

PLACES: Final = ('sim', 'jit', 'qemu')
MEMORY: Final = 64 << 20
MAILBOX_ENTRIES: Final = EntryPoints(mailbox.mailbox_main, main.on_page_fault, main.on_exception)


@contextmanager
def open_driver(place: str, memory_bytes: int = MEMORY, is_plain: bool = False) -> Iterator[Driver]:
    """A kernel that has just started: the checked build, with fault injection and poison, or the one that users get."""
    if place == 'sim':
        sim = Sim(memory_bytes, CLASSIC if is_plain else CLASSIC_CHECKED)
        sim.start(mailbox.start)
        yield DirectDriver(sim.kernel, sim.ram)
    else:
        with make_guest(place, memory_bytes, is_plain) as running:
            driver = MailboxDriver(running.ram, running.is_running)
            driver.wait_until_ready()
            yield driver


def make_guest(place: str, memory_bytes: int = MEMORY, is_plain: bool = False) -> jit.Guest | qemu_guest.Guest:
    """The guest of a place with a process of its own, not started yet; its kernel looks at the mailbox."""
    if place == 'jit':
        config = CLASSIC if is_plain else CLASSIC_CHECKED
        return jit.Guest(memory_bytes, jit.cached_kernel(print, MAILBOX_ENTRIES, config, checked=not is_plain))
    name = images.CLASSIC if is_plain else images.CLASSIC_CHECKED
    image = images.kernel_image(print, entry=images.MAILBOX, config=name, checked=not is_plain)
    return qemu_guest.Guest(image.path, memory_bytes)
