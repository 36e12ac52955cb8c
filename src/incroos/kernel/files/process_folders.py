"""The folders of /proc: what is found in them and what they list.

    /proc            rows, then a folder for each task
    /proc/N          rows
    /proc/N/task     a folder for each thread
    /proc/N/fd       a symlink for each descriptor

A node is made when its name is first looked for, and stays until its task is gone; an entry names it, which no folder
lists, since the listing is made of rows and tasks. What the archive has below /proc is hidden, as under a mount.

Unit: the name.
"""

from typing import Final

from incroos.kernel.codes import NO_ENTRY, NO_KERNEL_MEMORY, OK
from incroos.kernel.files import entries, nodes, text
from incroos.kernel.files import process_rows as rows
from incroos.kernel.files import process_tasks as tasks
from incroos.kernel.files.descriptors import file_at
from incroos.kernel.state import DESCRIPTOR_KIND, Entry, Kernel, Node, Task, table_of
from incroos.lang import VirtAddr, kernel, word

NOTHING: Final = -1
LINK_MODE: Final = nodes.LINK | 0o700
FIRST_INODE: Final = 1 << 40  # behind those of all other nodes


# ------------------------------------------------------------------ finding
@kernel
def look_up(k: Kernel, folder: Node, name: VirtAddr, nbytes: word) -> tuple[word, VirtAddr]:
    """OK, and the node of that name in a folder of /proc, which may be made; NO_ENTRY, NO_KERNEL_MEMORY."""
    if folder.subject != 0 and tasks.find(k, folder.subject) == 0:
        return NO_ENTRY, VirtAddr(0)
    row = rows.find(k.m, folder.row, name, nbytes)
    number = tasks.number_of(k, name, nbytes) if row == 0 else 0
    if row == 0:
        row = row_of_number(k, folder, number)
    if row == 0:
        return NO_ENTRY, VirtAddr(0)
    at = entries.find(k, folder, name, nbytes)
    if at == 0:
        at = make(k, folder, row, number, name, nbytes)
    if at != 0:
        set_owner(k, Node(k.m, at))
    return OK if at != 0 else NO_KERNEL_MEMORY, at


@kernel
def row_of_number(k: Kernel, folder: Node, number: word) -> word:
    """What a number is the name of in a folder; 0: nothing."""
    if number < 0:
        return 0
    match folder.row:
        case rows.PROC:
            return rows.TASK if tasks.find(k, number) != 0 else 0
        case rows.THREADS:
            return rows.TASK if tasks.are_of_one_process(k, number, folder.subject) else 0
        case rows.DESCRIPTORS:
            return rows.DESCRIPTOR if is_open(Task(k.m, tasks.find(k, folder.subject)), number) else 0
        case _:
            return 0


@kernel
def is_open(task: Task, descriptor: word) -> bool:
    """Whether a task has a descriptor open; one that has ended has none."""
    return task.table != 0 and file_at(task, descriptor) != 0


@kernel
def make(k: Kernel, folder: Node, row: word, number: word, name: VirtAddr, nbytes: word) -> VirtAddr:
    """Make the node of a row, or of a task or descriptor of this number, under a name; 0 without memory."""
    is_link = row == rows.DESCRIPTOR
    mode = LINK_MODE if is_link else rows.mode_of(row)
    at = nodes.new_node(k, DESCRIPTOR_KIND if is_link else rows.kind_of(row), mode)
    entry = entries.new_entry(k, name, nbytes) if at != 0 else VirtAddr(0)
    if entry == 0:
        if at != 0:
            nodes.free_node(k, Node(k.m, at))
        return VirtAddr(0)
    node = Node(k.m, at)
    node.row = row
    node.subject = number if row == rows.TASK else folder.subject
    node.descriptor = number
    node.inode = inode_of(folder, row, number)
    Entry(k.m, entry).is_hidden = 1
    entries.enter(k, Entry(k.m, entry), folder, node)
    return at


@kernel
def inode_of(folder: Node, row: word, number: word) -> word:
    """The inode of a row in a folder; of a task or descriptor, of this number."""
    subject = number if row == rows.TASK else folder.subject
    descriptor = number if row == rows.DESCRIPTOR else 0
    if folder.row == rows.THREADS:
        descriptor = 1  # what is in a thread's folder is not what is in its task's
    return FIRST_INODE | subject << 16 | row << 8 | descriptor


@kernel
def set_owner(k: Kernel, node: Node) -> None:
    """A file that tells of a task is its user's, whoever that is now."""
    at = tasks.find(k, node.subject)
    node.user = Task(k.m, at).credentials.user.effective if at != 0 else 0
    node.group = Task(k.m, at).credentials.group.effective if at != 0 else 0


# ------------------------------------------------------------------ listing
@kernel
def next_position(k: Kernel, folder: Node, least: word) -> word:
    """The first position from `least` on at which a folder lists something; NOTHING is left."""
    if folder.row == rows.DESCRIPTORS:
        return next_open(k, folder, least)
    row = rows.next_in(folder.row, least) if least < rows.END_ROW else 0
    if row != 0:
        return row
    if folder.row != rows.PROC and folder.row != rows.THREADS:
        return NOTHING
    if folder.row == rows.THREADS:
        number = tasks.next_thread(k, folder.subject, max(least - rows.END_ROW, 0))
    else:
        number = tasks.next_number(k, max(least - rows.END_ROW, 0))
    return rows.END_ROW + number if number >= 0 else NOTHING


@kernel
def next_open(k: Kernel, folder: Node, least: word) -> word:
    """The lowest open descriptor from `least` on; NOTHING: there is none."""
    at = tasks.find(k, folder.subject)
    if at == 0:
        return NOTHING
    task = Task(k.m, at)
    for descriptor in range(least, table_of(task).end_descriptors if task.table != 0 else 0):
        if table_of(task).descriptors[descriptor].file != 0:
            return descriptor
    return NOTHING


@kernel
def put_name(k: Kernel, folder: Node, position: word, to: VirtAddr) -> VirtAddr:
    """Put the name of what a folder lists at a position: the address behind it."""
    if folder.row == rows.DESCRIPTORS:
        return text.put_decimal(k.m, to, position)
    if position >= rows.END_ROW:
        return text.put_decimal(k.m, to, position - rows.END_ROW)
    for index in range(rows.name_bytes_of(position)):
        to = text.put_char(k.m, to, rows.NAMES[rows.NAME_BYTES * position + index])
    return to


@kernel
def facts_at(folder: Node, position: word) -> tuple[word, word]:
    """Inode and st_mode of what a folder lists at a position."""
    if folder.row == rows.DESCRIPTORS:
        return inode_of(folder, rows.DESCRIPTOR, position), LINK_MODE
    if position >= rows.END_ROW:
        return inode_of(folder, rows.TASK, position - rows.END_ROW), rows.mode_of(rows.TASK)
    return inode_of(folder, position, 0), rows.mode_of(position)


# ------------------------------------------------------------------ forgetting
@kernel
def forget_task(k: Kernel, number: word) -> None:
    """Take away the nodes of a task that is gone."""
    folder = Node(k.m, k.files.processes)
    if folder.first == 0:
        return
    end = text.put_decimal(k.m, k.files.piece, number)
    at = entries.find_entry(k, folder, k.files.piece, end - k.files.piece)
    if at != 0:
        forget_below(k, Node(k.m, Entry(k.m, at).node))
        entries.remove(k, Entry(k.m, at))


@kernel
def forget_below(k: Kernel, top: Node) -> None:
    """Take away all that is in a folder, the innermost first."""
    folder = top
    while folder.first != 0 or folder.addr != top.addr:
        if folder.first == 0:
            entry = Entry(k.m, folder.entry)
            folder = Node(k.m, entry.folder)
            entries.remove(k, entry)
        else:
            entry = Entry(k.m, folder.first)
            if nodes.is_folder(Node(k.m, entry.node)):
                folder = Node(k.m, entry.node)
            else:
                entries.remove(k, entry)
