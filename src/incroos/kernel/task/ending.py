"""The end of a program: what is told of it, what it had is given back, and with the last one the machine ends.

    RECORD_END          why it ended; for a fault also where, and which range lies there
    RECORD_STATISTICS   what it used
    RECORD_CHECK        with CHECK_IN_THE_END: what the checkers found, and how many frames are gone

Unit: the program.
"""

from typing import Final

from incroos.kernel import files, heap, pmm, vm, vmm
from incroos.kernel.codes import EXIT_PASSED
from incroos.kernel.devices import channels
from incroos.kernel.io.panic import end_machine
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import (
    CHECK_IN_THE_END,
    RECORD_CHECK,
    RECORD_END,
    RECORD_REMARK,
    RECORD_STATISTICS,
    Kernel,
    Range,
    Record,
    Registers,
    Task,
    UserSpace,
)
from incroos.kernel.task import program
from incroos.lang import VirtAddr, cold, fill, kernel, store32, store64, word

# RECORD_END's number
EXITED: Final = 0
BY_SIGNAL: Final = 1
NOT_STARTED: Final = 2

RIGHTS_BYTES: Final = 4

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
NR_STATISTICS: Final = 11


@kernel
def current(k: Kernel) -> Task:
    """The task that runs."""
    return Task(k.m, k.tasks.current)


@cold
@kernel
def new_record(k: Kernel, kind: word, number: word) -> Record:
    """A record whose other words are 0, to be filled and put."""
    record = k.tasks.record
    fill(k.m, record.addr, 0, Record.SIZE)
    record.kind = kind
    record.number = number
    record.task = current(k).number if k.tasks.current != 0 else 0
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


# ------------------------------------------------------------------ why
@cold
@kernel
def end(k: Kernel, status: word) -> None:
    """The program has ended itself with this status, 0 to 255."""
    end_with(k, EXITED, status)


@cold
@kernel
def end_unstarted(k: Kernel, errno: word) -> None:
    """The program could not be started: Linux's number says why."""
    end_with(k, NOT_STARTED, errno)


@cold
@kernel
def end_by_call(k: Kernel, signal: word) -> None:
    """The program has sent itself a signal that ends it."""
    end_with(k, BY_SIGNAL, signal)


@cold
@kernel
def end_with(k: Kernel, how: word, value: word) -> None:
    """The program has ended: one word says it all."""
    record = new_record(k, RECORD_END, how)
    record.a = value
    finish(k, record)


@cold
@kernel
def end_by_fault(k: Kernel, signal: word, regs: Registers, va: VirtAddr) -> None:
    """An exception at an address has ended the program."""
    record = new_record(k, RECORD_END, BY_SIGNAL)
    record.a = signal
    record.b = va
    record.c = regs.vector
    record.d = regs.error
    record.e = regs.rip
    at = vm.find_range(UserSpace(k.m, current(k).space), va)
    if at != 0:
        found = Range(k.m, at)
        record.f = found.start
        record.result = found.end
        record.nbytes = RIGHTS_BYTES
        store32(k.m, VirtAddr(k.tasks.record_text.addr), found.rights)
    finish(k, record)


# ------------------------------------------------------------------ what follows
@cold
@kernel
def finish(k: Kernel, record: Record) -> None:
    """Tell it, tear the task down, and end the machine. Never returns, nor does any of the above."""
    put(k, record)
    record = new_record(k, RECORD_STATISTICS, 0)
    record.nbytes = 8 * NR_STATISTICS
    collect(k)
    tear_down(k)
    set_figure(k, FREE_AFTER, pmm.nr_free_frames(k))
    put(k, record)
    if k.tasks.flags & CHECK_IN_THE_END != 0:
        put_check(k)
    end_machine(k.m, EXIT_PASSED)


@cold
@kernel
def set_figure(k: Kernel, place: word, value: word) -> None:
    """Put a figure into the statistics."""
    store64(k.m, VirtAddr(k.tasks.record_text.addr + 8 * place), value)


@cold
@kernel
def collect(k: Kernel) -> None:
    """What the program used, before it is torn down."""
    for place in range(NR_STATISTICS):
        set_figure(k, place, 0)
    set_figure(k, NR_CALLS, k.tasks.nr_calls)
    set_figure(k, FREE_BEFORE, k.tasks.free_frames)
    set_figure(k, FREE_IN_THE_END, pmm.nr_free_frames(k))
    set_figure(k, NANOSECONDS, k.tasks.clock)
    if k.tasks.current != 0 and current(k).space != 0:
        user = UserSpace(k.m, current(k).space)
        set_figure(k, NR_FAULTS, user.nr_faults)
        set_figure(k, NR_ZERO_FAULTS, user.nr_zero_faults)
        set_figure(k, NR_RANGES, user.nr_ranges)
        set_figure(k, NR_PAGES, user.nr_pages)
        set_figure(k, NR_RESIDENT, user.nr_resident)
        set_figure(k, NR_TABLES, user.space.nr_tables)


@cold
@kernel
def tear_down(k: Kernel) -> None:
    """Give back all that the task has, and the task. Frames that the heap can do without are free again."""
    if k.tasks.current != 0:
        task = current(k)
        files.close_all(k, task)
        program.leave_space(k, task)
        heap.kfree(k, task.addr)
        k.tasks.current = VirtAddr(0)
    heap.shrink(k)


@cold
@kernel
def put_check(k: Kernel) -> None:
    """Run all checkers, and tell what the first found that found something."""
    record = new_record(k, RECORD_CHECK, 0)
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
        found = files.check(k)
        checker = 5
    record.a = checker if found != 0 else 0
    record.b = found
    kept = (heap.record_bytes(k) - k.tasks.record_bytes) // PAGE_BYTES  # the heap has them for its next slabs
    record.c = k.tasks.free_frames - pmm.nr_free_frames(k) - kept
    put(k, record)
