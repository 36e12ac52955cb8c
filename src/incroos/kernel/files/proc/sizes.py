"""What of a space is what: the program's code and data, stacks, all that can be executed.

Unit: the page. Found by a look at all ranges.
"""

from incroos.kernel import vm
from incroos.kernel.files.proc import tally
from incroos.kernel.files.proc.maps import node_of
from incroos.kernel.files.proc.tally import Tally
from incroos.kernel.layout import PAGE_SHIFT
from incroos.kernel.state import EXECUTE, GROWS_DOWN, WRITE, Kernel, Range, Task, UserSpace
from incroos.lang import Struct, VirtAddr, fill, kernel, u64


class Sizes(Struct):
    """In memory of whoever asks."""

    code_start: VirtAddr  # of the program's file, what can be executed
    code_end: VirtAddr
    data_start: VirtAddr  # of the program's file, what can be written
    data_end: VirtAddr
    nr_stack: u64  # pages in ranges that grow down
    nr_executable: u64  # pages in ranges that can be executed and not written, stacks left out


@kernel
def find(k: Kernel, task: Task, user: UserSpace, found: Sizes, counted: Tally) -> None:
    """Look at all ranges, and count their pages."""
    fill(k.m, VirtAddr(found.addr), 0, Sizes.SIZE)
    tally.clear(counted)
    at = vm.find_range_behind(user, VirtAddr(0))
    while at != 0:
        range_ = Range(k.m, at)
        note(k, task, range_, found)
        tally.count(k, user, range_, counted)
        at = vm.next_range(user, at)


@kernel
def note(k: Kernel, task: Task, range_: Range, found: Sizes) -> None:
    """Note what a range is."""
    nr_pages = range_.end - range_.start >> PAGE_SHIFT
    is_program = node_of(k, range_) == task.program
    if range_.flags & GROWS_DOWN != 0:
        found.nr_stack += nr_pages
    elif range_.rights & (EXECUTE | WRITE) == EXECUTE:
        found.nr_executable += nr_pages
        if is_program:
            found.code_start = found.code_start if found.code_start != 0 else range_.start
            found.code_end = range_.end
    elif range_.rights & WRITE != 0 and is_program:
        found.data_start = found.data_start if found.data_start != 0 else range_.start
        found.data_end = range_.end
