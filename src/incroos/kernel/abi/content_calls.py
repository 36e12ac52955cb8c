"""Calls on what files hold: sizes, holes, and files that no folder names."""

from typing import Final

from incroos.kernel import files, vm
from incroos.kernel.abi.arguments import HERE, file_of, find_node, half, node_at, task_of, used_file_of, user_of
from incroos.kernel.abi.errno import (
    EACCES,
    EBADF,
    EFAULT,
    EFBIG,
    EINVAL,
    EISDIR,
    ENODEV,
    EOPNOTSUPP,
    ESPIPE,
    ETXTBSY,
    result_of,
)
from incroos.kernel.abi.waiting import end_of_change
from incroos.kernel.codes import BAD_POINTER
from incroos.kernel.files import contents, nodes, rights
from incroos.kernel.files.flags import CLOSE_AT_EXEC, READ_WRITE
from incroos.kernel.files.paths import FOLLOW
from incroos.kernel.files.reading import has_no_position
from incroos.kernel.files.seals import SEALED
from incroos.kernel.files.writing import is_writable
from incroos.kernel.state import CONTENT_KIND, FOLDER_KIND, File, Kernel, Node
from incroos.lang import apart, kernel, word

KEEP_SIZE: Final = 1  # fallocate
PUNCH_HOLE: Final = 2
COLLAPSE_RANGE: Final = 8
ZERO_RANGE: Final = 0x10
INSERT_RANGE: Final = 0x20
UNSHARE_RANGE: Final = 0x40
CLOSING: Final = 1  # memfd_create
SEALING: Final = 2
MOST_NAME_BYTES: Final = 250  # with the zero byte behind it


@apart
@kernel
def truncate(k: Kernel, path: word, nbytes: word) -> word:
    if nbytes < 0:
        return -EINVAL
    found = find_node(k, HERE, path, FOLLOW)
    if found < 0:
        return found
    node = node_at(k, found)
    if node.kind == FOLDER_KIND:
        return -EISDIR
    if node.kind != CONTENT_KIND:
        return -EINVAL
    if not rights.has(rights.caller(k), node, rights.WRITING):
        return -EACCES
    return -ETXTBSY if nodes.is_running(k, node) else end_of_change(k, contents.resize(k, node, nbytes))


@apart
@kernel
def ftruncate(k: Kernel, descriptor: word, nbytes: word) -> word:
    at = used_file_of(k, descriptor)
    if nbytes < 0:
        return -EINVAL
    if at == 0:
        return -EBADF
    file = File(k.m, at)
    if file.kind != CONTENT_KIND or not is_writable(file):
        return -EINVAL
    return end_of_change(k, contents.resize(k, Node(k.m, file.node), nbytes))


@apart
@kernel
def fallocate(k: Kernel, descriptor: word, mode: word, offset: word, nbytes: word) -> word:
    at = file_of(k, descriptor)
    wanted = half(mode)
    if at == 0:
        return -EBADF
    if offset < 0 or nbytes <= 0:
        return -EINVAL
    is_known = wanted & ~KEEP_SIZE == 0 or wanted == PUNCH_HOLE | KEEP_SIZE
    if not is_known and not is_for_other_files(wanted):
        return -EOPNOTSUPP
    file = File(k.m, at)
    if not is_writable(file):
        return -EBADF
    if file.kind != CONTENT_KIND:
        return -ESPIPE if has_no_position(file) else -ENODEV
    if not is_known:
        return -EOPNOTSUPP
    if offset > contents.MOST_BYTES - nbytes:
        return -EFBIG
    return allocate(k, Node(k.m, file.node), wanted, offset, offset + nbytes)


@kernel
def is_for_other_files(mode: word) -> bool:
    """Whether some file system of Linux has that mode of fallocate: then a file's own errors come first."""
    kind = mode & ~KEEP_SIZE
    return mode == COLLAPSE_RANGE or mode == INSERT_RANGE or kind == UNSHARE_RANGE or kind == ZERO_RANGE


@kernel
def allocate(k: Kernel, node: Node, mode: word, start: word, end: word) -> word:
    """fallocate of a file: 0; -EFBIG, -EPERM, -ENOSPC."""
    code = contents.clear(k, node, start, end) if mode & ~KEEP_SIZE != 0 else contents.reserve(k, node, start, end)
    if code == 0 and mode & KEEP_SIZE == 0 and end > node.content.nbytes:
        code = contents.resize(k, node, end)
    return end_of_change(k, code)


@apart
@kernel
def memfd_create(k: Kernel, name: word, flags: word) -> word:
    if half(flags) & ~(CLOSING | SEALING) != 0:
        return -EINVAL
    at = k.files.piece
    nbytes = vm.copy_text(user_of(k), at, name, MOST_NAME_BYTES)
    if nbytes < 0:
        return -EFAULT if nbytes == BAD_POINTER else -EINVAL
    closing = CLOSE_AT_EXEC if half(flags) & CLOSING != 0 else 0
    seals = 0 if half(flags) & SEALING != 0 else SEALED
    return result_of(files.open_unnamed(k, task_of(k), READ_WRITE | closing, at, nbytes, seals))
