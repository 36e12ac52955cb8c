"""Calls about the machine: its name, its memory, chance, processors."""

from typing import Final

from incroos.kernel import pmm, task, vm
from incroos.kernel.abi.arguments import MOST_BYTES, half, int_of, task_of, user_of
from incroos.kernel.abi.errno import EFAULT, EINVAL, ESRCH, result_of
from incroos.kernel.files.proc.machine import BUILD, HOST, RELEASE
from incroos.kernel.files.reading import read_random
from incroos.kernel.files.text import put_text
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Kernel, whereabouts_of
from incroos.kernel.task import ring
from incroos.kernel.task.clock import SECOND
from incroos.lang import VirtAddr, apart, fill, kernel, store16, store32, store64, word

NAME_BYTES: Final = 65  # of a field of struct utsname
NR_NAMES: Final = 6
INFO_BYTES: Final = 112  # struct sysinfo
MASK_BYTES: Final = 8  # of a set of processors
KNOWN_RANDOM: Final = 7
BOTH_POOLS: Final = 6


@apart
@kernel
def uname(k: Kernel, to: word) -> word:
    at = k.files.piece
    fill(k.m, at, 0, NR_NAMES * NAME_BYTES)
    put_text(k.m, at, b'Linux')
    put_text(k.m, VirtAddr(at + NAME_BYTES), HOST)
    put_text(k.m, VirtAddr(at + 2 * NAME_BYTES), RELEASE)
    put_text(k.m, VirtAddr(at + 3 * NAME_BYTES), BUILD)
    put_text(k.m, VirtAddr(at + 4 * NAME_BYTES), b'x86_64')
    put_text(k.m, VirtAddr(at + 5 * NAME_BYTES), b'(none)')
    return result_of(vm.copy_out(user_of(k), to, at, NR_NAMES * NAME_BYTES))


@apart
@kernel
def sysinfo(k: Kernel, to: word) -> word:
    at = k.files.piece
    fill(k.m, at, 0, INFO_BYTES)
    store64(k.m, at, task.look(k) // SECOND)
    store64(k.m, VirtAddr(at + 32), pmm.nr_total_frames(k) * PAGE_BYTES)
    store64(k.m, VirtAddr(at + 40), pmm.nr_free_frames(k) * PAGE_BYTES)
    store16(k.m, VirtAddr(at + 80), k.tasks.nr_tasks)
    store32(k.m, VirtAddr(at + 104), 1)  # bytes of a unit
    return result_of(vm.copy_out(user_of(k), to, at, INFO_BYTES))


@apart
@kernel
def getrandom(k: Kernel, to: word, nbytes: word, flags: word) -> word:
    if half(flags) & ~KNOWN_RANDOM != 0 or half(flags) & BOTH_POOLS == BOTH_POOLS:
        return -EINVAL
    if nbytes >= 0 and not vm.is_user(to, nbytes):
        return -EFAULT
    wanted = min(nbytes, MOST_BYTES) if nbytes >= 0 else MOST_BYTES
    return result_of(read_random(k, user_of(k), VirtAddr(to), wanted))


@apart
@kernel
def sched_getaffinity(k: Kernel, number: word, nbytes: word, to: word) -> word:
    if half(nbytes) < MASK_BYTES or half(nbytes) % MASK_BYTES != 0:
        return -EINVAL
    if int_of(number) != 0 and ring.find(k, int_of(number)) == 0:
        return -ESRCH
    code = vm.store64(user_of(k), to, 1)
    return MASK_BYTES if code == 0 else result_of(code)


@apart
@kernel
def getcpu(k: Kernel, processor: word, node: word) -> word:
    if processor != 0 and vm.store32(user_of(k), processor, 0) != 0:
        return -EFAULT
    return -EFAULT if node != 0 and vm.store32(user_of(k), node, 0) != 0 else 0


@apart
@kernel
def umask(k: Kernel, mask: word) -> word:
    own = whereabouts_of(task_of(k))
    before = own.umask
    own.umask = mask & 0o777
    return before


@kernel
def nothing(k: Kernel) -> word:
    """For calls that answer 0: whoever is user, group and parent, and what is done already."""
    return 0
