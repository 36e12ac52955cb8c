"""The times that files keep: nanoseconds since 1970, by the clock of programs.

A read is noted as Linux does by default (relatime): the first one after a change, and one a day.
"""

from typing import Final

from incroos.kernel.devices.program_clock import SECOND, now
from incroos.kernel.state import Kernel, Node
from incroos.lang import kernel

DAY: Final = 86_400 * SECOND


@kernel
def touch(k: Kernel, node: Node) -> None:
    """What the node holds has changed."""
    node.modified = now(k)
    node.changed = node.modified


@kernel
def note_read(k: Kernel, node: Node) -> None:
    """Somebody has read what the node holds, or mapped it."""
    settle(node)
    time = now(k)
    if node.accessed <= max(node.modified, node.changed) or time - node.accessed >= DAY:
        node.accessed = time


@kernel
def settle(node: Node) -> None:
    """Let what was written through mappings be among the changes."""
    written = node.content.written
    if written > node.modified:
        node.modified = written
    if written > node.changed:
        node.changed = written
    node.content.written = 0
