"""The checker of files: the tree of folders, names, open files, contents and pipes. Prints nothing, changes nothing."""

from typing import Final

from incroos.kernel.codes import OK
from incroos.kernel.files import entries, interests, nodes, pipes
from incroos.kernel.files.descriptors import nr_places
from incroos.kernel.state import (
    FOLDER_KIND,
    INTEREST_KIND,
    PIPE_KIND,
    Entry,
    File,
    InterestList,
    Kernel,
    Node,
    Pipe,
    Task,
    table_of,
)
from incroos.lang import VirtAddr, kernel, word

# Beside the numbers of NODES
WRONG_NAMES: Final = 11  # 10 + ENTRIES invariant
WRONG_POSITIONS: Final = 12
WRONG_USERS: Final = 21  # FILES-1
WRONG_PIPE: Final = 31  # 30 + PIPES invariant
WRONG_ENDS: Final = 32
WRONG_RINGS: Final = 33


@kernel
def check(k: Kernel) -> word:
    """0, or the number, listed where the invariants are, of the first that does not hold."""
    nr_nodes = 1
    nr_content_bytes = 0
    nr_changed = 0
    nr_pipe_bytes = 0
    folder = nodes.root_of(k)
    if folder.parent != folder.addr:
        return 1
    at = folder.first
    while at != 0 or folder.addr != k.files.nodes:
        if at == 0:  # the folder is done: go on behind it
            entry = Entry(k.m, folder.entry)
            folder = Node(k.m, folder.parent)
            at = entry.next
            continue
        entry = Entry(k.m, at)
        node = Node(k.m, entry.node)
        code = check_entry(k, folder, entry, node)
        if code != OK:
            return code
        if node.entry == at:  # of several names one counts
            nr_nodes += 1
            nr_content_bytes += node.room
            nr_changed += node.content.nr_changed
            nr_pipe_bytes += room_of_pipe(k, node)
        at = entry.next
        if nodes.is_folder(node):
            folder = node
            at = node.first
    lost = k.files.lost
    while lost != 0:
        node = Node(k.m, lost)
        if node.nr_links != 0 or not nodes.is_used(k, node):
            return 2
        nr_nodes += 1
        nr_content_bytes += node.room
        nr_changed += node.content.nr_changed
        nr_pipe_bytes += room_of_pipe(k, node)
        lost = node.next_lost
    if nr_nodes != k.files.nr_nodes:
        return 4
    if nr_content_bytes != k.files.nr_content_bytes or nr_changed != k.vm.nr_changed:
        return 5
    return check_files(k, nr_pipe_bytes)


@kernel
def check_entry(k: Kernel, folder: Node, entry: Entry, node: Node) -> word:
    """ENTRIES, and NODES-2, of a name."""
    if entries.find_entry(k, folder, entry.name, entry.name_bytes) != entry.addr or entry.folder != folder.addr:
        return WRONG_NAMES
    before = entry.previous
    first = folder.first if before == 0 else Entry(k.m, before).next
    least = entries.FIRST_POSITION if before == 0 else Entry(k.m, before).position + 1
    if first != entry.addr or not least <= entry.position < folder.next_position:
        return WRONG_POSITIONS
    nr_links = nr_names(k, node)
    if nodes.is_folder(node):
        nr_links = nr_links + 1 + nr_listed_folders(k, node) if node.parent == folder.addr else 0
    return OK if node.nr_links == nr_links else 2


@kernel
def nr_names(k: Kernel, node: Node) -> word:
    """How many names a node has."""
    found = 0
    at = node.entry
    while at != 0:
        found += 1 if Entry(k.m, at).node == node.addr else 2
        at = Entry(k.m, at).other_name
    return found


@kernel
def nr_listed_folders(k: Kernel, folder: Node) -> word:
    """How many folders a folder lists."""
    found = 0
    at = folder.first
    while at != 0:
        entry = Entry(k.m, at)
        found += 1 if entry.is_hidden == 0 and Node(k.m, entry.node).kind == FOLDER_KIND else 0
        at = entry.next
    return found


@kernel
def room_of_pipe(k: Kernel, node: Node) -> word:
    """The bytes of a FIFO's ring."""
    return Pipe(k.m, node.pipe).room if node.pipe != 0 else 0


# ------------------------------------------------------------------ open files
@kernel
def check_files(k: Kernel, nr_pipe_bytes: word) -> word:
    """FILES, NODES-3 and PIPES, of all open files."""
    at = k.tasks.ring
    for index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        at = task.next
        for descriptor in range(nr_places(k, index, task)):
            place = table_of(task).descriptors[descriptor].file
            if place == 0 or nr_named(k, place, index, descriptor) != 0:
                continue
            file = File(k.m, place)
            if file.nr_users != nr_named(k, place, k.tasks.nr_tasks, 0):
                return WRONG_USERS
            code = check_file(k, file)
            if code != OK:
                return code
            if file.kind == PIPE_KIND and file.node == 0 and file.pipe != 0:
                # whichever end comes first counts the ring
                nr_pipe_bytes += Pipe(k.m, file.pipe).room if is_first_end(k, file, index, descriptor) else 0
    return OK if nr_pipe_bytes == k.files.nr_pipe_bytes else WRONG_RINGS


@kernel
def nr_named(k: Kernel, file: VirtAddr, nr_tasks: word, nr_descriptors: word) -> word:
    """How many descriptors of so many tasks, and so many of the next one, name a file."""
    found = 0
    at = k.tasks.ring
    for index in range(min(nr_tasks + 1, k.tasks.nr_tasks)):
        task = Task(k.m, at)
        for descriptor in range(nr_places(k, index, task) if index < nr_tasks else nr_descriptors):
            found += 1 if table_of(task).descriptors[descriptor].file == file else 0
        at = task.next
    return found


@kernel
def check_file(k: Kernel, file: File) -> word:
    """NODES-3, PIPES-1 and PIPES-2, of the node and pipe of an open file."""
    nr_files = 0
    nr_readers = 0
    nr_writers = 0
    at = k.tasks.ring
    for index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        at = task.next
        for descriptor in range(nr_places(k, index, task)):
            place = table_of(task).descriptors[descriptor].file
            if place == 0 or nr_named(k, place, index, descriptor) != 0:
                continue
            other = File(k.m, place)
            nr_files += 1 if other.node == file.node else 0
            if other.kind == PIPE_KIND and other.pipe == file.pipe:
                nr_readers += pipes.reads(other)
                nr_writers += pipes.writes(other)
    if file.node != 0 and Node(k.m, file.node).nr_files != nr_files:
        return 3
    if file.kind == INTEREST_KIND:
        return interests.check(k, InterestList(k.m, file.pipe))
    if file.kind != PIPE_KIND or file.pipe == 0:
        return OK
    pipe = Pipe(k.m, file.pipe)
    if pipes.check(pipe) != OK:
        return WRONG_PIPE
    return OK if pipe.nr_readers == nr_readers and pipe.nr_writers == nr_writers else WRONG_ENDS


@kernel
def is_first_end(k: Kernel, file: File, nr_tasks: word, nr_descriptors: word) -> bool:
    """Whether none of the descriptors before names an end of the same pipe."""
    at = k.tasks.ring
    for index in range(nr_tasks + 1):
        task = Task(k.m, at)
        for descriptor in range(nr_places(k, index, task) if index < nr_tasks else nr_descriptors):
            place = table_of(task).descriptors[descriptor].file
            if place != 0 and File(k.m, place).kind == PIPE_KIND and File(k.m, place).pipe == file.pipe:
                return False
        at = task.next
    return True
