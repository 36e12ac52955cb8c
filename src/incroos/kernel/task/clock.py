"""The clock of programs: virtual nanoseconds since the first one began, or the processor's time stamp counter.

Virtual time goes on by LOOK at each look at it, so that whoever waits for it gets there, by each tick of the timer, and
by what is slept; so it is the same in every run. At a terminal a sleep takes the time that it says: it is counted in
ticks.
"""

from typing import Final

from incroos.kernel.devices import idle
from incroos.kernel.devices.timer import TICK
from incroos.kernel.state import CLOCK_IS_TSC, INTERACTIVE, ON_PC, Kernel
from incroos.lang import kernel, read_tsc, word

LOOK: Final = 1000
SECOND: Final = 1_000_000_000
MOST: Final = 1 << 62


@kernel
def look(k: Kernel) -> word:
    """Nanoseconds since the start."""
    if k.tasks.flags & CLOCK_IS_TSC != 0:
        return read_tsc(k.m)
    k.tasks.clock = min(k.tasks.clock + LOOK, MOST)
    return k.tasks.clock


@kernel
def now(k: Kernel) -> word:
    """The same without time that passes by looking."""
    return read_tsc(k.m) if k.tasks.flags & CLOCK_IS_TSC != 0 else k.tasks.clock


@kernel
def after(k: Kernel, nanoseconds: word) -> word:
    """What the clock will show when so much time has passed; at most MOST. PRE at most MOST nanoseconds."""
    return min(look(k), MOST - nanoseconds) + nanoseconds


@kernel
def pass_tick(k: Kernel) -> None:
    """A tick has passed: virtual time goes on also while nobody looks."""
    if k.tasks.flags & CLOCK_IS_TSC == 0:
        k.tasks.clock = min(k.tasks.clock + TICK, MOST)


@kernel
def wait_until(k: Kernel, deadline: word) -> None:
    """Let time pass until the clock shows that, when no task can run; it may be less if time is real."""
    if k.tasks.flags & CLOCK_IS_TSC != 0:
        idle.idle(k, max(deadline - read_tsc(k.m), 0))
    elif k.tasks.flags & (INTERACTIVE | ON_PC) != 0:
        k.tasks.clock = min(k.tasks.clock + idle.idle(k, max(deadline - k.tasks.clock, 0)), MOST)
    else:
        k.tasks.clock = max(k.tasks.clock, deadline)
