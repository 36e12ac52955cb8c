"""Descriptors: a table of open files, which tasks may share. dup makes two descriptors of one file, with one position.

Unit: the descriptor, a number from 0 on; the lowest free one is given. Knows nothing of what a file is.
"""

from typing import Final

from incroos.kernel import heap
from incroos.kernel.codes import BAD_DESCRIPTOR, NO_DESCRIPTOR, OK
from incroos.kernel.files import open_files
from incroos.kernel.files.flags import CLOSE_AT_EXEC
from incroos.kernel.state import Descriptor, DescriptorTable, File, Kernel, ObjectCache, Task, table_of
from incroos.lang import VirtAddr, copy, kernel, offset_of, word

CLOSE_ON_EXEC: Final = 1  # FD_CLOEXEC
TABLE_ALIGNMENT: Final = 8


@kernel
def closing_of(flags: word) -> word:
    """The flags of a descriptor that is made with these flags of open."""
    return CLOSE_ON_EXEC if flags & CLOSE_AT_EXEC != 0 else 0


@kernel
def file_at(task: Task, descriptor: word) -> VirtAddr:
    """The File of a descriptor; 0 if it is not open."""
    table = table_of(task)
    if not 0 <= descriptor < table.end_descriptors:
        return VirtAddr(0)
    return table.descriptors[descriptor].file


@kernel
def lowest_free(task: Task, least: word) -> word:
    """The lowest free descriptor from `least` on, or NO_DESCRIPTOR."""
    table = table_of(task)
    end = min(table.end_descriptors, task.limit_files)
    for descriptor in range(least, end):
        if table.descriptors[descriptor].file == 0:
            return descriptor
    found = max(least, end)
    return found if found < task.limit_files else NO_DESCRIPTOR


@kernel
def put(task: Task, descriptor: word, file: File, flags: word) -> None:
    """Let a free descriptor name a file."""
    table = table_of(task)
    while table.end_descriptors <= descriptor:
        table.descriptors[table.end_descriptors].file = VirtAddr(0)
        table.descriptors[table.end_descriptors].flags = 0
        table.end_descriptors += 1
    table.descriptors[descriptor].file = file.addr
    table.descriptors[descriptor].flags = flags
    file.nr_users += 1


@kernel
def close(k: Kernel, task: Task, descriptor: word) -> word:
    """Free a descriptor, and its file if no other names it: OK, BAD_DESCRIPTOR."""
    at = file_at(task, descriptor)
    if at == 0:
        return BAD_DESCRIPTOR
    place = table_of(task).descriptors[descriptor]
    place.file = VirtAddr(0)
    place.flags = 0
    open_files.drop(k, File(k.m, at))
    return OK


@kernel
def close_on_exec(k: Kernel, task: Task) -> None:
    """Free the descriptors that are marked so: exec."""
    for descriptor in range(table_of(task).end_descriptors):
        if table_of(task).descriptors[descriptor].flags & CLOSE_ON_EXEC != 0:
            close(k, task, descriptor)


@kernel
def duplicate(k: Kernel, task: Task, descriptor: word, least: word, flags: word) -> word:
    """Another descriptor of the same file, the lowest from `least` on; BAD_DESCRIPTOR, NO_DESCRIPTOR."""
    at = file_at(task, descriptor)
    if at == 0:
        return BAD_DESCRIPTOR
    found = lowest_free(task, least)
    if found >= 0:
        put(task, found, File(k.m, at), flags)
    return found


@kernel
def duplicate_to(k: Kernel, task: Task, descriptor: word, wanted: word, flags: word) -> word:
    """Let the descriptor `wanted`, another one, name the same file, whatever it named before. BAD_DESCRIPTOR."""
    at = file_at(task, descriptor)
    if at == 0 or not 0 <= wanted < task.limit_files:
        return BAD_DESCRIPTOR
    if file_at(task, wanted) != at:
        close(k, task, wanted)
        put(task, wanted, File(k.m, at), flags)
    table_of(task).descriptors[wanted].flags = flags
    return wanted


# ------------------------------------------------------------------ tables
@kernel
def init(k: Kernel) -> None:
    """Make the cache of tables, unless there is no memory."""
    k.files.tables = heap.cache_create(
        k, b'descriptors', DescriptorTable.SIZE, TABLE_ALIGNMENT, VirtAddr(0), VirtAddr(0)
    ).addr


@kernel
def deinit(k: Kernel) -> None:
    """End the cache, of which nobody has a table."""
    heap.cache_destroy(k, ObjectCache(k.m, k.files.tables))


@kernel
def new_table(k: Kernel) -> VirtAddr:
    """A table in which nothing is open, with one user; 0 without memory."""
    at = heap.cache_alloc(k, ObjectCache(k.m, k.files.tables))
    if at != 0:
        table = DescriptorTable(k.m, at)
        table.nr_users = 1
        table.end_descriptors = 0
    return at


@kernel
def copy_table(k: Kernel, table: DescriptorTable) -> VirtAddr:
    """Another table that names the same files, with one user; 0 without memory."""
    at = heap.cache_alloc(k, ObjectCache(k.m, k.files.tables))
    if at == 0:
        return at
    copy(
        k.m,
        at,
        VirtAddr(table.addr),
        offset_of(DescriptorTable, 'descriptors') + table.end_descriptors * Descriptor.SIZE,
    )
    made = DescriptorTable(k.m, at)
    made.nr_users = 1
    for descriptor in range(made.end_descriptors):
        file = made.descriptors[descriptor].file
        if file != 0:
            File(k.m, file).nr_users += 1
    return at


@kernel
def drop_table(k: Kernel, at: VirtAddr) -> None:
    """One task less has a table; with the last one all that it names is closed. 0: nothing happens."""
    if at == 0:
        return
    table = DescriptorTable(k.m, at)
    table.nr_users -= 1
    if table.nr_users != 0:
        return
    for descriptor in range(table.end_descriptors):
        file = table.descriptors[descriptor].file
        if file != 0:
            table.descriptors[descriptor].file = VirtAddr(0)
            open_files.drop(k, File(k.m, file))
    heap.cache_free(k, ObjectCache(k.m, k.files.tables), at)


@kernel
def nr_places(k: Kernel, index: word, task: Task) -> word:
    """How many places a checker looks at of the task with this place in the ring: none of a table that it has seen."""
    at = k.tasks.ring
    for _index in range(index):
        if Task(k.m, at).table == task.table:
            return 0
        at = Task(k.m, at).next
    return table_of(task).end_descriptors if task.table != 0 else 0
