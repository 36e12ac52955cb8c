"""The tasks of which /proc tells: found by their numbers, in the order of their numbers.

Unit: the task. One that has ended and was not asked for is there, too.
"""

from typing import Final

from incroos.kernel.files.descriptors import file_at
from incroos.kernel.state import Kernel, Task
from incroos.lang import VirtAddr, kernel, load8, word

MOST_DIGITS: Final = 7


@kernel
def find(k: Kernel, number: word) -> VirtAddr:
    """The Task of a number; 0: there is none."""
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        if Task(k.m, at).number == number:
            return at
        at = Task(k.m, at).next
    return VirtAddr(0)


@kernel
def is_thread_of(k: Kernel, number: word, process: word) -> bool:
    """Whether a task is a thread of a process, both by their numbers."""
    at = find(k, number)
    other = find(k, process)
    return at != 0 and other != 0 and Task(k.m, at).leader == Task(k.m, other).leader


@kernel
def next_process(k: Kernel, least: word) -> word:
    """The lowest number of a process from `least` on; -1: there is none."""
    found = -1
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        found = nearer(found, Task(k.m, at).number, least) if Task(k.m, at).leader == at else found
        at = Task(k.m, at).next
    return found


@kernel
def next_thread(k: Kernel, process: word, least: word) -> word:
    """The lowest number of a thread of a process from `least` on; -1: there is none."""
    found = -1
    first = find(k, process)
    at = first
    while at != 0:
        found = nearer(found, Task(k.m, at).number, least)
        at = Task(k.m, at).next_thread if Task(k.m, at).next_thread != first else VirtAddr(0)
    return found


@kernel
def nearer(found: word, number: word, least: word) -> word:
    """Of two numbers the lower one that is not below `least`; -1 is none."""
    return number if number >= least and (found < 0 or number < found) else found


@kernel
def file_of(k: Kernel, number: word, descriptor: word) -> VirtAddr:
    """The File of a task's descriptor; 0: it is not open, or the task has ended or is gone."""
    at = find(k, number)
    return file_at(Task(k.m, at), descriptor) if at != 0 and Task(k.m, at).table != 0 else VirtAddr(0)


@kernel
def number_of(k: Kernel, name: VirtAddr, nbytes: word) -> word:
    """The number whose decimal digits are a name; -1: it is none."""
    if not 0 < nbytes <= MOST_DIGITS:
        return -1
    number = 0
    for index in range(nbytes):
        digit = load8(k.m, VirtAddr(name + index)) - 48
        if not 0 <= digit <= 9 or (number == 0 and index > 0):
            return -1
        number = 10 * number + digit
    return number
