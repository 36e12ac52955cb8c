"""Reading folders, as getdents64 gives them: `.`, `..`, and what the folder lists.

    entry   inode 8 bytes, position of the next one 8, length 2, type 1, the name with a zero byte, padded to 8

Unit: the entry. A file's position is that of the next one: 0 `.`, 1 `..`, then those that entries have; a folder that
changes meanwhile lists none twice, and each that stays.
"""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.codes import BAD_ARGUMENT, BAD_POINTER, NO_ENTRY, NOT_FOLDER
from incroos.kernel.files import text
from incroos.kernel.files.paths import DOT
from incroos.kernel.state import FOLDER_KIND, Entry, File, Kernel, Node, UserSpace
from incroos.lang import VirtAddr, fill, kernel, store8, store16, store64, word

HEAD_BYTES: Final = 19
NR_DOTS: Final = 2
FORMAT_SHIFT: Final = 12  # of st_mode: the type of an entry


@kernel
def read_entries(k: Kernel, user: UserSpace, file: File, to: VirtAddr, nbytes: word) -> word:
    """Put as many entries as fit: their bytes, 0 at the end. NOT_FOLDER, BAD_ARGUMENT if not one fits, BAD_POINTER;
    NO_ENTRY of a folder that was removed.
    """
    if file.kind != FOLDER_KIND:
        return NOT_FOLDER
    folder = Node(k.m, file.node)
    if folder.nr_links == 0:
        return NO_ENTRY
    done = 0
    at = entry_from(folder, file.position)
    while file.position < NR_DOTS or at != 0:
        if file.position >= NR_DOTS:
            file.position = Entry(k.m, at).position
        length = make_entry(k, folder, at, file.position)
        if length > nbytes - done:
            return done if done > 0 else BAD_ARGUMENT
        if vm.copy_out(user, VirtAddr(to + done), k.files.piece, length) != 0:
            return done if done > 0 else BAD_POINTER
        done += length
        file.position += 1
        if file.position > NR_DOTS:
            at = listed(folder, Entry(k.m, at).next)
    return done


@kernel
def entry_from(folder: Node, position: word) -> VirtAddr:
    """The first entry from a position on that is listed; 0: there is none."""
    at = folder.first
    while at != 0 and Entry(folder.m, at).position < position:
        at = Entry(folder.m, at).next
    return listed(folder, at)


@kernel
def listed(folder: Node, at: VirtAddr) -> VirtAddr:
    """The first entry from this one on that the folder lists; 0 if there is none."""
    while at != 0 and Entry(folder.m, at).is_hidden != 0:
        at = Entry(folder.m, at).next
    return at


@kernel
def make_entry(k: Kernel, folder: Node, at: VirtAddr, position: word) -> word:
    """Make what a program gets of an entry, or of dots, in the kernel's buffer: its bytes."""
    name_bytes = position + 1 if position < NR_DOTS else Entry(k.m, at).name_bytes
    node = folder
    if position == NR_DOTS - 1:
        node = Node(k.m, folder.parent)
    elif position >= NR_DOTS:
        node = Node(k.m, Entry(k.m, at).node)
    length = (HEAD_BYTES + name_bytes + 8) & -8
    made = k.files.piece
    fill(k.m, made, 0, length)
    store64(k.m, made, node.inode)
    store64(k.m, VirtAddr(made + 8), position + 1)
    store16(k.m, VirtAddr(made + 16), length)
    store8(k.m, VirtAddr(made + 18), (node.mode >> FORMAT_SHIFT) & 15)
    if position < NR_DOTS:
        fill(k.m, VirtAddr(made + HEAD_BYTES), DOT, name_bytes)
    else:
        text.put_bytes(k.m, VirtAddr(made + HEAD_BYTES), Entry(k.m, at).name, name_bytes)
    return length
