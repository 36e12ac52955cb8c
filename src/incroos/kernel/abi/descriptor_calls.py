"""Calls on descriptors: closed, copied, marked; and the files that have no name: pipes, event counters."""

from typing import Final

from incroos.kernel import files, vm
from incroos.kernel.abi.arguments import file_of, half, task_of, user_of
from incroos.kernel.abi.errno import EBADF, EFAULT, EINVAL, EMFILE, EPERM, result_of
from incroos.kernel.files import seals
from incroos.kernel.files.descriptors import CLOSE_ON_EXEC, closing_of
from incroos.kernel.files.flags import APPEND, CLOSE_AT_EXEC, NONBLOCK, PATH_ONLY
from incroos.kernel.files.pipes import MOST_ROOM
from incroos.kernel.files.writing import is_writable
from incroos.kernel.state import CONTENT_KIND, MAX_FILES, PIPE_KIND, File, Kernel, Node, table_of
from incroos.lang import VirtAddr, apart, kernel, store16, store32, word

UNSHARE: Final = 2  # flags of close_range
CLOSE_LATER: Final = 4
TAKES_ONE: Final = 1  # EFD_SEMAPHORE
PIPE_FLAGS: Final = NONBLOCK | CLOSE_AT_EXEC

# fcntl
DUPLICATE: Final = 0
GET_FLAGS: Final = 1
SET_FLAGS: Final = 2
GET_STATUS: Final = 3
SET_STATUS: Final = 4
GET_LOCK: Final = 5
SET_LOCK_WAITING: Final = 7
SET_OWNER: Final = 8
GET_OWNER: Final = 9
GET_FILE_LOCK: Final = 36
SET_FILE_LOCK_WAITING: Final = 38
DUPLICATE_CLOSING: Final = 1030
SET_PIPE_BYTES: Final = 1031
ADD_SEALS: Final = 1033
GET_SEALS: Final = 1034
GET_PIPE_BYTES: Final = 1032
LARGE_FILE: Final = 0o100000
LOCK_BYTES: Final = 32  # struct flock
UNLOCKED: Final = 2


@apart
@kernel
def close(k: Kernel, descriptor: word) -> word:
    return result_of(files.close(k, task_of(k), half(descriptor)))


@apart
@kernel
def close_range(k: Kernel, first: word, last: word, flags: word) -> word:
    """Close all descriptors from the first to the last, or with CLOSE_LATER mark them."""
    if half(flags) & ~(UNSHARE | CLOSE_LATER) != 0 or half(first) > half(last):
        return -EINVAL
    for descriptor in range(half(first), min(half(last), MAX_FILES - 1) + 1):
        if file_of(k, descriptor) == 0:
            continue
        if flags & CLOSE_LATER != 0:
            table_of(task_of(k)).descriptors[descriptor].flags = CLOSE_ON_EXEC
        else:
            files.close(k, task_of(k), descriptor)
    return 0


@apart
@kernel
def dup(k: Kernel, descriptor: word) -> word:
    return result_of(files.duplicate(k, task_of(k), half(descriptor), 0, 0))


@apart
@kernel
def dup2(k: Kernel, descriptor: word, wanted: word) -> word:
    if half(descriptor) == half(wanted):
        return half(wanted) if file_of(k, descriptor) != 0 else -EBADF
    return result_of(files.duplicate_to(k, task_of(k), half(descriptor), half(wanted), 0))


@apart
@kernel
def dup3(k: Kernel, descriptor: word, wanted: word, flags: word) -> word:
    if half(flags) & ~CLOSE_AT_EXEC != 0 or half(descriptor) == half(wanted):
        return -EINVAL
    closing = closing_of(flags)
    return result_of(files.duplicate_to(k, task_of(k), half(descriptor), half(wanted), closing))


@apart
@kernel
def fcntl(k: Kernel, descriptor: word, command: word, argument: word) -> word:
    at = file_of(k, descriptor)
    if at == 0:
        return -EBADF
    file = File(k.m, at)
    place = table_of(task_of(k)).descriptors[half(descriptor)]
    wanted = half(command)
    if wanted == DUPLICATE:
        return duplicate_from(k, descriptor, argument, 0)
    if wanted == DUPLICATE_CLOSING:
        return duplicate_from(k, descriptor, argument, CLOSE_ON_EXEC)
    if wanted == GET_FLAGS:
        return place.flags
    if wanted == SET_FLAGS:
        place.flags = argument & CLOSE_ON_EXEC
        return 0
    if wanted == GET_STATUS:
        return file.flags | LARGE_FILE if file.node != 0 else file.flags
    if file.flags & PATH_ONLY != 0:
        return -EBADF
    if wanted == SET_STATUS:
        file.flags = (file.flags & ~(APPEND | NONBLOCK)) | (argument & (APPEND | NONBLOCK))
        return 0
    if is_lock(wanted):
        return lock(k, wanted, argument)
    if wanted == SET_OWNER or wanted == GET_OWNER:
        return 0
    if file.kind == PIPE_KIND and (wanted == GET_PIPE_BYTES or wanted == SET_PIPE_BYTES):
        return MOST_ROOM if wanted == GET_PIPE_BYTES or half(argument) <= MOST_ROOM else -EPERM
    if (wanted == ADD_SEALS or wanted == GET_SEALS) and file.kind == CONTENT_KIND:
        return seal(file, Node(k.m, file.node), wanted, half(argument))
    return -EINVAL


@kernel
def seal(file: File, node: Node, command: word, wanted: word) -> word:
    """Add seals to a file that never had a name, or tell them."""
    if command == GET_SEALS:
        return node.seals if node.label != 0 else -EINVAL
    return result_of(seals.add(node, wanted)) if is_writable(file) else -EPERM


@kernel
def is_lock(command: word) -> bool:
    """Is it a call on record locks, of tasks or of open files?"""
    return GET_LOCK <= command <= SET_LOCK_WAITING or GET_FILE_LOCK <= command <= SET_FILE_LOCK_WAITING


@kernel
def lock(k: Kernel, command: word, at: word) -> word:
    """Record locks are always granted, and nobody ever has one: they keep no tasks apart."""
    if vm.copy_in(user_of(k), k.files.piece, at, LOCK_BYTES) != 0:
        return -EFAULT
    if command == GET_LOCK or command == GET_FILE_LOCK:
        store16(k.m, k.files.piece, UNLOCKED)
        return result_of(vm.copy_out(user_of(k), at, k.files.piece, 2))
    return 0


@kernel
def duplicate_from(k: Kernel, descriptor: word, least: word, flags: word) -> word:
    """F_DUPFD."""
    if not 0 <= half(least) < task_of(k).limit_files:
        return -EINVAL
    return result_of(files.duplicate(k, task_of(k), half(descriptor), half(least), flags))


# ------------------------------------------------------------------ what has no name
@apart
@kernel
def pipe(k: Kernel, to: word) -> word:
    return pipe2(k, to, 0)


@apart
@kernel
def pipe2(k: Kernel, to: word, flags: word) -> word:
    own = task_of(k)
    if half(flags) & ~PIPE_FLAGS != 0:
        return -EINVAL
    first = files.lowest_free(own, 0)
    second = files.lowest_free(own, first + 1) if first >= 0 else first
    if second < 0:
        return -EMFILE
    code, source, target = files.open_pipe(k, half(flags))
    if code != 0:
        return result_of(code)
    closing = closing_of(flags)
    files.put(own, first, File(k.m, source), closing)
    files.put(own, second, File(k.m, target), closing)
    at = k.files.piece
    store32(k.m, at, first)
    store32(k.m, VirtAddr(at + 4), second)
    if vm.copy_out(user_of(k), to, at, 8) != 0:
        files.close(k, own, first)
        files.close(k, own, second)
        return -EFAULT
    return 0


@apart
@kernel
def eventfd(k: Kernel, count: word) -> word:
    return eventfd2(k, count, 0)


@apart
@kernel
def eventfd2(k: Kernel, count: word, flags: word) -> word:
    if half(flags) & ~(PIPE_FLAGS | TAKES_ONE) != 0:
        return -EINVAL
    closing = closing_of(flags)
    return result_of(files.open_counter(k, task_of(k), half(count), flags & TAKES_ONE, half(flags), closing))
