"""/proc/sys: what is set, of memory, the kernel and files.

Some settings can be written and are kept: nothing follows from them but that DROP_CACHES takes a number and
NR_HUGE_PAGES stays 0, since there are none to be had. The others are what holds here, and cannot be written.

Unit: the number, in decimal digits with a newline behind them.
"""

from typing import Final

from incroos.kernel import pmm, vm
from incroos.kernel.codes import BAD_ARGUMENT, OK
from incroos.kernel.files import process_rows as rows
from incroos.kernel.files import text
from incroos.kernel.files.descriptors import nr_places
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import MAX_FILES, MAX_TASKS, Kernel, Task, table_of
from incroos.lang import VirtAddr, kernel, load8, word

MOST: Final = (1 << 31) - 1
MOST_PIPE: Final = 1 << 20
MOST_DIGITS: Final = 10


@kernel
def init(k: Kernel) -> None:
    """Begin with what Linux begins with."""
    set_to(k, rows.OVERCOMMIT_RATIO, 50)
    set_to(k, rows.SWAPPINESS, 60)
    set_to(k, rows.MIN_FREE, pmm.nr_total_frames(k) * PAGE_BYTES >> 20)


@kernel
def set_to(k: Kernel, row: word, value: word) -> None:
    """Keep a value."""
    k.files.settings[row - rows.FIRST_SETTING] = value


@kernel
def value_of(k: Kernel, row: word) -> word:
    """What is told as a number."""
    if rows.FIRST_SETTING <= row < rows.END_SETTING:
        return k.files.settings[row - rows.FIRST_SETTING]
    match row:
        case rows.MAX_MAPS:
            return MOST
        case rows.LEAST_ADDRESS:
            return vm.LOWEST
        case rows.MOST_NUMBER:
            return 1 << 22
        case rows.MOST_THREADS:
            return MAX_TASKS
        case rows.NR_SHARED:
            return 4096
        case rows.NR_GROUPS:
            return 1 << 16
        case rows.LAST_CAPABILITY:
            return 40
        case rows.PIPE_SIZE:
            return MOST_PIPE
        case rows.NR_OPEN:
            return MAX_FILES
        case rows.MOST_FILES:
            return MAX_FILES * MAX_TASKS
        case rows.ENTROPY:
            return 256
        case _:
            return 0


# ------------------------------------------------------------------ writing
@kernel
def most_of(row: word) -> word:
    """The largest value that a setting takes."""
    match row:
        case rows.OVERCOMMIT | rows.PANIC_ON_OOM:
            return 2
        case rows.SWAPPINESS:
            return 200
        case rows.DROP_CACHES:
            return 4
        case rows.CORE_USES_NUMBER:
            return 1
        case _:
            return MOST


@kernel
def write(k: Kernel, row: word, source: VirtAddr, nbytes: word) -> word:
    """Set what a text says: OK; BAD_ARGUMENT if it says no number that the setting takes."""
    code, value = number_in(k, source, nbytes)
    if code != OK or not 0 <= value <= most_of(row) or (row == rows.DROP_CACHES and value == 0):
        return BAD_ARGUMENT
    if row != rows.NR_HUGE_PAGES:
        set_to(k, row, value)
    return OK


@kernel
def number_in(k: Kernel, source: VirtAddr, nbytes: word) -> tuple[word, word]:
    """OK and the decimal number of a text, with blanks round it; BAD_ARGUMENT."""
    at = 0
    while at < nbytes and is_blank(load8(k.m, VirtAddr(source + at))):
        at += 1
    is_negative = at < nbytes and load8(k.m, VirtAddr(source + at)) == text.MINUS
    at += 1 if is_negative else 0
    start = at
    value = 0
    while at < nbytes and at - start < MOST_DIGITS and 48 <= load8(k.m, VirtAddr(source + at)) <= 57:
        value = 10 * value + load8(k.m, VirtAddr(source + at)) - 48
        at += 1
    if at == start or (at < nbytes and not is_blank(load8(k.m, VirtAddr(source + at)))):
        return BAD_ARGUMENT, 0
    return OK, -value if is_negative else value


@kernel
def is_blank(char: word) -> bool:
    """A blank, tab, newline or zero byte?"""
    return char == text.BLANK or char == 9 or char == 10 or char == 0


# ------------------------------------------------------------------ reading
@kernel
def nr_open(k: Kernel) -> word:
    """How many descriptors of all tables are open."""
    found = 0
    at = k.tasks.ring
    for index in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        for descriptor in range(nr_places(k, index, task)):
            found += 1 if table_of(task).descriptors[descriptor].file != 0 else 0
        at = task.next
    return found


@kernel
def put(k: Kernel, row: word, at: VirtAddr) -> VirtAddr:
    """Put the text of a setting that is a number: the address behind it."""
    match row:
        case rows.MOST_SHARED | rows.ALL_SHARED:
            at = text.put_text(k.m, at, b'18446744073692774399')
        case rows.OPEN_FILES:
            at = text.put_text(k.m, text.put_decimal(k.m, at, nr_open(k)), b'\t0\t')
            at = text.put_decimal(k.m, at, MAX_FILES * MAX_TASKS)
        case _:
            at = text.put_decimal(k.m, at, value_of(k, row))
    return text.put_char(k.m, at, text.NEWLINE)
