"""Reports: what the host is told of programs, and the end of the machine when no task is left.

    RECORD_END          why a task ended; for a fault also where, and which range lies there
    RECORD_STATISTICS   what the first program used
    RECORD_CHECK        with CHECK_IN_THE_END: what the checkers found, and how many frames are gone

Unit: the record.
"""

from typing import Final

from incroos.kernel import files, heap, pmm, vm, vmm
from incroos.kernel.codes import EXIT_PASSED
from incroos.kernel.devices import channels
from incroos.kernel.io.panic import end_machine
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import (
    CHECK_IN_THE_END,
    NR_STATISTICS,
    RECORD_CHECK,
    RECORD_REMARK,
    RECORD_STATISTICS,
    Kernel,
    Record,
    Task,
    UserSpace,
)
from incroos.kernel.task import contexts
from incroos.kernel.task.check import check
from incroos.kernel.task.ring import free, remove
from incroos.lang import VirtAddr, cold, fill, kernel, store64, word

# Statistics, by their places; run/records.py names them
NR_CALLS: Final = 0
NR_FAULTS: Final = 1
NR_ZERO_FAULTS: Final = 2
NR_RANGES: Final = 3
NR_PAGES: Final = 4
NR_RESIDENT: Final = 5
NR_TABLES: Final = 6
FREE_BEFORE: Final = 7
FREE_IN_THE_END: Final = 8
FREE_AFTER: Final = 9
NANOSECONDS: Final = 10


@cold
@kernel
def new_record(k: Kernel, kind: word, number: word) -> Record:
    """A record whose other words are 0, of the task that runs, to be filled and put."""
    record = k.tasks.record
    fill(k.m, record.addr, 0, Record.SIZE)
    record.kind = kind
    record.number = number
    record.task = Task(k.m, k.tasks.current).number if k.tasks.current != 0 else 0
    return record


@cold
@kernel
def put(k: Kernel, record: Record) -> None:
    """Give the host a record with its text."""
    channels.put_record(k, record, VirtAddr(k.tasks.record_text.addr))


@cold
@kernel
def remark(k: Kernel, number: word, value: word) -> None:
    """Tell the host why the program will end."""
    record = new_record(k, RECORD_REMARK, number)
    record.a = value
    put(k, record)


# ------------------------------------------------------------------ statistics
@cold
@kernel
def add_space(k: Kernel, user: UserSpace) -> None:
    """Add the faults of a space that will end."""
    k.tasks.statistics[NR_FAULTS] += user.nr_faults
    k.tasks.statistics[NR_ZERO_FAULTS] += user.nr_zero_faults


@cold
@kernel
def note_end(k: Kernel, task: Task) -> None:
    """The first program has ended: what it has, before that is given back."""
    figures = k.tasks.statistics
    figures[FREE_IN_THE_END] = pmm.nr_free_frames(k)
    if task.space != 0:
        user = UserSpace(k.m, task.space)
        figures[NR_RANGES] = user.nr_ranges
        figures[NR_PAGES] = user.nr_pages
        figures[NR_RESIDENT] = user.nr_resident
        figures[NR_TABLES] = user.space.nr_tables


@cold
@kernel
def put_statistics(k: Kernel) -> None:
    """Tell them; all tasks are gone."""
    figures = k.tasks.statistics
    figures[NR_CALLS] = k.tasks.nr_calls
    figures[FREE_BEFORE] = k.tasks.free_frames
    figures[FREE_AFTER] = pmm.nr_free_frames(k)
    figures[NANOSECONDS] = k.tasks.clock
    record = new_record(k, RECORD_STATISTICS, 0)
    record.nbytes = 8 * NR_STATISTICS
    for place in range(NR_STATISTICS):
        store64(k.m, VirtAddr(k.tasks.record_text.addr + 8 * place), figures[place])
    put(k, record)


# ------------------------------------------------------------------ the end of the machine
@cold
@kernel
def finish(k: Kernel) -> None:
    """Give back what is left of tasks, and what they wrote, tell what there is to tell, end the machine. No return."""
    contexts.leave(k)
    k.tasks.current = VirtAddr(0)
    found = check(k) if k.tasks.flags & CHECK_IN_THE_END != 0 else 0
    while k.tasks.ring != 0:
        task = Task(k.m, k.tasks.ring)
        remove(k, task)
        fill(k.m, task.addr, 0, Task.SIZE)  # so that what a run leaves does not depend on how its last task ended
        free(k, task)
    files.close_terminal(k)
    found_in_files = files.check(k) if k.tasks.flags & CHECK_IN_THE_END != 0 else 0
    files.forget_changes(k)
    heap.shrink(k)
    put_statistics(k)
    if k.tasks.flags & CHECK_IN_THE_END != 0:
        put_check(k, found, found_in_files)
    end_machine(k.m, EXIT_PASSED)


@cold
@kernel
def put_check(k: Kernel, found_of_tasks: word, found_in_files: word) -> None:
    """Run all checkers, and tell what the first found that found something. Those of tasks and files ran already."""
    record = new_record(k, RECORD_CHECK, 0)
    found = found_of_tasks
    checker = 6
    if found == 0:
        found = pmm.check(k)
        checker = 1
    if found == 0:
        found = vmm.check(k)
        checker = 2
    if found == 0:
        found = heap.check(k)
        checker = 3
    if found == 0:
        found = vm.check(k)
        checker = 4
    if found == 0:
        found = found_in_files
        checker = 5
    record.a = checker if found != 0 else 0
    record.b = found
    kept = (heap.record_bytes(k) - k.tasks.record_bytes) // PAGE_BYTES  # the heap has them for its next slabs
    record.c = k.tasks.free_frames - pmm.nr_free_frames(k) - kept
    put(k, record)
