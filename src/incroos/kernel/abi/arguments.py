"""Arguments of calls: what the words in a program's registers mean."""

from typing import Final

from incroos.kernel import files, vm
from incroos.kernel.abi.errno import EBADF, ENOENT, ENOTDIR, result_of
from incroos.kernel.files.flags import PATH_ONLY
from incroos.kernel.files.paths import PATH_MAX, SLASH
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import FOLDER_KIND, File, Kernel, Node, Task, UserSpace, whereabouts_of
from incroos.lang import VirtAddr, kernel, load8, word

MOST_BYTES: Final = 0x7FFF_F000  # of one read or write
HERE: Final = -100  # AT_FDCWD: the working directory
MOST_WORD: Final = (1 << 63) - 1
LEAST_INT: Final = -1 << 31
WRAPS: Final = -1


@kernel
def task_of(k: Kernel) -> Task:
    """The task that calls."""
    return Task(k.m, k.tasks.current)


@kernel
def user_of(k: Kernel) -> UserSpace:
    """The space of the task that calls."""
    return UserSpace(k.m, task_of(k).space)


@kernel
def half(value: word) -> word:
    """An unsigned int: the low half of a register."""
    return value & 0xFFFF_FFFF


@kernel
def int_of(value: word) -> word:
    """An int: the low half of a register, with its sign."""
    return ((value & 0xFFFF_FFFF) ^ 0x8000_0000) - 0x8000_0000


@kernel
def span_end(start: word, nbytes: word) -> word:
    """Where the pages of [start, start + nbytes), two unsigned numbers, end. PRE start is the start of a page.

    start itself if the length, rounded up, is 0; WRAPS if the end is beyond all numbers. What ends beyond a user's
    addresses ends behind them.
    """
    if -PAGE_BYTES < nbytes <= 0:
        return start
    if start > vm.USER_END and nbytes > 0:
        return start + 1  # as good as any other: nothing is there
    if start >= 0 and nbytes > 0:
        return vm.end_of(start, nbytes)
    if start < 0 and nbytes < 0:
        return WRAPS
    return WRAPS if start + nbytes > -PAGE_BYTES else vm.USER_END + PAGE_BYTES


@kernel
def file_of(k: Kernel, descriptor: word) -> VirtAddr:
    """The File of a descriptor; 0 if it is not open."""
    return files.file_at(task_of(k), half(descriptor))


@kernel
def used_file_of(k: Kernel, descriptor: word) -> VirtAddr:
    """The same; 0 also if it was opened to name a path alone."""
    at = file_of(k, descriptor)
    return at if at != 0 and File(k.m, at).flags & PATH_ONLY == 0 else VirtAddr(0)


@kernel
def get_path(k: Kernel, at: word) -> word:
    """Copy a path to where files walk it: its bytes, or -EFAULT, -ENAMETOOLONG."""
    return result_of(vm.copy_text(user_of(k), files.text_of(k), at, PATH_MAX))


@kernel
def folder_at(k: Kernel, descriptor: word) -> tuple[word, VirtAddr]:
    """0, and the node where a path begins that begins at a descriptor; or -EBADF, -ENOTDIR."""
    if int_of(descriptor) == HERE:
        return 0, whereabouts_of(task_of(k)).folder
    at = file_of(k, descriptor)
    if at == 0:
        return -EBADF, at
    file = File(k.m, at)
    return 0 if file.kind == FOLDER_KIND else -ENOTDIR, file.node


@kernel
def begin_path(k: Kernel, descriptor: word, path: word) -> tuple[word, VirtAddr]:
    """Get a path: its bytes, and the node where it begins; or Linux's error, negative.

    Of one that begins with a slash no descriptor is looked at: walk begins at the root.
    """
    nbytes = get_path(k, path)
    if nbytes <= 0:
        return nbytes if nbytes < 0 else -ENOENT, VirtAddr(0)
    if load8(k.m, files.text_of(k)) == SLASH:
        return nbytes, whereabouts_of(task_of(k)).folder
    code, start = folder_at(k, descriptor)
    return nbytes if code == 0 else code, start


@kernel
def find_node(k: Kernel, descriptor: word, path: word, at_link: word) -> word:
    """The node to which a path leads, from a descriptor on; or Linux's error, negative.

    A node's address is negative: so ~address is given, which is not.
    """
    nbytes, start = begin_path(k, descriptor, path)
    if nbytes < 0:
        return nbytes
    code, node = files.walk(k, task_of(k), Node(k.m, start), nbytes, at_link)
    return ~node if code == 0 else result_of(code)


@kernel
def node_at(k: Kernel, found: word) -> Node:
    """View of what find_node found."""
    return Node(k.m, VirtAddr(~found))
