"""Writing: what becomes of bytes depends on the kind of the open file.

Unit: the byte. A bad pointer ends a write with what was copied before.
"""

from incroos.kernel import state
from incroos.kernel.codes import BAD_ARGUMENT, BAD_DESCRIPTOR, BAD_POINTER, NO_POSITION, NO_SPACE
from incroos.kernel.devices import channels
from incroos.kernel.files import contents, events, pipes, proc, terminal
from incroos.kernel.files.bytes import take_some
from incroos.kernel.files.flags import ACCESS_MODE, APPEND, PATH_ONLY
from incroos.kernel.files.reading import PIECE_BYTES, has_no_position
from incroos.kernel.state import CONTENT_KIND, File, Kernel, Node, UserSpace
from incroos.lang import VirtAddr, kernel, word


@kernel
def is_writable(file: File) -> bool:
    """Was it opened for writing?"""
    return file.flags & ACCESS_MODE != 0 and file.flags & PATH_ONLY == 0


@kernel
def write(k: Kernel, user: UserSpace, file: File, source: VirtAddr, nbytes: word, done: word) -> word:
    """Write bytes of a program's memory, of which `done` are written already: how many of all.

    BAD_DESCRIPTOR if it is not open for that; BAD_POINTER, BAD_ARGUMENT, MUST_WAIT, WOULD_WAIT, BROKEN_PIPE.
    """
    if not is_writable(file):
        return BAD_DESCRIPTOR
    match file.kind:
        case state.OUTPUT_KIND:
            return write_output(k, user, file.channel, source, nbytes)
        case state.CONTENT_KIND:
            return write_content(k, user, file, source, nbytes)
        case state.TEXT_KIND:
            return proc.write(k, user, file, source, nbytes)
        case state.FULL_KIND:
            return NO_SPACE if nbytes > 0 else 0
        case state.PIPE_KIND:
            return pipes.write(k, user, file, source, nbytes, done)
        case state.TERMINAL_KIND:
            return terminal.write(k, user, file, source, nbytes)
        case state.EVENT_KIND:
            return events.write(k, user, file, source, nbytes)
        case state.INTEREST_KIND:
            return BAD_ARGUMENT
        case _:
            return nbytes  # a device that takes everything


@kernel
def write_content(k: Kernel, user: UserSpace, file: File, source: VirtAddr, nbytes: word) -> word:
    """Write at a file's position, or at its end where that was asked for, and move it."""
    node = Node(k.m, file.node)
    position = node.content.nbytes if file.flags & APPEND != 0 else file.position
    done = contents.write(k, user, node, source, nbytes, position)
    if done > 0:
        file.position = position + done
    return done


@kernel
def write_at(k: Kernel, user: UserSpace, file: File, source: VirtAddr, nbytes: word, position: word) -> word:
    """Write at a position, and leave the file's where it is; as write. With APPEND at the end, as on Linux."""
    if position < 0:
        return BAD_ARGUMENT
    if not is_writable(file):
        return BAD_DESCRIPTOR
    if file.kind != CONTENT_KIND:
        return NO_POSITION if has_no_position(file) else write(k, user, file, source, nbytes, 0)
    node = Node(k.m, file.node)
    at = node.content.nbytes if file.flags & APPEND != 0 else position
    return contents.write(k, user, node, source, nbytes, at)


@kernel
def write_output(k: Kernel, user: UserSpace, channel: word, source: VirtAddr, nbytes: word) -> word:
    """Give bytes to the host, through the kernel's buffer: how many, or BAD_POINTER if none could be read."""
    done = 0
    while done < nbytes:
        part = min(PIECE_BYTES, nbytes - done)
        nr_copied = take_some(user, k.files.piece, source + done, part)
        channels.put_output(k, channel, k.files.piece, nr_copied)
        done += nr_copied
        if nr_copied < part:
            return done if done > 0 else BAD_POINTER
    return done
