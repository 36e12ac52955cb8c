"""Contexts: the registers of ring 3 of a task that does not run, and the space that is loaded.

Unit: the task. All tasks run on one kernel stack: a context is what ring 3 has, and nothing of the kernel.
"""

from typing import Final

from incroos.kernel import cpu, vm, vmm
from incroos.kernel.arch.x86 import MSR_FS_BASE, MSR_KERNEL_GS_BASE
from incroos.kernel.state import VECTOR_STATE_BYTES, Kernel, Registers, Task, UserSpace, user_registers
from incroos.lang import (
    VirtAddr,
    copy,
    fill,
    kernel,
    load_vector_state,
    read_msr,
    save_vector_state,
    store16,
    store32,
    write_msr,
)

# In what FXSAVE64 writes
X87_CONTROL: Final = 0
SSE_CONTROL: Final = 24
DEFAULT_X87: Final = 0x37F
DEFAULT_SSE: Final = 0x1F80


@kernel
def registers_of(k: Kernel, task: Task) -> Registers:
    """Where a task's registers are at present."""
    if k.tasks.current == task.addr:
        return user_registers(k)
    return Registers(k.m, VirtAddr(task.registers.addr))


@kernel
def save(k: Kernel, task: Task) -> None:
    """Keep the registers of the task that runs, for itself or a child: another one will run."""
    copy(k.m, VirtAddr(task.registers.addr), user_registers(k).addr, Registers.SIZE)
    task.fs_base = VirtAddr(read_msr(k.m, MSR_FS_BASE))
    task.gs_base = VirtAddr(read_msr(k.m, MSR_KERNEL_GS_BASE))
    save_vector_state(k.m, VirtAddr(task.vectors.addr))


@kernel
def load(k: Kernel, task: Task) -> None:
    """Let a task run: its registers, and its space."""
    copy(k.m, user_registers(k).addr, VirtAddr(task.registers.addr), Registers.SIZE)
    write_msr(k.m, MSR_FS_BASE, task.fs_base)
    write_msr(k.m, MSR_KERNEL_GS_BASE, task.gs_base)
    load_vector_state(k.m, VirtAddr(task.vectors.addr))
    vm.use(k, UserSpace(k.m, task.space))


@kernel
def clear_vectors(k: Kernel, task: Task) -> None:
    """Give the task that runs the vector state of a new program."""
    state = VirtAddr(task.vectors.addr)
    fill(k.m, state, 0, VECTOR_STATE_BYTES)
    store16(k.m, VirtAddr(state + X87_CONTROL), DEFAULT_X87)
    store32(k.m, VirtAddr(state + SSE_CONTROL), DEFAULT_SSE)
    load_vector_state(k.m, state)


@kernel
def leave(k: Kernel) -> None:
    """Load the kernel's own space: no task runs."""
    vmm.switch_to(cpu.this_cpu(k), k.space)
