"""The clock of programs: virtual nanoseconds since the first one began, or the processor's time stamp counter.

Virtual time goes on by LOOK at each look at it, so that whoever waits for it gets there, and by what is slept; so it is
the same in every run.
"""

from typing import Final

from incroos.kernel.state import CLOCK_IS_TSC, Kernel
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
def sleep(k: Kernel, nanoseconds: word) -> None:
    """Let time pass; with the time stamp counter, really."""
    if k.tasks.flags & CLOCK_IS_TSC != 0:
        start = read_tsc(k.m)
        while read_tsc(k.m) - start < nanoseconds:
            pass
    else:
        k.tasks.clock = min(k.tasks.clock, MOST - nanoseconds) + nanoseconds
