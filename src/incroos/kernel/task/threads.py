"""Threads: the tasks of a process, which its leader stands for.

    leader          the first one: its number is the process's, and what a process has one of is in its Task: parent,
                    children, exit signal, status, timers, signals that wait for the process, news
    all of them     have the same space, descriptors, whereabouts and actions by counting who has them; group, session
                    and limits are copied into each
    its end         a thread that ends is gone, and nobody asks for it; a leader that ends before the others is GONE

Unit: the task. docs/adr/0520 has the reasons.
"""

from incroos.kernel.state import Task
from incroos.lang import VirtAddr, kernel

# THREADS-1  next_thread and previous_thread belong together; all in the ring have the same leader, who is in it
# THREADS-2  a leader's nr_threads is how many in the ring are neither GONE nor ENDED


@kernel
def is_leader(task: Task) -> bool:
    """Whether a task stands for its process."""
    return task.leader == task.addr


@kernel
def begin_alone(task: Task) -> None:
    """A task is the only thread of its process."""
    task.leader = task.addr
    task.next_thread = task.addr
    task.previous_thread = task.addr
    task.nr_threads = 1
    task.is_thread = 0


@kernel
def join(task: Task, leader: Task) -> None:
    """A task is the last thread of a process."""
    task.leader = leader.addr
    task.next_thread = leader.addr
    task.previous_thread = leader.previous_thread
    Task(task.m, leader.previous_thread).next_thread = task.addr
    leader.previous_thread = task.addr
    leader.nr_threads += 1
    task.is_thread = 1


@kernel
def leave(task: Task) -> None:
    """A task that is no leader is in its process no longer; who counts the threads has done that."""
    Task(task.m, task.previous_thread).next_thread = task.next_thread
    Task(task.m, task.next_thread).previous_thread = task.previous_thread
    task.next_thread = task.addr
    task.previous_thread = task.addr
    task.leader = task.addr
    task.parent = VirtAddr(0)
