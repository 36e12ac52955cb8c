"""Changes of folders: what a walk has come to is made, named once more, moved or removed, by Linux's rules.

A walk notes in FilesState to which folder and name it came, and whether slashes stand behind. Only the name may be
missing. Whatever fails has changed nothing: memory is had first.

Unit: the entry.
"""

from typing import Final

from incroos.kernel import heap
from incroos.kernel.codes import (
    BAD_ARGUMENT,
    EXISTS,
    IN_USE,
    IS_FOLDER,
    NO_ENTRY,
    NO_SPACE,
    NOT_ALLOWED,
    NOT_EMPTY,
    NOT_FOLDER,
    OK,
)
from incroos.kernel.devices import program_clock
from incroos.kernel.files import entries, nodes, paths, rights, text, times
from incroos.kernel.state import FOLDER_KIND, LINK_KIND, Entry, Kernel, Node
from incroos.lang import VirtAddr, copy, kernel, word

KEEP: Final = 1  # RENAME_NOREPLACE
MOST_LINKS: Final = 1 << 16
DELETED: Final = b' (deleted)'


# ------------------------------------------------------------------ making
@kernel
def may_add(k: Kernel, code: word, kind: word) -> word:
    """OK if a walk that said `code` came to a name that is free: EXISTS, NO_ENTRY (also in /proc),
    NO_PERMISSION, its code.
    """
    if code == OK:
        return EXISTS
    if code != NO_ENTRY or k.files.last_folder == 0:
        return code
    if k.files.last_slash != 0 and kind != FOLDER_KIND:
        return NO_ENTRY
    folder = Node(k.m, k.files.last_folder)
    return NO_ENTRY if folder.nr_links == 0 or folder.row != 0 else rights.may_change_folder(k, folder)


@kernel
def create(k: Kernel, kind: word, mode: word) -> tuple[word, VirtAddr]:
    """Make a node under the name to which a walk came: code, and the node. NO_SPACE. PRE may_add said OK."""
    files = k.files
    at = nodes.new_node(k, kind, mode)
    entry = entries.new_entry(k, files.last_name, files.last_bytes) if at != 0 else VirtAddr(0)
    if entry == 0:
        if at != 0:
            nodes.free_node(k, Node(k.m, at))
        return NO_SPACE, VirtAddr(0)
    folder = Node(k.m, files.last_folder)
    entries.enter(k, Entry(k.m, entry), folder, Node(k.m, at))
    times.touch(k, folder)
    return OK, at


@kernel
def make_folder(k: Kernel, code: word, mode: word) -> word:
    """mkdir: what a walk came to. One of the kernel's own that no folder lists is listed from now on."""
    if code == OK and k.files.last_entry != 0:
        entry = Entry(k.m, k.files.last_entry)
        is_own_folder = entry.is_hidden != 0 and nodes.is_folder(Node(k.m, entry.node))
        if is_own_folder and Node(k.m, entry.folder).row == 0:
            entry.is_hidden = 0
            Node(k.m, entry.folder).nr_links += 1
            return OK
    code = may_add(k, code, FOLDER_KIND)
    if code == OK:
        code, _node = create(k, FOLDER_KIND, nodes.FOLDER | mode)
    return code


@kernel
def make_link(k: Kernel, code: word, target: VirtAddr, nbytes: word) -> word:
    """symlink: the target is a text of the kernel's memory."""
    code = may_add(k, code, LINK_KIND)
    if code != OK:
        return code
    data = heap.kmalloc(k, nbytes)
    if data == 0:
        return NO_SPACE
    code, at = create(k, LINK_KIND, nodes.LINK | 0o777)
    if code != OK:
        heap.kfree(k, data)
        return code
    node = Node(k.m, at)
    copy(k.m, data, target, nbytes)
    node.content.data = data
    node.content.nbytes = nbytes
    node.room = nbytes
    k.files.nr_content_bytes += nbytes
    return OK


@kernel
def add_name(k: Kernel, code: word, node: Node) -> word:
    """link: give a node one more name, to which a walk came. NOT_ALLOWED for folders, NO_SPACE."""
    code = may_add(k, code, node.kind)
    if code != OK:
        return code
    if nodes.is_folder(node):
        return NOT_ALLOWED
    if node.nr_links == 0:
        return NO_ENTRY
    at = entries.new_entry(k, k.files.last_name, k.files.last_bytes)
    if at == 0:
        return NO_SPACE
    folder = Node(k.m, k.files.last_folder)
    entries.enter(k, Entry(k.m, at), folder, node)
    times.touch(k, folder)
    node.changed = folder.modified
    return OK


# ------------------------------------------------------------------ removing
@kernel
def is_own(entry: Entry) -> bool:
    """Is it the kernel's own, which stays?"""
    return entry.is_hidden != 0


@kernel
def remove_file(k: Kernel, code: word) -> word:
    """unlink. IS_FOLDER, NOT_FOLDER with a slash behind, IN_USE."""
    if code != OK:
        return code
    if k.files.last_entry == 0:
        return IS_FOLDER
    entry = Entry(k.m, k.files.last_entry)
    node = Node(k.m, entry.node)
    if nodes.is_folder(node):
        return IS_FOLDER
    if k.files.last_slash != 0:
        return NOT_FOLDER
    if is_own(entry):
        return IN_USE
    code = rights.may_remove(k, Node(k.m, entry.folder), node)
    if code != OK:
        return code
    times.touch(k, Node(k.m, entry.folder))
    node.changed = program_clock.now(k)
    keep_name(k, node)
    entries.remove(k, entry)
    return OK


@kernel
def keep_name(k: Kernel, node: Node) -> None:
    """A file that loses its only name and is still in use is told of by it: as a label, if there is memory."""
    is_used = node.nr_files != 0 or node.content.nr_users != 0 or nodes.is_running(k, node)
    if node.nr_links != 1 or nodes.is_folder(node) or node.label != 0 or not is_used:
        return
    path, nbytes = paths.put_path(k, node)
    label = heap.kmalloc(k, nbytes + len(DELETED)) if nbytes > 0 else VirtAddr(0)
    if label != 0:
        end = text.put_bytes(k.m, label, path, nbytes - 1)
        node.label = label
        node.label_bytes = text.put_text(k.m, end, DELETED) - label
        k.files.is_changed = 1


@kernel
def remove_folder(k: Kernel, code: word) -> word:
    """rmdir. NOT_FOLDER, NOT_EMPTY, IN_USE; BAD_ARGUMENT for `.`."""
    if code != OK:
        return code
    if k.files.last_entry == 0:
        return why_no_name(k)
    entry = Entry(k.m, k.files.last_entry)
    node = Node(k.m, entry.node)
    if not nodes.is_folder(node):
        return NOT_FOLDER
    if is_own(entry):
        return IN_USE
    code = rights.may_remove(k, Node(k.m, entry.folder), node)
    if code != OK:
        return code
    if node.first != 0:
        return NOT_EMPTY
    times.touch(k, Node(k.m, entry.folder))
    entries.remove(k, entry)
    return OK


@kernel
def why_no_name(k: Kernel) -> word:
    """Why the end of a path cannot be removed: it is `/`, `.` or `..`."""
    if k.files.last_bytes == paths.HERE:
        return BAD_ARGUMENT
    return NOT_EMPTY if k.files.last_bytes == paths.UP else IN_USE


# ------------------------------------------------------------------ moving
@kernel
def rename(k: Kernel, source: VirtAddr, has_slash: bool, code: word, flags: word) -> word:
    """Move what an entry names to where a walk that said `code` came, in the place of what is there.

    EXISTS with KEEP; BAD_ARGUMENT into itself; NOT_FOLDER, IS_FOLDER, NOT_EMPTY; IN_USE, NO_ENTRY, NO_SPACE.
    """
    files = k.files
    if code != OK and (code != NO_ENTRY or files.last_folder == 0):
        return code
    if source == 0 or (code == OK and files.last_entry == 0):
        return EXISTS if source != 0 and flags & KEEP != 0 else IN_USE
    entry = Entry(k.m, source)
    node = Node(k.m, entry.node)
    if code == OK and flags & KEEP != 0:
        return EXISTS
    if is_own(entry) or (files.last_entry != 0 and is_own(Entry(k.m, files.last_entry))):
        return IN_USE
    code = may_move(k, entry, node)
    if code != OK:
        return code
    if nodes.is_folder(node) and is_inside(k, Node(k.m, files.last_folder), node):
        return BAD_ARGUMENT
    if not nodes.is_folder(node) and (has_slash or (files.last_slash != 0)):
        return NOT_FOLDER
    if Node(k.m, files.last_folder).nr_links == 0 or Node(k.m, files.last_folder).row != 0:
        return NO_ENTRY
    if files.last_entry != 0:
        return replace(k, entry, Entry(k.m, files.last_entry))
    return move(k, entry)


@kernel
def may_move(k: Kernel, entry: Entry, node: Node) -> word:
    """OK if the caller may move what an entry names to where a walk came; NO_PERMISSION, NOT_ALLOWED."""
    code = rights.may_remove(k, Node(k.m, entry.folder), node)
    folder = Node(k.m, k.files.last_folder)
    if code == OK and k.files.last_entry != 0:
        return rights.may_remove(k, folder, Node(k.m, Entry(k.m, k.files.last_entry).node))
    return rights.may_change_folder(k, folder) if code == OK else code


@kernel
def is_inside(k: Kernel, folder: Node, outer: Node) -> bool:
    """Is it the outer folder, or in it however deep?"""
    here = folder
    while here.addr != outer.addr:
        if here.parent == here.addr:
            return False
        here = Node(k.m, here.parent)
    return True


@kernel
def move(k: Kernel, entry: Entry) -> word:
    """Move what an entry names to a free name."""
    at = entries.new_entry(k, k.files.last_name, k.files.last_bytes)
    if at == 0:
        return NO_SPACE
    folder = Node(k.m, k.files.last_folder)
    node = Node(k.m, entry.node)
    times.touch(k, Node(k.m, entry.folder))
    forget(k, entry)
    entries.enter(k, Entry(k.m, at), folder, node)
    times.touch(k, folder)
    node.changed = folder.modified
    return OK


@kernel
def forget(k: Kernel, entry: Entry) -> None:
    """End an entry whose node lives on under another name."""
    folder = Node(k.m, entry.folder)
    entries.take_out(k, entry)
    entries.uncount_link(k, entry, folder, Node(k.m, entry.node))
    entries.free_entry(k, entry)


@kernel
def replace(k: Kernel, entry: Entry, target: Entry) -> word:
    """Move what an entry names to a name that another node has, which loses it."""
    node = Node(k.m, entry.node)
    old = Node(k.m, target.node)
    if node.addr == old.addr:
        return OK
    if nodes.is_folder(node) != nodes.is_folder(old):
        return IS_FOLDER if nodes.is_folder(old) else NOT_FOLDER
    if old.first != 0 and nodes.is_folder(old):
        return NOT_EMPTY
    folder = Node(k.m, target.folder)
    times.touch(k, Node(k.m, entry.folder))
    times.touch(k, folder)
    keep_name(k, old)
    forget(k, entry)
    entries.uncount_link(k, target, folder, old)
    target.node = node.addr
    entries.count_link(target, folder, node)
    node.changed = folder.modified
    old.changed = folder.modified
    entries.end_folder(old)
    nodes.let_go(k, old)
    return OK
