"""The archive: cpio in the format "newc", read where it lies. A hostile one is refused, and nothing is remembered.

    entry   6 characters of magic, 13 numbers of 8 hexadecimal digits, the name with zero bytes behind it, the content;
            name and content each padded to 4 bytes
    end     an entry with the name TRAILER!!!

Unit: the byte of the archive. The first file is the program. Names are relative to the root. Folders may be missing:
they are made, as many as MISSING_FOLDERS. Format: cpio(5), "New ASCII Format".
"""

from typing import Final

from incroos.kernel import heap, vm
from incroos.kernel.codes import BAD_ARCHIVE, NO_KERNEL_MEMORY, OK
from incroos.kernel.devices import program_clock
from incroos.kernel.files import entries, nodes
from incroos.kernel.files import process_rows as rows
from incroos.kernel.files.nodes import CHARACTER_DEVICE, FOLDER, FORMAT_BITS, LINK, NAME_MAX, REGULAR
from incroos.kernel.files.paths import DOT, NAME, PATH_MAX, SLASH, kind_of_name
from incroos.kernel.files.terminal import CONSOLE_DEVICE, OWN_DEVICE, SCREEN_DEVICE
from incroos.kernel.files.text import put_text
from incroos.kernel.state import (
    CONTENT_KIND,
    FOLDER_KIND,
    FULL_KIND,
    LINK_KIND,
    NULL_KIND,
    OTHER_KIND,
    PIPE_KIND,
    RANDOM_KIND,
    TERMINAL_KIND,
    ZERO_KIND,
    Entry,
    Kernel,
    Node,
)
from incroos.lang import VirtAddr, kernel, load8, word

# Fields of a header, by their numbers
MODE: Final = 1
SECONDS: Final = 5
NBYTES: Final = 6
RDEV_MAJOR: Final = 9
RDEV_MINOR: Final = 10
NAME_BYTES: Final = 11

MAGIC: Final = b'070701'
TRAILER: Final = b'TRAILER!!!'
HEADER_BYTES: Final = 110
DIGITS: Final = 8  # of a number
MOST_ENTRIES: Final = 1 << 20
MISSING_FOLDERS: Final = 64
NR_OWN: Final = 18  # nodes that the kernel itself adds, the root among them
OWN_NAME_BYTES: Final = 512
DEFAULT_MODE: Final = FOLDER | 0o755


@kernel
def init(k: Kernel, archive: VirtAddr, nbytes: word) -> word:
    """Make the nodes of an archive: OK; BAD_ARCHIVE, NO_KERNEL_MEMORY, and deinit is called for."""
    files = k.files
    files.archive = archive
    files.archive_bytes = nbytes
    nr_entries = count(k)
    if nr_entries < 0:
        return nr_entries
    files.max_nodes = nr_entries + MISSING_FOLDERS + NR_OWN
    files.nr_buckets = 16
    while files.nr_buckets < files.max_nodes:
        files.nr_buckets *= 2
    files.nr_first_buckets = files.nr_buckets
    files.nodes = heap.kcalloc(k, files.max_nodes, Node.SIZE)
    files.entries = heap.kcalloc(k, files.max_nodes, Entry.SIZE)
    files.buckets = heap.kcalloc(k, files.nr_buckets, 8)
    files.names = heap.kmalloc(k, OWN_NAME_BYTES)
    if files.nodes == 0 or files.entries == 0 or files.buckets == 0 or files.names == 0:
        return NO_KERNEL_MEMORY
    make_root(k)
    code = make_nodes(k)
    return add_own_nodes(k) if code == OK else code


@kernel
def deinit(k: Kernel) -> None:
    """Forget all nodes. PRE no file is open."""
    files = k.files
    if files.nr_given != 0:
        forget_all(k)
    heap.kfree(k, files.nodes)
    heap.kfree(k, files.entries)
    heap.kfree(k, files.buckets)
    heap.kfree(k, files.names)
    files.nodes = VirtAddr(0)
    files.entries = VirtAddr(0)
    files.buckets = VirtAddr(0)
    files.names = VirtAddr(0)
    files.nr_nodes = 0
    files.nr_given = 0
    files.names_bytes = 0


@kernel
def forget_changes(k: Kernel) -> None:
    """Give back what files have taken: frames, and if any was changed all names with theirs. PRE no file is open."""
    files = k.files
    vm.give_up_pages(k)
    if files.is_changed == 0 and k.vm.nr_changed == 0:
        return
    forget_all(k)
    if files.nr_buckets > files.nr_first_buckets:
        heap.kfree(k, files.buckets)
        files.nr_buckets = files.nr_first_buckets
        files.buckets = heap.kcalloc(k, files.nr_buckets, 8)


@kernel
def forget_all(k: Kernel) -> None:
    """End all entries, the innermost first, and all nodes that have memory of the heap."""
    nodes.sweep(k)
    folder = nodes.root_of(k)
    while folder.first != 0 or folder.parent != folder.addr:
        if folder.first == 0:
            entry = Entry(k.m, folder.entry)
            folder = Node(k.m, folder.parent)
            entries.remove(k, entry)
        else:
            entry = Entry(k.m, folder.first)
            node = Node(k.m, entry.node)
            if nodes.is_folder(node):
                folder = node
            else:
                entries.remove(k, entry)


# ------------------------------------------------------------------ headers
@kernel
def number_at(k: Kernel, at: VirtAddr, field: word) -> word:
    """A number of a header, or BAD_ARCHIVE."""
    number = 0
    for index in range(DIGITS):
        char = load8(k.m, VirtAddr(at + len(MAGIC) + DIGITS * field + index))
        digit = -1
        if 48 <= char <= 57:
            digit = char - 48
        elif 65 <= char <= 70:
            digit = char - 55
        elif 97 <= char <= 102:
            digit = char - 87
        if digit < 0:
            return BAD_ARCHIVE
        number = number << 4 | digit
    return number


@kernel
def is_text(k: Kernel, at: VirtAddr, text: bytes) -> bool:
    """Do these bytes lie there?"""
    for index in range(len(text)):
        if load8(k.m, VirtAddr(at + index)) != text[index]:
            return False
    return True


@kernel
def read_header(k: Kernel, at: word) -> tuple[word, word, word]:
    """Of the entry at an offset: bytes of its name, offset of its content, offset of the next entry.

    The first is BAD_ARCHIVE if it does not lie in the archive whole, and 0 at the end.
    """
    files = k.files
    header = VirtAddr(files.archive + at)
    if files.archive_bytes - at < HEADER_BYTES or not is_text(k, header, MAGIC):
        return BAD_ARCHIVE, 0, 0
    name_bytes = number_at(k, header, NAME_BYTES)
    nbytes = number_at(k, header, NBYTES)
    if name_bytes < 0 or nbytes < 0:
        return BAD_ARCHIVE, 0, 0
    content = (at + HEADER_BYTES + name_bytes + 3) & -4
    after = (content + nbytes + 3) & -4
    if after > files.archive_bytes:
        return BAD_ARCHIVE, 0, 0
    length = text_length(k, VirtAddr(header + HEADER_BYTES), name_bytes)
    if length == len(TRAILER) and is_text(k, VirtAddr(header + HEADER_BYTES), TRAILER):
        return 0, content, after
    return length if 0 < length < PATH_MAX else BAD_ARCHIVE, content, after


@kernel
def text_length(k: Kernel, at: VirtAddr, most: word) -> word:
    """The bytes before the first zero byte, or BAD_ARCHIVE if there is none in `most`."""
    for index in range(most):
        if load8(k.m, VirtAddr(at + index)) == 0:
            return index
    return BAD_ARCHIVE


@kernel
def count(k: Kernel) -> word:
    """How many entries there are, or BAD_ARCHIVE."""
    at = 0
    nr_entries = 0
    while nr_entries <= MOST_ENTRIES:
        name_bytes, _content, after = read_header(k, at)
        if name_bytes < 0:
            return BAD_ARCHIVE
        if name_bytes == 0:
            return nr_entries
        nr_entries += 1
        at = after
    return BAD_ARCHIVE


# ------------------------------------------------------------------ nodes
@kernel
def make_root(k: Kernel) -> None:
    """The root, of which the archive may say more."""
    root = Node(k.m, nodes.first_node(k, FOLDER_KIND, DEFAULT_MODE))
    root.parent = root.addr
    root.nr_links = 2


@kernel
def make_nodes(k: Kernel) -> word:
    """A node for each entry: OK or BAD_ARCHIVE. PRE count has looked at all headers."""
    at = 0
    while True:
        name_bytes, content, after = read_header(k, at)
        if name_bytes == 0:
            return OK
        node = make_node(k, VirtAddr(k.files.archive + at), name_bytes)
        if node == 0:
            return BAD_ARCHIVE
        if at == 0:
            k.files.program = node
        if describe(k, Node(k.m, node), VirtAddr(k.files.archive + at), content) != OK:
            return BAD_ARCHIVE
        at = after


@kernel
def make_node(k: Kernel, header: VirtAddr, name_bytes: word) -> VirtAddr:
    """The node of an entry, in its folder; 0 if it cannot be: a bad name, one that is there already, no room."""
    name = VirtAddr(header + HEADER_BYTES)
    mode = number_at(k, header, MODE)
    folder = nodes.root_of(k)
    if name_bytes == 1 and load8(k.m, name) == DOT and mode & FORMAT_BITS == FOLDER:
        return folder.addr  # `.`: the archive tells of the root
    start = 0
    while True:
        end = start
        while end < name_bytes and load8(k.m, VirtAddr(name + end)) != SLASH:
            end += 1
        if not is_good_name(k, VirtAddr(name + start), end - start):
            return VirtAddr(0)
        is_last = end == name_bytes
        kind = kind_of(mode) if is_last else FOLDER_KIND
        at = find_or_add(k, folder, VirtAddr(name + start), end - start, kind, is_last)
        if at == 0 or is_last:
            return at
        folder = Node(k.m, at)
        start = end + 1


@kernel
def find_or_add(k: Kernel, folder: Node, name: VirtAddr, nbytes: word, kind: word, is_last: bool) -> VirtAddr:
    """The node of one part of a name. 0 if it is no folder and should be, is there already, or there is no room."""
    at = entries.find(k, folder, name, nbytes)
    if at != 0:
        node = Node(k.m, at)
        is_missing = is_last and kind == FOLDER_KIND and node.modified == 0
        return at if nodes.is_folder(node) and (not is_last or is_missing) else VirtAddr(0)
    at = nodes.first_node(k, kind, DEFAULT_MODE)
    if at != 0:
        entries.first_entry(k, Node(k.m, at), folder, name, nbytes)
    return at


@kernel
def is_good_name(k: Kernel, name: VirtAddr, nbytes: word) -> bool:
    """Can a file have that name?"""
    return 0 < nbytes <= NAME_MAX and kind_of_name(k, name, nbytes) == NAME


@kernel
def kind_of(mode: word) -> word:
    """What a file of that mode is to us."""
    match mode & FORMAT_BITS:
        case nodes.FOLDER:
            return FOLDER_KIND
        case nodes.REGULAR:
            return CONTENT_KIND
        case nodes.LINK:
            return LINK_KIND
        case nodes.FIFO:
            return PIPE_KIND
        case _:
            return OTHER_KIND


@kernel
def describe(k: Kernel, node: Node, header: VirtAddr, content: word) -> word:
    """Take over what the entry says: OK or BAD_ARCHIVE."""
    mode = number_at(k, header, MODE)
    seconds = number_at(k, header, SECONDS)
    nbytes = number_at(k, header, NBYTES)
    major = number_at(k, header, RDEV_MAJOR)
    minor = number_at(k, header, RDEV_MINOR)
    if mode < 0 or seconds < 0 or major < 0 or minor < 0:
        return BAD_ARCHIVE
    node.mode = mode & 0xFFFF
    node.modified = seconds * program_clock.SECOND
    node.accessed = node.modified
    node.changed = node.modified
    node.content.data = VirtAddr(k.files.archive + content)
    node.content.data_bytes = nbytes
    node.content.nbytes = nbytes
    if node.kind == LINK_KIND and (nbytes >= PATH_MAX or nbytes == 0):
        return BAD_ARCHIVE
    if node.kind == OTHER_KIND:
        describe_device(node, major, minor)
    return OK


@kernel
def describe_device(node: Node, major: word, minor: word) -> None:
    """The devices that there are; others cannot be opened."""
    node.rdev = (major & 0xFFF) << 8 | (minor & 0xFF) | (minor & 0xFFF00) << 12
    if node.mode & FORMAT_BITS == CHARACTER_DEVICE:
        node.kind = kind_of_device(node.rdev)


@kernel
def kind_of_device(rdev: word) -> word:
    """What a character device is to us."""
    match rdev:
        case 0x103:
            return NULL_KIND
        case 0x105:
            return ZERO_KIND
        case 0x107:
            return FULL_KIND
        case 0x108 | 0x109:
            return RANDOM_KIND
        case 0x400 | 0x500 | 0x501:  # as terminal.py names them
            return TERMINAL_KIND
        case _:
            return OTHER_KIND


# ------------------------------------------------------------------ the kernel's own
@kernel
def add_own_nodes(k: Kernel) -> word:
    """Add /dev, /proc and /tmp with what is in them, where the archive does not have it: OK or BAD_ARCHIVE."""
    root = nodes.root_of(k)
    devices = entries.add_own(k, root, b'dev', FOLDER_KIND, DEFAULT_MODE)
    processes = entries.add_own(k, root, b'proc', FOLDER_KIND, FOLDER | 0o555)
    temporary = entries.add_own(k, root, b'tmp', FOLDER_KIND, FOLDER | 0o1777)
    if devices == 0 or processes == 0 or temporary == 0:
        return BAD_ARCHIVE
    shared = entries.add_own(k, Node(k.m, devices), b'shm', FOLDER_KIND, FOLDER | 0o1777)  # shm_open's files
    if shared == 0 or not add_devices(k, Node(k.m, devices)):
        return BAD_ARCHIVE
    if nodes.is_folder(Node(k.m, processes)):
        Node(k.m, processes).row = rows.PROC
        k.files.descriptor_target = entries.add_own(k, Node(k.m, processes), b'target', OTHER_KIND, REGULAR)
        if k.files.descriptor_target == 0:
            return BAD_ARCHIVE
    k.files.processes = processes
    return OK if add_links(k, Node(k.m, devices)) else BAD_ARCHIVE


@kernel
def add_links(k: Kernel, devices: Node) -> bool:
    """Add the symlinks of /dev to descriptors. False: there is no room."""
    is_room = add_link(k, devices, b'fd', b'/proc/self/fd')
    is_room = add_link(k, devices, b'stdin', b'/proc/self/fd/0') and is_room
    is_room = add_link(k, devices, b'stdout', b'/proc/self/fd/1') and is_room
    return add_link(k, devices, b'stderr', b'/proc/self/fd/2') and is_room


@kernel
def add_link(k: Kernel, folder: Node, name: bytes, target: bytes) -> bool:
    """Add a symlink of the kernel's own. False: there is no room."""
    nr_before = k.files.nr_given
    at = entries.add_own(k, folder, name, LINK_KIND, LINK | 0o777)
    if at != 0 and k.files.nr_given != nr_before:
        node = Node(k.m, at)
        node.content.data = VirtAddr(k.files.names + k.files.names_bytes)
        node.content.nbytes = len(target)
        put_text(k.m, node.content.data, target)
        k.files.names_bytes += len(target)
    return at != 0


@kernel
def add_devices(k: Kernel, folder: Node) -> bool:
    """Add what is in /dev. False: there is no room."""
    is_room = add_device(k, folder, b'null', NULL_KIND, 0o666, 0x103)
    is_room = add_device(k, folder, b'zero', ZERO_KIND, 0o666, 0x105) and is_room
    is_room = add_device(k, folder, b'full', FULL_KIND, 0o666, 0x107) and is_room
    is_room = add_device(k, folder, b'random', RANDOM_KIND, 0o666, 0x108) and is_room
    is_room = add_device(k, folder, b'urandom', RANDOM_KIND, 0o666, 0x109) and is_room
    is_room = add_device(k, folder, b'tty', TERMINAL_KIND, 0o666, OWN_DEVICE) and is_room
    is_room = add_device(k, folder, b'tty0', TERMINAL_KIND, 0o620, SCREEN_DEVICE) and is_room
    k.files.console = entries.add_own(k, folder, b'console', TERMINAL_KIND, CHARACTER_DEVICE | 0o600)
    if k.files.console != 0:
        set_device(k, Node(k.m, k.files.console), CONSOLE_DEVICE)
    return is_room and k.files.console != 0


@kernel
def add_device(k: Kernel, folder: Node, name: bytes, kind: word, mode: word, rdev: word) -> bool:
    """Add a character device. False: there is no room."""
    at = entries.add_own(k, folder, name, kind, CHARACTER_DEVICE | mode)
    if at != 0:
        set_device(k, Node(k.m, at), rdev)
    return at != 0


@kernel
def set_device(k: Kernel, node: Node, rdev: word) -> None:
    """Say which device a node of the kernel's own is."""
    if node.entry != 0 and Entry(k.m, node.entry).is_hidden != 0:
        node.rdev = rdev
