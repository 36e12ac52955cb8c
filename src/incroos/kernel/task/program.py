"""Programs: a new space with one in it, and the registers with which it begins. What fails leaves nothing behind.

Unit: the program.
"""

from incroos.kernel import files, vm
from incroos.kernel.arch.x86 import (
    FAULT_FETCH,
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
from incroos.kernel.task.texts import Texts, destroy, take_given
from incroos.lang import VirtAddr, copy, fill, kernel, word, write_msr


@kernel
def begin(k: Kernel, task: Task, node: Node, info: RunInfo) -> word:
    """Give a task its first program: OK, and the registers are those with which it begins.

    BAD_PROGRAM, TOO_MUCH_TEXT, codes of vm; then nothing has changed.
    """
    code, at = take_given(k, info)
    if code != OK:
        return code
    texts = Texts(k.m, at)
    code, space = load(k, node, texts, info.limit_address_space, info.limit_data, info.limit_stack)
    if code == OK:
        take_over(k, task, node, UserSpace(k.m, space), texts)
        name, name_bytes = files.name_of(k, node)
        name_task(task, name, name_bytes)
    destroy(k, texts)
    return code


@kernel
def load(
    k: Kernel, node: Node, texts: Texts, limit_address_space: word, limit_data: word, limit_stack: word
) -> tuple[word, VirtAddr]:
    """OK, and a space with a program in it and its texts on the stack: BAD_PROGRAM, TOO_MUCH_TEXT, codes of vm.

    The texts say where it begins.
    """
    if node.kind != CONTENT_KIND:
        return BAD_PROGRAM, VirtAddr(0)
    at = vm.create(k)
    if at == 0:
        return NO_KERNEL_MEMORY, at
    user = UserSpace(k.m, at)
    user.limit_address_space = limit_address_space
    user.limit_data = limit_data
    user.limit_stack = limit_stack
    program = Program(k.m, k.files.piece)
    code = elf.load(user, node.content, program)
    if code == OK:
        user.brk_start = VirtAddr(vm.page_up(program.brk))
        user.brk = user.brk_start
        user.data_bytes = program.data_bytes
        code, rsp = stack.build(k, user, texts, program)
        texts.rsp = rsp
        texts.rip = VirtAddr(program.entry)
    if code != OK:
        vm.destroy(user)
        return code, VirtAddr(0)
    vm.fault(user, texts.rip, FAULT_FETCH)  # the first that would come; whatever is wrong it says again
    return OK, at


@kernel
def take_over(k: Kernel, task: Task, node: Node, user: UserSpace, texts: Texts) -> None:
    """Let the task that runs have the space that load made, and the registers with which its program begins."""
    vm.hold(user)
    vm.use(k, user)
    task.space = user.addr
    task.program = node.addr
    task.arguments = texts.arguments
    task.arguments_bytes = texts.arguments_bytes
    task.environment_bytes = texts.nbytes - texts.arguments_bytes
    task.stack_start = texts.rsp
    begin_registers(k, task, texts.rip, texts.rsp)


@kernel
def name_task(task: Task, name: VirtAddr, nbytes: word) -> None:
    """Call the task as its program is called."""
    fill(task.m, task.name.addr, 0, NAME_BYTES)
    copy(task.m, task.name.addr, name, min(nbytes, NAME_BYTES - 1))


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
