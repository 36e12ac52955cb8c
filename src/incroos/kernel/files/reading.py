"""Reading files: bytes go to a program's memory, where a bad pointer ends it with what was copied before.

Unit: the byte. Contents are copied from where they lie; what comes from the host waits in the input
buffer until it is copied, so that a bad pointer loses nothing.
"""

from typing import Final

from incroos.kernel import state, vm
from incroos.kernel.codes import BAD_ARGUMENT, BAD_DESCRIPTOR, BAD_POINTER, IS_FOLDER, NO_DEVICE, NO_POSITION
from incroos.kernel.devices import channels, idle, timer
from incroos.kernel.files import events, nodes, pipes, proc, terminal, times, waits
from incroos.kernel.files.flags import ACCESS_MODE, PATH_ONLY, WRITE_ONLY
from incroos.kernel.files.random import next_word
from incroos.kernel.state import (
    CONTENT_KIND,
    EVENT_KIND,
    FULL_KIND,
    INPUT_KIND,
    INTEREST_KIND,
    NULL_KIND,
    OUTPUT_KIND,
    PAGEMAP_KIND,
    PIPE_KIND,
    RANDOM_KIND,
    TERMINAL_KIND,
    TEXT_KIND,
    ZERO_KIND,
    Content,
    File,
    Kernel,
    Node,
    Pipe,
    UserSpace,
)
from incroos.lang import VirtAddr, kernel, store64, word

PIECE_BYTES: Final = 0x4000  # of the buffer through which bytes go

# whence of seek
FROM_START: Final = 0
FROM_HERE: Final = 1
FROM_END: Final = 2
TO_DATA: Final = 3
TO_HOLE: Final = 4
MOST_POSITION: Final = (1 << 63) - 1


@kernel
def is_readable(file: File) -> bool:
    """Was it opened for reading?"""
    return file.flags & ACCESS_MODE != WRITE_ONLY and file.flags & PATH_ONLY == 0


@kernel
def read(k: Kernel, user: UserSpace, file: File, to: VirtAddr, nbytes: word) -> word:
    """Read at the file's position, and move it: how many bytes.

    BAD_DESCRIPTOR, IS_FOLDER, BAD_POINTER, INPUT_FAILED, BAD_ARGUMENT, MUST_WAIT, WOULD_WAIT.
    """
    if not is_readable(file):
        return BAD_DESCRIPTOR
    match file.kind:
        case state.TEXT_KIND | state.PAGEMAP_KIND:
            return proc.read(k, user, file, to, nbytes)
        case state.CONTENT_KIND:
            done = read_content(k, user, file, to, nbytes, file.position)
            file.position += max(done, 0)
            return done
        case state.ZERO_KIND | state.FULL_KIND:
            return read_zeros(user, to, nbytes)
        case state.RANDOM_KIND:
            return read_random(k, user, to, nbytes)
        case state.NULL_KIND:
            return 0
        case state.FOLDER_KIND:
            return IS_FOLDER
        case state.PIPE_KIND:
            return pipes.read(k, user, file, to, nbytes)
        case state.TERMINAL_KIND:
            k.files.nr_input_reads += 1
            return terminal.read(k, user, file, to, nbytes)
        case state.EVENT_KIND:
            return events.read(k, user, file, to, nbytes)
        case state.INTEREST_KIND:
            return BAD_ARGUMENT
        case _:
            k.files.nr_input_reads += 1
            return read_input(k, user, file, to, nbytes)


@kernel
def read_at(k: Kernel, user: UserSpace, file: File, to: VirtAddr, nbytes: word, position: word) -> word:
    """Read at a position, and leave the file's where it is. As read; BAD_ARGUMENT, NO_POSITION."""
    if position < 0:
        return BAD_ARGUMENT
    if not is_readable(file):
        return BAD_DESCRIPTOR
    if file.kind == CONTENT_KIND:
        return read_content(k, user, file, to, nbytes, position)
    if is_of_proc(file):
        return proc.read_at(k, user, file, to, nbytes, position)
    return NO_POSITION if has_no_position(file) else read(k, user, file, to, nbytes)


@kernel
def has_no_position(file: File) -> bool:
    """Can nobody seek in it?"""
    return is_standard(file) or file.kind == PIPE_KIND or file.kind == EVENT_KIND or file.kind == INTEREST_KIND


@kernel
def is_of_proc(file: File) -> bool:
    """Is it made when it is read, so that nobody knows where it ends?"""
    return file.kind == TEXT_KIND or file.kind == PAGEMAP_KIND


@kernel
def is_device(kind: word) -> bool:
    """Is it one of the devices of /dev, in which all positions are one?"""
    return kind == NULL_KIND or kind == ZERO_KIND or kind == FULL_KIND or kind == RANDOM_KIND


@kernel
def is_standard(file: File) -> bool:
    """Is it one of the host's descriptors, or the terminal?"""
    return file.kind == INPUT_KIND or file.kind == OUTPUT_KIND or file.kind == TERMINAL_KIND


@kernel
def read_content(k: Kernel, user: UserSpace, file: File, to: VirtAddr, nbytes: word, position: word) -> word:
    """Copy bytes of a content: how many, or BAD_POINTER if none could be."""
    content = Content(file.m, file.content)
    times.note_read(k, Node(k.m, file.node))
    wanted = min(nbytes, content.nbytes - position)
    if wanted <= 0:
        return 0
    content.nr_pins += 1
    done = 0
    while done < wanted:
        source, nr_there = vm.bytes_at(k, content, position + done)
        part = min(nr_there, wanted - done)
        nr_copied = vm.copy_out_some(user, VirtAddr(to + done), source, part)
        done += nr_copied
        if nr_copied < part:
            wanted = done
    content.nr_pins -= 1
    return done if done > 0 else BAD_POINTER


@kernel
def read_zeros(user: UserSpace, to: VirtAddr, nbytes: word) -> word:
    """Write zeros over a program's memory: how many, or BAD_POINTER if none could be."""
    done = vm.clear_out_some(user, to, nbytes)
    return done if done > 0 or nbytes == 0 else BAD_POINTER


@kernel
def read_random(k: Kernel, user: UserSpace, to: VirtAddr, nbytes: word) -> word:
    """Fill a program's memory with random bytes: how many, or BAD_POINTER if none could be."""
    done = 0
    while done < nbytes:
        part = min(PIECE_BYTES, nbytes - done)
        for index in range((part + 7) // 8):
            store64(k.m, VirtAddr(k.files.piece + 8 * index), next_word(k))
        nr_copied = vm.copy_out_some(user, VirtAddr(to + done), k.files.piece, part)
        done += nr_copied
        if nr_copied < part:
            return done if done > 0 else BAD_POINTER
    return done


@kernel
def read_input(k: Kernel, user: UserSpace, file: File, to: VirtAddr, nbytes: word) -> word:
    """Take what the host's descriptor 0 gives, once: a regular file gives all that is asked for, to its end."""
    if file.kind != INPUT_KIND:
        return BAD_DESCRIPTOR
    done = 0
    while done < nbytes:
        nr_come = fill_input(k, file, nbytes - done)
        if nr_come <= 0:
            return done if done > 0 else nr_come
        part = min(nr_come, nbytes - done)
        nr_copied = vm.copy_out_some(user, VirtAddr(to + done), VirtAddr(k.files.input + k.files.input_start), part)
        k.files.input_start += nr_copied
        done += nr_copied
        if nr_copied < part:
            return done if done > 0 else BAD_POINTER
        if not is_regular(file):
            return done
    return done


@kernel
def is_regular(file: File) -> bool:
    """Whether a regular file of the host stands behind it: the host never waits for one."""
    return file.mode & nodes.FORMAT_BITS == nodes.REGULAR


@kernel
def fill_input(k: Kernel, file: File, nbytes: word) -> word:
    """Ask the host if nothing waits in the buffer: how many bytes wait, 0 at the end of the file.

    INPUT_FAILED; MUST_WAIT, WOULD_WAIT where the host has nothing yet.
    """
    files = k.files
    if files.input_start == files.input_end:
        files.input_start = 0
        files.input_end = 0
        channels.ask_input(k, min(nbytes, channels.MOST_INPUT))
        if is_regular(file):
            idle.wait_for_input(k)
        elif not channels.has_input(k):
            return waits.wait_unless_nonblocking(k, file, VirtAddr(state.INPUT), 0)
        nr_come = channels.take_input(k, files.input, channels.MOST_INPUT)
        if nr_come <= 0:
            return nr_come
        files.input_end = nr_come
    return files.input_end - files.input_start


@kernel
def may_read_input(k: Kernel, file: File) -> bool:
    """Whether a read of the host's input would not wait. To know that, a byte must be asked for."""
    if is_regular(file) or k.files.input_start != k.files.input_end:
        return True
    channels.ask_input(k, 1)
    if not channels.has_input(k):
        idle.idle(k, timer.TICK)  # the host may have one, and must have had the time to say so
    return channels.has_input(k)


@kernel
def is_input_asked(k: Kernel) -> bool:
    """Whether input may come: somebody has asked for it, and it was not taken."""
    return k.devices.nr_asked != 0 or k.devices.nr_coming != 0 or k.devices.has_serial_input != 0


@kernel
def has_input(k: Kernel) -> bool:
    """Whether input has come that nobody has taken."""
    return k.files.input_start != k.files.input_end or channels.has_input(k)


@kernel
def await_input(k: Kernel, file: File, nbytes: word) -> word:
    """Ask for so many bytes at once, for a read in parts: as fill_input; 1 of a file that nobody waits for."""
    return fill_input(k, file, nbytes) if file.kind == INPUT_KIND and nbytes > 0 else 1


@kernel
def would_wait(k: Kernel, file: File) -> bool:
    """Whether a read would have to wait for what nobody has written yet: what is no regular file, and has come."""
    if file.kind == TERMINAL_KIND:
        return not terminal.can_read(k)
    if file.kind == PIPE_KIND:
        return Pipe(k.m, file.pipe).nbytes == 0
    return file.kind == INPUT_KIND and not is_regular(file) and k.files.input_start == k.files.input_end


@kernel
def seek(file: File, offset: word, whence: word) -> word:
    """Move the position of a file: where it is now. NO_POSITION, BAD_ARGUMENT, BAD_DESCRIPTOR, NO_DEVICE."""
    if file.flags & PATH_ONLY != 0:
        return BAD_DESCRIPTOR
    if file.kind == EVENT_KIND or file.kind == INTEREST_KIND:
        return 0  # as on Linux; they have no position all the same
    if has_no_position(file):
        return NO_POSITION
    if (whence == TO_DATA or whence == TO_HOLE) and file.kind == CONTENT_KIND:
        return seek_in_content(file, offset, whence)
    start = 0
    if whence == FROM_HERE:
        start = file.position
    elif whence == FROM_END and file.kind == CONTENT_KIND:
        start = Content(file.m, file.content).nbytes
    elif whence != FROM_START and (whence != FROM_END or is_of_proc(file)):
        return BAD_ARGUMENT
    if offset > MOST_POSITION - start or offset < -start:
        return BAD_ARGUMENT
    if is_device(file.kind):
        return 0
    file.position = start + offset
    return file.position


@kernel
def seek_in_content(file: File, offset: word, whence: word) -> word:
    """Move to the next data or hole: where it is; NO_DEVICE where there is none, as behind the end."""
    content = Content(file.m, file.content)
    if not 0 <= offset < content.nbytes:
        return NO_DEVICE
    found = vm.next_data(content, offset) if whence == TO_DATA else vm.next_hole(content, offset)
    if whence == TO_DATA and found >= content.nbytes:
        return NO_DEVICE
    file.position = found
    return found
