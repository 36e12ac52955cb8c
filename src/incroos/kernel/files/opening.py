"""Opening files: which kind of file a node becomes, and what is refused.

Unit: the file. Flags are those of Linux's open.
"""

from typing import Final

from incroos.kernel import heap
from incroos.kernel.codes import (
    BAD_ARGUMENT,
    EXISTS,
    FILE_BUSY,
    IS_FOLDER,
    NO_DESCRIPTOR,
    NO_DEVICE,
    NO_ENTRY,
    NO_KERNEL_MEMORY,
    NO_PERMISSION,
    NOT_FOLDER,
    NOT_SUPPORTED,
    OK,
    TOO_MANY_LINKS,
)
from incroos.kernel.files import (
    changes,
    contents,
    descriptors,
    nodes,
    open_files,
    pipe_opening,
    pipes,
    process_links,
    rights,
    terminal,
    text,
)
from incroos.kernel.files.flags import (
    ACCESS_MODE,
    CREATE,
    EXCLUSIVE,
    FOLDER_ONLY,
    KEPT,
    NO_FOLLOW,
    NOT_TERMINAL,
    PATH_ONLY,
    READ_WRITE,
    TRUNCATE,
    UNNAMED,
    WRITE_ONLY,
)
from incroos.kernel.files.paths import FOLLOW, STAY, is_link, walk
from incroos.kernel.state import (
    CONTENT_KIND,
    INPUT_KIND,
    INTERACTIVE,
    NR_STANDARD_FILES,
    ON_PC,
    OTHER_KIND,
    OUTPUT_KIND,
    PIPE_KIND,
    TERMINAL_KIND,
    File,
    Kernel,
    Node,
    Pipe,
    RunInfo,
    Task,
)
from incroos.lang import VirtAddr, kernel, word

LABEL: Final = b'/memfd:'

ANY_WRITE: Final = 0o222  # of a mode


@kernel
def open_standard(k: Kernel, task: Task, info: RunInfo) -> word:
    """Open descriptors 0, 1 and 2 as they are on the host, or the terminal: OK, NO_KERNEL_MEMORY."""
    if info.flags & (INTERACTIVE | ON_PC) != 0:
        return open_terminal(k, task, info)
    for number in range(NR_STANDARD_FILES):
        standard = info.files[number]
        if standard.mode != 0:
            flags = READ_WRITE if standard.is_terminal != 0 else min(number, WRITE_ONLY)
            at = open_files.new_file(k, INPUT_KIND if number == 0 else OUTPUT_KIND, flags)
            if at == 0:
                return NO_KERNEL_MEMORY
            file = File(k.m, at)
            file.channel = number
            file.mode = standard.mode
            file.is_terminal = standard.is_terminal
            file.rdev = standard.rdev
            descriptors.put(task, number, file, 0)
    return OK


@kernel
def open_terminal(k: Kernel, task: Task, info: RunInfo) -> word:
    """Make the terminal, and open descriptors 0, 1 and 2 as one file, which it is: OK, NO_KERNEL_MEMORY."""
    if terminal.init(k, task, info) != OK:
        return NO_KERNEL_MEMORY
    at = open_files.new_file(k, TERMINAL_KIND, READ_WRITE)
    if at == 0:
        return NO_KERNEL_MEMORY
    file = File(k.m, at)
    file.is_terminal = 1
    name_node(file, Node(k.m, k.files.console))
    for number in range(NR_STANDARD_FILES):
        descriptors.put(task, number, file, 0)
    return OK


@kernel
def open_path(k: Kernel, task: Task, start: Node, nbytes: word, flags: word, mode: word) -> word:
    """Open the path at text_of(k), made with this mode if it is to be made: a descriptor.

    Codes of walk, may_open and may_create; NO_DESCRIPTOR, NO_KERNEL_MEMORY, NO_SPACE, MUST_WAIT.
    """
    free = descriptors.lowest_free(task, 0)
    if free < 0:
        return NO_DESCRIPTOR
    if flags & UNNAMED == UNNAMED:
        return NOT_SUPPORTED
    exclusive = flags & (CREATE | EXCLUSIVE) == CREATE | EXCLUSIVE
    code, at = walk(k, task, start, nbytes, STAY if flags & NO_FOLLOW != 0 or exclusive else FOLLOW)
    if code == NO_ENTRY and k.files.last_folder != 0 and flags & (CREATE | PATH_ONLY) == CREATE:
        return create_and_open(k, task, flags, mode, free)
    if code == OK:
        code = may_open(k, Node(k.m, at), flags)
    if code == OK and flags & PATH_ONLY == 0 and not process_links.is_unnamed(k, at):
        code = rights.may_open(task.credentials, Node(k.m, at), flags)
    if code == OK and Node(k.m, at).kind == TERMINAL_KIND and flags & PATH_ONLY == 0:
        code = terminal.open_by(k, task, Node(k.m, at), flags & NOT_TERMINAL == 0)
    if code != OK:
        return code
    node = Node(k.m, at)
    if process_links.is_unnamed(k, at) and flags & PATH_ONLY == 0:
        return open_again(k, task, File(k.m, k.files.target_file), flags, free)
    if node.kind == PIPE_KIND and flags & PATH_ONLY == 0:
        return open_fifo(k, task, node, flags, free)
    found = open_node(k, task, node, flags, free)
    if found >= 0 and flags & TRUNCATE != 0 and node.kind == CONTENT_KIND:
        contents.resize(k, node, 0)
    return found


@kernel
def create_and_open(k: Kernel, task: Task, flags: word, mode: word, descriptor: word) -> word:
    """Make the file to whose name a walk came, and open it: the descriptor. IS_FOLDER with a slash behind."""
    if flags & FOLDER_ONLY != 0:
        return BAD_ARGUMENT
    if k.files.last_slash != 0:
        return IS_FOLDER
    code = changes.may_add(k, NO_ENTRY, CONTENT_KIND)
    if code != OK:
        return code
    at = open_files.new_file(k, CONTENT_KIND, flags & KEPT)
    if at == 0:
        return NO_KERNEL_MEMORY
    code, node = changes.create(k, CONTENT_KIND, nodes.REGULAR | mode)
    if code != OK:
        heap.kfree(k, at)
        return code
    name_node(File(k.m, at), Node(k.m, node))
    descriptors.put(task, descriptor, File(k.m, at), descriptors.closing_of(flags))
    return descriptor


@kernel
def open_unnamed(k: Kernel, task: Task, flags: word, name: VirtAddr, nbytes: word, seals: word) -> word:
    """Make a file that no folder names, with a label that has the name in it, and open it: the descriptor.

    NO_DESCRIPTOR, NO_KERNEL_MEMORY.
    """
    free = descriptors.lowest_free(task, 0)
    if free < 0:
        return NO_DESCRIPTOR
    file = File(k.m, open_files.new_file(k, CONTENT_KIND, flags & KEPT))
    node = Node(k.m, nodes.new_node(k, CONTENT_KIND, nodes.REGULAR | 0o777) if file.addr != 0 else VirtAddr(0))
    label = heap.kmalloc(k, len(LABEL) + nbytes + len(changes.DELETED)) if node.addr != 0 else VirtAddr(0)
    if label == 0:
        if node.addr != 0:
            nodes.free_node(k, node)
        heap.kfree(k, file.addr)
        return NO_KERNEL_MEMORY
    end = text.put_bytes(k.m, text.put_text(k.m, label, LABEL), name, nbytes)
    node.label = label
    node.label_bytes = text.put_text(k.m, end, changes.DELETED) - label
    node.seals = seals
    k.files.is_changed = 1
    name_node(file, node)
    nodes.let_go(k, node)  # it is lost from the start
    descriptors.put(task, free, file, descriptors.closing_of(flags))
    return free


@kernel
def may_open(k: Kernel, node: Node, flags: word) -> word:
    """OK, or why a node is not opened with these flags: EXISTS, NOT_FOLDER, IS_FOLDER, TOO_MANY_LINKS, NO_DEVICE,
    BAD_ARGUMENT, NO_PERMISSION, FILE_BUSY.
    """
    wants_change = flags & ACCESS_MODE != 0 or flags & TRUNCATE != 0
    if flags & PATH_ONLY != 0:
        is_wrong = flags & FOLDER_ONLY != 0 and not nodes.is_folder(node)
        return NOT_FOLDER if is_wrong else OK
    if flags & (CREATE | FOLDER_ONLY) == CREATE | FOLDER_ONLY:
        return BAD_ARGUMENT
    if flags & CREATE != 0 and flags & EXCLUSIVE != 0:
        return EXISTS
    if is_link(node):
        return TOO_MANY_LINKS
    if nodes.is_folder(node):
        return IS_FOLDER if wants_change or flags & CREATE != 0 else OK
    if flags & FOLDER_ONLY != 0:
        return NOT_FOLDER
    if process_links.is_unnamed(k, node.addr):
        return OK
    if node.kind == OTHER_KIND:
        return NO_DEVICE
    if not wants_change:
        return OK
    if node.kind == CONTENT_KIND:
        return FILE_BUSY if nodes.is_running(k, node) else OK
    return NO_PERMISSION if node.row != 0 and node.mode & ANY_WRITE == 0 else OK


@kernel
def name_node(file: File, node: Node) -> None:
    """Let an open file be one of the node."""
    file.node = node.addr
    file.content = node.content.addr
    node.content.is_lost = 0
    node.nr_files += 1


@kernel
def open_node(k: Kernel, task: Task, node: Node, flags: word, descriptor: word) -> word:
    """Give a free descriptor to a node: the descriptor, or NO_KERNEL_MEMORY."""
    at = open_files.new_file(k, node.kind, flags & KEPT)
    if at == 0:
        return NO_KERNEL_MEMORY
    file = File(k.m, at)
    file.is_terminal = 1 if node.kind == TERMINAL_KIND else 0
    name_node(file, node)
    descriptors.put(task, descriptor, file, descriptors.closing_of(flags))
    return descriptor


@kernel
def open_again(k: Kernel, task: Task, source: File, flags: word, descriptor: word) -> word:
    """Give a free descriptor to what an open file without a node is of: the descriptor; NO_DEVICE, NO_KERNEL_MEMORY."""
    if source.kind != PIPE_KIND and source.kind != INPUT_KIND and source.kind != OUTPUT_KIND:
        return NO_DEVICE
    at = open_files.new_file(k, source.kind, flags & KEPT)
    if at == 0:
        return NO_KERNEL_MEMORY
    file = File(k.m, at)
    file.mode = source.mode
    file.channel = source.channel
    file.is_terminal = source.is_terminal
    file.rdev = source.rdev
    if file.kind == PIPE_KIND:
        pipes.attach(k, file, Pipe(k.m, source.pipe))
    descriptors.put(task, descriptor, file, descriptors.closing_of(flags))
    return descriptor


@kernel
def open_fifo(k: Kernel, task: Task, node: Node, flags: word, descriptor: word) -> word:
    """Open a FIFO, which waits for somebody at the other end: the descriptor.

    MUST_WAIT; NO_DEVICE where nobody reads and nobody wants to wait; NO_KERNEL_MEMORY.
    """
    if node.pipe == 0:
        node.pipe = pipes.create(k)
        if node.pipe == 0:
            return NO_KERNEL_MEMORY
        Pipe(k.m, node.pipe).node = node.addr
    pipe = Pipe(k.m, node.pipe)
    code = pipe_opening.meet_other_end(k, pipe, flags)
    if code != OK:
        return code
    if not pipes.has_ring(k, pipe):
        return NO_KERNEL_MEMORY
    found = open_node(k, task, node, flags, descriptor)
    if found >= 0:
        pipes.attach(k, File(k.m, descriptors.file_at(task, found)), pipe)
        pipe_opening.tell_other_end(k, pipe, flags)
    return found
