"""Calls on open files: read, write and their kin, ioctl."""

from typing import Final

from incroos.kernel import files, vm
from incroos.kernel.abi import terminal_requests as requests
from incroos.kernel.abi.arguments import (
    MOST_BYTES,
    file_of,
    half,
    task_of,
    used_file_of,
    user_of,
)
from incroos.kernel.abi.errno import EBADF, EFAULT, EINVAL, ENOTTY, ESPIPE, result_of
from incroos.kernel.abi.terminal_calls import WINDOW_BYTES, on_terminal
from incroos.kernel.abi.waiting import end_of_change, finish
from incroos.kernel.codes import BAD_POINTER, BROKEN_PIPE, MUST_WAIT, WOULD_WAIT
from incroos.kernel.files.bytes import no_user
from incroos.kernel.files.descriptors import CLOSE_ON_EXEC
from incroos.kernel.files.flags import ACCESS_MODE, NONBLOCK
from incroos.kernel.files.reading import has_no_position, is_readable
from incroos.kernel.files.terminal_modes import TERMIOS_BYTES
from incroos.kernel.files.writing import is_writable
from incroos.kernel.state import (
    CONTENT_KIND,
    NULL_KIND,
    OUTPUT_KIND,
    PIPE_KIND,
    TERMINAL_KIND,
    Content,
    File,
    Kernel,
    Pipe,
    table_of,
)
from incroos.lang import VirtAddr, apart, fill, kernel, load32, store8, store16, store32, word

MOST_PARTS: Final = 1024  # of readv and writev
PART_BYTES: Final = 16
# ioctl, beside those of terminals
SET_NONBLOCK: Final = 0x5421  # FIONBIO
SET_CLOSE: Final = 0x5451
CLEAR_CLOSE: Final = 0x5450
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
    done = task_of(k).progress
    return finish(k, files.write(k, user_of(k), File(k.m, at), VirtAddr(source), min(nbytes, MOST_BYTES), done))


@apart
@kernel
def pread64(k: Kernel, descriptor: word, to: word, nbytes: word, position: word) -> word:
    at = file_of(k, descriptor)
    if position < 0:
        return -EINVAL
    if at == 0:
        return -EBADF
    if has_no_position(File(k.m, at)):
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
    if has_no_position(File(k.m, at)):
        return -ESPIPE
    if File(k.m, at).flags & ACCESS_MODE == 0:
        return -EBADF
    if not vm.is_user(source, nbytes):
        return -EFAULT
    done = files.write_at(k, user_of(k), File(k.m, at), VirtAddr(source), min(nbytes, MOST_BYTES), position)
    return end_of_change(k, done)


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
            return finish(k, come)
    return finish(k, read_parts(k, file, parts, nr_parts)) if code == 0 else code


@kernel
def read_parts(k: Kernel, file: File, parts: word, nr_parts: word) -> word:
    """Read into one part behind the other, as long as nobody has to wait for more: bytes, or a code."""
    done = 0
    for index in range(nr_parts):
        start, nbytes = part_at(k, parts, index)
        wanted = min(nbytes, MOST_BYTES - done)
        nr_read = files.read(k, user_of(k), file, VirtAddr(start), wanted) if wanted > 0 else 0
        if nr_read < 0:
            return done if done > 0 else nr_read
        done += nr_read
        if nr_read < wanted or (done > 0 and files.would_wait(k, file)):
            return done
    return done


@apart
@kernel
def writev(k: Kernel, descriptor: word, parts: word, nr_parts: word) -> word:
    at = file_of(k, descriptor)
    if at == 0 or File(k.m, at).flags & ACCESS_MODE == 0:
        return -EBADF
    code = check_parts(k, parts, nr_parts)
    return finish(k, write_parts(k, File(k.m, at), parts, nr_parts)) if code == 0 else code


@kernel
def write_parts(k: Kernel, file: File, parts: word, nr_parts: word) -> word:
    """Write one part behind the other, from the call's progress on: bytes, or a code."""
    done = task_of(k).progress
    code = files.await_room(k, file, bytes_of_parts(k, parts, nr_parts), done)
    if code != 0:
        return code
    before = 0
    for index in range(nr_parts):
        start, nbytes = part_at(k, parts, index)
        wanted = min(nbytes, MOST_BYTES - before)
        nr_old = min(max(done - before, 0), wanted)
        nr_written = wanted
        if nr_old < wanted:
            nr_written = files.write(k, user_of(k), file, VirtAddr(start), wanted, nr_old)
        if nr_written == MUST_WAIT or nr_written == BROKEN_PIPE:
            k.files.progress += before
        if nr_written == WOULD_WAIT or nr_written == BAD_POINTER:
            return before if before > 0 else nr_written
        if nr_written < wanted:
            return nr_written if nr_written < 0 else before + nr_written
        before += wanted
    return before


# ------------------------------------------------------------------ what else is done with files
@apart
@kernel
def lseek(k: Kernel, descriptor: word, offset: word, whence: word) -> word:
    at = file_of(k, descriptor)
    return result_of(files.seek(File(k.m, at), offset, half(whence))) if at != 0 else -EBADF


@apart
@kernel
def ioctl(k: Kernel, descriptor: word, request: word, argument: word) -> word:
    at = used_file_of(k, descriptor)
    if at == 0:
        return -EBADF
    file = File(k.m, at)
    wanted = half(request)
    if wanted == SET_CLOSE or wanted == CLEAR_CLOSE:
        table_of(task_of(k)).descriptors[half(descriptor)].flags = CLOSE_ON_EXEC if wanted == SET_CLOSE else 0
        return 0
    if wanted == SET_NONBLOCK:
        return set_nonblock(k, file, argument)
    if wanted == requests.NR_READABLE and file.kind == CONTENT_KIND:
        left = max(Content(k.m, file.content).nbytes - file.position, 0)
        return result_of(vm.store32(user_of(k), argument, min(left, 0x7FFF_FFFF)))
    if file.kind == TERMINAL_KIND:
        return on_terminal(k, wanted, argument)
    if wanted == requests.NR_READABLE and file.kind == PIPE_KIND:
        return result_of(vm.store32(user_of(k), argument, Pipe(k.m, file.pipe).nbytes))
    if file.is_terminal == 0:
        return -ENOTTY
    if wanted == requests.GET_MODES:
        return put_terminal(k, argument)
    if wanted == requests.GET_WINDOW:
        return put_window(k, argument)
    if wanted == requests.GET_GROUP or wanted == requests.SET_GROUP or wanted == requests.GET_SESSION:
        return -ENOTTY  # it is the host's, and controls nobody here
    return 0 if requests.SET_MODES <= wanted <= requests.SET_MODES_AND_FLUSH else -EINVAL


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
    fill(k.m, at, 0, TERMIOS_BYTES)
    store32(k.m, at, 0o2400)  # ICRNL, IXON
    store32(k.m, VirtAddr(at + 4), 0o5)  # OPOST, ONLCR
    store32(k.m, VirtAddr(at + 8), 0o277)  # B38400, CS8, CREAD
    store32(k.m, VirtAddr(at + 12), 0o105073)  # ISIG, ICANON, ECHO, ECHOE, ECHOK, ECHOCTL, ECHOKE, IEXTEN
    store32(k.m, VirtAddr(at + 17), 0x7F1C03 | 0x15 << 24)  # VINTR, VQUIT, VERASE, VKILL
    store8(k.m, VirtAddr(at + 21), 4)  # VEOF
    store8(k.m, VirtAddr(at + 23), 1)  # VMIN
    return result_of(vm.copy_out(user_of(k), to, at, TERMIOS_BYTES))


@kernel
def put_window(k: Kernel, to: word) -> word:
    """struct winsize."""
    at = k.files.piece
    fill(k.m, at, 0, WINDOW_BYTES)
    store16(k.m, at, ROWS)
    store16(k.m, VirtAddr(at + 2), COLUMNS)
    return result_of(vm.copy_out(user_of(k), to, at, WINDOW_BYTES))


@apart
@kernel
def fsync(k: Kernel, descriptor: word) -> word:
    at = used_file_of(k, descriptor)
    if at == 0:
        return -EBADF
    return -EINVAL if has_no_position(File(k.m, at)) else 0


@apart
@kernel
def sendfile(k: Kernel, to: word, source: word, offset: word, nbytes: word) -> word:
    """From a file's content, to what takes bytes from the kernel; whoever asks for more reads and writes instead."""
    at = file_of(k, source)
    target = file_of(k, to)
    if at == 0 or target == 0 or not is_readable(File(k.m, at)) or not is_writable(File(k.m, target)):
        return -EBADF
    file = File(k.m, at)
    if file.kind != CONTENT_KIND or not takes_kernel_bytes(File(k.m, target), file) or nbytes < 0:
        return -EINVAL
    position = file.position
    if offset != 0:
        code, position = vm.load64(user_of(k), offset)
        if code != 0 or position < 0:
            return -EFAULT if code != 0 else -EINVAL
    content = Content(k.m, file.content)
    wanted = min(min(nbytes, MOST_BYTES), content.nbytes - position)
    if wanted <= 0:
        return 0
    content.nr_pins += 1
    done = send(k, File(k.m, target), content, position, wanted)
    content.nr_pins -= 1
    if done > 0 and offset == 0:
        file.position = position + done
    elif done > 0 and vm.store64(user_of(k), offset, position + done) != 0:
        return -EFAULT
    return finish(k, done)


@kernel
def send(k: Kernel, target: File, content: Content, position: word, nbytes: word) -> word:
    """Write bytes of a content, as many as lie in a row at a time: how many; the code of the first that is refused."""
    done = 0
    while done < nbytes:
        given, nr_there = vm.bytes_at(k, content, position + done)
        part = min(nr_there, nbytes - done)
        nr_written = files.write(k, no_user(k), target, given, part, 0)
        if nr_written == MUST_WAIT and k.files.progress > 0:
            nr_written = k.files.progress
        if nr_written < part:
            return done + nr_written if nr_written > 0 else done if done > 0 else nr_written
        done += part
    return done


@kernel
def takes_kernel_bytes(target: File, source: File) -> bool:
    """Whether a file can be written from the kernel's memory; not one from its own content, which may move."""
    if target.node != 0 and target.node == source.node:
        return False
    kind = target.kind
    return kind == CONTENT_KIND or kind == PIPE_KIND or kind == OUTPUT_KIND or kind == NULL_KIND


@apart
@kernel
def splice(k: Kernel, source: word, source_offset: word, to: word) -> word:
    """splice, copy_file_range: whoever asks reads and writes instead, as where files do not support it."""
    return -EBADF if file_of(k, to) == 0 or file_of(k, source) == 0 else -EINVAL


@apart
@kernel
def tee(k: Kernel, source: word, to: word) -> word:
    return -EBADF if file_of(k, to) == 0 or file_of(k, source) == 0 else -EINVAL


@apart
@kernel
def advise(k: Kernel, descriptor: word) -> word:
    """fadvise64, flock, readahead: all is in memory, and nobody else is there."""
    return 0 if file_of(k, descriptor) != 0 else -EBADF
