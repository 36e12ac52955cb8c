"""The texts of /proc/self: maps and cmdline. Made when the file is opened, and kept until it is closed.

    a line of maps   start-end rights offset device inode, the name from column 73 on

Unit: the byte. Format: proc(5).
"""

from typing import Final

from incroos.kernel import heap, vm
from incroos.kernel.files import paths, text
from incroos.kernel.state import (
    EXECUTE,
    GROWS_DOWN,
    IS_HEAP,
    IS_SHARED,
    MAPS_KIND,
    PIPE_KIND,
    READ,
    WRITE,
    Content,
    File,
    Kernel,
    Node,
    Pipe,
    Range,
    Task,
    UserSpace,
)
from incroos.lang import Machine, VirtAddr, kernel, word

LINE_BYTES: Final = 128  # of a line without the program's path
NAME_COLUMN: Final = 73
BLANK: Final = 32
NEWLINE: Final = 10


@kernel
def make_text(k: Kernel, task: Task, kind: word) -> VirtAddr:
    """A Content from the heap with the text behind it; 0 without memory."""
    user = UserSpace(k.m, task.space)
    room = room_of_maps(k, user) if kind == MAPS_KIND else task.arguments_bytes
    at = heap.kmalloc(k, Content.SIZE + room)
    if at == 0:
        return VirtAddr(0)
    content = Content(k.m, at)
    content.data = VirtAddr(at + Content.SIZE)
    content.nr_users = 1
    if kind == MAPS_KIND:
        content.nbytes = put_maps(k, user, content.data) - content.data
    else:
        content.nbytes = vm.copy_in_some(user, content.data, task.arguments, task.arguments_bytes)
    return at


@kernel
def room_of_maps(k: Kernel, user: UserSpace) -> word:
    """Bytes that the lines of all ranges cannot exceed."""
    nbytes = user.nr_ranges * LINE_BYTES
    at = vm.find_range_behind(user, VirtAddr(0))
    while at != 0:
        node = node_of(k, Range(k.m, at))
        if node != 0:
            _path, path_bytes = paths.put_path(k, Node(k.m, node))
            nbytes += max(path_bytes, 0)
        at = vm.next_range(user, at)
    return nbytes


@kernel
def put_maps(k: Kernel, user: UserSpace, to: VirtAddr) -> VirtAddr:
    """Put a line for each range: the address behind them."""
    at = to
    here = vm.find_range_behind(user, VirtAddr(0))
    while here != 0:
        line = at
        range_ = Range(k.m, here)
        at = put_facts(k, at, range_)
        node = node_of(k, range_)
        if node != 0:
            path, path_bytes = paths.put_path(k, Node(k.m, node))
            at = put_blanks(k.m, at, line)
            at = text.put_bytes(k.m, at, path, max(path_bytes - 1, 0))
        elif range_.flags & IS_HEAP != 0:
            at = text.put_text(k.m, put_blanks(k.m, at, line), b'[heap]')
        elif range_.flags & GROWS_DOWN != 0:
            at = text.put_text(k.m, put_blanks(k.m, at, line), b'[stack]')
        elif range_.flags & IS_SHARED != 0:
            at = text.put_text(k.m, put_blanks(k.m, at, line), b'/dev/zero (deleted)')
        at = text.put_char(k.m, at, NEWLINE)
        here = vm.next_range(user, here)
    return at


@kernel
def put_facts(k: Kernel, at: VirtAddr, found: Range) -> VirtAddr:
    """Put addresses, rights, offset, device and inode of a range, with a blank behind them."""
    at = text.put_hex(k.m, at, found.start, 8)
    at = text.put_char(k.m, at, 45)
    at = text.put_hex(k.m, at, found.end, 8)
    at = text.put_text(k.m, at, b' r' if found.rights & READ != 0 else b' -')
    at = text.put_text(k.m, at, b'w' if found.rights & WRITE != 0 else b'-')
    at = text.put_text(k.m, at, b'x' if found.rights & EXECUTE != 0 else b'-')
    at = text.put_text(k.m, at, b's ' if found.flags & IS_SHARED != 0 else b'p ')
    at = text.put_hex(k.m, at, found.offset if found.content != 0 else 0, 8)
    at = text.put_text(k.m, at, b' 00:00 ')
    node = node_of(k, found)
    at = text.put_decimal(k.m, at, Node(k.m, node).inode if node != 0 else 0)
    return text.put_char(k.m, at, BLANK)


@kernel
def node_of(k: Kernel, found: Range) -> VirtAddr:
    """The file that a range shows; 0 if it shows none. A Node begins with its Content."""
    return found.content if found.flags & IS_SHARED == 0 else VirtAddr(0)


@kernel
def put_blanks(m: Machine, at: VirtAddr, line: VirtAddr) -> VirtAddr:
    """Put blanks up to the column of names."""
    while at < line + NAME_COLUMN:
        at = text.put_char(m, at, BLANK)
    return at


@kernel
def name_descriptor(k: Kernel, at: VirtAddr) -> tuple[VirtAddr, word]:
    """The name of an open file, as readlink of /proc/self/fd tells it: where it is, and its bytes."""
    file = File(k.m, at)
    if file.node != 0:
        name, nbytes = paths.put_path(k, Node(k.m, file.node))
        if nbytes > 0:
            return name, nbytes - 1
    made = k.files.piece
    end = text.put_text(k.m, made, b'pipe:[' if file.kind == PIPE_KIND else b'file:[')
    inode = file.channel + 1
    if file.node != 0:
        inode = Node(k.m, file.node).inode
    elif file.kind == PIPE_KIND:
        inode = Pipe(k.m, file.pipe).inode
    end = text.put_char(k.m, text.put_decimal(k.m, end, inode), 93)
    return made, end - made
