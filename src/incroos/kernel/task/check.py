"""The checker of tasks: the ring, and what tasks have in common with spaces and files.

Unit: the task. Looks at each descriptor of each task as often as there are tasks: not for every day.
"""

from typing import Final

from incroos.kernel.state import ENDED, READY, File, Kernel, Task, UserSpace
from incroos.lang import VirtAddr, kernel, word

# TASK-1  the ring: next and previous belong together, nr_tasks are in it, and nr_live of them have not ended
# TASK-2  no two have the same number; groups and sessions are numbers of tasks that are or were
# TASK-3  a parent is 0 or in the ring; so is a holder
# TASK-4  who has not ended has a space that counts its tasks; who has ended has none
# TASK-5  a file that a descriptor names has as many users as descriptors of all tasks name it
# TASK-6  the task that runs is in the ring

WRONG_RING: Final = 1
WRONG_NUMBER: Final = 2
WRONG_PARENT: Final = 3
WRONG_SPACE: Final = 4
WRONG_FILE: Final = 5
WRONG_CURRENT: Final = 6


@kernel
def check(k: Kernel) -> word:
    """0, or the number, listed at the head of this file, of the first invariant that does not hold."""
    code = check_ring(k)
    if code != 0:
        return code
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        code = check_task(k, task)
        if code != 0:
            return code
        at = task.next
    return 0 if k.tasks.current == 0 or is_in_ring(k, k.tasks.current) else WRONG_CURRENT


@kernel
def check_ring(k: Kernel) -> word:
    """TASK-1."""
    nr_live = 0
    at = k.tasks.ring
    for index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if Task(k.m, task.next).previous != at or (index > 0 and at == k.tasks.ring):
            return WRONG_RING
        nr_live += 1 if task.state != ENDED else 0
        at = task.next
    return 0 if at == k.tasks.ring and nr_live == k.tasks.nr_live else WRONG_RING


@kernel
def is_in_ring(k: Kernel, wanted: VirtAddr) -> bool:
    """Whether a task is in the ring."""
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        if at == wanted:
            return True
        at = Task(k.m, at).next
    return False


@kernel
def check_task(k: Kernel, task: Task) -> word:
    """TASK-2 to TASK-5 of one task."""
    nr_same = 0
    nr_sharing = 0
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        other = Task(k.m, at)
        nr_same += 1 if other.number == task.number else 0
        nr_sharing += 1 if other.space == task.space else 0
        at = other.next
    if nr_same != 1 or task.group <= 0 or task.session <= 0 or not READY <= task.state <= ENDED:
        return WRONG_NUMBER
    if task.parent != 0 and not is_in_ring(k, task.parent):
        return WRONG_PARENT
    if task.holder != 0 and not is_in_ring(k, task.holder):
        return WRONG_PARENT
    if (task.space == 0) != (task.state == ENDED):
        return WRONG_SPACE
    if task.space != 0 and UserSpace(k.m, task.space).nr_tasks != nr_sharing:
        return WRONG_SPACE
    return check_files(k, task)


@kernel
def check_files(k: Kernel, task: Task) -> word:
    """TASK-5 of one task's descriptors."""
    for descriptor in range(task.end_descriptors):
        at = task.descriptors[descriptor].file
        if at != 0 and File(k.m, at).nr_users != nr_naming(k, at):
            return WRONG_FILE
    return 0


@kernel
def nr_naming(k: Kernel, file: VirtAddr) -> word:
    """How many descriptors name a file."""
    nr_found = 0
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        for descriptor in range(task.end_descriptors):
            nr_found += 1 if task.descriptors[descriptor].file == file else 0
        at = task.next
    return nr_found
