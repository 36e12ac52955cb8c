"""Entries: the names of nodes in folders.

    folder   a list of its entries, in the order in which they were made
    buckets  the same entries by the hash of folder and name; doubled when there are more entries than buckets

Unit: the entry. Names are bytes without `/` and 0. A reading of a folder goes on by the position of an entry, which
stays what it is: so none is read twice or left out because others come and go.
"""

from typing import Final

from incroos.kernel import heap
from incroos.kernel.files import nodes
from incroos.kernel.files.text import put_text
from incroos.kernel.state import Entry, Kernel, Node
from incroos.lang import VirtAddr, copy, kernel, load8, load64, mul_wrap, shr_logical, store64, word

# ENTRIES-1  no two entries of a folder have the same name; each is found by its name
# ENTRIES-2  positions of a folder's entries rise along its list, below next_position

FIRST_POSITION: Final = 2  # behind `.` and `..`
HASH_START: Final = 0x27D4_EB2F
HASH_FACTOR: Final = 0x9E37_79B9_7F4A_7C15 - (1 << 64)


# ------------------------------------------------------------------ finding
@kernel
def hash_of(folder: Node, name: VirtAddr, nbytes: word) -> word:
    """A number made of a folder and a name."""
    found = mul_wrap(HASH_START ^ folder.inode, HASH_FACTOR)
    for index in range(nbytes):
        found = mul_wrap(found ^ load8(folder.m, VirtAddr(name + index)), HASH_FACTOR)
        found ^= shr_logical(found, 29)
    return found


@kernel
def bucket_of(k: Kernel, folder: Node, name: VirtAddr, nbytes: word) -> VirtAddr:
    """Where the first entry of the bucket of a name is named."""
    return VirtAddr(k.files.buckets + 8 * (hash_of(folder, name, nbytes) & (k.files.nr_buckets - 1)))


@kernel
def find_entry(k: Kernel, folder: Node, name: VirtAddr, nbytes: word) -> VirtAddr:
    """The entry of that name in a folder; 0 if there is none."""
    at = VirtAddr(load64(k.m, bucket_of(k, folder, name, nbytes)))
    while at != 0 and not is_named(Entry(k.m, at), folder, name, nbytes):
        at = Entry(k.m, at).same_hash
    return at


@kernel
def find(k: Kernel, folder: Node, name: VirtAddr, nbytes: word) -> VirtAddr:
    """The node of that name in a folder; 0 if there is none."""
    at = find_entry(k, folder, name, nbytes)
    return Entry(k.m, at).node if at != 0 else at


@kernel
def is_named(entry: Entry, folder: Node, name: VirtAddr, nbytes: word) -> bool:
    """Does the entry lie in that folder under that name?"""
    if entry.folder != folder.addr or entry.name_bytes != nbytes:
        return False
    for index in range(nbytes):
        if load8(entry.m, VirtAddr(entry.name + index)) != load8(entry.m, VirtAddr(name + index)):
            return False
    return True


@kernel
def name_of(k: Kernel, node: Node) -> tuple[VirtAddr, word]:
    """A name of a node, and its bytes; none of one that has none."""
    if node.entry == 0:
        return VirtAddr(0), 0
    entry = Entry(k.m, node.entry)
    return entry.name, entry.name_bytes


# ------------------------------------------------------------------ making
@kernel
def new_entry(k: Kernel, name: VirtAddr, nbytes: word) -> VirtAddr:
    """An entry with a copy of a name, which lies in no folder yet; 0 without memory."""
    at = heap.kzalloc(k, Entry.SIZE + nbytes)
    if at != 0:
        k.files.is_changed = 1
        entry = Entry(k.m, at)
        entry.name = VirtAddr(at + Entry.SIZE)
        entry.name_bytes = nbytes
        copy(k.m, entry.name, name, nbytes)
    return at


@kernel
def enter(k: Kernel, entry: Entry, folder: Node, node: Node) -> None:
    """Put an entry into a folder that has none of that name."""
    if k.files.nr_entries >= k.files.nr_buckets:
        double_buckets(k)
    entry.node = node.addr
    entry.folder = folder.addr
    put_in_bucket(k, entry)
    entry.next = VirtAddr(0)
    entry.previous = folder.last
    if folder.last == 0:
        folder.first = entry.addr
    else:
        Entry(k.m, folder.last).next = entry.addr
    folder.last = entry.addr
    entry.position = max(folder.next_position, FIRST_POSITION)
    folder.next_position = entry.position + 1
    k.files.nr_entries += 1
    count_link(entry, folder, node)


@kernel
def count_link(entry: Entry, folder: Node, node: Node) -> None:
    """A node has one more name; of a folder also its parent is told, by its `..`."""
    entry.other_name = node.entry
    node.entry = entry.addr
    if nodes.is_folder(node):
        node.nr_links += 2 if node.nr_links == 0 else 0
        node.parent = folder.addr
        folder.nr_links += 1 if entry.is_hidden == 0 else 0
    else:
        node.nr_links += 1


@kernel
def put_in_bucket(k: Kernel, entry: Entry) -> None:
    """Let an entry be found by its name."""
    bucket = bucket_of(k, Node(k.m, entry.folder), entry.name, entry.name_bytes)
    entry.same_hash = VirtAddr(load64(k.m, bucket))
    store64(k.m, bucket, entry.addr)


@kernel
def double_buckets(k: Kernel) -> None:
    """Have twice as many buckets, if there is memory for them."""
    files = k.files
    fresh = heap.kcalloc(k, 2 * files.nr_buckets, 8)
    if fresh == 0:
        return
    old = files.buckets
    nr_old = files.nr_buckets
    files.buckets = fresh
    files.nr_buckets = 2 * nr_old
    for index in range(nr_old):
        at = VirtAddr(load64(k.m, VirtAddr(old + 8 * index)))
        while at != 0:
            entry = Entry(k.m, at)
            at = entry.same_hash
            put_in_bucket(k, entry)
    heap.kfree(k, old)


@kernel
def first_entry(k: Kernel, node: Node, folder: Node, name: VirtAddr, nbytes: word) -> None:
    """Put a node of the array into a folder. The name stays where it is. PRE the node is the last that was given."""
    entry = Entry(k.m, VirtAddr(k.files.entries + (k.files.nr_given - 1) * Entry.SIZE))
    entry.name = name
    entry.name_bytes = nbytes
    enter(k, entry, folder, node)


@kernel
def add_own(k: Kernel, folder: Node, name: bytes, kind: word, mode: word) -> VirtAddr:
    """Add a node of the kernel's own to a folder. No folder lists it, as Linux shows none in a root that has none.

    The node that is there if there is one of that name; what was to be the folder if it is none; 0 without room.
    """
    text = VirtAddr(k.files.names + k.files.names_bytes)
    put_text(k.m, text, name)
    if not nodes.is_folder(folder):
        return folder.addr
    at = find(k, folder, text, len(name))
    if at == 0:
        at = nodes.first_node(k, kind, mode)
        if at != 0:
            k.files.names_bytes += len(name)
            Entry(k.m, VirtAddr(k.files.entries + (k.files.nr_given - 1) * Entry.SIZE)).is_hidden = 1
            first_entry(k, Node(k.m, at), folder, text, len(name))
    return at


# ------------------------------------------------------------------ removing
@kernel
def remove(k: Kernel, entry: Entry) -> None:
    """Take an entry out of its folder, and end it. Its node has one name less, and may end with that."""
    folder = Node(k.m, entry.folder)
    node = Node(k.m, entry.node)
    take_out(k, entry)
    uncount_link(k, entry, folder, node)
    free_entry(k, entry)
    end_folder(node)
    nodes.let_go(k, node)


@kernel
def take_out(k: Kernel, entry: Entry) -> None:
    """Take an entry out of its folder's list and its bucket."""
    folder = Node(k.m, entry.folder)
    if entry.previous == 0:
        folder.first = entry.next
    else:
        Entry(k.m, entry.previous).next = entry.next
    if entry.next == 0:
        folder.last = entry.previous
    else:
        Entry(k.m, entry.next).previous = entry.previous
    bucket = bucket_of(k, folder, entry.name, entry.name_bytes)
    at = VirtAddr(load64(k.m, bucket))
    if at == entry.addr:
        store64(k.m, bucket, entry.same_hash)
    else:
        while Entry(k.m, at).same_hash != entry.addr:
            at = Entry(k.m, at).same_hash
        Entry(k.m, at).same_hash = entry.same_hash
    k.files.nr_entries -= 1


@kernel
def uncount_link(k: Kernel, entry: Entry, folder: Node, node: Node) -> None:
    """A node has lost a name, perhaps to get another one."""
    if node.entry == entry.addr:
        node.entry = entry.other_name
    else:
        before = Entry(k.m, node.entry)
        while before.other_name != entry.addr:
            before = Entry(k.m, before.other_name)
        before.other_name = entry.other_name
    if nodes.is_folder(node):
        folder.nr_links -= 1 if entry.is_hidden == 0 else 0
    else:
        node.nr_links -= 1


@kernel
def end_folder(node: Node) -> None:
    """An empty folder has lost its name, and thereby its own `.`."""
    if nodes.is_folder(node):
        node.nr_links = 0


@kernel
def free_entry(k: Kernel, entry: Entry) -> None:
    """Give back an entry that lies in no folder."""
    if not k.files.entries <= entry.addr < k.files.entries + k.files.max_nodes * Entry.SIZE:
        heap.kfree(k, entry.addr)
