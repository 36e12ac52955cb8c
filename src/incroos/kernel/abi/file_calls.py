"""Calls on open files: read, write and their kin, descriptors, ioctl."""

from typing import Final

from incroos.kernel import files, vm
from incroos.kernel.abi.arguments import (
    MOST_BYTES,
    file_of,
    half,
    task_of,
    user_of,
)
from incroos.kernel.abi.errno import EBADF, EFAULT, EINVAL, ENODEV, ENOTTY, ESPIPE, result_of
from incroos.kernel.abi.terminal_calls import on_terminal
from incroos.kernel.abi.waiting import finish
from incroos.kernel.files.descriptors import CLOSE_ON_EXEC
from incroos.kernel.files.opening import ACCESS_MODE, APPEND, CLOSE_AT_EXEC, PATH_ONLY
from incroos.kernel.files.reading import is_readable, is_standard
from incroos.kernel.state import CONTENT_KIND, MAX_FILES, TERMINAL_KIND, Content, File, Kernel
from incroos.lang import VirtAddr, apart, fill, kernel, load32, store8, store16, store32, word

MOST_PARTS: Final = 1024  # of readv and writev
PART_BYTES: Final = 16
UNSHARE: Final = 2  # flags of close_range
CLOSE_LATER: Final = 4

# fcntl
DUPLICATE: Final = 0
GET_FLAGS: Final = 1
SET_FLAGS: Final = 2
GET_STATUS: Final = 3
SET_STATUS: Final = 4
DUPLICATE_CLOSING: Final = 1030
NONBLOCK: Final = 0o4000
LARGE_FILE: Final = 0o100000

# ioctl
GET_TERMINAL: Final = 0x5401  # TCGETS
SET_TERMINAL: Final = 0x5402  # TCSETS, and two more
SET_TERMINAL_LAST: Final = 0x5404
GET_GROUP: Final = 0x540F
GET_WINDOW: Final = 0x5413
BYTES_READY: Final = 0x541B
SET_NONBLOCK: Final = 0x5421  # FIONBIO
SET_CLOSE: Final = 0x5451
CLEAR_CLOSE: Final = 0x5450
TERMINAL_BYTES: Final = 36
ROWS: Final = 24
COLUMNS: Final = 80


@apart
@kernel
def read(k: Kernel, descriptor: word, to: word, nbytes: word) -> word:
    at = file_of(k, descriptor)
    if at == 0 or not is_readable(File(k.m, at)):
        return -EBADF
    if not vm.is_user(to, nbytes):
        return -EFAULT
    return finish(k, files.read(k, user_of(k), File(k.m, at), VirtAddr(to), min(nbytes, MOST_BYTES)))


@apart
@kernel
def write(k: Kernel, descriptor: word, source: word, nbytes: word) -> word:
    at = file_of(k, descriptor)
    if at == 0 or File(k.m, at).flags & ACCESS_MODE == 0:
        return -EBADF
    if not vm.is_user(source, nbytes):
        return -EFAULT
    return finish(k, files.write(k, user_of(k), File(k.m, at), VirtAddr(source), min(nbytes, MOST_BYTES)))


@apart
@kernel
def pread64(k: Kernel, descriptor: word, to: word, nbytes: word, position: word) -> word:
    at = file_of(k, descriptor)
    if position < 0:
        return -EINVAL
    if at == 0:
        return -EBADF
    if is_standard(File(k.m, at)):
        return -ESPIPE
    if not is_readable(File(k.m, at)):
        return -EBADF
    if not vm.is_user(to, nbytes):
        return -EFAULT
    done = files.read_at(k, user_of(k), File(k.m, at), VirtAddr(to), min(nbytes, MOST_BYTES), position)
    return result_of(done)


@apart
@kernel
def pwrite64(k: Kernel, descriptor: word, source: word, nbytes: word, position: word) -> word:
    at = file_of(k, descriptor)
    if position < 0:
        return -EINVAL
    if at == 0:
        return -EBADF
    return -ESPIPE if is_standard(File(k.m, at)) else write(k, descriptor, source, nbytes)


# ------------------------------------------------------------------ in parts
@kernel
def check_parts(k: Kernel, parts: word, nr_parts: word) -> word:
    """0 if an array of so many parts can be used; -EINVAL, -EFAULT."""
    if not 0 <= nr_parts <= MOST_PARTS:
        return -EINVAL
    if not vm.is_user(parts, nr_parts * PART_BYTES):
        return -EFAULT
    for index in range(nr_parts):
        first, start = vm.load64(user_of(k), VirtAddr(parts + index * PART_BYTES))
        second, nbytes = vm.load64(user_of(k), VirtAddr(parts + index * PART_BYTES + 8))
        if first != 0 or second != 0:
            return -EFAULT
        if nbytes < 0:
            return -EINVAL
        if not vm.is_user(start, nbytes):
            return -EFAULT
    return 0


@kernel
def part_at(k: Kernel, parts: word, index: word) -> tuple[word, word]:
    """Start and bytes of a part; no bytes if it cannot be read any more."""
    _first, start = vm.load64(user_of(k), VirtAddr(parts + index * PART_BYTES))
    code, nbytes = vm.load64(user_of(k), VirtAddr(parts + index * PART_BYTES + 8))
    return start, nbytes if code == 0 else 0


@kernel
def bytes_of_parts(k: Kernel, parts: word, nr_parts: word) -> word:
    """The bytes of all parts together."""
    nbytes = 0
    for index in range(nr_parts):
        _start, more = part_at(k, parts, index)
        nbytes = min(nbytes + more, MOST_BYTES)
    return nbytes


@apart
@kernel
def readv(k: Kernel, descriptor: word, parts: word, nr_parts: word) -> word:
    at = file_of(k, descriptor)
    if at == 0 or not is_readable(File(k.m, at)):
        return -EBADF
    file = File(k.m, at)
    code = check_parts(k, parts, nr_parts)
    if code == 0:
        come = files.await_input(k, file, bytes_of_parts(k, parts, nr_parts))
        if come <= 0:
            return result_of(come)
    done = 0
    index = 0
    while code == 0 and index < nr_parts:
        start, nbytes = part_at(k, parts, index)
        wanted = min(nbytes, MOST_BYTES - done)
        nr_read = read(k, descriptor, start, wanted) if wanted > 0 else 0
        if nr_read < 0:
            return done if done > 0 else nr_read
        done += nr_read
        goes_on = nr_read == wanted and (done == 0 or not files.would_wait(k, file))
        index = index + 1 if goes_on else nr_parts
    return done if code == 0 else code


@apart
@kernel
def writev(k: Kernel, descriptor: word, parts: word, nr_parts: word) -> word:
    at = file_of(k, descriptor)
    if at == 0 or File(k.m, at).flags & ACCESS_MODE == 0:
        return -EBADF
    code = check_parts(k, parts, nr_parts)
    done = 0
    index = 0
    while code == 0 and index < nr_parts:
        start, nbytes = part_at(k, parts, index)
        wanted = min(nbytes, MOST_BYTES - done)
        nr_written = write(k, descriptor, start, wanted) if wanted > 0 else 0
        if nr_written < 0:
            return done if done > 0 else nr_written
        done += nr_written
        index = index + 1 if nr_written == wanted else nr_parts
    return done if code == 0 else code


# ------------------------------------------------------------------ descriptors
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
            task_of(k).descriptors[descriptor].flags = CLOSE_ON_EXEC
        else:
            files.close(k, task_of(k), descriptor)
    return 0


@apart
@kernel
def lseek(k: Kernel, descriptor: word, offset: word, whence: word) -> word:
    at = file_of(k, descriptor)
    return result_of(files.seek(File(k.m, at), offset, half(whence))) if at != 0 else -EBADF


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
    closing = CLOSE_ON_EXEC if flags & CLOSE_AT_EXEC != 0 else 0
    return result_of(files.duplicate_to(k, task_of(k), half(descriptor), half(wanted), closing))


@apart
@kernel
def fcntl(k: Kernel, descriptor: word, command: word, argument: word) -> word:
    at = file_of(k, descriptor)
    if at == 0:
        return -EBADF
    file = File(k.m, at)
    place = task_of(k).descriptors[half(descriptor)]
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
    return -EINVAL


@kernel
def duplicate_from(k: Kernel, descriptor: word, least: word, flags: word) -> word:
    """F_DUPFD."""
    if half(least) >= MAX_FILES:
        return -EINVAL
    return result_of(files.duplicate(k, task_of(k), half(descriptor), half(least), flags))


@apart
@kernel
def ioctl(k: Kernel, descriptor: word, request: word, argument: word) -> word:
    at = file_of(k, descriptor)
    if at == 0 or File(k.m, at).flags & PATH_ONLY != 0:
        return -EBADF
    file = File(k.m, at)
    wanted = half(request)
    if wanted == SET_CLOSE or wanted == CLEAR_CLOSE:
        task_of(k).descriptors[half(descriptor)].flags = CLOSE_ON_EXEC if wanted == SET_CLOSE else 0
        return 0
    if wanted == SET_NONBLOCK:
        return set_nonblock(k, file, argument)
    if wanted == BYTES_READY and file.kind == CONTENT_KIND:
        left = max(Content(k.m, file.content).nbytes - file.position, 0)
        return result_of(vm.store32(user_of(k), argument, min(left, 0x7FFF_FFFF)))
    if file.kind == TERMINAL_KIND:
        return on_terminal(k, wanted, argument)
    if file.is_terminal == 0:
        return -ENOTTY
    if wanted == GET_TERMINAL:
        return put_terminal(k, argument)
    if wanted == GET_WINDOW:
        return put_window(k, argument)
    if wanted == GET_GROUP:
        return result_of(vm.store32(user_of(k), argument, task_of(k).number))
    return 0 if SET_TERMINAL <= wanted <= SET_TERMINAL_LAST else -EINVAL


@kernel
def set_nonblock(k: Kernel, file: File, source: word) -> word:
    """FIONBIO: O_NONBLOCK as an int says."""
    at = k.files.piece
    if vm.copy_in(user_of(k), at, source, 4) != 0:
        return -EFAULT
    file.flags = (file.flags & ~NONBLOCK) | (NONBLOCK if load32(k.m, at) != 0 else 0)
    return 0


@kernel
def put_terminal(k: Kernel, to: word) -> word:
    """struct termios of a terminal in its usual mode."""
    at = k.files.piece
    fill(k.m, at, 0, TERMINAL_BYTES)
    store32(k.m, at, 0o2400)  # ICRNL, IXON
    store32(k.m, VirtAddr(at + 4), 0o5)  # OPOST, ONLCR
    store32(k.m, VirtAddr(at + 8), 0o277)  # B38400, CS8, CREAD
    store32(k.m, VirtAddr(at + 12), 0o105073)  # ISIG, ICANON, ECHO, ECHOE, ECHOK, ECHOCTL, ECHOKE, IEXTEN
    store32(k.m, VirtAddr(at + 17), 0x7F1C03 | 0x15 << 24)  # VINTR, VQUIT, VERASE, VKILL
    store8(k.m, VirtAddr(at + 21), 4)  # VEOF
    store8(k.m, VirtAddr(at + 23), 1)  # VMIN
    return result_of(vm.copy_out(user_of(k), to, at, TERMINAL_BYTES))


@kernel
def put_window(k: Kernel, to: word) -> word:
    """struct winsize."""
    at = k.files.piece
    fill(k.m, at, 0, 8)
    store16(k.m, at, ROWS)
    store16(k.m, VirtAddr(at + 2), COLUMNS)
    return result_of(vm.copy_out(user_of(k), to, at, 8))


@apart
@kernel
def fsync(k: Kernel, descriptor: word) -> word:
    at = file_of(k, descriptor)
    if at == 0 or File(k.m, at).flags & PATH_ONLY != 0:
        return -EBADF
    return -EINVAL if is_standard(File(k.m, at)) else 0


@apart
@kernel
def ftruncate(k: Kernel, descriptor: word, nbytes: word) -> word:
    if nbytes < 0:
        return -EINVAL
    return -EINVAL if file_of(k, descriptor) != 0 else -EBADF


@apart
@kernel
def sendfile(k: Kernel, to: word, source: word) -> word:
    """Whoever asks reads and writes instead, as where files do not support it."""
    return -EBADF if file_of(k, to) == 0 or file_of(k, source) == 0 else -EINVAL


@apart
@kernel
def advise(k: Kernel, descriptor: word) -> word:
    """fadvise64, flock, readahead: all is in memory, and nobody else is there."""
    return 0 if file_of(k, descriptor) != 0 else -EBADF


@apart
@kernel
def fallocate(k: Kernel, descriptor: word) -> word:
    at = file_of(k, descriptor)
    return -EBADF if at == 0 or File(k.m, at).flags & ACCESS_MODE == 0 else -ENODEV
