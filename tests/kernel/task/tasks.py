"""Several tasks on a kernel that runs interpreted: a test makes their calls one by one; ring 3 itself never runs."""

import struct
from collections.abc import Iterator, Sequence
from typing import Final

from incroos.kernel import files, heap, pmm, vm, vmm
from incroos.kernel.codes import OK
from incroos.kernel.state import Kernel, ObjectCache, Task
from incroos.kernel.task import check as tasks
from incroos.lang import VirtAddr
from incroos.run.archive import Entry
from incroos.run.strace import signed_int

from ..abi.programs import FILES, Machine, machine

FORK: Final = 57
VFORK: Final = 58
CLONE: Final = 56
EXECVE: Final = 59
EXIT: Final = 60
WAIT4: Final = 61
YIELD: Final = 24
ANY: Final = (1 << 64) - 1
MOST_REFUSALS: Final = 100


def started(entries: Sequence[Entry] = ()) -> Machine:
    """A machine with one task, which is number 2."""
    made = machine(entries=(*FILES, *entries))
    assert number(made) == 2
    return made


def number(made: Machine) -> int:
    """Of the task that runs."""
    return made.task.number


def ring(k: Kernel) -> list[int]:
    """The numbers of all tasks, from the first of the ring on."""
    found, at = [], k.tasks.ring
    for _ in range(k.tasks.nr_tasks):
        found.append(Task(k.m, at).number)
        at = Task(k.m, at).next
    return found


def check(made: Machine) -> None:
    """All checkers are content."""
    k = made.k
    assert tasks.check(k) == vm.check(k) == pmm.check(k) == vmm.check(k) == heap.check(k) == files.check(k) == 0


def free(made: Machine) -> int:
    """Free frames, when the heap and the page cache have given back what they keep."""
    vm.give_up_pages(made.k)
    heap.shrink(made.k)
    return pmm.nr_free_frames(made.k)


def fill_slabs(made: Machine) -> None:
    """Take what is free in the slabs of tasks and their tables: the next one of each needs frames."""
    k = made.k
    for at in (k.tasks.cache, k.tasks.action_tables, k.files.tables):
        cache = ObjectCache(k.m, at)
        nr_slabs = cache.slabs.nr_slabs
        last = VirtAddr(0)
        while cache.slabs.nr_slabs == nr_slabs:
            last = heap.cache_alloc(k, cache)
        assert heap.cache_free(k, cache, last) == OK


def refusals(made: Machine) -> Iterator[int]:
    """Have the first frame that is asked for refused, then the second, and so on."""
    for refused in range(1, MOST_REFUSALS):
        heap.shrink(made.k)
        made.k.frames.requests = 0
        made.k.frames.refuse_at = refused
        yield refused
        made.k.frames.refuse_at = 0
    raise AssertionError(f'something is refused {MOST_REFUSALS} times')


def put_texts(made: Machine, at: int, texts: Sequence[bytes]) -> int:
    """An array of texts in the program's memory, for execve: its address."""
    words, here = [], at + 8 * (len(texts) + 1)
    for text in texts:
        words.append(here)
        made.put(here, text + b'\0')
        here += len(text) + 1
    made.put(at, struct.pack(f'<{len(texts) + 1}Q', *words, 0))
    return at


def status(made: Machine, room: int) -> int:
    """What wait4 has put there."""
    return signed_int(made.word(room))
