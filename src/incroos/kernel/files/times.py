"""The time that files keep: nanoseconds since 1970, by the clock of programs."""

from typing import Final

from incroos.kernel.devices import tsc
from incroos.kernel.state import CLOCK_IS_TSC, Kernel, Node
from incroos.lang import kernel, word

SECOND: Final = 1_000_000_000
MOST_SECONDS: Final = 1 << 32


@kernel
def since_start(k: Kernel) -> word:
    """Nanoseconds since the first program began; looking at it lets no time pass."""
    return tsc.nanoseconds(k) if k.tasks.flags & CLOCK_IS_TSC != 0 else k.tasks.clock


@kernel
def now(k: Kernel) -> word:
    """Nanoseconds since 1970; looking at it lets no time pass."""
    return min(max(k.tasks.start_seconds, 0), MOST_SECONDS) * SECOND + since_start(k)


@kernel
def touch(k: Kernel, node: Node) -> None:
    """What the node holds has changed."""
    node.modified = now(k)
    node.changed = node.modified
