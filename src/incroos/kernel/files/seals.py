"""Seals of a file that never had a name (memfd_create): what nobody may do with it any more.

Unit: the file. Seals are only added, and never after SEALED. Whoever maps it shared, and may write there, keeps WRITE
from being added.
"""

from typing import Final

from incroos.kernel.codes import BAD_ARGUMENT, IN_USE, NOT_ALLOWED, OK
from incroos.kernel.state import IS_SHARED, NEVER_WRITABLE, Node, Range
from incroos.lang import kernel, word

SEALED: Final = 1  # F_SEAL_: no seal is added
SHRINK: Final = 2
GROW: Final = 4
WRITE: Final = 8
LATER_WRITE: Final = 0x10  # but mappings that are there go on
KNOWN: Final = 0x1F
NO_WRITE: Final = WRITE | LATER_WRITE


@kernel
def add(node: Node, seals: word) -> word:
    """Add seals: OK, BAD_ARGUMENT, NOT_ALLOWED, IN_USE. PRE the file is open for writing."""
    if node.label == 0 or seals & ~KNOWN != 0:
        return BAD_ARGUMENT
    if node.seals & SEALED != 0:
        return NOT_ALLOWED
    if seals & ~node.seals & WRITE != 0 and is_mapped_to_write(node):
        return IN_USE
    node.seals |= seals
    return OK


@kernel
def is_mapped_to_write(node: Node) -> bool:
    """Whether any range shows it that may be written, and with it the file."""
    at = node.content.first_range
    while at != 0:
        flags = Range(node.m, at).flags
        if flags & IS_SHARED != 0 and flags & NEVER_WRITABLE == 0:
            return True
        at = Range(node.m, at).next_of_content
    return False


@kernel
def may_resize(node: Node, nbytes: word) -> bool:
    """Whether it may end there."""
    forbidden = SHRINK if nbytes < node.content.nbytes else GROW
    return nbytes == node.content.nbytes or node.seals & forbidden == 0


@kernel
def may_write(node: Node, end: word) -> bool:
    """Whether bytes before an end may be written."""
    return node.seals & NO_WRITE == 0 and (end <= node.content.nbytes or node.seals & GROW == 0)
