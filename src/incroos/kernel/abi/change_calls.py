"""Calls that change the file system: files, folders and names made, moved and removed, sizes, modes, owners, times."""

from typing import Final

from incroos.kernel import files, vm
from incroos.kernel.abi.arguments import (
    HERE,
    begin_path,
    find_node,
    get_path,
    half,
    node_at,
    task_of,
    used_file_of,
    user_of,
)
from incroos.kernel.abi.errno import (
    EACCES,
    EBADF,
    EFAULT,
    EINVAL,
    ENOENT,
    EPERM,
    result_of,
)
from incroos.kernel.abi.path_calls import EMPTY_PATH, FOLDER_TOO, MODE_BITS, NO_FOLLOW, file_node, find_known
from incroos.kernel.devices import program_clock
from incroos.kernel.files import nodes, rights, times
from incroos.kernel.files.archive import kind_of_device
from incroos.kernel.files.paths import FOLLOW, STAY
from incroos.kernel.state import CONTENT_KIND, FOLDER_KIND, OTHER_KIND, PIPE_KIND, File, Kernel, Node, whereabouts_of
from incroos.lang import VirtAddr, apart, copy, kernel, load64, word

FOLLOW_LINK: Final = 0x400  # AT_SYMLINK_FOLLOW
SAME: Final = 0xFFFF_FFFF  # chown: leave it
NOW: Final = (1 << 30) - 1  # utimensat
OMIT: Final = (1 << 30) - 2
TIMES_BYTES: Final = 32
MOST_SECONDS: Final = 1 << 33
OTHER_ERRORS: Final = -10_000


@kernel
def walk_to_name(k: Kernel, folder: word, path: word) -> word:
    """Walk to a name that may be missing: 0 or a code of kernel/codes.py, negative; Linux's error as OTHER_ERRORS - it.

    Whoever calls makes of FilesState what the walk came to.
    """
    nbytes, start = begin_path(k, folder, path)
    if nbytes < 0:
        return OTHER_ERRORS + nbytes
    code, _node = files.walk(k, task_of(k), Node(k.m, start), nbytes, STAY)
    return code


@kernel
def result_after_walk(code: word) -> word:
    """As result_of, of what began with walk_to_name."""
    return code - OTHER_ERRORS if code <= OTHER_ERRORS else result_of(code)


@kernel
def masked(k: Kernel, mode: word) -> word:
    """The mode that a new file gets."""
    return mode & MODE_BITS & ~whereabouts_of(task_of(k)).umask


# ------------------------------------------------------------------ making
@apart
@kernel
def mkdir(k: Kernel, path: word, mode: word) -> word:
    return mkdirat(k, HERE, path, mode)


@apart
@kernel
def mkdirat(k: Kernel, folder: word, path: word, mode: word) -> word:
    code = walk_to_name(k, folder, path)
    return result_after_walk(files.make_folder(k, code, masked(k, mode) & 0o1777))


@apart
@kernel
def mknod(k: Kernel, path: word, mode: word, device: word) -> word:
    return mknodat(k, HERE, path, mode, device)


@apart
@kernel
def mknodat(k: Kernel, folder: word, path: word, mode: word, device: word) -> word:
    kind = kind_of_new(mode & nodes.FORMAT_BITS, half(device))
    if kind == FOLDER_KIND:
        return -EPERM
    if kind == 0:
        return -EINVAL
    code = walk_to_name(k, folder, path)
    code = files.may_add(k, code, kind)
    if code != 0:
        return result_after_walk(code)
    is_plain = mode & nodes.FORMAT_BITS == 0
    code, at = files.create(k, kind, (nodes.REGULAR if is_plain else mode & nodes.FORMAT_BITS) | masked(k, mode))
    if code == 0 and kind != CONTENT_KIND and kind != PIPE_KIND:
        Node(k.m, at).rdev = half(device)
    return result_of(code)


@kernel
def kind_of_new(format_bits: word, device: word) -> word:
    """What mknod makes; FOLDER_KIND: mkdir is for that; 0: nothing that there is."""
    match format_bits:
        case 0 | nodes.REGULAR:
            return CONTENT_KIND
        case nodes.FIFO:
            return PIPE_KIND
        case nodes.CHARACTER_DEVICE:
            return kind_of_device(device)
        case nodes.FOLDER:
            return FOLDER_KIND
        case 0o140000 | 0o060000:
            return OTHER_KIND
        case _:
            return 0


@apart
@kernel
def symlink(k: Kernel, target: word, path: word) -> word:
    return symlinkat(k, target, HERE, path)


@apart
@kernel
def symlinkat(k: Kernel, target: word, folder: word, path: word) -> word:
    nbytes = get_path(k, target)
    if nbytes <= 0:
        return nbytes if nbytes < 0 else -ENOENT
    copy(k.m, k.files.piece, files.text_of(k), nbytes)
    code = walk_to_name(k, folder, path)
    return result_after_walk(files.make_link(k, code, k.files.piece, nbytes))


@apart
@kernel
def link(k: Kernel, source: word, path: word) -> word:
    return linkat(k, HERE, source, HERE, path, 0)


@apart
@kernel
def linkat(k: Kernel, folder: word, source: word, other: word, path: word, flags: word) -> word:
    if half(flags) & ~(FOLLOW_LINK | EMPTY_PATH) != 0:
        return -EINVAL
    found = find_known(k, folder, source, half(flags) & EMPTY_PATH | (0 if flags & FOLLOW_LINK != 0 else NO_FOLLOW))
    if found < 0:
        return found
    code = walk_to_name(k, other, path)
    return result_after_walk(files.add_name(k, code, node_at(k, found)))


# ------------------------------------------------------------------ removing and moving
@apart
@kernel
def unlink(k: Kernel, path: word) -> word:
    return unlinkat(k, HERE, path, 0)


@apart
@kernel
def rmdir(k: Kernel, path: word) -> word:
    return unlinkat(k, HERE, path, FOLDER_TOO)


@apart
@kernel
def unlinkat(k: Kernel, folder: word, path: word, flags: word) -> word:
    if half(flags) & ~FOLDER_TOO != 0:
        return -EINVAL
    code = walk_to_name(k, folder, path)
    if flags & FOLDER_TOO != 0:
        return result_after_walk(files.remove_folder(k, code))
    return result_after_walk(files.remove_file(k, code))


@apart
@kernel
def rename(k: Kernel, source: word, path: word) -> word:
    return renameat2(k, HERE, source, HERE, path, 0)


@apart
@kernel
def renameat(k: Kernel, folder: word, source: word, other: word, path: word) -> word:
    return renameat2(k, folder, source, other, path, 0)


@apart
@kernel
def renameat2(k: Kernel, folder: word, source: word, other: word, path: word, flags: word) -> word:
    if half(flags) & ~1 != 0:
        return -EINVAL
    code = walk_to_name(k, folder, source)
    if code != 0:
        return result_after_walk(code)
    entry = k.files.last_entry
    has_slash = k.files.last_slash != 0
    code = walk_to_name(k, other, path)
    return result_after_walk(files.rename(k, entry, has_slash, code, half(flags)))


# ------------------------------------------------------------------ what is told of files
@kernel
def set_mode(k: Kernel, node: Node, mode: word) -> word:
    """chmod."""
    if not rights.owns(rights.caller(k), node):
        return -EPERM
    node.mode = node.mode & nodes.FORMAT_BITS | mode & MODE_BITS
    node.changed = program_clock.now(k)
    return 0


@apart
@kernel
def chmod(k: Kernel, path: word, mode: word) -> word:
    return fchmodat(k, HERE, path, mode)


@apart
@kernel
def fchmodat(k: Kernel, folder: word, path: word, mode: word) -> word:
    found = find_node(k, folder, path, FOLLOW)
    return set_mode(k, node_at(k, found), mode) if found >= 0 else found


@apart
@kernel
def fchmod(k: Kernel, descriptor: word, mode: word) -> word:
    at = used_file_of(k, descriptor)
    if at == 0:
        return -EBADF
    file = File(k.m, at)
    if file.node == 0:
        file.mode = file.mode & nodes.FORMAT_BITS | mode & MODE_BITS
        return 0
    return set_mode(k, Node(k.m, file.node), mode)


@kernel
def set_owner(k: Kernel, node: Node, user: word, group: word) -> word:
    """chown: root may all, an owner give a file to a group of theirs."""
    by = rights.caller(k)
    is_same = half(user) == SAME or half(user) == node.user
    may_give = half(group) == SAME or rights.is_in_group(by, half(group))
    if not rights.is_root(by) and not (by.user.effective == node.user and is_same and may_give):
        return -EPERM
    node.user = half(user) if half(user) != SAME else node.user
    node.group = half(group) if half(group) != SAME else node.group
    node.changed = program_clock.now(k)
    return 0


@apart
@kernel
def chown(k: Kernel, path: word, user: word, group: word) -> word:
    return fchownat(k, HERE, path, user, group, 0)


@apart
@kernel
def lchown(k: Kernel, path: word, user: word, group: word) -> word:
    return fchownat(k, HERE, path, user, group, NO_FOLLOW)


@apart
@kernel
def fchownat(k: Kernel, folder: word, path: word, user: word, group: word, flags: word) -> word:
    if half(flags) & ~(NO_FOLLOW | EMPTY_PATH) != 0:
        return -EINVAL
    found = find_known(k, folder, path, half(flags))
    return set_owner(k, node_at(k, found), user, group) if found >= 0 else found


@apart
@kernel
def fchown(k: Kernel, descriptor: word, user: word, group: word) -> word:
    at = used_file_of(k, descriptor)
    if at == 0:
        return -EBADF
    file = File(k.m, at)
    return set_owner(k, Node(k.m, file.node), user, group) if file.node != 0 else 0


# ------------------------------------------------------------------ times
@apart
@kernel
def utimensat(k: Kernel, folder: word, path: word, given: word, flags: word) -> word:
    if half(flags) & ~(NO_FOLLOW | EMPTY_PATH) != 0:
        return -EINVAL
    found = file_node(k, folder) if path == 0 else find_known(k, folder, path, half(flags))
    if found < 0:
        return found
    return set_times(k, node_at(k, found), given, 1) if found != 0 else 0


@apart
@kernel
def utimes(k: Kernel, path: word, given: word) -> word:
    return futimesat(k, HERE, path, given)


@apart
@kernel
def futimesat(k: Kernel, folder: word, path: word, given: word) -> word:
    found = file_node(k, folder) if path == 0 else find_node(k, folder, path, FOLLOW)
    if found < 0:
        return found
    return set_times(k, node_at(k, found), given, 1000) if found != 0 else 0


@apart
@kernel
def utime(k: Kernel, path: word, given: word) -> word:
    found = find_node(k, HERE, path, FOLLOW)
    if found < 0:
        return found
    node = node_at(k, found)
    if given == 0:
        return set_times(k, node, 0, 1)
    if vm.copy_in(user_of(k), k.files.piece, given, 16) != 0:
        return -EFAULT
    times.settle(node)
    node.accessed = kept_time(load64(k.m, k.files.piece), 0)
    node.modified = kept_time(load64(k.m, VirtAddr(k.files.piece + 8)), 0)
    node.changed = program_clock.now(k)
    return 0


@kernel
def set_times(k: Kernel, node: Node, given: word, unit: word) -> word:
    """Set both times of a node: two pairs of seconds and parts of so many nanoseconds, or now where there are none."""
    at = k.files.piece
    by = rights.caller(k)
    if not rights.owns(by, node) and (given != 0 or not rights.has(by, node, rights.WRITING)):
        return -EPERM if given != 0 else -EACCES
    times.settle(node)
    now = program_clock.now(k)
    accessed = now
    modified = now
    if given != 0:
        if vm.copy_in(user_of(k), at, given, TIMES_BYTES) != 0:
            return -EFAULT
        accessed = new_time(k, VirtAddr(at), unit, node.accessed)
        modified = new_time(k, VirtAddr(at + 16), unit, node.modified)
        if accessed < 0 or modified < 0:
            return -EINVAL
    node.accessed = accessed
    node.modified = modified
    node.changed = now
    return 0


@kernel
def new_time(k: Kernel, at: VirtAddr, unit: word, before: word) -> word:
    """What a pair says; below 0: it cannot be."""
    part = load64(k.m, VirtAddr(at + 8))
    if unit == 1 and part == NOW:
        return program_clock.now(k)
    if unit == 1 and part == OMIT:
        return before
    if not 0 <= part < program_clock.SECOND // unit:
        return -1
    return kept_time(load64(k.m, at), part * unit)


@kernel
def kept_time(seconds: word, nanoseconds: word) -> word:
    """Nanoseconds since 1970: not before that, nor after what can be told."""
    return min(max(seconds, 0), MOST_SECONDS) * program_clock.SECOND + nanoseconds
