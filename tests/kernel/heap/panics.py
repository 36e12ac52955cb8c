"""Kernels that end in a panic: what they print in each place."""

from collections.abc import Callable

import pytest

from incroos.guest import mailbox
from incroos.run import jit
from incroos.run.harness import DirectDriver, Driver, GuestEnded, MailboxDriver
from incroos.run.outcome import Status
from incroos.run.sim import Sim
from incroos.run.simulated import unsent

from ...budget import SECONDS
from ..drivers import MEMORY, Build, make_guest

Scene = Callable[[Driver], object]


def text_of_panic(place: str, build: Build, scene: Scene) -> str:
    """Start a kernel, do what the scene does, which must end in a panic, and give all that went to the console."""
    if place == 'sim':
        sim = Sim(MEMORY, build.config)
        sim.start(mailbox.start)
        with pytest.raises(GuestEnded):
            scene(DirectDriver(sim.kernel, sim.ram))
        assert sim.kernel.console.nr_panics == 1
        return sim.console().decode()
    with make_guest(place, MEMORY, build) as guest:
        driver = MailboxDriver(guest.ram, guest.is_running, config=build.config)
        driver.wait_until_ready()
        with pytest.raises(GuestEnded):
            scene(driver)
        assert guest.wait(SECONDS).status == Status.PANIC
        rest = unsent(guest.computer.cpu) if isinstance(guest, jit.Guest) else b''
        return (guest.console() + rest).decode()
