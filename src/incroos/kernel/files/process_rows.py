"""The files and folders of /proc: a row for each, of which nodes are made when somebody looks for them.

    row    its number names it; name, the row of the folder in which it is, Node.kind, mode
    TABLE  what is looked at: 6 bytes of each row

A folder of a task (TASK) has a node for each task that somebody looked at. Unit: the row.
"""

from typing import Final, NamedTuple

from incroos.kernel.files.nodes import FOLDER, LINK, REGULAR
from incroos.kernel.state import FOLDER_KIND, MAGIC_LINK_KIND, PAGEMAP_KIND, TEXT_KIND
from incroos.lang import Machine, VirtAddr, kernel, load8, word

# Folders
PROC: Final = 1
TASK: Final = 2  # /proc/N, /proc/N/task/N
DESCRIPTORS: Final = 3  # fd
THREADS: Final = 4  # task
SYS: Final = 5
SYS_VM: Final = 6
SYS_KERNEL: Final = 7
SYS_FS: Final = 8
RANDOM: Final = 9  # /proc/sys/kernel/random

# Symlinks
SELF: Final = 10
THREAD_SELF: Final = 11
PROGRAM: Final = 12  # exe
WORKING: Final = 13  # cwd
ROOT: Final = 14
MOUNTS_LINK: Final = 15  # /proc/mounts
DESCRIPTOR: Final = 16  # of fd: whichever

# Of a task
MAPS: Final = 20
SMAPS: Final = 21
ROLLUP: Final = 22
STATUS: Final = 23
STAT: Final = 24
STATM: Final = 25
PAGEMAP: Final = 26
ARGUMENTS: Final = 27  # cmdline
NAME: Final = 28  # comm
LIMITS: Final = 29
ENVIRONMENT: Final = 30
MOUNTS: Final = 31
MOUNT_INFO: Final = 32
OOM_SCORE: Final = 33
OOM_ADJUST: Final = 34  # oom_score_adj

# Of the machine
MEMORY: Final = 40  # meminfo
FILE_SYSTEMS: Final = 41
UPTIME: Final = 42
VERSION: Final = 43
PROCESSORS: Final = 44  # cpuinfo
MACHINE_STAT: Final = 45
LOAD: Final = 46
COMMAND: Final = 47  # cmdline
SWAPS: Final = 49

# Settings: what can be written is kept in FilesState.settings, from FIRST_SETTING on
FIRST_SETTING: Final = 60
OVERCOMMIT: Final = 60
OVERCOMMIT_RATIO: Final = 61
SWAPPINESS: Final = 62
DROP_CACHES: Final = 63
MIN_FREE: Final = 64
NR_HUGE_PAGES: Final = 65
PANIC_ON_OOM: Final = 66
CORE_USES_NUMBER: Final = 67
END_SETTING: Final = 68

# What is told alone
MAX_MAPS: Final = 70
LEAST_ADDRESS: Final = 71  # mmap_min_addr
OVERCOMMIT_BYTES: Final = 72
OVERCOMMIT_HUGE: Final = 73
MOST_NUMBER: Final = 74  # pid_max
MOST_THREADS: Final = 75
MOST_SHARED: Final = 76  # shmmax
ALL_SHARED: Final = 77
NR_SHARED: Final = 78
RELEASE: Final = 79
SYSTEM: Final = 80
HOST: Final = 81
BUILD: Final = 82
DOMAIN: Final = 83
TAINTED: Final = 84
RANDOMIZE: Final = 85
CORE_PATTERN: Final = 86
NR_GROUPS: Final = 87
LAST_CAPABILITY: Final = 88
PIPE_SIZE: Final = 89
NR_OPEN: Final = 90
MOST_FILES: Final = 91
OPEN_FILES: Final = 92
BOOT_ID: Final = 93
ENTROPY: Final = 94


class Row(NamedTuple):
    """A file or folder of /proc."""

    name: bytes
    folder: int
    kind: int = TEXT_KIND
    mode: int = REGULAR | 0o444


READ_FOLDER: Final = FOLDER | 0o555
ANY_LINK: Final = LINK | 0o777
CHANGED: Final = REGULAR | 0o644
OWN: Final = REGULAR | 0o400

ROWS: Final[dict[int, Row]] = {
    PROC: Row(b'proc', 0, FOLDER_KIND, READ_FOLDER),
    TASK: Row(b'', 0, FOLDER_KIND, READ_FOLDER),
    DESCRIPTORS: Row(b'fd', TASK, FOLDER_KIND, FOLDER | 0o500),
    THREADS: Row(b'task', TASK, FOLDER_KIND, READ_FOLDER),
    SYS: Row(b'sys', PROC, FOLDER_KIND, READ_FOLDER),
    SYS_VM: Row(b'vm', SYS, FOLDER_KIND, READ_FOLDER),
    SYS_KERNEL: Row(b'kernel', SYS, FOLDER_KIND, READ_FOLDER),
    SYS_FS: Row(b'fs', SYS, FOLDER_KIND, READ_FOLDER),
    RANDOM: Row(b'random', SYS_KERNEL, FOLDER_KIND, READ_FOLDER),
    SELF: Row(b'self', PROC, MAGIC_LINK_KIND, ANY_LINK),
    THREAD_SELF: Row(b'thread-self', PROC, MAGIC_LINK_KIND, ANY_LINK),
    MOUNTS_LINK: Row(b'mounts', PROC, MAGIC_LINK_KIND, ANY_LINK),
    PROGRAM: Row(b'exe', TASK, MAGIC_LINK_KIND, ANY_LINK),
    WORKING: Row(b'cwd', TASK, MAGIC_LINK_KIND, ANY_LINK),
    ROOT: Row(b'root', TASK, MAGIC_LINK_KIND, ANY_LINK),
    MAPS: Row(b'maps', TASK),
    SMAPS: Row(b'smaps', TASK),
    ROLLUP: Row(b'smaps_rollup', TASK),
    STATUS: Row(b'status', TASK),
    STAT: Row(b'stat', TASK),
    STATM: Row(b'statm', TASK),
    PAGEMAP: Row(b'pagemap', TASK, PAGEMAP_KIND, OWN),
    ARGUMENTS: Row(b'cmdline', TASK),
    NAME: Row(b'comm', TASK, mode=CHANGED),
    LIMITS: Row(b'limits', TASK),
    ENVIRONMENT: Row(b'environ', TASK, mode=OWN),
    MOUNTS: Row(b'mounts', TASK),
    MOUNT_INFO: Row(b'mountinfo', TASK),
    OOM_SCORE: Row(b'oom_score', TASK),
    OOM_ADJUST: Row(b'oom_score_adj', TASK, mode=CHANGED),
    MEMORY: Row(b'meminfo', PROC),
    FILE_SYSTEMS: Row(b'filesystems', PROC),
    UPTIME: Row(b'uptime', PROC),
    VERSION: Row(b'version', PROC),
    PROCESSORS: Row(b'cpuinfo', PROC),
    MACHINE_STAT: Row(b'stat', PROC),
    LOAD: Row(b'loadavg', PROC),
    COMMAND: Row(b'cmdline', PROC),
    SWAPS: Row(b'swaps', PROC),
    OVERCOMMIT: Row(b'overcommit_memory', SYS_VM, mode=CHANGED),
    OVERCOMMIT_RATIO: Row(b'overcommit_ratio', SYS_VM, mode=CHANGED),
    OVERCOMMIT_BYTES: Row(b'overcommit_kbytes', SYS_VM),
    SWAPPINESS: Row(b'swappiness', SYS_VM, mode=CHANGED),
    DROP_CACHES: Row(b'drop_caches', SYS_VM, mode=CHANGED),
    MIN_FREE: Row(b'min_free_kbytes', SYS_VM, mode=CHANGED),
    NR_HUGE_PAGES: Row(b'nr_hugepages', SYS_VM, mode=CHANGED),
    OVERCOMMIT_HUGE: Row(b'nr_overcommit_hugepages', SYS_VM),
    PANIC_ON_OOM: Row(b'panic_on_oom', SYS_VM, mode=CHANGED),
    MAX_MAPS: Row(b'max_map_count', SYS_VM),
    LEAST_ADDRESS: Row(b'mmap_min_addr', SYS_VM),
    MOST_NUMBER: Row(b'pid_max', SYS_KERNEL),
    MOST_THREADS: Row(b'threads-max', SYS_KERNEL),
    MOST_SHARED: Row(b'shmmax', SYS_KERNEL),
    ALL_SHARED: Row(b'shmall', SYS_KERNEL),
    NR_SHARED: Row(b'shmmni', SYS_KERNEL),
    RELEASE: Row(b'osrelease', SYS_KERNEL),
    SYSTEM: Row(b'ostype', SYS_KERNEL),
    HOST: Row(b'hostname', SYS_KERNEL),
    BUILD: Row(b'version', SYS_KERNEL),
    DOMAIN: Row(b'domainname', SYS_KERNEL),
    TAINTED: Row(b'tainted', SYS_KERNEL),
    RANDOMIZE: Row(b'randomize_va_space', SYS_KERNEL),
    CORE_PATTERN: Row(b'core_pattern', SYS_KERNEL),
    CORE_USES_NUMBER: Row(b'core_uses_pid', SYS_KERNEL, mode=CHANGED),
    NR_GROUPS: Row(b'ngroups_max', SYS_KERNEL),
    LAST_CAPABILITY: Row(b'cap_last_cap', SYS_KERNEL),
    PIPE_SIZE: Row(b'pipe-max-size', SYS_FS),
    NR_OPEN: Row(b'nr_open', SYS_FS),
    MOST_FILES: Row(b'file-max', SYS_FS),
    OPEN_FILES: Row(b'file-nr', SYS_FS),
    BOOT_ID: Row(b'boot_id', RANDOM),
    ENTROPY: Row(b'entropy_avail', RANDOM),
}

END_ROW: Final = max(ROWS) + 1
ROW_BYTES: Final = 6
NAME_BYTES: Final = 24  # of NAMES for each row; the names are shorter


def table() -> bytes:
    """Folder, kind, mode in two bytes, the bytes of the name, and 0; a row that there is not has folder 0."""
    made = bytearray(END_ROW * ROW_BYTES)
    for number, row in ROWS.items():
        fields = row.folder, row.kind, row.mode & 0xFF, row.mode >> 8, len(row.name), 0
        made[number * ROW_BYTES : (number + 1) * ROW_BYTES] = bytes(fields)
    return bytes(made)


TABLE: Final = table()
NAMES: Final = b''.join(
    (ROWS[number].name if number in ROWS else b'').ljust(NAME_BYTES, b'\0') for number in range(END_ROW)
)


@kernel
def folder_of(row: word) -> word:
    """The row of the folder in which it is."""
    return TABLE[ROW_BYTES * row]


@kernel
def kind_of(row: word) -> word:
    """Node.kind."""
    return TABLE[ROW_BYTES * row + 1]


@kernel
def mode_of(row: word) -> word:
    """st_mode."""
    return TABLE[ROW_BYTES * row + 2] | TABLE[ROW_BYTES * row + 3] << 8


@kernel
def name_bytes_of(row: word) -> word:
    """The bytes of its name."""
    return TABLE[ROW_BYTES * row + 4]


@kernel
def find(m: Machine, folder: word, name: VirtAddr, nbytes: word) -> word:
    """The row of that name in the folder of a row; 0: there is none."""
    for row in range(END_ROW):
        if folder_of(row) == folder and name_bytes_of(row) == nbytes and is_named(m, row, name, nbytes):
            return row
    return 0


@kernel
def is_named(m: Machine, row: word, name: VirtAddr, nbytes: word) -> bool:
    """Are these bytes its name, as far as they go?"""
    for index in range(nbytes):
        if NAMES[NAME_BYTES * row + index] != load8(m, VirtAddr(name + index)):
            return False
    return True


@kernel
def next_in(folder: word, least: word) -> word:
    """The first row from `least` on that is in the folder of a row; 0: there is none."""
    for row in range(least, END_ROW):
        if folder_of(row) == folder:
            return row
    return 0
