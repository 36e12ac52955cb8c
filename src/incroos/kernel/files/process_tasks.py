"""The tasks of which /proc tells: found by their numbers, in the order of their numbers.

Unit: the task. One that has ended and was not asked for is there, too.
"""

from typing import Final

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
def next_number(k: Kernel, least: word) -> word:
    """The lowest number of a process from `least` on; -1: there is none."""
    found = -1
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        number = Task(k.m, at).number
        is_process = Task(k.m, at).leader == at
        if is_process and number >= least and (found < 0 or number < found):
            found = number
        at = Task(k.m, at).next
    return found


@kernel
def are_of_one_process(k: Kernel, number: word, other: word) -> bool:
    """Whether two numbers are those of threads of one process."""
    first = find(k, number)
    second = find(k, other)
    return first != 0 and second != 0 and Task(k.m, first).leader == Task(k.m, second).leader


@kernel
def next_thread(k: Kernel, of: word, least: word) -> word:
    """The lowest number of a thread of a task's process from `least` on; -1: there is none."""
    found = -1
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        number = Task(k.m, at).number
        if number >= least and (found < 0 or number < found) and are_of_one_process(k, number, of):
            found = number
        at = Task(k.m, at).next
    return found


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
