"""Open files: what descriptors name, and dup and fork share. Made here, and ended when nobody names them any more.

Unit: the open file.
"""

from incroos.kernel import heap
from incroos.kernel.files import interests, nodes, pipes
from incroos.kernel.state import EVENT_KIND, INTEREST_KIND, PIPE_KIND, File, InterestList, Kernel, Node
from incroos.lang import VirtAddr, kernel, word

# FILES-1  file.nr_users == how many descriptors of all tasks name the file, between calls


@kernel
def new_file(k: Kernel, kind: word, flags: word) -> VirtAddr:
    """A File that nobody names; 0 without memory."""
    at = heap.kzalloc(k, File.SIZE)
    if at != 0:
        file = File(k.m, at)
        file.kind = kind
        file.flags = flags
    return at


@kernel
def drop(k: Kernel, file: File) -> None:
    """Somebody names the file no longer; with the last one it ends."""
    file.nr_users -= 1
    if file.nr_users == 0:
        end(k, file)


@kernel
def end(k: Kernel, file: File) -> None:
    """End a file that nobody names."""
    interests.forget_file(k, file)
    if file.kind == PIPE_KIND and file.pipe != 0:
        pipes.detach(k, file)
    elif file.kind == EVENT_KIND:
        heap.kfree(k, file.pipe)
    elif file.kind == INTEREST_KIND:
        interests.destroy(k, InterestList(k.m, file.pipe))
    if file.node != 0:
        node = Node(k.m, file.node)
        node.nr_files -= 1
        nodes.let_go(k, node)
    heap.kfree(k, file.text)
    heap.kfree(k, file.addr)
