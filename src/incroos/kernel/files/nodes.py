"""Nodes: files, folders and symlinks, by their names. Made once from the archive, and never changed.

    nodes    an array: the root, those of the archive, those of the kernel's own
    folder   a list of its nodes, in the order of the archive
    buckets  the same nodes by the hash of folder and name

Unit: the node. Names are bytes without `/` and 0. Knows neither paths nor open files.
"""

from typing import Final

from incroos.kernel.codes import OK
from incroos.kernel.files.text import put_text
from incroos.kernel.state import FOLDER_KIND, Kernel, Node
from incroos.lang import VirtAddr, kernel, load8, load64, mul_wrap, shr_logical, store64, word

# NODES-1  nr_nodes <= max_nodes; the first is the root, its own parent
# NODES-2  no two nodes of a folder have the same name

NAME_MAX: Final = 255  # bytes of a name
FORMAT_BITS: Final = 0o170000  # of st_mode: what the file is
LINK: Final = 0o120000
REGULAR: Final = 0o100000
FOLDER: Final = 0o040000
CHARACTER_DEVICE: Final = 0o020000

HASH_START: Final = 0x27D4_EB2F
HASH_FACTOR: Final = 0x9E37_79B9_7F4A_7C15 - (1 << 64)


@kernel
def root_of(k: Kernel) -> Node:
    """The root."""
    return Node(k.m, k.files.nodes)


@kernel
def new_node(k: Kernel, kind: word, mode: word) -> VirtAddr:
    """A node that lies in no folder yet; 0 when there is no room. Its other fields are 0."""
    files = k.files
    if files.nr_nodes == files.max_nodes:
        return VirtAddr(0)
    node = Node(k.m, VirtAddr(files.nodes + files.nr_nodes * Node.SIZE))
    files.nr_nodes += 1
    node.kind = kind
    node.mode = mode
    node.inode = files.nr_nodes
    node.nr_links = 1
    return node.addr


@kernel
def is_folder(node: Node) -> bool:
    """Is it one?"""
    return node.kind == FOLDER_KIND


@kernel
def hash_of(k: Kernel, folder: Node, name: VirtAddr, nbytes: word) -> word:
    """The bucket of a name in a folder."""
    found = mul_wrap(HASH_START ^ folder.inode, HASH_FACTOR)
    for index in range(nbytes):
        found = mul_wrap(found ^ load8(k.m, VirtAddr(name + index)), HASH_FACTOR)
        found ^= shr_logical(found, 29)
    return found & (k.files.nr_buckets - 1)


@kernel
def bucket_at(k: Kernel, index: word) -> VirtAddr:
    """Where the first node of a bucket is named."""
    return VirtAddr(k.files.buckets + 8 * index)


@kernel
def find(k: Kernel, folder: Node, name: VirtAddr, nbytes: word) -> VirtAddr:
    """The node of that name in a folder; 0 if there is none."""
    at = VirtAddr(load64(k.m, bucket_at(k, hash_of(k, folder, name, nbytes))))
    while at != 0 and not is_named(Node(k.m, at), folder, name, nbytes):
        at = Node(k.m, at).same_hash
    return at


@kernel
def is_named(node: Node, folder: Node, name: VirtAddr, nbytes: word) -> bool:
    """Does the node lie in that folder under that name?"""
    if node.parent != folder.addr or node.name_bytes != nbytes:
        return False
    for index in range(nbytes):
        if load8(node.m, VirtAddr(node.name + index)) != load8(node.m, VirtAddr(name + index)):
            return False
    return True


@kernel
def enter(k: Kernel, node: Node, folder: Node, name: VirtAddr, nbytes: word) -> None:
    """Put a new node into a folder that has none of that name. The name stays where it is."""
    node.parent = folder.addr
    node.name = name
    node.name_bytes = nbytes
    bucket = bucket_at(k, hash_of(k, folder, name, nbytes))
    node.same_hash = VirtAddr(load64(k.m, bucket))
    store64(k.m, bucket, node.addr)
    if folder.last == 0:
        folder.first = node.addr
    else:
        Node(k.m, folder.last).next = node.addr
    folder.last = node.addr
    if is_folder(node):
        folder.nr_links += 1
        node.nr_links = 2


@kernel
def add_own(k: Kernel, folder: Node, name: bytes, kind: word, mode: word) -> VirtAddr:
    """Add a node of the kernel's own to a folder. No folder lists it, as Linux shows none in a root that has none.

    The node that is there if there is one of that name; what was to be the folder if it is none; 0 without room.
    """
    text = VirtAddr(k.files.names + k.files.names_bytes)
    put_text(k.m, text, name)
    if not is_folder(folder):
        return folder.addr
    at = find(k, folder, text, len(name))
    if at == 0:
        at = new_node(k, kind, mode)
        if at != 0:
            node = Node(k.m, at)
            node.is_hidden = 1
            k.files.names_bytes += len(name)
            nr_links = folder.nr_links
            enter(k, node, folder, text, len(name))
            folder.nr_links = nr_links
    return at


@kernel
def check(k: Kernel) -> word:
    """0, or the number of the first of NODES that does not hold."""
    files = k.files
    if not 0 <= files.nr_nodes <= files.max_nodes:
        return 1
    for index in range(1, files.nr_nodes):
        node = Node(k.m, VirtAddr(files.nodes + index * Node.SIZE))
        if find(k, Node(k.m, node.parent), node.name, node.name_bytes) != node.addr:
            return 2
    return OK
