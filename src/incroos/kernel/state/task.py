"""Tasks and files."""

from typing import Annotated, Final

from incroos.kernel.state.records import RECORD_TEXT_BYTES, Record
from incroos.kernel.state.user_space import Content
from incroos.lang import Array, Struct, VirtAddr, u64

NR_SIGNALS: Final = 64
MAX_FILES: Final = 256  # descriptors of a task; RLIMIT_NOFILE
NAME_BYTES: Final = 16
VECTOR_STATE_BYTES: Final = 512

# File.kind
INPUT_KIND: Final = 1  # the host's descriptor 0
OUTPUT_KIND: Final = 2  # the host's descriptor 1 or 2
CONTENT_KIND: Final = 3  # a file of the archive, or text that the kernel wrote
FOLDER_KIND: Final = 4
NULL_KIND: Final = 5  # /dev/null
ZERO_KIND: Final = 6  # /dev/zero

# Node.kind, beside CONTENT_KIND, FOLDER_KIND, NULL_KIND and ZERO_KIND
LINK_KIND: Final = 7  # a symlink; its content is the target
PROGRAM_KIND: Final = 8  # /proc/self/exe: a symlink to what runs
MAPS_KIND: Final = 9  # /proc/self/maps
ARGUMENTS_KIND: Final = 10  # /proc/self/cmdline
OTHER_KIND: Final = 11  # a device or socket of the archive, which nobody can open

CALL_TEXT_BYTES: Final = 3 * (RECORD_TEXT_BYTES + 4)  # of a record about a call


class SignalAction(Struct):
    """struct kernel_sigaction."""

    handler: u64
    flags: u64
    restorer: u64
    mask: u64


class Node(Struct):
    """A file, folder or symlink of the archive, or one that the kernel itself adds. Owner: files.nodes."""

    content: Content
    kind: u64
    parent: VirtAddr  # the root's is the root
    first: VirtAddr  # what is in a folder: a list
    last: VirtAddr
    next: VirtAddr
    same_hash: VirtAddr  # the next one in its bucket
    name: VirtAddr
    name_bytes: u64
    inode: u64
    mode: u64  # st_mode
    nr_links: u64
    seconds: u64  # of st_mtime
    rdev: u64
    is_hidden: u64  # found by its name, but no folder lists it


class File(Struct):
    """An open file: what dup shares. Owner: files."""

    kind: u64
    nr_users: u64
    flags: u64  # of open
    position: u64
    content: VirtAddr  # Content
    node: VirtAddr  # Node: what stat tells; 0: a standard file
    text: VirtAddr  # of CONTENT_KIND that is the file's own, from the heap: freed when it is closed; or 0
    channel: u64  # of OUTPUT_KIND: 1 or 2
    mode: u64  # of standard files: st_mode
    is_terminal: u64
    rdev: u64


class Descriptor(Struct):
    """A place in a task's table."""

    file: VirtAddr  # 0: free
    flags: u64  # FD_CLOEXEC


class Task(Struct):
    """A program that runs. Owner: task."""

    number: u64  # pid
    space: VirtAddr  # UserSpace
    name: Annotated[Array[u64], NAME_BYTES // 8]
    pending: u64  # signals, bit n - 1 for signal n
    blocked: u64
    clear_on_exit: VirtAddr  # set_tid_address
    umask: u64
    alternate_stack: Annotated[Array[u64], 3]  # stack_t of sigaltstack
    program: VirtAddr  # Node: /proc/self/exe
    folder: VirtAddr  # Node: the working directory
    arguments: VirtAddr  # [arguments, arguments + arguments_bytes) in the program's memory
    arguments_bytes: u64
    actions: Annotated[Array[SignalAction], NR_SIGNALS]
    descriptors: Annotated[Array[Descriptor], MAX_FILES]


class TaskState(Struct):
    """Owner: task."""

    current: VirtAddr  # Task
    next_number: u64
    nr_calls: u64
    flags: u64  # RunInfo.flags
    clock: u64  # virtual nanoseconds since the start
    start_seconds: u64
    random: u64  # the generator's state
    free_frames: u64  # before the first program
    record_bytes: u64  # of the heap, then
    unknown_calls: Annotated[Array[u64], 16]  # a bit for each number: it was named
    record: Record  # the one that is being made
    record_text: Annotated[Array[u64], (CALL_TEXT_BYTES + 7) // 8]


class FilesState(Struct):
    """Owner: files."""

    archive: VirtAddr  # first byte of the cpio
    archive_bytes: u64
    program: VirtAddr  # Node of the first file
    nodes: VirtAddr  # Nodes, the root first
    nr_nodes: u64
    max_nodes: u64
    buckets: VirtAddr  # Nodes by the hash of parent and name
    nr_buckets: u64  # a power of two
    names: VirtAddr  # of the nodes that the kernel adds
    names_bytes: u64
    path: VirtAddr  # PATH_ROOM bytes: what is left of a path
    piece: VirtAddr  # PIECE_BYTES: what is copied to or from a program
    input: VirtAddr  # INPUT_BYTES: [input_start, input_end) came and was not taken
    input_start: u64
    input_end: u64
