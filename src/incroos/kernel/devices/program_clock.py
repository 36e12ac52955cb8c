"""The clock of programs, for those who only look at it: no time passes.

Unit: the nanosecond.
"""

from typing import Final

from incroos.kernel.devices import tsc
from incroos.kernel.state import CLOCK_IS_TSC, Kernel
from incroos.lang import kernel, word

SECOND: Final = 1_000_000_000
MOST_SECONDS: Final = 1 << 32


@kernel
def since_start(k: Kernel) -> word:
    """Since the first program began."""
    return tsc.nanoseconds(k) if k.tasks.flags & CLOCK_IS_TSC != 0 else k.tasks.clock


@kernel
def now(k: Kernel) -> word:
    """Since 1970."""
    return min(max(k.tasks.start_seconds, 0), MOST_SECONDS) * SECOND + since_start(k)
