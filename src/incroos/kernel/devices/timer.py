"""The timer: channel 0 of the 8254, which interrupts a program every 10 ms while a second one could run.

Unit: the nanosecond. Knows nothing of tasks: who starts and stops it says when. Its interrupts are of no use to a
program that runs alone; so it is stopped by masking its line, not by its own registers, which cost more. Written from:
Intel, "8254 Programmable Interval Timer".
"""

from typing import Final

from incroos.kernel.devices import interrupts
from incroos.kernel.devices.interrupts import FIRST_INTERRUPT, TIMER_LINE
from incroos.kernel.state import Kernel
from incroos.lang import kernel, out8, word

CHANNEL_0: Final = 0x40  # ports
CONTROL: Final = 0x43
RATE_GENERATOR: Final = 0x34  # of channel 0, whose divisor follows in two bytes
HERTZ: Final = 1_193_182
SECOND: Final = 1_000_000_000
TICK: Final = 10_000_000  # nanoseconds between two interrupts
LEAST_DIVISOR: Final = 2

VECTOR: Final = FIRST_INTERRUPT + TIMER_LINE


@kernel
def init(k: Kernel) -> None:
    """Have the timer run, and nobody hear of it. PRE interrupts.init was called."""
    set_period(k, TICK)


@kernel
def set_period(k: Kernel, nanoseconds: word) -> None:
    """Have it interrupt so often; the first time after so long. PRE 0 < nanoseconds <= TICK."""
    divisor = max(nanoseconds * HERTZ // SECOND, LEAST_DIVISOR)
    out8(k.m, CONTROL, RATE_GENERATOR)
    out8(k.m, CHANNEL_0, divisor & 0xFF)
    out8(k.m, CHANNEL_0, divisor >> 8)


@kernel
def is_running(k: Kernel) -> bool:
    """Whether it interrupts ring 3."""
    return k.devices.let_through >> TIMER_LINE & 1 != 0


@kernel
def start(k: Kernel) -> None:
    """Have it interrupt ring 3 from now on."""
    interrupts.let_through(k, k.devices.let_through | 1 << TIMER_LINE)


@kernel
def stop(k: Kernel) -> None:
    """Have it not interrupt any more."""
    interrupts.let_through(k, k.devices.let_through & ~(1 << TIMER_LINE))


@kernel
def acknowledge(k: Kernel) -> None:
    """Its interrupt was taken."""
    interrupts.acknowledge(k, VECTOR)
