"""Reading folders, as getdents64 gives them: `.`, `..`, and what the folder lists.

    entry   inode 8 bytes, position of the next one 8, length 2, type 1, the name with a zero byte, padded to 8

Unit: the entry. A file's position counts entries: 0 `.`, 1 `..`, then the list.
"""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.codes import BAD_ARGUMENT, BAD_POINTER, NOT_FOLDER
from incroos.kernel.files import text
from incroos.kernel.files.paths import DOT
from incroos.kernel.state import FOLDER_KIND, File, Kernel, Node, UserSpace
from incroos.lang import VirtAddr, fill, kernel, store8, store16, store64, word

HEAD_BYTES: Final = 19
NR_DOTS: Final = 2
FORMAT_SHIFT: Final = 12  # of st_mode: the type of an entry


@kernel
def read_entries(k: Kernel, user: UserSpace, file: File, to: VirtAddr, nbytes: word) -> word:
    """Put as many entries as fit: their bytes, 0 at the end. NOT_FOLDER, BAD_ARGUMENT if not one fits, BAD_POINTER."""
    if file.kind != FOLDER_KIND:
        return NOT_FOLDER
    folder = Node(k.m, file.node)
    done = 0
    at = entry_at(folder, file.position)
    while at != 0:
        length = make_entry(k, Node(k.m, at), file.position)
        if length > nbytes - done:
            return done if done > 0 else BAD_ARGUMENT
        if vm.copy_out(user, VirtAddr(to + done), k.files.piece, length) != 0:
            return done if done > 0 else BAD_POINTER
        done += length
        at = entry_after(folder, Node(k.m, at), file.position)
        file.position += 1
    return done


@kernel
def entry_at(folder: Node, position: word) -> VirtAddr:
    """The node of the entry at a position; 0 behind the last."""
    if position == 0:
        return folder.addr
    if position == 1:
        return folder.parent
    at = listed(folder, folder.first)
    left = position - NR_DOTS
    while left > 0 and at != 0:
        at = listed(folder, Node(folder.m, at).next)
        left -= 1
    return at


@kernel
def entry_after(folder: Node, node: Node, position: word) -> VirtAddr:
    """The node of the entry behind the one at a position; 0 if it is the last."""
    if position == 0:
        return folder.parent
    return listed(folder, folder.first if position == 1 else node.next)


@kernel
def listed(folder: Node, at: VirtAddr) -> VirtAddr:
    """The first node from this one on that the folder lists; 0 if there is none."""
    while at != 0 and Node(folder.m, at).is_hidden != 0:
        at = Node(folder.m, at).next
    return at


@kernel
def make_entry(k: Kernel, node: Node, position: word) -> word:
    """Make an entry in the kernel's buffer: its bytes."""
    name_bytes = position + 1 if position < NR_DOTS else node.name_bytes
    length = (HEAD_BYTES + name_bytes + 8) & -8
    at = k.files.piece
    fill(k.m, at, 0, length)
    store64(k.m, at, node.inode)
    store64(k.m, VirtAddr(at + 8), position + 1)
    store16(k.m, VirtAddr(at + 16), length)
    store8(k.m, VirtAddr(at + 18), (node.mode >> FORMAT_SHIFT) & 15)
    if position < NR_DOTS:
        fill(k.m, VirtAddr(at + HEAD_BYTES), DOT, name_bytes)
    else:
        text.put_bytes(k.m, VirtAddr(at + HEAD_BYTES), node.name, name_bytes)
    return length
