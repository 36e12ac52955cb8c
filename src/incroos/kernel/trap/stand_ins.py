"""Stand-ins for what the rooms vm, files, task and abi will have; this file goes when they are there."""

from incroos.kernel.codes import EXIT_FAILED
from incroos.kernel.io import console
from incroos.kernel.io.panic import end_machine
from incroos.kernel.state import Kernel, Registers
from incroos.lang import VirtAddr, kernel, word


@kernel
def init_rooms(k: Kernel, info: VirtAddr) -> None:
    """vm.init, files.init, task.init, task.create_first."""
    k.tasks.current = VirtAddr(0)


@kernel
def fault(k: Kernel, va: VirtAddr, error: word) -> word:
    """vm.fault(user, va, error)."""
    return -50


@kernel
def on_fault(k: Kernel, regs: Registers, code: word, va: VirtAddr) -> None:
    """task.on_fault."""
    console.put_text(k, b'fault\n')
    end_machine(k.m, EXIT_FAILED)


@kernel
def end_by_signal(k: Kernel, signal: word, regs: Registers) -> None:
    """task.end_by_signal."""
    console.put_text(k, b'signal\n')
    end_machine(k.m, EXIT_FAILED)


@kernel
def on_syscall(k: Kernel, regs: Registers) -> word:
    """abi.entry.on_syscall."""
    regs.rax = -38
    return 0
