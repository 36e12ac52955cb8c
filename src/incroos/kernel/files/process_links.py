"""/proc/self/fd: a symlink for each descriptor, which leads to the open file itself, whether that has a name or not.

There is one node for all of these symlinks, and one that stands for open files without a node: which of them is meant
is noted in FilesState until the next walk through one.

Unit: the descriptor.
"""

from incroos.kernel.files.descriptors import file_at
from incroos.kernel.state import MAX_FILES, File, Kernel, Node, Task, table_of
from incroos.lang import VirtAddr, kernel, load8, word


@kernel
def link_of(k: Kernel, task: Task, name: VirtAddr, nbytes: word) -> VirtAddr:
    """The symlink of a descriptor, whose decimal digits are the name; 0: it is none, or not open."""
    number = 0
    for index in range(min(nbytes, 4)):
        digit = load8(k.m, VirtAddr(name + index)) - 48
        if not 0 <= digit <= 9 or (number == 0 and index > 0):
            return VirtAddr(0)
        number = 10 * number + digit
    if nbytes > 3 or number >= MAX_FILES or file_at(task, number) == 0:
        return VirtAddr(0)
    k.files.last_descriptor = number
    return k.files.descriptor_link


@kernel
def next_open(task: Task, least: word) -> word:
    """The lowest open descriptor from `least` on; -1 if there is none."""
    for descriptor in range(least, table_of(task).end_descriptors):
        if table_of(task).descriptors[descriptor].file != 0:
            return descriptor
    return -1


@kernel
def target_of(k: Kernel, task: Task) -> Node:
    """The node to which the symlink leads that was found last."""
    file = File(k.m, file_at(task, k.files.last_descriptor))
    if file.node != 0:
        return Node(k.m, file.node)
    target = Node(k.m, k.files.descriptor_target)
    target.mode = file.mode
    target.rdev = file.rdev
    return target
