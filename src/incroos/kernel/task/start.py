"""The start of the room, and the first task: the archive's first file with what the host handed over."""

from typing import Final

from incroos.kernel import files, heap, pmm
from incroos.kernel.codes import NO_KERNEL_MEMORY, OK
from incroos.kernel.state import FIRST_NUMBER, READY, Kernel, Node, RunInfo, Task, TaskState
from incroos.kernel.task import clock, ending, limits, program, ring
from incroos.lang import VirtAddr, fill, kernel, word

TASK_ALIGNMENT: Final = 16  # of its vector state
DEFAULT_UMASK: Final = 0o022


@kernel
def init(k: Kernel) -> None:
    """Begin without tasks."""
    fill(k.m, k.tasks.addr, 0, TaskState.SIZE)
    k.tasks.next_number = FIRST_NUMBER


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
    task.umask = DEFAULT_UMASK
    limits.begin(task, info)
    task.folder = files.root_of(k).addr
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
    files.close_all(k, task)
    files.close_terminal(k)
    ending.leave_space(k, task)
    ring.remove(k, task)
    k.tasks.nr_live -= 1
    k.tasks.current = VirtAddr(0)
    k.tasks.next_number = FIRST_NUMBER
    heap.kfree(k, task.addr)
    heap.shrink(k)


@kernel
def new_task(k: Kernel) -> VirtAddr:
    """A task that is READY, and in no ring; its other fields are 0. 0 without memory."""
    at = heap.kmemalign(k, TASK_ALIGNMENT, Task.SIZE)
    if at != 0:
        fill(k.m, at, 0, Task.SIZE)
        Task(k.m, at).state = READY
    return at
