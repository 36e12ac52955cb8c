"""The limits with which the first task begins: Linux's usual ones, and those that hold here.

Unit: that of the resource.
"""

from typing import Final

from incroos.kernel.state import MAX_FILES, MAX_QUEUED, NO_LIMIT, NR_LIMITS, RunInfo, Task
from incroos.lang import kernel, word

# Resources
DATA: Final = 2
STACK: Final = 3
CORE: Final = 4
NR_TASKS: Final = 6
NR_FILES: Final = 7
LOCKED: Final = 8
ADDRESS_SPACE: Final = 9
NR_QUEUED: Final = 11  # signals
QUEUE_BYTES: Final = 12  # of messages
NICE: Final = 13
REAL_TIME: Final = 14  # priority

MOST_LOCKED: Final = 8 << 20
MOST_QUEUE_BYTES: Final = 819_200


@kernel
def begin(task: Task, info: RunInfo) -> None:
    """Set all limits."""
    for resource in range(NR_LIMITS):
        set_pair(task, resource, NO_LIMIT, NO_LIMIT)
    set_pair(task, DATA, info.limit_data, NO_LIMIT)
    set_pair(task, STACK, info.limit_stack, NO_LIMIT)
    set_pair(task, ADDRESS_SPACE, info.limit_address_space, NO_LIMIT)
    set_pair(task, CORE, 0, NO_LIMIT)
    set_pair(task, NR_FILES, MAX_FILES, MAX_FILES)
    set_pair(task, LOCKED, MOST_LOCKED, MOST_LOCKED)
    set_pair(task, NR_QUEUED, MAX_QUEUED, MAX_QUEUED)
    set_pair(task, QUEUE_BYTES, MOST_QUEUE_BYTES, MOST_QUEUE_BYTES)
    set_pair(task, NICE, 0, 0)
    set_pair(task, REAL_TIME, 0, 0)
    task.limit_tasks = NO_LIMIT
    task.limit_files = MAX_FILES


@kernel
def set_pair(task: Task, resource: word, limit: word, most: word) -> None:
    """Set a limit, and how far it may be raised."""
    task.limits[2 * resource] = limit
    task.limits[2 * resource + 1] = most
