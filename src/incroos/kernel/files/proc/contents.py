"""Which function makes the text of which row, when it is read, and what is written.

A text is made when a file is read for the first time, and again when it is read from its beginning; what is read behind
that is the same text, so that it fits together. It is the file's own, in the heap, until it is closed.

Unit: the byte.
"""

from typing import Final

from incroos.kernel import heap, vm
from incroos.kernel.codes import BAD_ARGUMENT, BAD_POINTER, NO_KERNEL_MEMORY, NO_TASK, OK
from incroos.kernel.files import process_rows as rows
from incroos.kernel.files import process_tasks as tasks
from incroos.kernel.files import text
from incroos.kernel.files.bytes import take_some
from incroos.kernel.files.proc import limits, machine, maps, pagemap, settings, smaps, status
from incroos.kernel.state import NAME_BYTES, TEXT_KIND, File, Kernel, Node, Task, UserSpace
from incroos.lang import VirtAddr, copy, fill, kernel, word

TEXT_ROOM: Final = 6144  # for those that do not grow with a space
MOST_WRITTEN: Final = 64
MOST_ADJUSTED: Final = 1000  # of oom_score_adj


# ------------------------------------------------------------------ reading
@kernel
def read(k: Kernel, user: UserSpace, file: File, to: VirtAddr, nbytes: word) -> word:
    """Read at the file's position, and move it; as read_at."""
    done = read_at(k, user, file, to, nbytes, file.position)
    file.position += max(done, 0)
    return done


@kernel
def read_at(k: Kernel, user: UserSpace, file: File, to: VirtAddr, nbytes: word, position: word) -> word:
    """Read at a position: bytes. NO_KERNEL_MEMORY, NO_TASK, BAD_POINTER, BAD_ARGUMENT."""
    if file.kind != TEXT_KIND:
        return pagemap.read_at(k, user, file, to, nbytes, position)
    if nbytes == 0:
        return 0
    if position == 0 or file.text == 0:
        code = make(k, file, Node(k.m, file.node))
        if code != OK:
            return code
    wanted = min(nbytes, file.text_bytes - position)
    if wanted <= 0:
        return 0
    done = vm.copy_out_some(user, to, VirtAddr(file.text + position), wanted)
    return done if done > 0 else BAD_POINTER


@kernel
def make(k: Kernel, file: File, node: Node) -> word:
    """Make the text of a file anew: OK, NO_KERNEL_MEMORY, NO_TASK."""
    at = tasks.find(k, node.subject) if node.subject != 0 else k.tasks.current
    if at == 0:
        return NO_TASK
    task = Task(k.m, at)
    made = heap.kmalloc(k, room_of(k, task, node.row))
    if made == 0:
        return NO_KERNEL_MEMORY
    heap.kfree(k, file.text)
    file.text = made
    end = put_of_task(k, task, node.row, made) if node.subject != 0 else put_of_machine(k, node.row, made)
    file.text_bytes = end - made
    return OK


@kernel
def room_of(k: Kernel, task: Task, row: word) -> word:
    """Bytes that a text cannot exceed."""
    if task.space == 0:
        return TEXT_ROOM
    match row:
        case rows.MAPS:
            return TEXT_ROOM + maps.room_of(k, UserSpace(k.m, task.space), maps.LINE_BYTES)
        case rows.SMAPS:
            return TEXT_ROOM + maps.room_of(k, UserSpace(k.m, task.space), smaps.RANGE_BYTES)
        case rows.ARGUMENTS:
            return max(task.arguments_bytes, 1)
        case rows.ENVIRONMENT:
            return max(task.environment_bytes, 1)
        case _:
            return TEXT_ROOM


@kernel
def put_of_task(k: Kernel, task: Task, row: word, at: VirtAddr) -> VirtAddr:
    """Put a text about a task: the address behind it."""
    match row:
        case rows.STATUS:
            return status.put_status(k, task, at)
        case rows.STAT:
            return status.put_stat(k, task, at)
        case rows.STATM:
            return status.put_statm(k, task, at)
        case rows.NAME:
            return text.put_char(k.m, status.put_name(k, task, at), text.NEWLINE)
        case rows.LIMITS:
            return limits.put(k, task, at)
        case rows.MOUNTS:
            return machine.put_mounts(k, at)
        case rows.MOUNT_INFO:
            return machine.put_mount_info(k, at)
        case rows.OOM_SCORE | rows.OOM_ADJUST:
            value = task.oom_adjust if row == rows.OOM_ADJUST else max(task.oom_adjust, 0)
            return text.put_char(k.m, text.put_signed(k.m, at, value), text.NEWLINE)
        case _:
            return put_of_space(k, task, UserSpace(k.m, task.space), row, at) if task.space != 0 else at


@kernel
def put_of_space(k: Kernel, task: Task, user: UserSpace, row: word, at: VirtAddr) -> VirtAddr:
    """Put a text about a task's memory: the address behind it."""
    match row:
        case rows.MAPS:
            return maps.put(k, task, user, at)
        case rows.SMAPS:
            return smaps.put(k, task, user, at)
        case rows.ROLLUP:
            return smaps.put_sums(k, user, at)
        case rows.ARGUMENTS:
            return VirtAddr(at + vm.copy_in_some(user, at, task.arguments, task.arguments_bytes))
        case rows.ENVIRONMENT:
            start = task.arguments + task.arguments_bytes
            return VirtAddr(at + vm.copy_in_some(user, at, start, task.environment_bytes))
        case _:
            return at


@kernel
def put_of_machine(k: Kernel, row: word, at: VirtAddr) -> VirtAddr:
    """Put a text about the machine: the address behind it."""
    match row:
        case rows.MEMORY:
            return machine.put_memory(k, at)
        case rows.FILE_SYSTEMS:
            return text.put_text(k.m, at, b'nodev\ttmpfs\nnodev\tproc\n')
        case rows.UPTIME:
            return machine.put_uptime(k, at)
        case rows.VERSION:
            return machine.put_version(k, at)
        case rows.PROCESSORS:
            return machine.put_processors(k, at)
        case rows.MACHINE_STAT:
            return machine.put_stat(k, at)
        case rows.LOAD:
            return machine.put_load(k, at)
        case rows.COMMAND:
            return text.put_text(k.m, at, b'\n')
        case rows.SWAPS:
            return text.put_text(k.m, at, b'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n')
        case rows.RELEASE:
            return text.put_char(k.m, text.put_text(k.m, at, machine.RELEASE), text.NEWLINE)
        case rows.SYSTEM:
            return text.put_text(k.m, at, b'Linux\n')
        case rows.HOST:
            return text.put_char(k.m, text.put_text(k.m, at, machine.HOST), text.NEWLINE)
        case rows.BUILD:
            return text.put_char(k.m, text.put_text(k.m, at, machine.BUILD), text.NEWLINE)
        case rows.DOMAIN:
            return text.put_text(k.m, at, b'(none)\n')
        case rows.CORE_PATTERN:
            return text.put_text(k.m, at, b'core\n')
        case rows.BOOT_ID:
            return text.put_text(k.m, at, b'00000000-0000-4000-8000-000000000000\n')
        case _:
            return settings.put(k, row, at)


# ------------------------------------------------------------------ writing
@kernel
def write(k: Kernel, user: UserSpace, file: File, source: word, nbytes: word) -> word:
    """Write a setting, or what a task is called: bytes. BAD_ARGUMENT, BAD_POINTER, NO_TASK."""
    taken = min(nbytes, MOST_WRITTEN)
    if take_some(user, k.files.piece, source, taken) < taken:
        return BAD_POINTER
    node = Node(k.m, file.node)
    if node.subject == 0:
        code = settings.write(k, node.row, k.files.piece, taken)
    else:
        at = tasks.find(k, node.subject)
        code = write_of_task(k, Task(k.m, at), node.row, taken) if at != 0 else NO_TASK
    if code != OK:
        return code
    file.position += nbytes
    return nbytes


@kernel
def write_of_task(k: Kernel, task: Task, row: word, nbytes: word) -> word:
    """Take what was written about a task, in the kernel's buffer: OK, BAD_ARGUMENT."""
    if row == rows.NAME:
        fill(k.m, task.name.addr, 0, NAME_BYTES)
        copy(k.m, task.name.addr, k.files.piece, min(nbytes, NAME_BYTES - 1))
        return OK
    code, value = settings.number_in(k, k.files.piece, nbytes)
    if code != OK or not -MOST_ADJUSTED <= value <= MOST_ADJUSTED:
        return BAD_ARGUMENT
    task.oom_adjust = value
    return OK
