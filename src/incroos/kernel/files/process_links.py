"""The symlinks of /proc that lead where a task says, whatever their text is: exe, cwd, root, and those of fd.

What a symlink of fd leads to is the open file itself, whether that has a name or not: one node stands for those that
have none, and which of them is meant is noted in FilesState until the next walk through one.

Unit: the symlink.
"""

from incroos.kernel.files import process_rows as rows
from incroos.kernel.files import process_tasks as tasks
from incroos.kernel.files.descriptors import file_at
from incroos.kernel.files.text import put_decimal, put_text
from incroos.kernel.state import DESCRIPTOR_KIND, File, Kernel, Node, Task, whereabouts_of
from incroos.lang import VirtAddr, kernel, word


@kernel
def has_text(link: Node) -> bool:
    """Whether it leads where its text says: self, thread-self, mounts."""
    return link.row == rows.SELF or link.row == rows.THREAD_SELF or link.row == rows.MOUNTS_LINK


@kernel
def put_text_of(k: Kernel, task: Task, link: Node, to: VirtAddr) -> VirtAddr:
    """Put the text of such a one as a task sees it: the address behind it."""
    if link.row == rows.MOUNTS_LINK:
        return put_text(k.m, to, b'self/mounts')
    to = put_decimal(k.m, to, task.number)
    if link.row == rows.THREAD_SELF:
        to = put_decimal(k.m, put_text(k.m, to, b'/task/'), task.number)
    return to


@kernel
def target_of(k: Kernel, link: Node) -> VirtAddr:
    """The node to which another one leads; 0: its task is gone, or has none."""
    at = tasks.find(k, link.subject)
    if at == 0:
        return at
    task = Task(k.m, at)
    if link.kind == DESCRIPTOR_KIND:
        return target_of_descriptor(k, file_at(task, link.descriptor) if task.table != 0 else VirtAddr(0))
    if link.row == rows.ROOT:
        return k.files.nodes
    if task.space == 0:
        return VirtAddr(0)
    return task.program if link.row == rows.PROGRAM else whereabouts_of(task).folder


@kernel
def target_of_descriptor(k: Kernel, at: VirtAddr) -> VirtAddr:
    """The node of an open file, or the one that stands for it."""
    if at == 0 or File(k.m, at).node != 0:
        return File(k.m, at).node if at != 0 else at
    target = Node(k.m, k.files.descriptor_target)
    target.mode = File(k.m, at).mode
    target.rdev = File(k.m, at).rdev
    k.files.target_file = at
    return target.addr


@kernel
def is_unnamed(k: Kernel, node: word) -> bool:
    """Whether a walk came to an open file without a node."""
    return node == k.files.descriptor_target
