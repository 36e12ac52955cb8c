"""Tasks and files."""

from typing import Annotated, Final

from incroos.kernel.config import KernelConfig
from incroos.lang import Array, Struct, VirtAddr, u64

NR_SIGNALS: Final = 64
MAX_FILES: Final = 256  # descriptors of a task; RLIMIT_NOFILE
NAME_BYTES: Final = 16
VECTOR_STATE_BYTES: Final = 512

# File.kind
CLOSED_KIND: Final = 0
INPUT_KIND: Final = 1  # the host's descriptor 0
OUTPUT_KIND: Final = 2  # the host's descriptor 1 or 2
CONTENT_KIND: Final = 3  # a file of the archive, or text that the kernel wrote
FOLDER_KIND: Final = 4
NULL_KIND: Final = 5  # /dev/null
ZERO_KIND: Final = 6  # /dev/zero


class SignalAction(Struct):
    """struct kernel_sigaction."""

    handler: u64
    flags: u64
    restorer: u64
    mask: u64


class File(Struct):
    """An open file: what dup shares. Owner: files."""

    kind: u64
    nr_users: u64
    flags: u64  # of open
    position: u64
    content: VirtAddr  # Content
    node: VirtAddr  # of the archive: what stat tells
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

    config: KernelConfig
    kernel: VirtAddr
    number: u64  # pid
    space: VirtAddr  # UserSpace
    name: Annotated[Array[u64], NAME_BYTES // 8]
    pending: u64  # signals, bit n - 1 for signal n
    blocked: u64
    clear_on_exit: VirtAddr  # set_tid_address
    umask: u64
    program: VirtAddr  # node of the archive: /proc/self/exe
    folder: VirtAddr  # node of the archive: the working directory
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
    unknown_calls: Annotated[Array[u64], 16]  # a bit for each number: it was named


class FilesState(Struct):
    """Owner: files."""

    archive: VirtAddr  # first byte of the cpio
    archive_bytes: u64
    nodes: VirtAddr  # ArchiveNodes
    nr_nodes: u64
    input_buffer: VirtAddr
    output_buffer: VirtAddr
