"""Calls on paths: open, stat and what else is told of files, the working directory."""

from typing import Final

from incroos.kernel import files, vm
from incroos.kernel.abi import status
from incroos.kernel.abi.arguments import (
    HERE,
    begin_path,
    file_of,
    find_node,
    get_path,
    half,
    int_of,
    node_at,
    task_of,
    used_file_of,
    user_of,
)
from incroos.kernel.abi.errno import (
    EACCES,
    EBADF,
    EINVAL,
    ENOTDIR,
    EOPNOTSUPP,
    ERANGE,
    result_of,
)
from incroos.kernel.abi.waiting import finish
from incroos.kernel.files import rights
from incroos.kernel.files.nodes import let_go
from incroos.kernel.files.paths import FOLLOW, STAY
from incroos.kernel.state import (
    FOLDER_KIND,
    File,
    Kernel,
    Node,
    whereabouts_of,
)
from incroos.lang import VirtAddr, apart, kernel, word

NO_FOLLOW: Final = 0x100  # AT_SYMLINK_NOFOLLOW
FOLDER_TOO: Final = 0x200  # AT_REMOVEDIR, AT_EACCESS
EMPTY_PATH: Final = 0x1000
NO_AUTOMOUNT: Final = 0x800
STATUS_FLAGS: Final = NO_FOLLOW | EMPTY_PATH | NO_AUTOMOUNT
SYNC_FLAGS: Final = 0x6000  # of statx
MODE_BITS: Final = 0o7777
CREATE: Final = 0o1101  # O_CREAT, O_WRONLY, O_TRUNC: of creat

EXECUTE_ACCESS: Final = 1  # access
ANY_EXECUTE: Final = 0o111


# ------------------------------------------------------------------ opening
@apart
@kernel
def open_file(k: Kernel, path: word, flags: word, mode: word) -> word:
    return openat(k, HERE, path, flags, mode)


@apart
@kernel
def creat(k: Kernel, path: word, mode: word) -> word:
    return openat(k, HERE, path, CREATE, mode)


@apart
@kernel
def openat(k: Kernel, folder: word, path: word, flags: word, mode: word) -> word:
    nbytes, start = begin_path(k, folder, path)
    if nbytes < 0:
        return nbytes
    own = task_of(k)
    return finish(
        k, files.open_path(k, own, Node(k.m, start), nbytes, half(flags), mode & MODE_BITS & ~whereabouts_of(own).umask)
    )


@apart
@kernel
def getdents64(k: Kernel, descriptor: word, to: word, nbytes: word) -> word:
    at = used_file_of(k, descriptor)
    if at == 0:
        return -EBADF
    return result_of(files.read_entries(k, user_of(k), File(k.m, at), VirtAddr(to), half(nbytes)))


# ------------------------------------------------------------------ what is told of files
@apart
@kernel
def fstat(k: Kernel, descriptor: word, to: word) -> word:
    at = file_of(k, descriptor)
    return status.put_of_file(k, File(k.m, at), to) if at != 0 else -EBADF


@apart
@kernel
def stat(k: Kernel, path: word, to: word) -> word:
    return newfstatat(k, HERE, path, to, 0)


@apart
@kernel
def lstat(k: Kernel, path: word, to: word) -> word:
    return newfstatat(k, HERE, path, to, NO_FOLLOW)


@kernel
def file_node(k: Kernel, descriptor: word) -> word:
    """What a descriptor is of, as find_node says it; 0 where it has no node; -EBADF."""
    at = file_of(k, descriptor)
    if at == 0:
        return -EBADF
    return ~File(k.m, at).node if File(k.m, at).node != 0 else 0


@kernel
def find_known(k: Kernel, folder: word, path: word, flags: word) -> word:
    """As find_node, and with AT_EMPTY_PATH what a descriptor is of that has a node, or the working directory."""
    if flags & EMPTY_PATH == 0 or get_path(k, path) != 0:
        return find_node(k, folder, path, STAY if flags & NO_FOLLOW != 0 else FOLLOW)
    if int_of(folder) == HERE:
        return ~whereabouts_of(task_of(k)).folder
    found = file_node(k, folder)
    return found if found != 0 else -EACCES


@apart
@kernel
def newfstatat(k: Kernel, folder: word, path: word, to: word, flags: word) -> word:
    wanted = half(flags)
    if wanted & ~STATUS_FLAGS != 0:
        return -EINVAL
    if wanted & EMPTY_PATH != 0 and get_path(k, path) == 0 and int_of(folder) != HERE:
        return fstat(k, folder, to)
    found = find_known(k, folder, path, wanted)
    return status.put_of_node(k, node_at(k, found), to) if found >= 0 else found


@apart
@kernel
def statx(k: Kernel, folder: word, path: word, flags: word, mask: word, to: word) -> word:
    wanted = half(flags)
    if wanted & ~(STATUS_FLAGS | SYNC_FLAGS) != 0 or wanted & SYNC_FLAGS == SYNC_FLAGS or half(mask) >= 0x8000_0000:
        return -EINVAL
    if wanted & EMPTY_PATH != 0 and get_path(k, path) == 0 and int_of(folder) != HERE:
        at = file_of(k, folder)
        return status.put_x_of_file(k, File(k.m, at), to) if at != 0 else -EBADF
    found = find_known(k, folder, path, wanted)
    return status.put_x_of_node(k, node_at(k, found), to) if found >= 0 else found


@apart
@kernel
def access(k: Kernel, path: word, wanted: word) -> word:
    return faccessat2(k, HERE, path, wanted, 0)


@apart
@kernel
def faccessat(k: Kernel, folder: word, path: word, wanted: word) -> word:
    return faccessat2(k, folder, path, wanted, 0)


@apart
@kernel
def faccessat2(k: Kernel, folder: word, path: word, wanted: word, flags: word) -> word:
    if half(wanted) & ~7 != 0 or half(flags) & ~(NO_FOLLOW | FOLDER_TOO | EMPTY_PATH) != 0:
        return -EINVAL
    found = find_known(k, folder, path, half(flags))
    if found < 0:
        return found
    node = node_at(k, found)
    if wanted & EXECUTE_ACCESS != 0 and node.kind != FOLDER_KIND and node.mode & ANY_EXECUTE == 0:
        return -EACCES
    by = task_of(k).credentials
    may = rights.has(by, node, half(wanted)) if flags & FOLDER_TOO != 0 else rights.has_really(by, node, half(wanted))
    return 0 if may else -EACCES


@apart
@kernel
def readlink(k: Kernel, path: word, to: word, nbytes: word) -> word:
    return readlinkat(k, HERE, path, to, nbytes)


@apart
@kernel
def readlinkat(k: Kernel, folder: word, path: word, to: word, nbytes: word) -> word:
    if not 0 < half(nbytes) < 0x8000_0000:
        return -EINVAL
    found = find_node(k, folder, path, STAY)
    if found < 0:
        return found
    node = node_at(k, found)
    source, length = files.text_of_link(k, task_of(k), node)
    if length < 0:
        return result_of(length)
    length = min(length, half(nbytes))
    code = vm.copy_out(user_of(k), to, source, length)
    return length if code == 0 else result_of(code)


# ------------------------------------------------------------------ the working directory
@apart
@kernel
def getcwd(k: Kernel, to: word, nbytes: word) -> word:
    source, length = files.put_path(k, Node(k.m, whereabouts_of(task_of(k)).folder))
    if length < 0:
        return result_of(length)
    if 0 <= nbytes < length:
        return -ERANGE
    code = vm.copy_out(user_of(k), to, source, length)
    return length if code == 0 else result_of(code)


@apart
@kernel
def chdir(k: Kernel, path: word) -> word:
    found = find_node(k, HERE, path, FOLLOW)
    if found < 0:
        return found
    if node_at(k, found).kind != FOLDER_KIND:
        return -ENOTDIR
    if not rights.has(task_of(k).credentials, node_at(k, found), rights.SEARCHING):
        return -EACCES
    return enter(k, VirtAddr(~found))


@apart
@kernel
def fchdir(k: Kernel, descriptor: word) -> word:
    at = file_of(k, descriptor)
    if at == 0:
        return -EBADF
    if File(k.m, at).kind != FOLDER_KIND:
        return -ENOTDIR
    return enter(k, File(k.m, at).node)


@kernel
def enter(k: Kernel, folder: VirtAddr) -> word:
    """Make a folder the working directory; the one that it was ends if it was removed meanwhile."""
    before = Node(k.m, whereabouts_of(task_of(k)).folder)
    whereabouts_of(task_of(k)).folder = folder
    let_go(k, before)
    return 0


# ------------------------------------------------------------------ file systems
@apart
@kernel
def statfs(k: Kernel, path: word, to: word) -> word:
    found = find_node(k, HERE, path, FOLLOW)
    return status.put_file_system(k, ~found, to) if found >= 0 else found


@apart
@kernel
def fstatfs(k: Kernel, descriptor: word, to: word) -> word:
    at = file_of(k, descriptor)
    return status.put_file_system(k, File(k.m, at).node, to) if at != 0 else -EBADF


@apart
@kernel
def no_attribute(k: Kernel, path: word) -> word:
    """getxattr and lgetxattr: files have none."""
    found = find_node(k, HERE, path, STAY)
    return -EOPNOTSUPP if found >= 0 else found


@apart
@kernel
def no_attribute_of_file(k: Kernel, descriptor: word) -> word:
    """fgetxattr."""
    return -EOPNOTSUPP if file_of(k, descriptor) != 0 else -EBADF


@apart
@kernel
def no_attributes(k: Kernel, path: word) -> word:
    """listxattr and llistxattr: an empty list."""
    return min(find_node(k, HERE, path, STAY), 0)


@apart
@kernel
def no_attributes_of_file(k: Kernel, descriptor: word) -> word:
    """flistxattr."""
    return 0 if file_of(k, descriptor) != 0 else -EBADF
