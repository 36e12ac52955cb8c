"""Descriptors: a task's table of open files. dup makes two descriptors of one file, which share its position.

Unit: the descriptor, a number from 0 on; the lowest free one is given. Knows nothing of what a file is.
"""

from typing import Final

from incroos.kernel.codes import BAD_DESCRIPTOR, NO_DESCRIPTOR, OK
from incroos.kernel.files import open_files
from incroos.kernel.files.flags import CLOSE_AT_EXEC
from incroos.kernel.state import File, Kernel, Task
from incroos.lang import VirtAddr, kernel, word

CLOSE_ON_EXEC: Final = 1  # FD_CLOEXEC


@kernel
def closing_of(flags: word) -> word:
    """The flags of a descriptor that is made with these flags of open."""
    return CLOSE_ON_EXEC if flags & CLOSE_AT_EXEC != 0 else 0


@kernel
def file_at(task: Task, descriptor: word) -> VirtAddr:
    """The File of a descriptor; 0 if it is not open."""
    if not 0 <= descriptor < task.end_descriptors:
        return VirtAddr(0)
    return task.descriptors[descriptor].file


@kernel
def lowest_free(task: Task, least: word) -> word:
    """The lowest free descriptor from `least` on, or NO_DESCRIPTOR."""
    end = min(task.end_descriptors, task.limit_files)
    for descriptor in range(least, end):
        if task.descriptors[descriptor].file == 0:
            return descriptor
    found = max(least, end)
    return found if found < task.limit_files else NO_DESCRIPTOR


@kernel
def put(task: Task, descriptor: word, file: File, flags: word) -> None:
    """Let a free descriptor name a file."""
    while task.end_descriptors <= descriptor:
        task.descriptors[task.end_descriptors].file = VirtAddr(0)
        task.descriptors[task.end_descriptors].flags = 0
        task.end_descriptors += 1
    task.descriptors[descriptor].file = file.addr
    task.descriptors[descriptor].flags = flags
    file.nr_users += 1


@kernel
def close(k: Kernel, task: Task, descriptor: word) -> word:
    """Free a descriptor, and its file if no other names it: OK, BAD_DESCRIPTOR."""
    at = file_at(task, descriptor)
    if at == 0:
        return BAD_DESCRIPTOR
    task.descriptors[descriptor].file = VirtAddr(0)
    task.descriptors[descriptor].flags = 0
    open_files.drop(k, File(k.m, at))
    return OK


@kernel
def close_all(k: Kernel, task: Task) -> None:
    """Free all descriptors."""
    for descriptor in range(task.end_descriptors):
        if task.descriptors[descriptor].file != 0:
            close(k, task, descriptor)


@kernel
def close_on_exec(k: Kernel, task: Task) -> None:
    """Free the descriptors that are marked so: exec."""
    for descriptor in range(task.end_descriptors):
        if task.descriptors[descriptor].flags & CLOSE_ON_EXEC != 0:
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
    task.descriptors[wanted].flags = flags
    return wanted


@kernel
def share_all(task: Task) -> None:
    """The task has been copied from another one with all descriptors: their files have one more user each."""
    for descriptor in range(task.end_descriptors):
        at = task.descriptors[descriptor].file
        if at != 0:
            File(task.m, at).nr_users += 1
