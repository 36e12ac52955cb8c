"""Opening pipes: the two ends of a new one, and a FIFO of the file system.

Unit: the open file.
"""

from typing import Final

from incroos.kernel import heap
from incroos.kernel.codes import NO_DEVICE, OK, TOO_MANY_FILES
from incroos.kernel.files import fifos, open_files, pipes
from incroos.kernel.files.flags import ACCESS_MODE, NONBLOCK, READ_WRITE, WRITE_ONLY
from incroos.kernel.files.waits import note_change, wait_on
from incroos.kernel.state import PIPE_KIND, File, Kernel, Pipe
from incroos.lang import VirtAddr, kernel, word

FIFO_MODE: Final = 0o010600


@kernel
def open_pipe(k: Kernel, flags: word) -> tuple[word, VirtAddr, VirtAddr]:
    """A pipe: code, and Files of its ends to read from and to write to, which no descriptor names.

    TOO_MANY_FILES, and nothing has changed: there is no memory.
    """
    first = open_files.new_file(k, PIPE_KIND, flags & NONBLOCK)
    second = open_files.new_file(k, PIPE_KIND, flags & NONBLOCK | WRITE_ONLY)
    at = pipes.create(k)
    if first == 0 or second == 0 or at == 0 or not pipes.has_ring(k, Pipe(k.m, at)):
        heap.kfree(k, first)
        heap.kfree(k, second)
        heap.kfree(k, at)
        return TOO_MANY_FILES, VirtAddr(0), VirtAddr(0)
    File(k.m, first).mode = FIFO_MODE
    File(k.m, second).mode = FIFO_MODE
    pipes.attach(k, File(k.m, first), Pipe(k.m, at))
    pipes.attach(k, File(k.m, second), Pipe(k.m, at))
    return OK, first, second


# ------------------------------------------------------------------ FIFOs
@kernel
def side_of(flags: word) -> word:
    """Which end an open with these flags will have; 0: both, and it waits for nobody."""
    mode = flags & ACCESS_MODE
    if mode == READ_WRITE:
        return 0
    return fifos.WRITER if mode == WRITE_ONLY else fifos.READER


@kernel
def meet_other_end(k: Kernel, pipe: Pipe, flags: word) -> word:
    """OK if somebody is or was at the other end, or need not be; MUST_WAIT, NO_DEVICE."""
    side = side_of(flags)
    if side == 0 or fifos.is_met(k, pipe, side):
        return OK
    is_there = pipes.has_writers(k, pipe) if side == fifos.READER else pipes.has_readers(k, pipe)
    if is_there:
        return OK
    if flags & NONBLOCK != 0:
        return OK if side == fifos.READER else NO_DEVICE
    fifos.begin(k, pipe, side)
    return wait_on(k, pipe.addr, 0)


@kernel
def tell_other_end(k: Kernel, pipe: Pipe, flags: word) -> None:
    """An end is open: whoever waits at the other one need not any more."""
    side = side_of(flags)
    if side != fifos.WRITER:
        fifos.meet(k, pipe, fifos.WRITER)
    if side != fifos.READER:
        fifos.meet(k, pipe, fifos.READER)
    note_change(k, pipe.addr)
