"""Tasks and files."""

from typing import Annotated, Final

from incroos.kernel.state.records import RECORD_TEXT_BYTES, Record
from incroos.kernel.state.user_space import Content
from incroos.lang import Array, Struct, VirtAddr, i64, kernel, u64

NR_SIGNALS: Final = 64
NR_STANDARD_SIGNALS: Final = 31  # the others are real-time signals, which are queued
MAX_QUEUED: Final = 4096  # of all tasks; RLIMIT_SIGPENDING
NR_TIMERS: Final = 3  # ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF
NR_LIMITS: Final = 16  # resources
MOST_GROUPS: Final = 16
MAX_FILES: Final = 256  # descriptors of a task; more than RLIMIT_NOFILE
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
MAGIC_LINK_KIND: Final = 8  # of /proc: a symlink that leads where its task says, as /proc/self/exe
TEXT_KIND: Final = 9  # of /proc: its text is made when it is read
PAGEMAP_KIND: Final = 10  # /proc/self/pagemap
OTHER_KIND: Final = 11  # a device or socket of the archive, which nobody can open

# File.kind again
PIPE_KIND: Final = 20  # an end of a pipe or FIFO; of nodes: a FIFO
EVENT_KIND: Final = 21  # eventfd
FULL_KIND: Final = 22  # /dev/full
RANDOM_KIND: Final = 23  # /dev/random
DESCRIPTOR_KIND: Final = 25  # of nodes of /proc: /proc/self/fd/N, a symlink to an open file
TERMINAL_KIND: Final = 24  # of nodes, too
INTEREST_KIND: Final = 26  # epoll

NR_SETTINGS: Final = 8  # of /proc/sys that can be written
CALL_TEXT_BYTES: Final = 3 * (RECORD_TEXT_BYTES + 4)  # of a record about a call


class SignalAction(Struct):
    """struct kernel_sigaction."""

    handler: u64
    flags: u64
    restorer: u64
    mask: u64


class SignalInfo(Struct):
    """What siginfo_t tells of a signal beside its number: the words that differ. Owner: task.sending."""

    code: u64  # si_code; in the high half si_errno
    first: u64  # si_pid and in the high half si_uid; or si_addr
    second: u64  # si_value; or si_status


class QueuedSignal(Struct):
    """A real-time signal that waits, in a list of its task's. From the heap. Owner: task.sending."""

    next: VirtAddr
    signal: u64
    info: SignalInfo


class Pending(Struct):
    """Signals that wait for a thread, or for a process. Owner: task.sending."""

    signals: u64  # bit n - 1 for signal n
    queued: VirtAddr  # QueuedSignal, the first one sent
    infos: Annotated[Array[SignalInfo], NR_STANDARD_SIGNALS]  # of those that wait


class ActionTable(Struct):
    """What is done with each signal: what CLONE_SIGHAND shares. Owner: task.actions."""

    nr_users: u64  # tasks
    with_action: u64  # signals that may have another action than the default one: the others' mean nothing
    actions: Annotated[Array[SignalAction], NR_SIGNALS]


class Whereabouts(Struct):
    """What CLONE_FS shares. From the heap. Owner: files.whereabouts."""

    nr_users: u64  # tasks
    folder: VirtAddr  # Node: the working directory
    umask: u64


class Timer(Struct):
    """An interval timer: nanoseconds. Owner: task.timers."""

    at: u64  # when it rings, as its clock counts; 0: it is off
    every: u64  # after that; 0: once


class Ids(Struct):
    """Numbers of users or groups."""

    real: u64
    effective: u64
    saved: u64


class Credentials(Struct):
    """For whom a task acts: zeros are root. Owner: abi.user_calls."""

    user: Ids
    group: Ids
    nr_groups: u64
    groups: Annotated[Array[u64], MOST_GROUPS]  # beside the effective one


class Node(Struct):
    """A file, folder, symlink or device, whatever its names. Owner: files.nodes."""

    content: Content
    label: VirtAddr  # of a file that has no name any more, or never had one: a text, in the heap; 0: none
    label_bytes: u64
    seals: u64  # of such a file, as files.seals says
    room: u64  # of a symlink that was made: bytes of the heap that its text has
    kind: u64
    entry: VirtAddr  # Entry: the name that it got last; 0: it has none, or is the root
    parent: VirtAddr  # of a folder: the Node in which it is; the root's is the root
    first: VirtAddr  # of a folder: its Entries, a list
    last: VirtAddr
    next_position: u64  # of a folder: that of the next entry
    inode: u64
    mode: u64  # st_mode
    user: u64
    group: u64
    nr_links: u64
    nr_files: u64  # open files
    accessed: u64  # nanoseconds since 1970
    modified: u64
    changed: u64
    rdev: u64
    pipe: VirtAddr  # of a FIFO that was opened: Pipe
    row: u64  # of /proc: which file or folder of files.proc.rows; 0: it is not there
    subject: u64  # of /proc: the number of the task of which it tells
    descriptor: u64  # of DESCRIPTOR_KIND
    is_lost: u64  # it has no name, and is kept for those who still use it
    next_lost: VirtAddr


class Entry(Struct):
    """A name of a Node in a folder. Owner: files.entries."""

    node: VirtAddr
    folder: VirtAddr  # Node
    next: VirtAddr
    previous: VirtAddr
    same_hash: VirtAddr  # the next one in its bucket
    other_name: VirtAddr  # Entry: the next one of the same node
    name: VirtAddr
    name_bytes: u64
    position: u64  # in its folder: later entries have higher ones
    is_hidden: u64  # found by its name, but not listed


class File(Struct):
    """An open file: what dup shares. Owner: files."""

    kind: u64
    nr_users: u64
    flags: u64  # of open
    position: u64
    content: VirtAddr  # Content
    node: VirtAddr  # Node: what stat tells; 0: a standard file
    text: VirtAddr  # of TEXT_KIND: bytes from the heap, freed when it is closed; 0: none were asked for
    text_bytes: u64
    channel: u64  # of OUTPUT_KIND: 1 or 2
    pipe: VirtAddr  # of PIPE_KIND: Pipe; of EVENT_KIND: EventCounter; of INTEREST_KIND: InterestList
    first_interest: VirtAddr  # Interest: of those that ask for this file, in whatever list
    mode: u64  # of standard files: st_mode
    is_terminal: u64
    rdev: u64


class Descriptor(Struct):
    """A place in a table."""

    file: VirtAddr  # 0: free
    flags: u64  # FD_CLOEXEC


class DescriptorTable(Struct):
    """What descriptors name: what CLONE_FILES shares. Owner: files.descriptors."""

    nr_users: u64  # tasks
    end_descriptors: u64  # none from here on is open, and what is there means nothing
    descriptors: Annotated[Array[Descriptor], MAX_FILES]  # the last field: fork copies no more than it must


# Task.state
READY: Final = 1  # it runs, or can
WAITING: Final = 2  # its call is made anew when it runs again
HELD: Final = 3  # its call is done, and it goes on behind it when it is woken
ENDED: Final = 4  # a zombie: its parent has not asked for the status
GONE: Final = 5  # the leader of a process has ended, and another thread of it has not

# TaskState.attention: why the way back to ring 3 is not the short one
SLICE_IS_OVER: Final = 1 << 0
CANNOT_RUN: Final = 1 << 1  # the task waits, is stopped, or has ended
HAS_SIGNAL: Final = 1 << 2
HAS_WAITED: Final = 1 << 3  # the call that the task makes has waited before
HAS_NEW_REGISTERS: Final = 1 << 4  # exec, sigreturn: SYSRET would lose some
HAS_CHANGES: Final = 1 << 5  # FilesState.changed names what somebody may wait on
HAS_NEWS: Final = 1 << 6  # a parent is to hear of a task
NEEDS_TIMER: Final = 1 << 7  # an alarm was set: the timer may have to run

# Task.waits_on, beside addresses
NOBODY: Final = 0  # a signal or its deadline alone wakes it
ANYTHING: Final = 1  # whatever happens: poll looks again
INPUT: Final = 2  # the host's input
EVERYTHING: Final = 3  # is woken, but for whoever is held: several things have changed
FUTEX: Final = 4  # a word of its memory, see Task.futex

# Task.has_waited
RESTARTS: Final = 1  # a handler with SA_RESTART lets the call be made anew
IS_INTERRUPTED: Final = 2  # each handler ends the call

# Task.how_ended; the numbers of RECORD_END
EXITED: Final = 0
BY_SIGNAL: Final = 1
NOT_STARTED: Final = 2

MAX_TASKS: Final = 1000
INIT_NUMBER: Final = 1  # the kernel itself: the parent of whoever has none
FIRST_NUMBER: Final = 2
NR_REGISTER_WORDS: Final = 22  # of Registers
NR_STATISTICS: Final = 11


class Task(Struct):
    """A program that runs, waits, or has ended. Owner: task.

    next and previous make a ring of all tasks. While it runs, its registers are in user_registers(k) and the
    processor; otherwise here.
    """

    vectors: Annotated[Array[u64], VECTOR_STATE_BYTES // 8]  # what FXSAVE writes, at a multiple of 16
    registers: Annotated[Array[u64], NR_REGISTER_WORDS]
    fs_base: VirtAddr
    gs_base: VirtAddr
    next: VirtAddr  # Task
    previous: VirtAddr
    parent: VirtAddr  # Task; 0: init
    state: u64
    is_stopped: u64  # by a signal, whatever its state
    waits_on: VirtAddr  # an address, or one of the numbers above
    deadline: u64  # of a wait: when it ends, as the clock counts; 0: never
    progress: u64  # of a call that waits: what cannot be undone
    comes_to: u64  # of one that opens a FIFO: see files.fifos
    futex: VirtAddr  # of a wait on FUTEX: the word's address,
    futex_owner: VirtAddr  # and in what: see task.futexes
    futex_set: u64  # of WAIT_BITSET: bits of which one must be named
    turn: u64  # who waits on a word since when: smaller numbers came first; 0: no futex
    has_waited: u64  # its call waits, or did and is made anew: one of the numbers above
    rest: VirtAddr  # of such a call: where the rest of its time goes if a handler ends it; 0
    rest_unit: u64  # see task.interruption
    holder: VirtAddr  # of a child of vfork: the parent that is held until it execs or ends; 0
    how_ended: u64
    status: u64  # exit status or signal
    news: u64  # of a stop or its end, what wait4 tells of it; 0: none that nobody has heard
    next_news: VirtAddr  # Task: in the list of those whose parent is to hear of them, see task.family
    is_news: u64  # it is in that list
    exit_signal: u64  # sent to the parent at the end; 0: none
    group: u64
    session: u64
    nice: u64  # -20 to 19; nothing follows from it
    has_executed: u64  # its program is another one than its parent's: setpgid lets it alone
    number: u64  # pid
    space: VirtAddr  # UserSpace
    name: Annotated[Array[u64], NAME_BYTES // 8]
    blocked: u64
    saved_blocked: u64  # what is blocked when the call ends that blocks others, if has_saved_blocked
    has_saved_blocked: u64
    awaited: u64  # signals that the call that waits takes itself: rt_sigtimedwait
    fault_vector: u64  # of the last exception that became a signal, for its frame
    fault_error: u64
    fault_address: VirtAddr  # of the last one that was a page fault
    user_time: u64  # nanoseconds that its process ran, until the slice began
    thread_time: u64  # the same of the thread alone
    children_time: u64  # of its children that it has waited for, and of theirs
    timers: Annotated[Array[Timer], NR_TIMERS]
    clear_on_exit: VirtAddr  # set_tid_address
    robust: VirtAddr  # set_robust_list
    limit_files: u64  # descriptors: RLIMIT_NOFILE
    limit_tasks: u64  # tasks that there may be for it to make another: RLIMIT_NPROC
    limits: Annotated[Array[u64], 2 * NR_LIMITS]  # of each resource what was set, and how far it may be raised
    credentials: Credentials
    alternate_stack: Annotated[Array[u64], 3]  # stack_t of sigaltstack
    program: VirtAddr  # Node: /proc/self/exe
    arguments: VirtAddr  # [arguments, arguments + arguments_bytes) in the program's memory
    arguments_bytes: u64
    environment_bytes: u64  # behind them
    stack_start: VirtAddr  # where the stack was when its program began
    started: u64  # nanoseconds since the start
    oom_adjust: i64  # oom_score_adj: nothing follows from it
    table: VirtAddr  # DescriptorTable; it and the next two: 0 in one that has ended
    actions: VirtAddr  # ActionTable
    whereabouts: VirtAddr  # Whereabouts
    leader: VirtAddr  # Task: the first one of its process; itself if it is that
    next_thread: VirtAddr  # Tasks of the process, a ring; of the leader's alone the rest has a meaning:
    previous_thread: VirtAddr
    nr_threads: u64  # of the process that have not ended
    has_barriers: u64  # membarrier was told that it will be used
    is_thread: u64  # it was never its process's leader
    shared: Pending  # what waits for the process
    pending: Pending  # what waits for this thread


@kernel
def table_of(task: Task) -> DescriptorTable:
    """What a task's descriptors name. PRE it has not ended."""
    return DescriptorTable(task.m, task.table)


@kernel
def whereabouts_of(task: Task) -> Whereabouts:
    """Where a task is. PRE as of table_of."""
    return Whereabouts(task.m, task.whereabouts)


@kernel
def leader_of(task: Task) -> Task:
    """The leader of a task's process: what a process has one of is there."""
    return Task(task.m, task.leader)


class TaskState(Struct):
    """Owner: task."""

    current: VirtAddr  # Task that runs; 0: none
    attention: u64
    ring: VirtAddr  # a Task of the ring; 0: there is none
    nr_tasks: u64  # in it
    nr_live: u64  # of them: not ended
    news: VirtAddr  # the first Task whose parent is to hear of it; 0: there is none
    next_number: u64
    slice_start: u64  # when the task that runs began to, or was last charged
    has_begun_again: u64  # numbers have come to their end once
    nr_calls: u64
    cache: VirtAddr  # the heap's cache of Tasks
    action_tables: VirtAddr  # and that of ActionTables
    flags: u64  # RunInfo.flags
    clock: u64  # virtual nanoseconds since the start
    start_seconds: u64
    counter_rate: u64  # of the time stamp counter, in kilohertz
    counter_start: u64  # what it was at the start
    random: u64  # the generator's state
    nr_queued: u64  # QueuedSignals of all tasks
    last_turn: u64  # Task.turn that was given last
    nr_timers: u64  # of all tasks, that are on
    free_frames: u64  # before the first program
    record_bytes: u64  # of the heap, then
    statistics: Annotated[Array[u64], NR_STATISTICS]  # as task.report says
    unknown_calls: Annotated[Array[u64], 16]  # a bit for each number: it was named
    record: Record  # the one that is being made
    record_text: Annotated[Array[u64], (CALL_TEXT_BYTES + 7) // 8]


class FilesState(Struct):
    """Owner: files."""

    tables: VirtAddr  # the heap's cache of DescriptorTables
    archive: VirtAddr  # first byte of the cpio
    archive_bytes: u64
    program: VirtAddr  # Node of the first file
    nodes: VirtAddr  # Nodes of the archive and of the kernel's own, the root first
    entries: VirtAddr  # their Entries
    nr_given: u64  # of these nodes, and as many entries but one
    max_nodes: u64
    nr_nodes: u64  # all that there are, with those from the heap
    nr_entries: u64
    buckets: VirtAddr  # Entries by the hash of folder and name
    nr_buckets: u64  # a power of two
    nr_first_buckets: u64  # at the start
    is_changed: u64  # something has been written, or got a name
    names: VirtAddr  # of the nodes that the kernel adds
    names_bytes: u64
    lost: VirtAddr  # Nodes without a name that somebody uses: a list
    nr_content_bytes: u64  # of the heap, that texts of symlinks have
    last_folder: VirtAddr  # what a walk came to: the Node of the folder,
    last_name: VirtAddr  # the name in it, in the path buffer,
    last_bytes: u64
    last_entry: VirtAddr  # the Entry of that name; 0: there is none, or it is no name
    processes: VirtAddr  # Node: /proc
    descriptor_target: VirtAddr  # Node: stands for an open file that has none,
    target_file: VirtAddr  # which is this File: a walk came to it last through a symlink of /proc/self/fd
    last_slash: u64  # whether slashes follow the name
    path: VirtAddr  # PATH_ROOM bytes: what is left of a path
    piece: VirtAddr  # PIECE_BYTES: what is copied to or from a program
    input: VirtAddr  # INPUT_BYTES: [input_start, input_end) came and was not taken
    input_start: u64
    input_end: u64
    terminal: VirtAddr  # Terminal; 0: there is none
    console: VirtAddr  # Node of /dev/console
    waits_on: VirtAddr  # with MUST_WAIT: the object
    signal: u64  # with IN_BACKGROUND
    progress: u64  # with MUST_WAIT and BROKEN_PIPE: bytes that the call has written
    changed: VirtAddr  # an object that whoever waits on it must look at again; EVERYTHING: several; 0: none
    settings: Annotated[Array[u64], NR_SETTINGS]  # of /proc/sys, see files.process_rows
    nr_pipe_bytes: u64  # of the rings of all pipes
    nr_input_reads: u64  # from the input or the terminal
    next_inode: u64  # of what has no node, and of nodes
