"""/proc/N/smaps: of each range its line of maps, and how many of its pages are what. smaps_rollup: the sums.

Unit: the kilobyte. Format: proc(5). What cannot be here (swap, huge pages of files) is told as 0.
"""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.arch.pte import HUGE_BYTES
from incroos.kernel.files import text
from incroos.kernel.files.proc import maps, tally
from incroos.kernel.files.proc.tally import SHARE_BITS, Tally
from incroos.kernel.files.text import put_kilobytes
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import (
    EMPTY_IN_CHILD,
    EXECUTE,
    GROWS_DOWN,
    IS_LOCKED,
    IS_RANDOM,
    IS_SEQUENTIAL,
    IS_SHARED,
    LOCKS_LATE,
    NOT_IN_CHILD,
    NOT_IN_DUMP,
    READ,
    REFUSES_LARGE,
    WANTS_LARGE,
    WRITE,
    Kernel,
    Range,
    Task,
    UserSpace,
)
from incroos.lang import VirtAddr, kernel, word

RANGE_BYTES: Final = 1024  # of the text of a range, without the file's path
KILOBYTES: Final = PAGE_BYTES >> 10  # of a page
HUGE_KILOBYTES: Final = HUGE_BYTES >> 10
SHARE_TO_KILOBYTES: Final = SHARE_BITS - 2


@kernel
def put(k: Kernel, task: Task, user: UserSpace, at: VirtAddr) -> VirtAddr:
    """Put the text of each range: the address behind them."""
    counted = Tally(k.m, k.files.piece)
    here = vm.find_range_behind(user, VirtAddr(0))
    while here != 0:
        found = Range(k.m, here)
        at = maps.put_line(k, task, found, at)
        tally.clear(counted)
        tally.count(k, user, found, counted)
        at = put_kilobytes(k.m, at, b'Size:', (found.end - found.start) >> 10)
        at = put_kilobytes(k.m, at, b'KernelPageSize:', KILOBYTES)
        at = put_kilobytes(k.m, at, b'MMUPageSize:', KILOBYTES)
        at = put_kilobytes(k.m, at, b'Rss:', KILOBYTES * counted.nr_resident)
        at = put_kilobytes(k.m, at, b'Pss:', counted.proportional >> SHARE_TO_KILOBYTES)
        at = put_kilobytes(k.m, at, b'Pss_Dirty:', counted.proportional_dirty >> SHARE_TO_KILOBYTES)
        at = put_pages(k, at, counted)
        is_eligible = vm.can_have_large(user, found)
        at = text.put_text(k.m, at, b'THPeligible:    1\n' if is_eligible else b'THPeligible:    0\n')
        at = put_flags(k, at, found)
        here = vm.next_range(user, here)
    return at


@kernel
def put_sums(k: Kernel, user: UserSpace, at: VirtAddr) -> VirtAddr:
    """Put the text of smaps_rollup: the address behind it."""
    counted = Tally(k.m, k.files.piece)
    tally.clear(counted)
    here = vm.find_range_behind(user, VirtAddr(0))
    start = Range(k.m, here).start if here != 0 else VirtAddr(0)
    end = start
    while here != 0:
        tally.count(k, user, Range(k.m, here), counted)
        end = Range(k.m, here).end
        here = vm.next_range(user, here)
    column = VirtAddr(at + maps.NAME_COLUMN)
    at = text.put_text(k.m, maps.put_addresses(k, at, start, end), b' ---p 00000000 00:00 0 ')
    at = text.put_text(k.m, text.put_until(k.m, at, column), b'[rollup]\n')
    memory = counted.proportional - counted.proportional_anonymous - counted.proportional_file
    at = put_kilobytes(k.m, at, b'Rss:', KILOBYTES * counted.nr_resident)
    at = put_kilobytes(k.m, at, b'Pss:', counted.proportional >> SHARE_TO_KILOBYTES)
    at = put_kilobytes(k.m, at, b'Pss_Dirty:', counted.proportional_dirty >> SHARE_TO_KILOBYTES)
    at = put_kilobytes(k.m, at, b'Pss_Anon:', counted.proportional_anonymous >> SHARE_TO_KILOBYTES)
    at = put_kilobytes(k.m, at, b'Pss_File:', counted.proportional_file >> SHARE_TO_KILOBYTES)
    at = put_kilobytes(k.m, at, b'Pss_Shmem:', memory >> SHARE_TO_KILOBYTES)
    return put_pages(k, at, counted)


@kernel
def put_pages(k: Kernel, at: VirtAddr, counted: Tally) -> VirtAddr:
    """Put the lines that smaps and smaps_rollup have in common, behind the proportional ones."""
    at = put_kilobytes(k.m, at, b'Shared_Clean:', KILOBYTES * counted.nr_shared_clean)
    at = put_kilobytes(k.m, at, b'Shared_Dirty:', KILOBYTES * counted.nr_shared_dirty)
    at = put_kilobytes(k.m, at, b'Private_Clean:', KILOBYTES * counted.nr_private_clean)
    at = put_kilobytes(k.m, at, b'Private_Dirty:', KILOBYTES * counted.nr_private_dirty)
    at = put_kilobytes(k.m, at, b'Referenced:', KILOBYTES * counted.nr_referenced)
    at = put_kilobytes(k.m, at, b'Anonymous:', KILOBYTES * counted.nr_anonymous)
    at = put_kilobytes(k.m, at, b'LazyFree:', 0)
    at = put_kilobytes(k.m, at, b'AnonHugePages:', HUGE_KILOBYTES * counted.nr_large)
    at = put_kilobytes(k.m, at, b'ShmemPmdMapped:', 0)
    at = put_kilobytes(k.m, at, b'FilePmdMapped:', 0)
    at = put_kilobytes(k.m, at, b'Shared_Hugetlb:', 0)
    at = put_kilobytes(k.m, at, b'Private_Hugetlb:', 0)
    at = put_kilobytes(k.m, at, b'Swap:', 0)
    at = put_kilobytes(k.m, at, b'SwapPss:', 0)
    return put_kilobytes(k.m, at, b'Locked:', counted.proportional_locked >> SHARE_TO_KILOBYTES)


@kernel
def put_flags(k: Kernel, at: VirtAddr, found: Range) -> VirtAddr:
    """Put the line of flags."""
    at = text.put_text(k.m, at, b'VmFlags: ')
    at = put_rights(k, at, found.rights, b'rd ', b'wr ', b'ex ')
    is_shared = found.flags & IS_SHARED != 0
    at = text.put_text(k.m, at, b'sh ' if is_shared else b'')
    at = put_rights(k, at, found.most_rights, b'mr ', b'mw ', b'me ')
    at = text.put_text(k.m, at, b'ms ' if is_shared else b'')
    at = put_flag(k, at, found, GROWS_DOWN, b'gd ')
    at = put_flag(k, at, found, IS_LOCKED, b'lo ')
    at = put_flag(k, at, found, IS_SEQUENTIAL, b'sr ')
    at = put_flag(k, at, found, IS_RANDOM, b'rr ')
    at = put_flag(k, at, found, NOT_IN_CHILD, b'dc ')
    at = put_flag(k, at, found, LOCKS_LATE, b'lf ')
    at = text.put_text(k.m, at, b'ac ' if found.rights & WRITE != 0 and not is_shared else b'')
    at = put_flag(k, at, found, EMPTY_IN_CHILD, b'wf ')
    at = put_flag(k, at, found, NOT_IN_DUMP, b'dd ')
    at = put_flag(k, at, found, WANTS_LARGE, b'hg ')
    return text.put_char(k.m, put_flag(k, at, found, REFUSES_LARGE, b'nh '), text.NEWLINE)


@kernel
def put_flag(k: Kernel, at: VirtAddr, found: Range, flag: word, name: bytes) -> VirtAddr:
    """Put the name of a flag that a range has."""
    return text.put_text(k.m, at, name if found.flags & flag != 0 else b'')


@kernel
def put_rights(k: Kernel, at: VirtAddr, rights: word, read: bytes, write: bytes, execute: bytes) -> VirtAddr:
    """Put the names of the rights that there are."""
    at = text.put_text(k.m, at, read if rights & READ != 0 else b'')
    at = text.put_text(k.m, at, write if rights & WRITE != 0 else b'')
    return text.put_text(k.m, at, execute if rights & EXECUTE != 0 else b'')
