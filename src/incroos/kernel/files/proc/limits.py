"""/proc/N/limits: of each resource the limit and how far it may be raised.

Unit: that of the resource, named behind the numbers. Format: proc(5): columns of 26, 21, 21 and 10.
"""

from typing import Final

from incroos.kernel.files import text
from incroos.kernel.state import NR_LIMITS, Kernel, Task
from incroos.lang import VirtAddr, kernel, word

NAME_COLUMNS: Final = 26
LIMIT_COLUMNS: Final = 21
UNIT_COLUMNS: Final = 10
ROWS: Final = (
    (b'Max cpu time', b'seconds'),
    (b'Max file size', b'bytes'),
    (b'Max data size', b'bytes'),
    (b'Max stack size', b'bytes'),
    (b'Max core file size', b'bytes'),
    (b'Max resident set', b'bytes'),
    (b'Max processes', b'processes'),
    (b'Max open files', b'files'),
    (b'Max locked memory', b'bytes'),
    (b'Max address space', b'bytes'),
    (b'Max file locks', b'locks'),
    (b'Max pending signals', b'signals'),
    (b'Max msgqueue size', b'bytes'),
    (b'Max nice priority', b''),
    (b'Max realtime priority', b''),
    (b'Max realtime timeout', b'us'),
)
NAMES: Final = b''.join(name.ljust(NAME_COLUMNS) for name, _unit in ROWS)
UNITS: Final = b''.join(unit.ljust(UNIT_COLUMNS) for _name, unit in ROWS)


@kernel
def put(k: Kernel, task: Task, at: VirtAddr) -> VirtAddr:
    """Put the text of limits: the address behind it."""
    at = text.put_text(k.m, at, b'Limit                     Soft Limit           Hard Limit           Units     \n')
    for resource in range(NR_LIMITS):
        for column in range(NAME_COLUMNS):
            at = text.put_char(k.m, at, NAMES[NAME_COLUMNS * resource + column])
        at = put_limit(k, at, task.limits[2 * resource])
        at = put_limit(k, at, task.limits[2 * resource + 1])
        for column in range(UNIT_COLUMNS):
            at = text.put_char(k.m, at, UNITS[UNIT_COLUMNS * resource + column])
        at = text.put_char(k.m, at, text.NEWLINE)
    return at


@kernel
def put_limit(k: Kernel, at: VirtAddr, limit: word) -> VirtAddr:
    """Put a limit, and blanks up to the next column."""
    end = text.put_text(k.m, at, b'unlimited') if limit < 0 else text.put_decimal(k.m, at, limit)
    return text.put_until(k.m, end, VirtAddr(at + LIMIT_COLUMNS))
