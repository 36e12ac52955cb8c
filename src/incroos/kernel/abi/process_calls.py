"""Calls about the process itself: its end, who it is, its limits and registers."""

from typing import Final

from incroos.kernel import task, vm
from incroos.kernel.abi.arguments import half, task_of, user_of
from incroos.kernel.abi.errno import EFAULT, EINVAL, EPERM, result_of
from incroos.kernel.arch.x86 import MSR_FS_BASE, MSR_KERNEL_GS_BASE
from incroos.kernel.codes import BAD_POINTER
from incroos.kernel.state import INIT_NUMBER, NAME_BYTES, Kernel, Task, leader_of
from incroos.lang import VirtAddr, apart, copy, fill, kernel, read_msr, word, write_msr

SET_GS: Final = 0x1001  # arch_prctl
SET_FS: Final = 0x1002
GET_FS: Final = 0x1003
GET_GS: Final = 0x1004

SET_NAME: Final = 15  # prctl
SET_NO_LARGE: Final = 41  # Linux's THP_DISABLE
GET_NO_LARGE: Final = 42
GET_NAME: Final = 16
GET_DUMPABLE: Final = 3
SET_DUMPABLE: Final = 4


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
def refuse(k: Kernel) -> word:
    """What only an administrator of the machine may do, and nobody here."""
    return -EPERM


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
    if wanted == SET_NO_LARGE:
        user_of(k).has_no_large = 1 if value != 0 else 0
        return 0
    if wanted == GET_NO_LARGE:
        return user_of(k).has_no_large
    if wanted == GET_DUMPABLE:
        return 1
    return 0 if wanted == SET_DUMPABLE and (value == 0 or value == 1) else -EINVAL
