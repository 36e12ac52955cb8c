"""The checker of tasks: the ring, and what tasks have in common with spaces and files.

Unit: the task. Looks at each descriptor of each task as often as there are tasks: not for every day.
"""

from typing import Final

from incroos.kernel.files.descriptors import nr_places
from incroos.kernel.state import (
    ENDED,
    GONE,
    READY,
    ActionTable,
    File,
    Kernel,
    Task,
    UserSpace,
    leader_of,
    table_of,
    whereabouts_of,
)
from incroos.kernel.task.threads import is_leader
from incroos.lang import VirtAddr, kernel, word

# TASK-1  the ring: next and previous belong together, nr_tasks are in it, and nr_live of them have not ended
# TASK-2  no two have the same number; groups and sessions are numbers of tasks that are or were
# TASK-3  a parent is 0 or in the ring; so is a holder
# TASK-4  who has not ended has a space that counts its tasks; who has ended has none
# TASK-5  a file that a descriptor names has as many users as descriptors of all tasks name it
# TASK-6  the task that runs is in the ring
# TASK-7  THREADS of threads.py; threads of one process are in one group and session
# TASK-8  tables, actions and whereabouts count the tasks that have them

WRONG_RING: Final = 1
WRONG_NUMBER: Final = 2
WRONG_PARENT: Final = 3
WRONG_SPACE: Final = 4
WRONG_FILE: Final = 5
WRONG_CURRENT: Final = 6
WRONG_THREADS: Final = 7
WRONG_PARTS: Final = 8


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
    if nr_same != 1 or task.group <= 0 or task.session <= 0 or not READY <= task.state <= GONE:
        return WRONG_NUMBER
    if task.parent != 0 and not is_in_ring(k, task.parent):
        return WRONG_PARENT
    if task.holder != 0 and not is_in_ring(k, task.holder):
        return WRONG_PARENT
    if (task.space == 0) != (task.state >= ENDED):
        return WRONG_SPACE
    if task.space != 0 and UserSpace(k.m, task.space).nr_tasks != nr_sharing:
        return WRONG_SPACE
    code = check_threads(k, task)
    if code == 0:
        code = check_parts(k, task)
    return check_files(k, task) if code == 0 else code


@kernel
def check_parts(k: Kernel, task: Task) -> word:
    """TASK-8 of one task."""
    nr_tables = 0
    nr_actions = 0
    nr_whereabouts = 0
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        other = Task(k.m, at)
        nr_tables += 1 if other.table == task.table else 0
        nr_actions += 1 if other.actions == task.actions else 0
        nr_whereabouts += 1 if other.whereabouts == task.whereabouts else 0
        at = other.next
    if task.actions != 0 and ActionTable(k.m, task.actions).nr_users != nr_actions:
        return WRONG_PARTS
    if task.table == 0:
        return 0 if task.state >= ENDED and task.whereabouts == 0 else WRONG_PARTS
    is_right = table_of(task).nr_users == nr_tables and whereabouts_of(task).nr_users == nr_whereabouts
    return 0 if is_right else WRONG_PARTS


@kernel
def check_threads(k: Kernel, task: Task) -> word:
    """TASK-7 of one task: 0 or WRONG_THREADS."""
    if Task(k.m, task.next_thread).previous_thread != task.addr:
        return WRONG_THREADS
    leader = leader_of(task)
    nr_threads = 0
    at = leader.addr
    for _index in range(k.tasks.nr_tasks):
        each = Task(k.m, at)
        if each.leader != leader.addr or each.group != leader.group or each.session != leader.session:
            return WRONG_THREADS
        nr_threads += 1 if each.state < ENDED else 0
        at = each.next_thread
        if at == leader.addr:
            break
    if is_leader(task) and task.is_thread == 0 and task.nr_threads != nr_threads:
        return WRONG_THREADS
    return (
        0
        if (task.state == GONE) == (nr_threads > 0 and task.addr == leader.addr and task.table == 0)
        else WRONG_THREADS
    )


@kernel
def check_files(k: Kernel, task: Task) -> word:
    """TASK-5 of one task's descriptors."""
    for descriptor in range(table_of(task).end_descriptors if task.table != 0 else 0):
        at = table_of(task).descriptors[descriptor].file
        if at != 0 and File(k.m, at).nr_users != nr_naming(k, at):
            return WRONG_FILE
    return 0


@kernel
def nr_naming(k: Kernel, file: VirtAddr) -> word:
    """How many descriptors name a file."""
    nr_found = 0
    at = k.tasks.ring
    for index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        for descriptor in range(nr_places(k, index, task)):
            nr_found += 1 if table_of(task).descriptors[descriptor].file == file else 0
        at = task.next
    return nr_found
