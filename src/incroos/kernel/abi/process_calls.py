"""Calls about the process itself: its end, who it is, its limits and registers."""

from typing import Final

from incroos.kernel import task, vm
from incroos.kernel.abi.arguments import half, int_of, task_of, user_of
from incroos.kernel.abi.errno import EFAULT, EINVAL, EPERM, ESRCH, result_of
from incroos.kernel.arch.x86 import MSR_FS_BASE, MSR_KERNEL_GS_BASE
from incroos.kernel.codes import BAD_POINTER
from incroos.kernel.state import INIT_NUMBER, MAX_FILES, MAX_QUEUED, NAME_BYTES, NO_LIMIT, Kernel, Task, leader_of
from incroos.kernel.task import ring
from incroos.lang import VirtAddr, apart, copy, fill, kernel, load64, read_msr, store64, word, write_msr

SET_GS: Final = 0x1001  # arch_prctl
SET_FS: Final = 0x1002
GET_FS: Final = 0x1003
GET_GS: Final = 0x1004

SET_NAME: Final = 15  # prctl
GET_NAME: Final = 16
GET_DUMPABLE: Final = 3
SET_DUMPABLE: Final = 4

# Resources of limits
DATA: Final = 2
STACK: Final = 3
CORE: Final = 4
NR_TASKS: Final = 6
NR_FILES: Final = 7
NR_QUEUED: Final = 11  # signals
ADDRESS_SPACE: Final = 9
NR_RESOURCES: Final = 16


@apart
@kernel
def exit_group(k: Kernel, status: word) -> word:
    task.end(k, status & 0xFF)
    return 0


@apart
@kernel
def exit_thread(k: Kernel, status: word) -> word:
    """exit: of the thread that calls."""
    task.end_thread(k, status & 0xFF)
    return 0


@kernel
def getpid(k: Kernel) -> word:
    return leader_of(task_of(k)).number


@kernel
def gettid(k: Kernel) -> word:
    return task_of(k).number


@kernel
def getppid(k: Kernel) -> word:
    parent = leader_of(task_of(k)).parent
    return Task(k.m, parent).number if parent != 0 else INIT_NUMBER


@apart
@kernel
def set_tid_address(k: Kernel, at: word) -> word:
    task_of(k).clear_on_exit = VirtAddr(at)
    return task_of(k).number


@apart
@kernel
def set_identity(k: Kernel, number: word) -> word:
    """setuid, setgid: there is only one user, who may be nobody else."""
    return 0 if half(number) == 0 else -EPERM


@apart
@kernel
def getgroups(k: Kernel, nr_most: word) -> word:
    return 0 if half(nr_most) < 0x8000_0000 else -EINVAL


@apart
@kernel
def get_three(k: Kernel, real: word, effective: word, saved: word) -> word:
    """getresuid, getresgid."""
    user = user_of(k)
    code = vm.store32(user, real, 0)
    if code == 0:
        code = vm.store32(user, effective, 0)
    return result_of(vm.store32(user, saved, 0) if code == 0 else code)


@apart
@kernel
def set_three(k: Kernel, real: word, effective: word, saved: word) -> word:
    """setresuid, setresgid; -1 leaves one as it is."""
    are_ours = is_own(real) and is_own(effective) and is_own(saved)
    return 0 if are_ours else -EPERM


@apart
@kernel
def set_two(k: Kernel, real: word, effective: word) -> word:
    """setreuid, setregid."""
    return 0 if is_own(real) and is_own(effective) else -EPERM


@apart
@kernel
def refuse(k: Kernel) -> word:
    """What only an administrator of the machine may do, and nobody here."""
    return -EPERM


@kernel
def is_own(number: word) -> bool:
    """Is it the user that there is, or -1?"""
    return half(number) == 0 or half(number) == 0xFFFF_FFFF


@apart
@kernel
def arch_prctl(k: Kernel, code: word, value: word) -> word:
    wanted = half(code)
    if wanted == GET_FS:
        return result_of(vm.store64(user_of(k), value, read_msr(k.m, MSR_FS_BASE)))
    if wanted == GET_GS:
        return result_of(vm.store64(user_of(k), value, read_msr(k.m, MSR_KERNEL_GS_BASE)))
    if wanted != SET_FS and wanted != SET_GS:
        return -EINVAL
    if not 0 <= value < vm.USER_END:
        return -EPERM
    write_msr(k.m, MSR_FS_BASE if wanted == SET_FS else MSR_KERNEL_GS_BASE, value)
    return 0


@apart
@kernel
def prctl(k: Kernel, option: word, value: word) -> word:
    wanted = half(option)
    name = task_of(k).name.addr
    if wanted == GET_NAME:
        return result_of(vm.copy_out(user_of(k), value, VirtAddr(name), NAME_BYTES))
    if wanted == SET_NAME:
        at = k.files.piece
        fill(k.m, at, 0, NAME_BYTES)
        if vm.copy_text(user_of(k), at, value, NAME_BYTES - 1) == BAD_POINTER:
            return -EFAULT
        copy(k.m, VirtAddr(name), at, NAME_BYTES)
        return 0
    if wanted == GET_DUMPABLE:
        return 1
    return 0 if wanted == SET_DUMPABLE and (value == 0 or value == 1) else -EINVAL


# ------------------------------------------------------------------ limits
@kernel
def limit_of(k: Kernel, resource: word) -> word:
    """The limit of a resource."""
    user = user_of(k)
    if resource == DATA:
        return user.limit_data
    if resource == STACK:
        return user.limit_stack
    if resource == ADDRESS_SPACE:
        return user.limit_address_space
    if resource == NR_FILES:
        return task_of(k).limit_files
    if resource == NR_TASKS:
        return task_of(k).limit_tasks
    if resource == NR_QUEUED:
        return MAX_QUEUED
    return 0 if resource == CORE else NO_LIMIT


@apart
@kernel
def getrlimit(k: Kernel, resource: word, to: word) -> word:
    if half(resource) >= NR_RESOURCES:
        return -EINVAL
    return put_limit(k, half(resource), to)


@kernel
def put_limit(k: Kernel, resource: word, to: word) -> word:
    """struct rlimit: the limit, and how far it may be raised."""
    at = k.files.piece
    store64(k.m, at, limit_of(k, resource))
    most = task_of(k).most_tasks if resource == NR_TASKS else NO_LIMIT
    store64(k.m, VirtAddr(at + 8), task_of(k).most_files if resource == NR_FILES else most)
    return result_of(vm.copy_out(user_of(k), to, at, 16))


@kernel
def get_limit(k: Kernel, source: word) -> tuple[word, word, word]:
    """0, the limit of a struct rlimit and how far it may be raised; -EFAULT, -EINVAL if it is more than that."""
    at = k.files.piece
    if vm.copy_in(user_of(k), at, source, 16) != 0:
        return -EFAULT, 0, 0
    limit = load64(k.m, at)
    most = load64(k.m, VirtAddr(at + 8))
    return -EINVAL if most >= 0 and not 0 <= limit <= most else 0, limit, most


@kernel
def set_limit(k: Kernel, resource: word, limit: word, most: word) -> word:
    """Set what is a limit of the space or the task; of other resources there is as much as there is."""
    user = user_of(k)
    value = limit if limit >= 0 else NO_LIMIT
    if resource == DATA:
        user.limit_data = value
    elif resource == STACK:
        user.limit_stack = value
    elif resource == ADDRESS_SPACE:
        user.limit_address_space = value
    elif resource == NR_TASKS:
        task_of(k).limit_tasks = value
        task_of(k).most_tasks = most if most >= 0 else NO_LIMIT
    elif resource == NR_FILES:
        if not 0 <= limit <= MAX_FILES:
            return -EPERM
        task_of(k).limit_files = limit
        task_of(k).most_files = most if 0 <= most < MAX_FILES else MAX_FILES
    share_limits(task_of(k))
    return 0


@kernel
def share_limits(own: Task) -> None:
    """Let all threads of a process have the limits of one."""
    at = own.next_thread
    while at != own.addr:
        other = Task(own.m, at)
        other.limit_tasks = own.limit_tasks
        other.most_tasks = own.most_tasks
        other.limit_files = own.limit_files
        other.most_files = own.most_files
        at = other.next_thread


@apart
@kernel
def setrlimit(k: Kernel, resource: word, source: word) -> word:
    if half(resource) >= NR_RESOURCES:
        return -EINVAL
    code, limit, most = get_limit(k, source)
    return set_limit(k, half(resource), limit, most) if code == 0 else code


@apart
@kernel
def prlimit64(k: Kernel, number: word, resource: word, source: word, to: word) -> word:
    if half(resource) >= NR_RESOURCES:
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
