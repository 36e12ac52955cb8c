"""Paths: from a text to a node.

    path buffer   ...| what is left of the path, up to the end of the buffer
                     a symlink's target is put in front of it

Unit: the byte. The text is in the kernel's memory.
"""

from typing import Final

from incroos.kernel.codes import (
    BAD_ARGUMENT,
    NAME_TOO_LONG,
    NO_ENTRY,
    NO_KERNEL_MEMORY,
    NO_PERMISSION,
    NOT_FOLDER,
    OK,
    TOO_MANY_LINKS,
)
from incroos.kernel.files import entries, nodes, process_folders, process_links, rights
from incroos.kernel.files.nodes import NAME_MAX
from incroos.kernel.state import DESCRIPTOR_KIND, LINK_KIND, MAGIC_LINK_KIND, Entry, Kernel, Node, Task
from incroos.lang import VirtAddr, copy, kernel, load8, store8, word

PATH_MAX: Final = 4096  # bytes of a path, the zero byte behind it among them
PATH_ROOM: Final = 4 * PATH_MAX  # of the buffer
MOST_LINKS: Final = 40  # that are followed on one way
SLASH: Final = 47
DOT: Final = 46

# What is done with a symlink at the end of a path
FOLLOW: Final = 0
STAY: Final = 1

# What a part of a path is: as many dots, or a name
NAME: Final = 0
HERE: Final = 1
UP: Final = 2


@kernel
def text_of(k: Kernel) -> VirtAddr:
    """Where a path is to be put before it is walked: PATH_MAX bytes, the last of the buffer."""
    return VirtAddr(k.files.path + PATH_ROOM - PATH_MAX)


@kernel
def walk(k: Kernel, task: Task, start: Node, nbytes: word, at_link: word) -> tuple[word, VirtAddr]:
    """Walk the path of nbytes at text_of(k): code, and the node.

    When only the last name is missing, NO_ENTRY comes with the folder where it would be; with 0 otherwise. NOT_FOLDER,
    TOO_MANY_LINKS, NAME_TOO_LONG, NO_PERMISSION; NO_KERNEL_MEMORY, in /proc.
    """
    if nbytes == 0:
        return NO_ENTRY, VirtAddr(0)
    end = VirtAddr(k.files.path + PATH_ROOM)
    at = VirtAddr(end - nbytes)
    move_up(k, text_of(k), nbytes)
    here = nodes.root_of(k) if load8(k.m, at) == SLASH else start
    nr_links = 0
    forget_end(k)
    while True:
        at = skip_slashes(k, at, end)
        if at == end:
            return OK if nodes.is_folder(here) else NOT_FOLDER, here.addr
        if not nodes.is_folder(here):
            return NOT_FOLDER, VirtAddr(0)
        if not rights.has(task.credentials, here, rights.SEARCHING):
            return NO_PERMISSION, VirtAddr(0)
        name = at
        at = end_of_name(k, at, end)
        if at - name > NAME_MAX:
            return NAME_TOO_LONG, VirtAddr(0)
        kind = kind_of_name(k, name, at - name)
        entry = entries.find_entry(k, here, name, at - name) if kind == NAME else VirtAddr(0)
        found = Entry(k.m, entry).node if entry != 0 else step(here, kind)
        if here.row != 0 and kind == NAME:
            code, found = process_folders.look_up(k, here, name, at - name)
            if code == NO_KERNEL_MEMORY:
                return code, VirtAddr(0)
            entry = Node(k.m, found).entry if found != 0 else VirtAddr(0)
        rest = skip_slashes(k, at, end)
        if rest == end:
            note_end(k, here, name, at - name, entry, rest != at)
        if found == 0:
            return NO_ENTRY, here.addr if rest == end else VirtAddr(0)
        node = Node(k.m, found)
        if is_link(node) and (rest != at or at_link == FOLLOW):
            nr_links += 1
            if nr_links > MOST_LINKS:
                return TOO_MANY_LINKS, VirtAddr(0)
            if node.kind != LINK_KIND and not process_links.has_text(node):
                target = process_links.target_of(k, node)
                if target == 0:
                    return NO_ENTRY, VirtAddr(0)
                here = Node(k.m, target)
            else:
                at = put_target(k, task, node, at)
                if at == 0:
                    return NAME_TOO_LONG, VirtAddr(0)
                here = nodes.root_of(k) if load8(k.m, at) == SLASH else here
                forget_end(k)
        else:
            here = node
        if at == end:
            return OK, here.addr


@kernel
def note_end(k: Kernel, folder: Node, name: VirtAddr, nbytes: word, entry: VirtAddr, has_slash: bool) -> None:
    """Note what the last part of a path is: a name in a folder, or dots."""
    files = k.files
    files.last_folder = folder.addr
    files.last_name = name
    files.last_bytes = nbytes
    files.last_slash = 1 if has_slash else 0
    files.last_entry = entry


@kernel
def forget_end(k: Kernel) -> None:
    """The last part has not come yet; there may be none: the path is `/`."""
    k.files.last_folder = VirtAddr(0)
    k.files.last_entry = VirtAddr(0)
    k.files.last_bytes = 0


@kernel
def move_up(k: Kernel, source: VirtAddr, nbytes: word) -> None:
    """Move the path to the end of the buffer, the last byte first."""
    to = VirtAddr(k.files.path + PATH_ROOM - nbytes)
    for index in range(nbytes - 1, -1, -1):
        store8(k.m, VirtAddr(to + index), load8(k.m, VirtAddr(source + index)))


@kernel
def is_link(node: Node) -> bool:
    """Does it lead to another node?"""
    return node.kind == LINK_KIND or node.kind == MAGIC_LINK_KIND or node.kind == DESCRIPTOR_KIND


@kernel
def skip_slashes(k: Kernel, at: VirtAddr, end: VirtAddr) -> VirtAddr:
    """The first byte that is no slash, or the end."""
    while at < end and load8(k.m, at) == SLASH:
        at = VirtAddr(at + 1)
    return at


@kernel
def end_of_name(k: Kernel, at: VirtAddr, end: VirtAddr) -> VirtAddr:
    """The first slash, or the end."""
    while at < end and load8(k.m, at) != SLASH:
        at = VirtAddr(at + 1)
    return at


@kernel
def step(folder: Node, kind: word) -> VirtAddr:
    """The node to which dots lead; 0 for a name that is not there."""
    if kind == HERE:
        return folder.addr
    return folder.parent if kind == UP else VirtAddr(0)


@kernel
def kind_of_name(k: Kernel, name: VirtAddr, nbytes: word) -> word:
    """NAME, HERE or UP."""
    if load8(k.m, name) != DOT or nbytes > UP:
        return NAME
    if nbytes == HERE:
        return HERE
    return UP if load8(k.m, VirtAddr(name + 1)) == DOT else NAME


@kernel
def put_target(k: Kernel, task: Task, link: Node, at: VirtAddr) -> VirtAddr:
    """Put a symlink's target in front of what is left of the path: where it begins, or 0 if there is no room."""
    source = link.content.data
    nbytes = link.content.nbytes
    if link.kind != LINK_KIND:
        source = k.files.piece
        nbytes = process_links.put_text_of(k, task, link, source) - source
    start = VirtAddr(at - nbytes)
    if start < k.files.path:
        return VirtAddr(0)
    copy(k.m, start, source, nbytes)
    return start


@kernel
def put_path(k: Kernel, node: Node) -> tuple[VirtAddr, word]:
    """Write the path of a node from the root on, with a zero byte behind it: where it begins, and its bytes with that.

    Of a file without a name it is its label. It lies in the path buffer. In the place of the bytes: BAD_ARGUMENT
    when there is no room, NO_ENTRY for what has no name.
    """
    end = VirtAddr(k.files.path + PATH_ROOM)
    at = VirtAddr(end - 1)
    store8(k.m, at, 0)
    if node.addr == k.files.nodes:
        at = VirtAddr(at - 1)
        store8(k.m, at, SLASH)
    while node.addr != k.files.nodes:
        if node.entry == 0 and node.label != 0:
            at = VirtAddr(end - 1 - node.label_bytes)
            copy(k.m, at, node.label, node.label_bytes)
            return at, end - at
        if node.entry == 0:
            return at, NO_ENTRY
        entry = Entry(k.m, node.entry)
        at = VirtAddr(at - entry.name_bytes - 1)
        if at < k.files.path:
            return at, BAD_ARGUMENT
        store8(k.m, at, SLASH)
        copy(k.m, VirtAddr(at + 1), entry.name, entry.name_bytes)
        node = Node(k.m, entry.folder)
    return at, end - at
