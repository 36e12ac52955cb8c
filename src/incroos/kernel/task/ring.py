"""The ring of all tasks, those that have ended and nobody asked for included; their numbers and memory.

Unit: the task. Round robin goes along the ring: what comes behind the task that ran is looked at first.
"""

from typing import Final

from incroos.kernel import heap
from incroos.kernel.devices import timer
from incroos.kernel.state import FIRST_NUMBER, INTERACTIVE, ON_PC, Kernel, ObjectCache, Task
from incroos.lang import VirtAddr, kernel, word

# RING-1  next and previous of each task belong together; nr_tasks are in the ring, nr_live of them have not ended

MOST_NUMBER: Final = 1 << 22  # numbers begin again below it, as Linux's do
TASK_ALIGNMENT: Final = 16  # of its vector state


@kernel
def init(k: Kernel) -> None:
    """Make the cache of tasks, unless there is no memory."""
    k.tasks.cache = heap.cache_create(k, b'tasks', Task.SIZE, TASK_ALIGNMENT, VirtAddr(0), VirtAddr(0)).addr


@kernel
def alloc(k: Kernel) -> VirtAddr:
    """A Task that is in no ring, with anything in it; 0 without memory."""
    return heap.cache_alloc(k, ObjectCache(k.m, k.tasks.cache))


@kernel
def free(k: Kernel, task: Task) -> None:
    """Take back a task that is in no ring."""
    heap.cache_free(k, ObjectCache(k.m, k.tasks.cache), VirtAddr(task.addr))


@kernel
def current(k: Kernel) -> Task:
    """The task that runs."""
    return Task(k.m, k.tasks.current)


@kernel
def following(task: Task) -> Task:
    """The next one in the ring."""
    return Task(task.m, task.next)


@kernel
def add(k: Kernel, task: Task) -> None:
    """Put a task into the ring, so that it has its turn when all others had theirs."""
    state = k.tasks
    if state.ring == 0:
        state.ring = task.addr
        if state.flags & (INTERACTIVE | ON_PC) != 0:
            timer.start(k)
        task.next = task.addr
        task.previous = task.addr
    else:
        behind = Task(k.m, state.current if state.current != 0 else state.ring)
        task.next = behind.addr
        task.previous = behind.previous
        Task(k.m, behind.previous).next = task.addr
        behind.previous = task.addr
        timer.start(k)
    state.nr_tasks += 1
    state.nr_live += 1


@kernel
def remove(k: Kernel, task: Task) -> None:
    """Take a task that has ended out of the ring."""
    state = k.tasks
    Task(k.m, task.previous).next = task.next
    Task(k.m, task.next).previous = task.previous
    if state.ring == task.addr:
        state.ring = task.next if task.next != task.addr else VirtAddr(0)
    state.nr_tasks -= 1


@kernel
def find(k: Kernel, number: word) -> VirtAddr:
    """The task of a number, also one that has ended; 0: there is none."""
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        if Task(k.m, at).number == number:
            return at
        at = Task(k.m, at).next
    return VirtAddr(0)


@kernel
def is_number_used(k: Kernel, number: word) -> bool:
    """Whether a task, its group or its session has the number."""
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        if task.number == number or task.group == number or task.session == number:
            return True
        at = task.next
    return False


@kernel
def new_number(k: Kernel) -> word:
    """A number that no task, group or session has."""
    number = k.tasks.next_number
    if k.tasks.has_begun_again != 0:
        while is_number_used(k, number):
            number = number + 1 if number + 1 < MOST_NUMBER else FIRST_NUMBER
    k.tasks.next_number = number + 1
    if number + 1 >= MOST_NUMBER:
        k.tasks.next_number = FIRST_NUMBER
        k.tasks.has_begun_again = 1
    return number
