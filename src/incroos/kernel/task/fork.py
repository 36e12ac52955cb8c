"""fork, vfork and clone: a task like the one that runs. What fails leaves nothing behind.

    copied          registers and vector state, mask, program, name, group, session, limits
    copied, or      space, descriptors, whereabouts, actions, as the flags say
      shared
    shared          open files; with THREAD it is another thread of the process, else the first one of a new one
    not the child's signals that are pending, whoever is held by it, what its parent waits for

Unit: the task.
"""

from typing import Final

from incroos.kernel import files, vm
from incroos.kernel.codes import NO_KERNEL_MEMORY, TOO_MANY_TASKS
from incroos.kernel.state import (
    MAX_TASKS,
    READY,
    ActionTable,
    DescriptorTable,
    Kernel,
    Registers,
    Task,
    UserSpace,
    Whereabouts,
    leader_of,
    table_of,
    whereabouts_of,
)
from incroos.kernel.task import actions, clock, contexts, ring, sending, threads, timers
from incroos.kernel.task.waiting import hold_on
from incroos.lang import VirtAddr, copy, fill, kernel, offset_of, word

# What the child shares, as clone names it
SAME_SPACE: Final = 0x100  # CLONE_VM
SAME_FOLDER: Final = 0x200  # CLONE_FS
SAME_DESCRIPTORS: Final = 0x400  # CLONE_FILES
SAME_ACTIONS: Final = 0x800  # CLONE_SIGHAND
THREAD: Final = 0x1_0000
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
    at = ring.alloc(k)
    if at == 0:
        return NO_KERNEL_MEMORY, at
    child = Task(k.m, at)
    copy_task(k, own, child)
    if not give_parts(k, own, child, flags):
        drop_parts(k, child)
        ring.free(k, child)
        return NO_KERNEL_MEMORY, VirtAddr(0)
    begin(k, child, own, flags)
    copy_registers(k, child, stack)
    if child.space != own.space and stack == 0:
        part_pages(k, UserSpace(k.m, own.space), child)
    return 0, at


@kernel
def copy_task(k: Kernel, own: Task, child: Task) -> None:
    """Copy all that means something, but for the registers and the signals that wait."""
    start = offset_of(Task, 'fs_base')
    copy(k.m, VirtAddr(child.addr + start), VirtAddr(own.addr + start), offset_of(Task, 'shared') - start)


@kernel
def give_parts(k: Kernel, own: Task, child: Task, flags: word) -> bool:
    """Let a child share what the flags say, and have a copy of the rest; False: there is no memory for it."""
    child.space = VirtAddr(0)
    child.table = VirtAddr(0)
    child.actions = VirtAddr(0)
    child.whereabouts = whereabouts_for(k, whereabouts_of(own), flags)
    if child.whereabouts == 0:
        return False
    child.table = table_for(k, table_of(own), flags)
    if child.table == 0:
        return False
    child.actions = actions_for(k, actions.actions_of(own), flags)
    if child.actions == 0:
        return False
    space = own.space if flags & SAME_SPACE != 0 else vm.fork(k, UserSpace(k.m, own.space))
    if space != 0:
        vm.hold(UserSpace(k.m, space))
    child.space = space
    return space != 0


@kernel
def whereabouts_for(k: Kernel, own: Whereabouts, flags: word) -> VirtAddr:
    """Those of a child; 0 without memory."""
    if flags & SAME_FOLDER == 0:
        return files.new_whereabouts(k, own.folder, own.umask)
    own.nr_users += 1
    return VirtAddr(own.addr)


@kernel
def table_for(k: Kernel, own: DescriptorTable, flags: word) -> VirtAddr:
    """That of a child; 0 without memory."""
    if flags & SAME_DESCRIPTORS == 0:
        return files.copy_table(k, own)
    own.nr_users += 1
    return VirtAddr(own.addr)


@kernel
def actions_for(k: Kernel, own: ActionTable, flags: word) -> VirtAddr:
    """Those of a child; 0 without memory."""
    if flags & SAME_ACTIONS == 0:
        return actions.copy_table(k, own)
    own.nr_users += 1
    return VirtAddr(own.addr)


@kernel
def drop_parts(k: Kernel, child: Task) -> None:
    """Undo give_parts, or as much of it as was done."""
    files.drop_whereabouts(k, child.whereabouts)
    files.drop_table(k, child.table)
    actions.drop_table(k, child.actions)
    if child.space != 0:
        vm.drop(k, UserSpace(k.m, child.space))


@kernel
def begin(k: Kernel, child: Task, own: Task, flags: word) -> None:
    """What a child does not have from its parent."""
    leader = leader_of(own)
    child.state = READY
    threads.begin_alone(child)
    child.parent = leader.parent if flags & SAME_PARENT != 0 else leader.addr
    child.exit_signal = leader.exit_signal if flags & SAME_PARENT != 0 else flags & EXIT_SIGNAL
    if flags & THREAD != 0:
        child.parent = VirtAddr(0)
        child.exit_signal = 0
    child.holder = own.addr if flags & HOLD_PARENT != 0 else VirtAddr(0)
    child.number = ring.new_number(k)
    child.started = clock.now(k)
    child.is_stopped = 0
    child.waits_on = VirtAddr(0)
    child.deadline = 0
    child.progress = 0
    child.has_waited = 0
    child.awaited = 0
    child.turn = 0
    child.has_executed = 0
    child.children_time = 0
    child.news = 0
    child.next_news = VirtAddr(0)
    child.is_news = 0
    sending.begin_child(child)
    timers.begin_child(k, child)
    child.clear_on_exit = VirtAddr(0)
    child.robust = VirtAddr(0)
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
def add_child(k: Kernel, child: Task, flags: word) -> None:
    """Let a child run, when its turn comes."""
    ring.add(k, child)
    if flags & THREAD != 0:
        threads.join(child, leader_of(ring.current(k)))
    if child.holder != 0:
        hold_on(k, child.addr)


@kernel
def drop_child(k: Kernel, child: Task) -> None:
    """Undo make_child."""
    drop_parts(k, child)
    k.tasks.next_number = child.number
    ring.free(k, child)
