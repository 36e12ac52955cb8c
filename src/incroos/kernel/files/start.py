"""The start of the room: the channels, the buffers, the nodes of the archive."""

from incroos.kernel import heap
from incroos.kernel.codes import NO_KERNEL_MEMORY, OK
from incroos.kernel.devices import channels
from incroos.kernel.files import archive, descriptors, paths, reading, terminal
from incroos.kernel.files.proc import settings
from incroos.kernel.state import FilesState, Kernel
from incroos.lang import VirtAddr, fill, kernel, word


@kernel
def init(k: Kernel, archive_start: VirtAddr, nbytes: word) -> word:
    """Begin with an archive that lies in the kernel's memory: OK; BAD_ARCHIVE, NO_KERNEL_MEMORY, nothing kept."""
    channels.init(k)
    files = k.files
    fill(k.m, files.addr, 0, FilesState.SIZE)
    settings.init(k)
    files.path = heap.kmalloc(k, paths.PATH_ROOM)
    files.piece = heap.kmalloc(k, reading.PIECE_BYTES)
    files.input = heap.kmalloc(k, channels.MOST_INPUT)
    descriptors.init(k)
    code = NO_KERNEL_MEMORY
    if files.path != 0 and files.piece != 0 and files.input != 0 and files.tables != 0:
        code = archive.init(k, archive_start, nbytes)
    if code != OK:
        deinit(k)
    return code


@kernel
def deinit(k: Kernel) -> None:
    """Give all memory of the room back. PRE no file is open."""
    archive.deinit(k)
    terminal.close_terminal(k)
    heap.kfree(k, k.files.path)
    heap.kfree(k, k.files.piece)
    heap.kfree(k, k.files.input)
    descriptors.deinit(k)
    fill(k.m, k.files.addr, 0, FilesState.SIZE)
