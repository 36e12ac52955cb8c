"""The clock of programs: virtual nanoseconds since the first one began, or the processor's time stamp counter.

The counter is measured first where somebody looks at a real clock beside it: on a PC and where somebody types. Else it
counts nanoseconds: QEMU's does, where it counts instructions.

Virtual time goes on by LOOK at each look at it, so that whoever waits for it gets there, by each tick of the timer, and
by what is slept; so it is the same in every run. At a terminal a sleep takes the time that it says: it is counted in
ticks.
"""

from typing import Final

from incroos.kernel.devices import calendar, idle, program_clock, tsc
from incroos.kernel.devices.program_clock import SECOND as SECOND
from incroos.kernel.devices.timer import TICK
from incroos.kernel.state import CLOCK_IS_TSC, INTERACTIVE, ON_PC, Kernel, RunInfo
from incroos.lang import kernel, read_tsc, word

LOOK: Final = 1000
MOST: Final = 1 << 62


@kernel
def init(k: Kernel, info: RunInfo) -> None:
    """Begin to count, from the second that the host says; on a PC, from what its own clock says if that is later."""
    state = k.tasks
    state.clock = 0
    state.counter_start = 0
    state.counter_rate = tsc.NANOSECOND
    state.start_seconds = info.start_seconds
    if info.flags & CLOCK_IS_TSC != 0 and info.flags & (ON_PC | INTERACTIVE) != 0:
        state.counter_rate = tsc.measure(k)
        state.counter_start = read_tsc(k.m)
    if info.flags & ON_PC != 0:
        state.start_seconds = max(info.start_seconds, calendar.seconds(k))


@kernel
def look(k: Kernel) -> word:
    """Nanoseconds since the start."""
    if k.tasks.flags & CLOCK_IS_TSC != 0:
        return tsc.nanoseconds(k)
    k.tasks.clock = min(k.tasks.clock + LOOK, MOST)
    return k.tasks.clock


@kernel
def now(k: Kernel) -> word:
    """The same without time that passes by looking."""
    return program_clock.since_start(k)


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
        idle.idle(k, max(deadline - tsc.nanoseconds(k), 0))
    elif is_real(k):
        pass_idle(k, max(deadline - k.tasks.clock, 0))
    else:
        k.tasks.clock = max(k.tasks.clock, deadline)


@kernel
def wait_for_input(k: Kernel) -> None:
    """Wait until input has come, when no task can run; it may be less if time is real."""
    if is_real(k):
        pass_idle(k, TICK)
    else:
        idle.idle(k, idle.FOR_EVER)


@kernel
def is_real(k: Kernel) -> bool:
    """Whether somebody sits there for whom time passes."""
    return k.tasks.flags & (INTERACTIVE | ON_PC) != 0


@kernel
def pass_idle(k: Kernel, nanoseconds: word) -> None:
    """Sleep so long or a tick, and count it."""
    k.tasks.clock = min(k.tasks.clock + idle.idle(k, nanoseconds), MOST)
