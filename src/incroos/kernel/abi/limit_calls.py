"""Calls about limits: what was set of each resource is kept, and where it binds its owner is told.

    DATA, STACK, ADDRESS_SPACE   the space
    NR_FILES, NR_TASKS           the task; of files there are at most MAX_FILES
    LOCKED, and size of files    who looks at them: lock_calls, files.contents
    all others                   bind nobody here

The words are a limit and how far it may be raised, in the unit of the resource; NO_LIMIT is negative.
"""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.abi.arguments import half, int_of, task_of, user_of
from incroos.kernel.abi.errno import EFAULT, EINVAL, EPERM, ESRCH, result_of
from incroos.kernel.files.rights import is_root
from incroos.kernel.state import MAX_FILES, NR_LIMITS, Kernel, Task
from incroos.kernel.task import ring
from incroos.kernel.task.limits import ADDRESS_SPACE, DATA, NR_FILES, NR_TASKS, STACK
from incroos.lang import VirtAddr, apart, copy, kernel, load64, store64, word

PAIR_BYTES: Final = 16


@kernel
def put_limit(k: Kernel, resource: word, to: word) -> word:
    """struct rlimit: the limit, and how far it may be raised."""
    at = k.files.piece
    store64(k.m, at, task_of(k).limits[2 * resource])
    store64(k.m, VirtAddr(at + 8), task_of(k).limits[2 * resource + 1])
    return result_of(vm.copy_out(user_of(k), to, at, PAIR_BYTES))


@kernel
def get_limit(k: Kernel, source: word) -> tuple[word, word, word]:
    """0, the limit of a struct rlimit and how far it may be raised; -EFAULT, -EINVAL if it is more than that."""
    at = k.files.piece
    if vm.copy_in(user_of(k), at, source, PAIR_BYTES) != 0:
        return -EFAULT, 0, 0
    limit = load64(k.m, at)
    most = load64(k.m, VirtAddr(at + 8))
    return -EINVAL if is_more(limit, most) else 0, limit, most


@kernel
def is_more(limit: word, other: word) -> bool:
    """Whether a limit allows more than another one: negative ones are none, or so high."""
    if other < 0:
        return limit < 0 and limit > other
    return not 0 <= limit <= other


@kernel
def set_limit(k: Kernel, resource: word, limit: word, most: word) -> word:
    """Keep a limit, and tell whom it binds: 0; -EPERM to raise what only root may raise, or files beyond MAX_FILES."""
    own = task_of(k)
    if is_more(most, own.limits[2 * resource + 1]) and not is_root(own.credentials):
        return -EPERM
    if resource == NR_FILES and not 0 <= limit <= MAX_FILES:
        return -EPERM
    own.limits[2 * resource] = limit
    own.limits[2 * resource + 1] = most
    user = user_of(k)
    if resource == DATA:
        user.limit_data = limit
    elif resource == STACK:
        user.limit_stack = limit
    elif resource == ADDRESS_SPACE:
        user.limit_address_space = limit
    elif resource == NR_TASKS:
        own.limit_tasks = limit
    elif resource == NR_FILES:
        own.limit_files = limit
        own.limits[2 * resource + 1] = most if 0 <= most < MAX_FILES else MAX_FILES
    share_limits(own)
    return 0


@kernel
def share_limits(own: Task) -> None:
    """Let all threads of a process have the limits of one."""
    at = own.next_thread
    while at != own.addr:
        other = Task(own.m, at)
        copy(own.m, VirtAddr(other.limits.addr), VirtAddr(own.limits.addr), 2 * 8 * NR_LIMITS)
        other.limit_tasks = own.limit_tasks
        other.limit_files = own.limit_files
        at = other.next_thread


@apart
@kernel
def getrlimit(k: Kernel, resource: word, to: word) -> word:
    if half(resource) >= NR_LIMITS:
        return -EINVAL
    return put_limit(k, half(resource), to)


@apart
@kernel
def setrlimit(k: Kernel, resource: word, source: word) -> word:
    if half(resource) >= NR_LIMITS:
        return -EINVAL
    code, limit, most = get_limit(k, source)
    return set_limit(k, half(resource), limit, most) if code == 0 else code


@apart
@kernel
def prlimit64(k: Kernel, number: word, resource: word, source: word, to: word) -> word:
    if half(resource) >= NR_LIMITS:
        return -EINVAL
    if half(number) != 0 and half(number) != task_of(k).number:
        at = ring.find(k, int_of(number))
        if at == 0:
            return -ESRCH
        if Task(k.m, at).leader != task_of(k).leader:
            return -EPERM
    code = 0
    limit = 0
    most = 0
    if source != 0:
        code, limit, most = get_limit(k, source)
    if code == 0 and to != 0:
        code = put_limit(k, half(resource), to)
    return set_limit(k, half(resource), limit, most) if code == 0 and source != 0 else code
