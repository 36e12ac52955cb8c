"""The start of the room: the channels, the buffers, the nodes of the archive."""

from incroos.kernel import heap
from incroos.kernel.codes import NO_KERNEL_MEMORY
from incroos.kernel.devices import channels
from incroos.kernel.files import archive, paths, reading
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, kernel, word


@kernel
def init(k: Kernel, archive_start: VirtAddr, nbytes: word) -> word:
    """Begin with an archive that lies in the kernel's memory: OK, BAD_ARCHIVE, NO_KERNEL_MEMORY."""
    channels.init(k)
    files = k.files
    files.input_start = 0
    files.input_end = 0
    files.nr_nodes = 0
    files.names_bytes = 0
    files.path = heap.kmalloc(k, paths.PATH_ROOM)
    files.piece = heap.kmalloc(k, reading.PIECE_BYTES)
    files.input = heap.kmalloc(k, channels.MOST_INPUT)
    if files.path == 0 or files.piece == 0 or files.input == 0:
        return NO_KERNEL_MEMORY
    return archive.init(k, archive_start, nbytes)
