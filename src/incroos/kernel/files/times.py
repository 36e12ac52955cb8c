"""The time that files keep: nanoseconds since 1970, by the clock of programs."""

from typing import Final

from incroos.kernel.state import CLOCK_IS_TSC, Kernel, Node
from incroos.lang import kernel, read_tsc, word

SECOND: Final = 1_000_000_000
MOST_SECONDS: Final = 1 << 32


@kernel
def now(k: Kernel) -> word:
    """Nanoseconds since 1970; looking at it lets no time pass."""
    since = read_tsc(k.m) if k.tasks.flags & CLOCK_IS_TSC != 0 else k.tasks.clock
    return min(max(k.tasks.start_seconds, 0), MOST_SECONDS) * SECOND + since


@kernel
def touch(k: Kernel, node: Node) -> None:
    """What the node holds has changed."""
    node.modified = now(k)
    node.changed = node.modified
