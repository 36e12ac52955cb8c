"""exec: a new space with a program in it, and the registers with which it begins. What fails leaves nothing behind.

Unit: the program. It is a file of the archive; texts come from the host.
"""

from incroos.kernel import vm
from incroos.kernel.arch.x86 import (
    FLAG_INTERRUPTS,
    FLAGS_ALWAYS,
    MSR_FS_BASE,
    MSR_KERNEL_GS_BASE,
    USER_CODE,
    USER_DATA,
)
from incroos.kernel.codes import BAD_PROGRAM, NO_KERNEL_MEMORY, OK
from incroos.kernel.state import (
    CONTENT_KIND,
    NAME_BYTES,
    Kernel,
    Node,
    Registers,
    RunInfo,
    Task,
    UserSpace,
    user_registers,
)
from incroos.kernel.task import contexts, elf, stack
from incroos.kernel.task.elf import Program
from incroos.lang import VirtAddr, copy, fill, kernel, word, write_msr


@kernel
def begin(k: Kernel, task: Task, node: Node, info: RunInfo) -> word:
    """Give a task its first program: OK, and the registers are those with which it begins.

    BAD_PROGRAM, TOO_MUCH_TEXT, codes of vm; then nothing has changed.
    """
    if node.kind != CONTENT_KIND:
        return BAD_PROGRAM
    at = vm.create(k)
    if at == 0:
        return NO_KERNEL_MEMORY
    user = UserSpace(k.m, at)
    user.limit_address_space = info.limit_address_space
    user.limit_data = info.limit_data
    user.limit_stack = info.limit_stack
    program = Program(k.m, k.files.piece)
    fill(k.m, program.addr, 0, Program.SIZE)
    code = elf.load(user, node.content, program)
    rsp = VirtAddr(0)
    if code == OK:
        user.brk_start = VirtAddr(vm.page_up(program.brk))
        user.brk = user.brk_start
        user.data_bytes = program.data_bytes
        code, rsp = stack.build(k, user, task, info, program)
    if code != OK:
        vm.destroy(user)
        return code
    take_over(k, task, node, user)
    begin_registers(k, task, VirtAddr(program.entry), rsp)
    return OK


@kernel
def take_over(k: Kernel, task: Task, node: Node, user: UserSpace) -> None:
    """Let the task have the space, and be called as the program is."""
    vm.hold(user)
    task.space = user.addr
    task.program = node.addr
    fill(k.m, task.name.addr, 0, NAME_BYTES)
    copy(k.m, task.name.addr, node.name, min(node.name_bytes, NAME_BYTES - 1))
    vm.use(k, user)


@kernel
def begin_registers(k: Kernel, task: Task, entry: VirtAddr, rsp: VirtAddr) -> None:
    """All registers of ring 3 as a new program finds them: nothing of anybody is left in them."""
    regs = user_registers(k)
    fill(k.m, regs.addr, 0, Registers.SIZE)
    regs.rip = entry
    regs.rsp = rsp
    regs.cs = USER_CODE
    regs.ss = USER_DATA
    regs.rflags = FLAGS_ALWAYS | FLAG_INTERRUPTS
    write_msr(k.m, MSR_FS_BASE, 0)
    write_msr(k.m, MSR_KERNEL_GS_BASE, 0)
    contexts.clear_vectors(k, task)
