"""Opening files: which kind of file a node becomes, and what is refused because nothing is ever written.

Unit: the file. Flags are those of Linux's open.
"""

from incroos.kernel import heap
from incroos.kernel.codes import (
    BAD_ARGUMENT,
    EXISTS,
    IS_FOLDER,
    NO_DESCRIPTOR,
    NO_DEVICE,
    NO_ENTRY,
    NO_KERNEL_MEMORY,
    NOT_FOLDER,
    OK,
    READ_ONLY_FILES,
    TOO_MANY_LINKS,
)
from incroos.kernel.files import descriptors, nodes, open_files, process_files, terminal
from incroos.kernel.files.flags import (
    ACCESS_MODE,
    CLOSE_AT_EXEC,
    CREATE,
    EXCLUSIVE,
    FOLDER_ONLY,
    NO_FOLLOW,
    NOT_TERMINAL,
    PATH_ONLY,
    READ_WRITE,
    TRUNCATE,
    WRITE_ONLY,
)
from incroos.kernel.files.paths import FOLLOW, STAY, is_link, walk
from incroos.kernel.state import (
    ARGUMENTS_KIND,
    CONTENT_KIND,
    INPUT_KIND,
    INTERACTIVE,
    MAPS_KIND,
    NR_STANDARD_FILES,
    NULL_KIND,
    ON_PC,
    OTHER_KIND,
    OUTPUT_KIND,
    TERMINAL_KIND,
    ZERO_KIND,
    File,
    Kernel,
    Node,
    RunInfo,
    Task,
)
from incroos.lang import kernel, word


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
    file.node = k.files.console
    for number in range(NR_STANDARD_FILES):
        descriptors.put(task, number, file, 0)
    return OK


@kernel
def open_path(k: Kernel, task: Task, start: Node, nbytes: word, flags: word) -> word:
    """Open the path at text_of(k): a descriptor. Codes of walk and of may_open, NO_DESCRIPTOR, NO_KERNEL_MEMORY."""
    free = descriptors.lowest_free(task, 0)
    if free < 0:
        return NO_DESCRIPTOR
    exclusive = flags & (CREATE | EXCLUSIVE) == CREATE | EXCLUSIVE
    code, at = walk(k, task, start, nbytes, STAY if flags & NO_FOLLOW != 0 or exclusive else FOLLOW)
    if code == NO_ENTRY and at != 0 and flags & CREATE != 0:
        return READ_ONLY_FILES
    if code == OK:
        code = may_open(Node(k.m, at), flags)
    if code == OK and Node(k.m, at).kind == TERMINAL_KIND and flags & PATH_ONLY == 0:
        code = terminal.open_by(k, task, Node(k.m, at), flags & NOT_TERMINAL == 0)
    if code != OK:
        return code
    return open_node(k, task, Node(k.m, at), flags, free)


@kernel
def may_open(node: Node, flags: word) -> word:
    """OK, or why a node is not opened with these flags: EXISTS, NOT_FOLDER, IS_FOLDER, READ_ONLY_FILES,
    TOO_MANY_LINKS, NO_DEVICE, BAD_ARGUMENT.
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
    if node.kind == OTHER_KIND:
        return NO_DEVICE
    is_device = node.kind == NULL_KIND or node.kind == ZERO_KIND or node.kind == TERMINAL_KIND
    return READ_ONLY_FILES if wants_change and not is_device else OK


@kernel
def open_node(k: Kernel, task: Task, node: Node, flags: word, descriptor: word) -> word:
    """Give a free descriptor to a node: the descriptor, or NO_KERNEL_MEMORY."""
    at = open_files.new_file(k, node.kind, flags & ~(CREATE | EXCLUSIVE | NOT_TERMINAL | TRUNCATE | CLOSE_AT_EXEC))
    if at == 0:
        return NO_KERNEL_MEMORY
    file = File(k.m, at)
    file.node = node.addr
    file.content = node.content.addr
    file.is_terminal = 1 if node.kind == TERMINAL_KIND else 0
    if node.kind == MAPS_KIND or node.kind == ARGUMENTS_KIND:
        file.text = process_files.make_text(k, task, node.kind)
        if file.text == 0:
            heap.kfree(k, at)
            return NO_KERNEL_MEMORY
        file.kind = CONTENT_KIND
        file.content = file.text
    descriptors.put(task, descriptor, file, descriptors.CLOSE_ON_EXEC if flags & CLOSE_AT_EXEC != 0 else 0)
    return descriptor
