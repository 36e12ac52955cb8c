"""exec in a process of several threads, or one that shares its descriptors or actions with another: it is alone then.

    threads         all others end; the one that calls is the leader from then on, with its number
    shared parts    are copied before anything is lost, for want of memory

Unit: the process.
"""

from incroos.kernel import files
from incroos.kernel.codes import NO_KERNEL_MEMORY, OK
from incroos.kernel.state import READY, Credentials, Kernel, Pending, Task, leader_of, table_of
from incroos.kernel.task import actions, ending
from incroos.kernel.task.actions import actions_of
from incroos.lang import VirtAddr, copy, kernel, word


@kernel
def take_parts(k: Kernel, task: Task) -> tuple[word, VirtAddr, VirtAddr]:
    """OK, and copies of descriptors and actions that a task shares, 0 if it does not; or NO_KERNEL_MEMORY."""
    table = VirtAddr(0)
    own_actions = VirtAddr(0)
    if table_of(task).nr_users > 1:
        table = files.copy_table(k, table_of(task))
        if table == 0:
            return NO_KERNEL_MEMORY, table, own_actions
    if actions_of(task).nr_users > 1:
        own_actions = actions.copy_table(k, actions_of(task))
        if own_actions == 0:
            files.drop_table(k, table)
            return NO_KERNEL_MEMORY, VirtAddr(0), own_actions
    return OK, table, own_actions


@kernel
def drop_parts(k: Kernel, table: VirtAddr, own_actions: VirtAddr) -> None:
    """Undo take_parts."""
    files.drop_table(k, table)
    actions.drop_table(k, own_actions)


@kernel
def use_parts(k: Kernel, task: Task, table: VirtAddr, own_actions: VirtAddr) -> None:
    """Let a task have what take_parts has copied."""
    if table != 0:
        files.drop_table(k, task.table)
        task.table = table
    if own_actions != 0:
        actions.drop_table(k, task.actions)
        task.actions = own_actions


@kernel
def become_alone(k: Kernel, task: Task) -> Task:
    """End all other threads of the process that runs: what it is from now on, its leader's Task."""
    ending.end_others(k, task)
    leader = leader_of(task)
    if leader.addr != task.addr:
        take_place(k, task, leader)
    return leader


@kernel
def take_place(k: Kernel, task: Task, leader: Task) -> None:
    """Let the leader, who is GONE, go on as the thread that runs, and that be gone."""
    leader.table = task.table
    leader.whereabouts = task.whereabouts
    leader.space = task.space
    leader.blocked = task.blocked
    leader.nice = task.nice
    leader.clear_on_exit = task.clear_on_exit
    leader.robust = task.robust
    leader.thread_time = task.thread_time
    copy(k.m, VirtAddr(leader.credentials.addr), VirtAddr(task.credentials.addr), Credentials.SIZE)
    copy(k.m, VirtAddr(leader.pending.addr), VirtAddr(task.pending.addr), Pending.SIZE)
    leader.state = READY
    leader.waits_on = VirtAddr(0)
    k.tasks.current = leader.addr
    task.table = VirtAddr(0)
    task.whereabouts = VirtAddr(0)
    task.space = VirtAddr(0)
    task.pending.queued = VirtAddr(0)
    ending.bury_thread(k, task)
