"""What symlinks of /proc say: the names of what they lead to.

Unit: the byte. The texts lie in the path buffer or the kernel's buffer until the next one is made.
"""

from typing import Final

from incroos.kernel.codes import BAD_ARGUMENT, NO_ENTRY
from incroos.kernel.files import paths, process_links, text
from incroos.kernel.files import process_tasks as tasks
from incroos.kernel.files.descriptors import file_at
from incroos.kernel.state import DESCRIPTOR_KIND, LINK_KIND, MAGIC_LINK_KIND, PIPE_KIND, File, Kernel, Node, Pipe, Task
from incroos.lang import VirtAddr, kernel, word

CLOSING: Final = 93  # ]


@kernel
def text_of_link(k: Kernel, task: Task, link: Node) -> tuple[VirtAddr, word]:
    """What readlink tells a task of a symlink: where it is, and its bytes; BAD_ARGUMENT of what is none, NO_ENTRY."""
    if link.kind == LINK_KIND:
        return link.content.data, link.content.nbytes
    if link.kind == DESCRIPTOR_KIND:
        return text_of_descriptor(k, link)
    if link.kind != MAGIC_LINK_KIND:
        return VirtAddr(0), BAD_ARGUMENT
    if process_links.has_text(link):
        return k.files.piece, process_links.put_text_of(k, task, link, k.files.piece) - k.files.piece
    target = process_links.target_of(k, link)
    if target == 0:
        return target, NO_ENTRY
    return text_of_node(k, Node(k.m, target))


@kernel
def text_of_node(k: Kernel, node: Node) -> tuple[VirtAddr, word]:
    """The path of a node, and its bytes; NO_ENTRY if it has none."""
    path, nbytes = paths.put_path(k, node)
    return path, nbytes - 1 if nbytes > 0 else nbytes


@kernel
def text_of_descriptor(k: Kernel, link: Node) -> tuple[VirtAddr, word]:
    """The name of an open file, and its bytes: its path, or what it is and a number."""
    task = tasks.find(k, link.subject)
    at = VirtAddr(0)
    if task != 0 and Task(k.m, task).table != 0:
        at = file_at(Task(k.m, task), link.descriptor)
    if at == 0:
        return at, NO_ENTRY
    file = File(k.m, at)
    if file.node != 0:
        name, nbytes = text_of_node(k, Node(k.m, file.node))
        if nbytes > 0:
            return name, nbytes
    made = k.files.piece
    end = text.put_text(k.m, made, b'pipe:[' if file.kind == PIPE_KIND else b'file:[')
    inode = file.channel + 1
    if file.node != 0:
        inode = Node(k.m, file.node).inode
    elif file.kind == PIPE_KIND:
        inode = Pipe(k.m, file.pipe).inode
    end = text.put_char(k.m, text.put_decimal(k.m, end, inode), CLOSING)
    return made, end - made
