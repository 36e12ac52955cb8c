"""fork, vfork and clone: a task like the one that runs. What fails leaves nothing behind.

    copied          registers and vector state, actions, mask, folder, umask, program, name, group, session, descriptors
    shared          open files; with SAME_SPACE the space, else it is a copy of its own
    not the child's signals that are pending, whoever is held by it, what its parent waits for

Unit: the task.
"""

from typing import Final

from incroos.kernel import files, heap, vm
from incroos.kernel.codes import NO_KERNEL_MEMORY, TOO_MANY_TASKS
from incroos.kernel.state import MAX_TASKS, READY, Descriptor, Kernel, Registers, Task, UserSpace
from incroos.kernel.task import clock, contexts, ring, sending, timers
from incroos.kernel.task.actions import copy_actions
from incroos.kernel.task.start import TASK_ALIGNMENT
from incroos.kernel.task.waiting import hold_on
from incroos.lang import VirtAddr, copy, fill, kernel, offset_of, word

# What the child shares, as clone names it
SAME_SPACE: Final = 0x100  # CLONE_VM
HOLD_PARENT: Final = 0x4000  # CLONE_VFORK
SAME_PARENT: Final = 0x8000  # CLONE_PARENT
EXIT_SIGNAL: Final = 0xFF


@kernel
def make_child(k: Kernel, flags: word, stack: word) -> tuple[word, VirtAddr]:
    """A child of the task that runs, in no ring yet: code, and the Task. Its stack is its own, or 0: the same.

    TOO_MANY_TASKS, NO_KERNEL_MEMORY. PRE add_child or drop_child is called next.
    """
    own = ring.current(k)
    if k.tasks.nr_tasks >= MAX_TASKS or 0 <= own.limit_tasks <= k.tasks.nr_tasks:
        return TOO_MANY_TASKS, VirtAddr(0)
    at = heap.kmemalign(k, TASK_ALIGNMENT, Task.SIZE)
    if at == 0:
        return NO_KERNEL_MEMORY, at
    user = UserSpace(k.m, own.space)
    space = own.space if flags & SAME_SPACE != 0 else vm.fork(k, user)
    if space == 0:
        heap.kfree(k, at)
        return NO_KERNEL_MEMORY, VirtAddr(0)
    vm.hold(UserSpace(k.m, space))
    child = Task(k.m, at)
    copy_task(k, own, child)
    child.space = space
    begin(k, child, own, flags)
    copy_registers(k, child, stack)
    if space != own.space and stack == 0:
        part_pages(k, user, child)
    files.share_all(child)
    return 0, at


@kernel
def copy_task(k: Kernel, own: Task, child: Task) -> None:
    """Copy all that means something, but for the registers."""
    start = offset_of(Task, 'fs_base')
    copy(k.m, VirtAddr(child.addr + start), VirtAddr(own.addr + start), offset_of(Task, 'infos') - start)
    copy_actions(k, own, child)
    child.end_descriptors = own.end_descriptors
    copy(
        k.m,
        VirtAddr(child.descriptors.addr),
        VirtAddr(own.descriptors.addr),
        own.end_descriptors * Descriptor.SIZE,
    )


@kernel
def begin(k: Kernel, child: Task, own: Task, flags: word) -> None:
    """What a child does not have from its parent."""
    child.state = READY
    child.parent = own.parent if flags & SAME_PARENT != 0 else own.addr
    child.holder = own.addr if flags & HOLD_PARENT != 0 else VirtAddr(0)
    child.exit_signal = own.exit_signal if flags & SAME_PARENT != 0 else flags & EXIT_SIGNAL
    child.number = ring.new_number(k)
    child.started = clock.now(k)
    child.is_stopped = 0
    child.waits_on = VirtAddr(0)
    child.deadline = 0
    child.progress = 0
    child.has_waited = 0
    child.has_executed = 0
    child.children_time = 0
    child.news = 0
    child.next_news = VirtAddr(0)
    child.is_news = 0
    sending.begin_child(child)
    timers.begin_child(k, child)
    child.clear_on_exit = VirtAddr(0)
    if flags & (SAME_SPACE | HOLD_PARENT) == SAME_SPACE:
        fill(k.m, child.alternate_stack.addr, 0, 3 * 8)


@kernel
def copy_registers(k: Kernel, child: Task, stack: word) -> None:
    """Let the child go on where its parent does, with the result 0."""
    contexts.save(k, child)
    regs = Registers(k.m, VirtAddr(child.registers.addr))
    regs.rax = 0
    if stack != 0:
        regs.rsp = stack


@kernel
def part_pages(k: Kernel, user: UserSpace, child: Task) -> None:
    """Have copied at once what both write at once, or the child: the stack's page, and that of the thread's own data.

    In the latter libraries note the number of the task.
    """
    space = UserSpace(k.m, child.space)
    vm.part(k, user, space, VirtAddr(Registers(k.m, VirtAddr(child.registers.addr)).rsp))
    vm.part(k, user, space, VirtAddr(child.fs_base))


@kernel
def add_child(k: Kernel, child: Task) -> None:
    """Let a child run, when its turn comes."""
    ring.add(k, child)
    if child.holder != 0:
        hold_on(k, child.addr)


@kernel
def drop_child(k: Kernel, child: Task) -> None:
    """Undo make_child."""
    files.close_all(k, child)
    vm.drop(k, UserSpace(k.m, child.space))
    k.tasks.next_number = child.number
    heap.kfree(k, child.addr)
