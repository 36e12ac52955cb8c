"""Idle: what the processor does while no task can run. The only place where ring 0 can be interrupted.

It waits for what may make a task ready, and for nothing else: the answer to a request for input, a byte by the first
serial port, and time. The handler of an interrupt acknowledges it and does no more (trap/kernel_faults.py): who called
looks for himself what has happened.
"""

from typing import Final

from incroos.kernel.devices import channels, interrupts, serial_input, timer
from incroos.kernel.devices.interrupts import INPUT_LINE, SERIAL_LINE, TIMER_LINE
from incroos.kernel.state import Kernel
from incroos.lang import kernel, wait_for_interrupt, word

FOR_EVER: Final = -1


@kernel
def idle(k: Kernel, nanoseconds: word) -> word:
    """Wait until input may have come, so many nanoseconds or one tick have passed; FOR_EVER: for input alone.

    How many nanoseconds have passed for sure: 0 if input has come. PRE there is something to wait for.
    """
    if has_come(k) or (nanoseconds <= 0 and nanoseconds != FOR_EVER):
        return 0
    before = k.devices.let_through
    period = min(nanoseconds, timer.TICK)
    channels.interrupt_at_first(k)
    if nanoseconds > 0:
        timer.set_period(k, period)
    interrupts.let_through(k, wanted_lines(k, nanoseconds))
    if not has_come(k):
        wait_for_interrupt(k.m)
    interrupts.let_through(k, before)
    channels.interrupt_when_full(k)
    if 0 < nanoseconds < timer.TICK:
        timer.set_period(k, timer.TICK)
    return period if nanoseconds > 0 and not has_come(k) else 0


@kernel
def has_come(k: Kernel) -> bool:
    """Whether there is input that nobody has taken. Its line says so once: it does not when it is waited for later."""
    return channels.has_input(k) or (k.devices.has_serial_input != 0 and serial_input.has_byte(k))


@kernel
def wanted_lines(k: Kernel, nanoseconds: word) -> word:
    """The lines by which what is waited for comes."""
    lines = 0
    if k.devices.nr_asked != 0:
        lines |= 1 << INPUT_LINE
    if k.devices.has_serial_input != 0:
        lines |= 1 << SERIAL_LINE
    if nanoseconds > 0:
        lines |= 1 << TIMER_LINE
    return lines


@kernel
def wait_for_input(k: Kernel) -> None:
    """Wait for the answer to a request, where that takes no time worth to let others run. PRE it was asked for."""
    while not channels.has_input(k):
        idle(k, FOR_EVER)
