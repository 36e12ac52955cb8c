"""Pipes and FIFOs: a ring of bytes that open files write into and read from.

    ring    ... | start: the next byte to be read ... | start + nbytes: the next one to be written ... | room
            positions go round; it begins with LEAST_ROOM and doubles when more is written, up to MOST_ROOM

Up to ATOMIC_BYTES are written together or not at all; more may be written in parts. A read copies out before it
consumes. Nobody waits here: see waits.py. Where there is no memory for a larger ring the old one must do.

Opening a FIFO waits for somebody at the other end. The call is made anew, so whoever waits is no open file yet: it is
the tasks that say who is coming (fifos.py).

Unit: the byte.
"""

from typing import Final

from incroos.kernel import heap, pmm, vm
from incroos.kernel.codes import BAD_POINTER, BROKEN_PIPE, OK
from incroos.kernel.files import fifos
from incroos.kernel.files.bytes import take_some
from incroos.kernel.files.flags import ACCESS_MODE, READ_WRITE, WRITE_ONLY
from incroos.kernel.files.waits import note_change, wait_unless_nonblocking
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import PIPE_KIND, File, Kernel, Pipe, UserSpace
from incroos.lang import VirtAddr, copy, kernel, word

# PIPES-1  nbytes <= room, start < room, room a power of two from LEAST_ROOM to MOST_ROOM, if the pipe has a ring
# PIPES-2  nr_readers and nr_writers are the open files that can read and write; with none of either a pipe is no more
# PIPES-3  nr_pipe_bytes == sum of room over all pipes

LEAST_ROOM: Final = 4096
MOST_ROOM: Final = 0x1_0000
ATOMIC_BYTES: Final = 4096  # PIPE_BUF
SHARE: Final = 8  # of the RAM, at most, is in rings that have grown


# ------------------------------------------------------------------ ends
@kernel
def create(k: Kernel) -> VirtAddr:
    """A pipe that nobody has open, and without a ring; 0 without memory."""
    at = heap.kzalloc(k, Pipe.SIZE)
    if at != 0:
        k.files.next_inode += 1
        Pipe(k.m, at).inode = k.files.next_inode
    return at


@kernel
def has_ring(k: Kernel, pipe: Pipe) -> bool:
    """Let the pipe have a ring, if it has none. False: there is no memory for one."""
    if pipe.data == 0:
        pipe.data = heap.kmalloc(k, LEAST_ROOM)
        if pipe.data == 0:
            return False
        pipe.room = LEAST_ROOM
        pipe.start = 0
        pipe.nbytes = 0
        k.files.nr_pipe_bytes += LEAST_ROOM
    return True


@kernel
def free_ring(k: Kernel, pipe: Pipe) -> None:
    """Give the ring back, with what is in it."""
    heap.kfree(k, pipe.data)
    k.files.nr_pipe_bytes -= pipe.room
    pipe.data = VirtAddr(0)
    pipe.room = 0
    pipe.nbytes = 0


@kernel
def reads(file: File) -> word:
    """1 if the open file is an end to read from, else 0."""
    return 0 if file.flags & ACCESS_MODE == WRITE_ONLY else 1


@kernel
def writes(file: File) -> word:
    """1 if it is an end to write to, else 0."""
    mode = file.flags & ACCESS_MODE
    return 1 if mode == WRITE_ONLY or mode == READ_WRITE else 0


@kernel
def attach(k: Kernel, file: File, pipe: Pipe) -> None:
    """Let an open file be an end of the pipe, as its flags say. PRE it has a ring."""
    file.pipe = pipe.addr
    pipe.nr_readers += reads(file)
    pipe.nr_writers += writes(file)
    pipe.nr_opened_to_write += writes(file)


@kernel
def detach(k: Kernel, file: File) -> None:
    """An end is closed: with the last one what is in the pipe is lost."""
    pipe = Pipe(k.m, file.pipe)
    pipe.nr_readers -= reads(file)
    pipe.nr_writers -= writes(file)
    pipe.nr_arrivals += 1
    pipe.nr_departures += 1
    note_change(k, pipe.addr)
    if not has_readers(k, pipe) and not has_writers(k, pipe):
        free_ring(k, pipe)
        if pipe.node == 0:
            heap.kfree(k, pipe.addr)


@kernel
def has_readers(k: Kernel, pipe: Pipe) -> bool:
    """Whether somebody reads, or will."""
    return pipe.nr_readers > 0 or fifos.is_coming(k, pipe, fifos.READER)


@kernel
def has_writers(k: Kernel, pipe: Pipe) -> bool:
    """Whether somebody writes, or will."""
    return pipe.nr_writers > 0 or fifos.is_coming(k, pipe, fifos.WRITER)


# ------------------------------------------------------------------ writing
@kernel
def write(k: Kernel, user: UserSpace, file: File, source: word, nbytes: word, done: word) -> word:
    """Write bytes, of which `done` are in the pipe already: how many of all.

    MUST_WAIT, WOULD_WAIT, BAD_POINTER; BROKEN_PIPE, and FilesState.progress says what is in it.
    """
    pipe = Pipe(k.m, file.pipe)
    while done < nbytes:
        if not has_readers(k, pipe):
            k.files.progress = done
            return BROKEN_PIPE
        part = min(room_for(k, pipe, nbytes - done), nbytes - done)
        if part == 0 or (nbytes <= ATOMIC_BYTES and part < nbytes - done):
            return wait_unless_nonblocking(k, file, pipe.addr, done)
        nr_put = put_some(user, pipe, source + done, part)
        done += nr_put
        if nr_put > 0:
            pipe.nr_arrivals += 1
            note_change(k, pipe.addr)
        if nr_put < part:
            return done if done > 0 else BAD_POINTER
    return done


@kernel
def await_room(k: Kernel, file: File, nbytes: word, done: word) -> word:
    """OK if bytes of several parts can be written together that must be, as write waits for those of one; its codes."""
    if file.kind != PIPE_KIND or nbytes == 0 or nbytes > ATOMIC_BYTES or not has_readers(k, Pipe(k.m, file.pipe)):
        return OK
    is_room = room_for(k, Pipe(k.m, file.pipe), nbytes) >= nbytes
    return OK if is_room else wait_unless_nonblocking(k, file, file.pipe, done)


@kernel
def room_for(k: Kernel, pipe: Pipe, nbytes: word) -> word:
    """How many bytes can be written at once; the ring grows if so many do not fit."""
    while pipe.room - pipe.nbytes < nbytes and pipe.room < MOST_ROOM:
        if not grow(k, pipe):
            break
    return pipe.room - pipe.nbytes


@kernel
def grow(k: Kernel, pipe: Pipe) -> bool:
    """Let the ring be twice as large. False, and nothing has changed: there is no memory, or rings have their share."""
    if k.files.nr_pipe_bytes + pipe.room > pmm.nr_total_frames(k) * PAGE_BYTES // SHARE:
        return False
    fresh = heap.kmalloc(k, 2 * pipe.room)
    if fresh == 0:
        return False
    first = min(pipe.nbytes, pipe.room - pipe.start)
    copy(k.m, fresh, VirtAddr(pipe.data + pipe.start), first)
    copy(k.m, VirtAddr(fresh + first), pipe.data, pipe.nbytes - first)
    heap.kfree(k, pipe.data)
    k.files.nr_pipe_bytes += pipe.room
    pipe.data = fresh
    pipe.room *= 2
    pipe.start = 0
    return True


@kernel
def put_some(user: UserSpace, pipe: Pipe, source: word, nbytes: word) -> word:
    """Put a caller's bytes behind those in the ring, up to the first that cannot be read: how many. PRE they fit."""
    done = 0
    while done < nbytes:
        at = (pipe.start + pipe.nbytes) & (pipe.room - 1)
        part = min(nbytes - done, pipe.room - at)
        nr_taken = take_some(user, VirtAddr(pipe.data + at), source + done, part)
        pipe.nbytes += nr_taken
        done += nr_taken
        if nr_taken < part:
            return done
    return done


# ------------------------------------------------------------------ reading
@kernel
def read(k: Kernel, user: UserSpace, file: File, to: word, nbytes: word) -> word:
    """Read what is there, up to nbytes: how many, 0 at the end. MUST_WAIT, WOULD_WAIT, BAD_POINTER."""
    pipe = Pipe(k.m, file.pipe)
    if nbytes == 0:
        return 0
    if pipe.nbytes == 0:
        return wait_unless_nonblocking(k, file, pipe.addr, 0) if has_writers(k, pipe) else 0
    if pipe.room - pipe.nbytes < ATOMIC_BYTES:
        pipe.nr_departures += 1
    done = 0
    while done < nbytes and pipe.nbytes > 0:
        part = min(min(nbytes - done, pipe.nbytes), pipe.room - pipe.start)
        nr_copied = vm.copy_out_some(user, to + done, VirtAddr(pipe.data + pipe.start), part)
        pipe.start = (pipe.start + nr_copied) & (pipe.room - 1)
        pipe.nbytes -= nr_copied
        done += nr_copied
        if nr_copied < part:
            break
    if done == 0:
        return BAD_POINTER
    note_change(k, pipe.addr)
    return done


# ------------------------------------------------------------------ the check
@kernel
def check(pipe: Pipe) -> word:
    """OK, or 1 if PIPES-1 does not hold."""
    if pipe.data == 0:
        return OK if pipe.nr_readers == 0 and pipe.nr_writers == 0 and pipe.room == 0 and pipe.nbytes == 0 else 1
    is_power = pipe.room & (pipe.room - 1) == 0 and LEAST_ROOM <= pipe.room <= MOST_ROOM
    is_inside = 0 <= pipe.start < pipe.room and 0 <= pipe.nbytes <= pipe.room
    return OK if is_power and is_inside else 1
