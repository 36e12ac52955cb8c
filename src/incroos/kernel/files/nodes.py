"""Nodes: files, folders, symlinks and devices, whatever their names (entries.py).

    those of the archive and of the kernel's own    an array, made at the start and freed at the end
    all others                                      from the heap

Unit: the node. A node without a name lives on as long as somebody uses it: open files and ranges of programs are
counted; tasks that are in a folder or run a program are looked for. Until then it is lost: on a list that is looked
through whenever a node is made or let go.
"""

from typing import Final

from incroos.kernel import heap, vm
from incroos.kernel.files import times
from incroos.kernel.state import FOLDER_KIND, Kernel, Node, Pipe, Task, whereabouts_of
from incroos.lang import VirtAddr, fill, kernel, word

# NODES-1  the first of the array is the root, its own parent
# NODES-2  nr_links of a file == its entries; of a folder: 2 + its folders that are listed; 0: it is lost
# NODES-3  nr_files == open files that have the node
# NODES-4  nr_nodes == nodes that have a name, and the root, and those that are lost
# NODES-5  nr_content_bytes == sum of room over all nodes; vm.nr_changed == sum of their contents' nr_changed

NAME_MAX: Final = 255  # bytes of a name
FORMAT_BITS: Final = 0o170000  # of st_mode: what the file is
LINK: Final = 0o120000
REGULAR: Final = 0o100000
FOLDER: Final = 0o040000
CHARACTER_DEVICE: Final = 0o020000
FIFO: Final = 0o010000


@kernel
def root_of(k: Kernel) -> Node:
    """The root."""
    return Node(k.m, k.files.nodes)


@kernel
def is_folder(node: Node) -> bool:
    """Is it one?"""
    return node.kind == FOLDER_KIND


# ------------------------------------------------------------------ making and ending
@kernel
def first_node(k: Kernel, kind: word, mode: word) -> VirtAddr:
    """A node of the array that lies in no folder yet; 0 when there is no room. Its other fields are 0."""
    files = k.files
    if files.nr_given == files.max_nodes:
        return VirtAddr(0)
    at = VirtAddr(files.nodes + files.nr_given * Node.SIZE)
    files.nr_given += 1
    begin(k, Node(k.m, at), kind, mode)
    return at


@kernel
def new_node(k: Kernel, kind: word, mode: word) -> VirtAddr:
    """A node of the caller's that lies in no folder yet; 0 without memory. Its other fields are 0, its times now."""
    sweep(k)
    at = heap.kzalloc(k, Node.SIZE)
    if at != 0:
        node = Node(k.m, at)
        begin(k, node, kind, mode)
        if k.tasks.current != 0:
            node.user = Task(k.m, k.tasks.current).credentials.user.effective
            node.group = Task(k.m, k.tasks.current).credentials.group.effective
        times.touch(k, node)
        node.accessed = node.modified
    return at


@kernel
def begin(k: Kernel, node: Node, kind: word, mode: word) -> None:
    """Let a node whose bytes are 0 be one."""
    files = k.files
    files.nr_nodes += 1
    files.next_inode += 1
    node.inode = files.next_inode
    node.kind = kind
    node.mode = mode


@kernel
def free_node(k: Kernel, node: Node) -> None:
    """End a node that nobody uses, with its content."""
    files = k.files
    vm.free_content_pages(k, node.content, 0)
    if node.room != 0:
        heap.kfree(k, node.content.data)
        files.nr_content_bytes -= node.room
    if node.label != 0:
        heap.kfree(k, node.label)
    if node.pipe != 0:
        end_pipe(k, Pipe(k.m, node.pipe))
    files.nr_nodes -= 1
    if is_of_array(k, node.addr):
        fill(k.m, node.addr, 0, Node.SIZE)
    else:
        heap.kfree(k, node.addr)


@kernel
def end_pipe(k: Kernel, pipe: Pipe) -> None:
    """End a FIFO's pipe, which nobody has open."""
    k.files.nr_pipe_bytes -= pipe.room
    heap.kfree(k, pipe.data)
    heap.kfree(k, pipe.addr)


@kernel
def is_of_array(k: Kernel, at: VirtAddr) -> bool:
    """Is it one of those that were made at the start?"""
    return k.files.nodes <= at < k.files.nodes + k.files.max_nodes * Node.SIZE


# ------------------------------------------------------------------ letting go
@kernel
def let_go(k: Kernel, node: Node) -> None:
    """Somebody uses the node no longer: without a name and a user it ends."""
    if node.nr_links != 0:
        return
    if node.is_lost == 0:
        node.is_lost = 1
        node.next_lost = k.files.lost
        k.files.lost = node.addr
    if node.nr_files == 0 and not is_running(k, node):
        node.content.is_lost = 1
    sweep(k)


@kernel
def sweep(k: Kernel) -> None:
    """End the nodes without a name that nobody uses any more."""
    before = VirtAddr(0)
    at = k.files.lost
    while at != 0:
        node = Node(k.m, at)
        at = node.next_lost
        if is_used(k, node):
            before = node.addr
        else:
            if before == 0:
                k.files.lost = at
            else:
                Node(k.m, before).next_lost = at
            keep_parents(k, node)
            free_node(k, node)


@kernel
def is_used(k: Kernel, node: Node) -> bool:
    """Whether a file, a range or a task has the node."""
    if node.nr_links != 0 or node.nr_files != 0 or node.content.nr_users != 0:
        return True
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if task.whereabouts != 0 and whereabouts_of(task).folder == node.addr:
            return True
        if task.program == node.addr:
            return True
        at = task.next
    return False


@kernel
def keep_parents(k: Kernel, folder: Node) -> None:
    """A folder ends: those that are lost and were in it are in the root from now on."""
    at = k.files.lost
    while at != 0:
        if Node(k.m, at).parent == folder.addr:
            Node(k.m, at).parent = k.files.nodes
        at = Node(k.m, at).next_lost


@kernel
def is_running(k: Kernel, node: Node) -> bool:
    """Whether it is a program that a task runs."""
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if task.program == node.addr and task.space != 0:
            return True
        at = task.next
    return False
