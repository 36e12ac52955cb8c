"""What stat tells of a file: struct stat and struct statx."""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.abi.arguments import user_of
from incroos.kernel.abi.errno import result_of
from incroos.kernel.devices.program_clock import SECOND
from incroos.kernel.files import times
from incroos.kernel.files.contents import free_content_bytes, most_content_bytes
from incroos.kernel.files.nodes import NAME_MAX
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import CONTENT_KIND, FOLDER_KIND, LINK_KIND, PIPE_KIND, File, Kernel, Node, Pipe
from incroos.lang import Struct, VirtAddr, fill, kernel, store64, u16, u32, u64, word

ARCHIVE_DEVICE: Final = 1  # st_dev
STANDARD_DEVICE: Final = 2
PROC_DEVICE: Final = 3
BASIC: Final = 0x7FF  # STATX_BASIC_STATS
BLOCK_BYTES: Final = 512


class Status(Struct):
    """struct stat."""

    device: u64
    inode: u64
    nr_links: u64
    mode: u32
    user: u32
    group: u32
    padding: u32
    rdev: u64
    nbytes: u64
    block_bytes: u64
    nr_blocks: u64
    accessed: u64
    accessed_nanoseconds: u64
    modified: u64
    modified_nanoseconds: u64
    changed: u64
    changed_nanoseconds: u64
    unused: u64
    unused_too: u64
    unused_last: u64


class StatusX(Struct):
    """struct statx; times have 16 bytes each, of which the first 8 are the seconds."""

    mask: u32
    block_bytes: u32
    attributes: u64
    nr_links: u32
    user: u32
    group: u32
    mode: u16
    padding: u16
    inode: u64
    nbytes: u64
    nr_blocks: u64
    attributes_mask: u64
    accessed: u64
    accessed_nanoseconds: u64
    born: u64
    born_nanoseconds: u64
    changed: u64
    changed_nanoseconds: u64
    modified: u64
    modified_nanoseconds: u64
    rdev_major: u32
    rdev_minor: u32
    device_major: u32
    device_minor: u32
    mount: u64
    alignment: u64
    rest: u64


STATUS_X_BYTES: Final = 256
FILE_SYSTEM_BYTES: Final = 120  # struct statfs
TMPFS: Final = 0x0102_1994  # what it is nearest to
PROC: Final = 0x9FA0
PROC_FLAGS: Final = 0x100E  # relatime, noexec, nodev, nosuid
VALID: Final = 0x20  # ST_VALID


@kernel
def bytes_of(node: Node) -> word:
    """st_size. A folder has a page, as on most file systems of Linux."""
    if node.kind == FOLDER_KIND:
        return PAGE_BYTES
    return node.content.nbytes if node.kind == CONTENT_KIND or node.kind == LINK_KIND else 0


@kernel
def blocks_of(node: Node, nbytes: word) -> word:
    """st_blocks: whole pages, of a file those that are no holes; a symlink lies in its inode."""
    if node.kind == CONTENT_KIND:
        return vm.nr_data_pages(node.content) * (PAGE_BYTES // BLOCK_BYTES)
    return 0 if node.kind == LINK_KIND else vm.page_up(nbytes) // BLOCK_BYTES


@kernel
def of_node(k: Kernel, node: Node) -> Status:
    """struct stat of a node, in the kernel's buffer."""
    made = Status(k.m, k.files.piece)
    fill(k.m, made.addr, 0, Status.SIZE)
    times.settle(node)
    made.device = ARCHIVE_DEVICE if node.row == 0 else PROC_DEVICE
    made.inode = node.inode
    made.nr_links = node.nr_links
    made.mode = node.mode
    made.rdev = node.rdev
    made.nbytes = bytes_of(node)
    made.nr_blocks = blocks_of(node, made.nbytes)
    made.user = node.user
    made.group = node.group
    made.accessed = node.accessed // SECOND
    made.accessed_nanoseconds = node.accessed % SECOND
    made.modified = node.modified // SECOND
    made.modified_nanoseconds = node.modified % SECOND
    made.changed = node.changed // SECOND
    made.changed_nanoseconds = node.changed % SECOND
    made.block_bytes = PAGE_BYTES
    return made


@kernel
def of_file(k: Kernel, file: File) -> Status:
    """struct stat of an open file, in the kernel's buffer."""
    if file.node != 0:
        return of_node(k, Node(k.m, file.node))
    made = Status(k.m, k.files.piece)
    fill(k.m, made.addr, 0, Status.SIZE)
    made.device = STANDARD_DEVICE
    made.inode = Pipe(k.m, file.pipe).inode if file.kind == PIPE_KIND else file.channel + 1
    made.nr_links = 1
    made.mode = file.mode
    made.rdev = file.rdev
    made.block_bytes = 1024 if file.is_terminal != 0 else PAGE_BYTES
    return made


@kernel
def put(k: Kernel, made: Status, to: word) -> word:
    """Give the program a struct stat."""
    return result_of(vm.copy_out(user_of(k), to, VirtAddr(made.addr), Status.SIZE))


@kernel
def put_of_node(k: Kernel, node: Node, to: word) -> word:
    """stat."""
    return put(k, of_node(k, node), to)


@kernel
def put_of_file(k: Kernel, file: File, to: word) -> word:
    """fstat."""
    return put(k, of_file(k, file), to)


@kernel
def put_x_of_node(k: Kernel, node: Node, to: word) -> word:
    """statx of a path."""
    return put_x(k, of_node(k, node), to)


@kernel
def put_x_of_file(k: Kernel, file: File, to: word) -> word:
    """statx of a descriptor."""
    return put_x(k, of_file(k, file), to)


@kernel
def put_x(k: Kernel, found: Status, to: word) -> word:
    """Give the program a struct statx that says what a struct stat says."""
    made = StatusX(k.m, VirtAddr(found.addr + Status.SIZE))
    fill(k.m, made.addr, 0, STATUS_X_BYTES)
    made.mask = BASIC
    made.block_bytes = found.block_bytes
    made.nr_links = found.nr_links
    made.mode = found.mode
    made.inode = found.inode
    made.nbytes = found.nbytes
    made.nr_blocks = found.nr_blocks
    made.user = found.user
    made.group = found.group
    made.accessed = found.accessed
    made.accessed_nanoseconds = found.accessed_nanoseconds
    made.changed = found.changed
    made.changed_nanoseconds = found.changed_nanoseconds
    made.modified = found.modified
    made.modified_nanoseconds = found.modified_nanoseconds
    made.rdev_major = (found.rdev >> 8) & 0xFFF
    made.rdev_minor = found.rdev & 0xFF | (found.rdev >> 12) & 0xFFF00
    made.device_minor = found.device
    return result_of(vm.copy_out(user_of(k), to, VirtAddr(made.addr), STATUS_X_BYTES))


@kernel
def put_file_system(k: Kernel, node: word, to: word) -> word:
    """Give the program a struct statfs, of what has this Node or none."""
    at = k.files.piece
    fill(k.m, at, 0, FILE_SYSTEM_BYTES)
    store64(k.m, VirtAddr(at + 8), PAGE_BYTES)
    store64(k.m, VirtAddr(at + 64), NAME_MAX)
    store64(k.m, VirtAddr(at + 72), PAGE_BYTES)
    if node != 0 and Node(k.m, VirtAddr(node)).row != 0:
        store64(k.m, at, PROC)
        store64(k.m, VirtAddr(at + 80), VALID | PROC_FLAGS)
    else:
        put_room(k, at)
    return result_of(vm.copy_out(user_of(k), to, at, FILE_SYSTEM_BYTES))


@kernel
def put_room(k: Kernel, at: VirtAddr) -> None:
    """Put how much contents may have together, and how much of that is left."""
    store64(k.m, at, TMPFS)
    left = free_content_bytes(k) // PAGE_BYTES
    store64(k.m, VirtAddr(at + 16), most_content_bytes(k) // PAGE_BYTES)
    store64(k.m, VirtAddr(at + 24), left)
    store64(k.m, VirtAddr(at + 32), left)
    store64(k.m, VirtAddr(at + 40), k.files.nr_nodes + left)
    store64(k.m, VirtAddr(at + 48), left)
    store64(k.m, VirtAddr(at + 80), VALID)
