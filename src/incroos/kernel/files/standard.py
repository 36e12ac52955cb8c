"""Writing: to the host's descriptors 1 and 2, and to devices that take everything. Nothing else is ever written.

Unit: the byte. A bad pointer ends a write with what was copied before.
"""

from incroos.kernel import vm
from incroos.kernel.codes import BAD_DESCRIPTOR, BAD_POINTER
from incroos.kernel.devices import channels
from incroos.kernel.files import terminal
from incroos.kernel.files.opening import ACCESS_MODE, PATH_ONLY
from incroos.kernel.files.reading import PIECE_BYTES
from incroos.kernel.state import OUTPUT_KIND, TERMINAL_KIND, File, Kernel, UserSpace
from incroos.lang import VirtAddr, kernel, word


@kernel
def write(k: Kernel, user: UserSpace, file: File, source: VirtAddr, nbytes: word) -> word:
    """Write bytes of a program's memory: how many. BAD_DESCRIPTOR if it is not open for that; BAD_POINTER."""
    if file.flags & ACCESS_MODE == 0 or file.flags & PATH_ONLY != 0:
        return BAD_DESCRIPTOR
    if file.kind == OUTPUT_KIND:
        return write_output(k, user, file.channel, source, nbytes)
    if file.kind == TERMINAL_KIND:
        return terminal.write(k, user, file, source, nbytes)
    return nbytes  # a device


@kernel
def write_output(k: Kernel, user: UserSpace, channel: word, source: VirtAddr, nbytes: word) -> word:
    """Give bytes to the host, through the kernel's buffer: how many, or BAD_POINTER if none could be read."""
    done = 0
    while done < nbytes:
        part = min(PIECE_BYTES, nbytes - done)
        nr_copied = vm.copy_in_some(user, k.files.piece, VirtAddr(source + done), part)
        channels.put_output(k, channel, k.files.piece, nr_copied)
        done += nr_copied
        if nr_copied < part:
            return done if done > 0 else BAD_POINTER
    return done
