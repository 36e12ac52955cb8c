"""/proc/N/maps: a line for each range.

    start-end rights offset device inode, the name from column 73 on

Unit: the byte. Format: proc(5).
"""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.files import paths, text
from incroos.kernel.state import (
    EXECUTE,
    IS_HEAP,
    IS_SHARED,
    READ,
    WRITE,
    Content,
    Kernel,
    Node,
    Range,
    Task,
    UserSpace,
)
from incroos.lang import VirtAddr, kernel, word

LINE_BYTES: Final = 128  # of a line without the file's path
NAME_COLUMN: Final = 73
DASH: Final = 45


@kernel
def room_of(k: Kernel, user: UserSpace, line_bytes: word) -> word:
    """Bytes that the texts of all ranges cannot exceed, each with so many beside its path."""
    nbytes = user.nr_ranges * line_bytes
    at = vm.find_range_behind(user, VirtAddr(0))
    while at != 0:
        node = node_of(k, Range(k.m, at))
        if node != 0:
            _path, path_bytes = paths.put_path(k, Node(k.m, node))
            nbytes += max(path_bytes, 0)
        at = vm.next_range(user, at)
    return nbytes


@kernel
def put(k: Kernel, task: Task, user: UserSpace, at: VirtAddr) -> VirtAddr:
    """Put a line for each range: the address behind them."""
    here = vm.find_range_behind(user, VirtAddr(0))
    while here != 0:
        at = put_line(k, task, Range(k.m, here), at)
        here = vm.next_range(user, here)
    return at


@kernel
def put_line(k: Kernel, task: Task, range_: Range, at: VirtAddr) -> VirtAddr:
    """Put the line of a range: the address behind it."""
    column = VirtAddr(at + NAME_COLUMN)
    at = put_facts(k, at, range_)
    node = node_of(k, range_)
    if node != 0:
        path, path_bytes = paths.put_path(k, Node(k.m, node))
        at = text.put_until(k.m, at, column)
        at = text.put_bytes(k.m, at, path, max(path_bytes - 1, 0))
    elif range_.flags & IS_SHARED != 0:
        at = text.put_text(k.m, text.put_until(k.m, at, column), b'/dev/zero (deleted)')
    elif range_.flags & IS_HEAP != 0:
        at = text.put_text(k.m, text.put_until(k.m, at, column), b'[heap]')
    elif range_.start <= task.arguments < range_.end:
        at = text.put_text(k.m, text.put_until(k.m, at, column), b'[stack]')
    return text.put_char(k.m, at, text.NEWLINE)


@kernel
def put_facts(k: Kernel, at: VirtAddr, found: Range) -> VirtAddr:
    """Put addresses, rights, offset, device and inode of a range, with a blank behind them."""
    at = put_addresses(k, at, found.start, found.end)
    at = text.put_text(k.m, at, b' r' if found.rights & READ != 0 else b' -')
    at = text.put_text(k.m, at, b'w' if found.rights & WRITE != 0 else b'-')
    at = text.put_text(k.m, at, b'x' if found.rights & EXECUTE != 0 else b'-')
    at = text.put_text(k.m, at, b's ' if found.flags & IS_SHARED != 0 else b'p ')
    at = text.put_hex(k.m, at, found.offset if found.content != 0 else 0, 8)
    at = text.put_text(k.m, at, b' 00:01 ' if found.content != 0 else b' 00:00 ')
    node = node_of(k, found)
    at = text.put_decimal(k.m, at, Node(k.m, node).inode if node != 0 else 0)
    return text.put_char(k.m, at, text.BLANK)


@kernel
def put_addresses(k: Kernel, at: VirtAddr, start: word, end: word) -> VirtAddr:
    """Put where a range begins and ends."""
    at = text.put_char(k.m, text.put_hex(k.m, at, start, 8), DASH)
    return text.put_hex(k.m, at, end, 8)


@kernel
def node_of(k: Kernel, found: Range) -> VirtAddr:
    """The file that a range shows; 0 if it shows none. A Node begins with its Content."""
    if found.content == 0 or Content(k.m, found.content).is_anonymous != 0:
        return VirtAddr(0)
    return found.content
