"""Reading folders, as getdents64 gives them: `.`, `..`, and what the folder lists.

    entry   inode 8 bytes, position of the next one 8, length 2, type 1, the name with a zero byte, padded to 8

Unit: the entry. A file's position is that of the next one: 0 `.`, 1 `..`, then those that entries have; a folder that
changes meanwhile lists none twice, and each that stays. What folders of /proc
list is rows, tasks and descriptors.
"""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.codes import BAD_ARGUMENT, BAD_POINTER, NO_ENTRY, NOT_FOLDER
from incroos.kernel.files import process_folders, text
from incroos.kernel.files.paths import DOT
from incroos.kernel.state import FOLDER_KIND, Entry, File, Kernel, Node, UserSpace
from incroos.lang import VirtAddr, fill, kernel, store8, store16, store64, word

HEAD_BYTES: Final = 19
NR_DOTS: Final = 2
NOTHING: Final = -1
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
    position = position_of(k, folder, at, file.position)
    while position >= 0:
        length = make_entry(k, folder, at, position)
        if length > nbytes - done:
            return done if done > 0 else BAD_ARGUMENT
        if vm.copy_out(user, VirtAddr(to + done), k.files.piece, length) != 0:
            return done if done > 0 else BAD_POINTER
        done += length
        file.position = position + 1
        if position >= NR_DOTS and at != 0 and folder.row == 0:
            at = listed(folder, Entry(k.m, at).next)
        position = position_of(k, folder, at, file.position)
    return done


@kernel
def position_of(k: Kernel, folder: Node, at: VirtAddr, position: word) -> word:
    """Where what is read next from a position on is: dots, what /proc has, or this entry; NOTHING is left."""
    if position < NR_DOTS:
        return position
    if folder.row != 0:
        found = process_folders.next_position(k, folder, position - NR_DOTS)
        return NR_DOTS + found if found >= 0 else NOTHING
    return Entry(k.m, at).position if at != 0 else NOTHING


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
    """Make what a program gets of an entry, a descriptor or dots, in the kernel's buffer: its bytes."""
    made = k.files.piece
    end = VirtAddr(made + HEAD_BYTES)
    if position >= NR_DOTS and folder.row != 0:
        listed_at = position - NR_DOTS
        end = process_folders.put_name(k, folder, listed_at, end)
        inode, mode = process_folders.facts_at(folder, listed_at)
        return finish_entry(k, end, position, inode, mode)
    node = folder
    if position < NR_DOTS:
        fill(k.m, end, DOT, position + 1)
        end = VirtAddr(end + position + 1)
        node = folder if position == 0 else Node(k.m, folder.parent)
    else:
        end = text.put_bytes(k.m, end, Entry(k.m, at).name, Entry(k.m, at).name_bytes)
        node = Node(k.m, Entry(k.m, at).node)
    return finish_entry(k, end, position, node.inode, node.mode)


@kernel
def finish_entry(k: Kernel, end: VirtAddr, position: word, inode: word, mode: word) -> word:
    """Put what stands before and behind a name that ends there: the bytes of the whole."""
    made = k.files.piece
    length = (end - made + 8) & -8
    fill(k.m, end, 0, made + length - end)
    store64(k.m, made, inode)
    store64(k.m, VirtAddr(made + 8), position + 1)
    store16(k.m, VirtAddr(made + 16), length)
    store8(k.m, VirtAddr(made + 18), (mode >> FORMAT_SHIFT) & 15)
    return length
