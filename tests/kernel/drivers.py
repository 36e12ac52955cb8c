"""Kernels to be driven by tests, one call at a time, in every place: `open_driver(place)`."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final, NamedTuple

from incroos.guest import mailbox
from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import (
    CLASSIC,
    CLASSIC_CHECKED,
    CLASSIC_FIXMAP,
    CLASSIC_FULL_CHECKED,
    CLASSIC_RECURSIVE,
    MODERN,
    MODERN_CHECKED,
    MODERN_FIXMAP,
    MODERN_FULL_CHECKED,
    MODERN_RECURSIVE,
)
from incroos.kernel.trap import faults
from incroos.machine.cpu import ALL_FEATURES
from incroos.run import images, jit, qemu_guest
from incroos.run.harness import DirectDriver, Driver, MailboxDriver
from incroos.run.sim import Sim
from incroos.run.simulated import EntryPoints

PLACES: Final = ('sim', 'jit', 'qemu')
MEMORY: Final = 64 << 20
MAILBOX_ENTRIES: Final = EntryPoints(mailbox.mailbox_main, faults.on_page_fault, faults.on_exception)


class Build(NamedTuple):
    """A configuration, and whether compiled code is checked.

    What is not checked is optimised, as users get it, or built as quickly as a checked one: for what does not depend on
    it, in a configuration that no other test optimises.
    """

    config: KernelConfig
    is_checked: bool
    is_quick: bool = False


CHECKED: Final = Build(CLASSIC_CHECKED, is_checked=True)  # with poison and fault injection
MODERN_BUILD: Final = Build(MODERN_CHECKED, is_checked=True)
CLASSIC_FULL_BUILD: Final = Build(CLASSIC_FULL_CHECKED, is_checked=True)
MODERN_FULL_BUILD: Final = Build(MODERN_FULL_CHECKED, is_checked=True)
FULL_BUILDS: Final = {'classic': CLASSIC_FULL_BUILD, 'modern': MODERN_FULL_BUILD}  # the heap hardens itself fully
MODERN_PLAIN: Final = Build(MODERN, is_checked=False)
MODERN_BUILDS: Final = {  # by the way to page tables
    'direct-map': MODERN_BUILD,
    'recursive': Build(MODERN_RECURSIVE, is_checked=True),
    'fixmap': Build(MODERN_FIXMAP, is_checked=True),
}
CLASSIC_BUILDS: Final = {
    'identity': CHECKED,
    'recursive': Build(CLASSIC_RECURSIVE, is_checked=True),
    'fixmap': Build(CLASSIC_FIXMAP, is_checked=True),
}
PLAIN: Final = Build(CLASSIC, is_checked=False)  # the one that users get


@contextmanager
def open_driver(
    place: str, memory_bytes: int = MEMORY, build: Build = CHECKED, features: int = ALL_FEATURES
) -> Iterator[Driver]:
    """A kernel that has just started. `features` are those of a simulated computer."""
    if place == 'sim':
        sim = Sim(memory_bytes, build.config, features=features)
        sim.start(mailbox.start)
        yield DirectDriver(sim.kernel, sim.ram)
    else:
        with make_guest(place, memory_bytes, build, features) as running:
            driver = MailboxDriver(running.ram, running.is_running, config=build.config)
            driver.wait_until_ready()
            yield driver


def make_guest(
    place: str, memory_bytes: int = MEMORY, build: Build = CHECKED, features: int = ALL_FEATURES
) -> jit.Guest | qemu_guest.Guest:
    """The guest of a place with a process of its own, not started yet; its kernel looks at the mailbox."""
    if place == 'jit':
        return jit.Guest(memory_bytes, compiled(build), features=features)
    return qemu_guest.Guest(booted(build).path, memory_bytes)


@cache
def compiled(build: Build) -> jit.KernelCode:
    """The code of a build for `jit`: once for all tests, also where no cache folder can be written."""
    return jit.cached_kernel(print, MAILBOX_ENTRIES, build.config, build.is_checked, is_quick=build.is_quick)


@cache
def booted(build: Build) -> images.KernelImage:
    """The image of a build for `qemu`, once for all tests."""
    return images.kernel_image(
        print, entry=images.MAILBOX, config=build.config, checked=build.is_checked, is_quick=build.is_quick
    )
