"""The start of the room, and the first task: the archive's first file with what the host handed over."""

from typing import Final

from incroos.kernel import files, heap, pmm
from incroos.kernel.codes import NO_KERNEL_MEMORY, OK
from incroos.kernel.state import FIRST_NUMBER, READY, Kernel, Node, RunInfo, Task, TaskState
from incroos.kernel.task import actions, clock, ending, fork, limits, program, ring, threads
from incroos.lang import VirtAddr, fill, kernel, word

DEFAULT_UMASK: Final = 0o022


@kernel
def init(k: Kernel) -> word:
    """Begin without tasks: OK or NO_KERNEL_MEMORY."""
    fill(k.m, k.tasks.addr, 0, TaskState.SIZE)
    k.tasks.next_number = FIRST_NUMBER
    ring.init(k)
    actions.init(k)
    return OK if k.tasks.cache != 0 and k.tasks.action_tables != 0 else NO_KERNEL_MEMORY


@kernel
def create_first(k: Kernel, info: RunInfo) -> word:
    """Make the first task: OK, and user_registers(k) are its registers; else a code, and nothing is left behind.

    PRE vm.init, files.init and task.init were called.
    """
    heap.shrink(k)
    state = k.tasks
    state.flags = info.flags
    clock.init(k, info)
    state.random = info.seed
    state.free_frames = pmm.nr_free_frames(k)
    state.record_bytes = heap.record_bytes(k)
    if k.config.fault_injection != 0:
        k.frames.requests = 0
        k.frames.refuse_at = info.refuse_at
    at = new_task(k)
    if at == 0:
        return NO_KERNEL_MEMORY
    task = Task(k.m, at)
    task.number = ring.new_number(k)
    task.group = task.number
    task.session = task.number
    task.exit_signal = 0
    task.started = clock.now(k)
    limits.begin(task, info)
    ring.add(k, task)
    state.current = at
    state.slice_start = clock.now(k)
    code = files.open_standard(k, task, info)
    if code == OK:
        code = program.begin(k, task, Node(k.m, k.files.program), info)
    if code != OK:
        drop_first(k, task)
    return code


@kernel
def drop_first(k: Kernel, task: Task) -> None:
    """Undo create_first, or as much of it as was done: there is no task."""
    ending.leave_space(k, task)
    fork.drop_parts(k, task)
    files.close_terminal(k)
    ring.remove(k, task)
    k.tasks.nr_live -= 1
    k.tasks.current = VirtAddr(0)
    k.tasks.next_number = FIRST_NUMBER
    ring.free(k, task)
    heap.shrink(k)


@kernel
def new_task(k: Kernel) -> VirtAddr:
    """A task that is READY, alone, and in no ring; it has no space, and other fields are 0. 0 without memory."""
    at = ring.alloc(k)
    if at == 0:
        return at
    fill(k.m, at, 0, Task.SIZE)
    task = Task(k.m, at)
    task.state = READY
    threads.begin_alone(task)
    task.table = files.new_table(k)
    task.actions = actions.new_table(k)
    task.whereabouts = files.new_whereabouts(k, files.root_of(k).addr, DEFAULT_UMASK)
    if task.table == 0 or task.actions == 0 or task.whereabouts == 0:
        fork.drop_parts(k, task)
        ring.free(k, task)
        return VirtAddr(0)
    return at
