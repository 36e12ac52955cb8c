"""Open files of things that have no name and are no pipes: event counters, and interest lists.

Unit: the open file.
"""

from typing import Final

from incroos.kernel import heap
from incroos.kernel.codes import NO_DESCRIPTOR, NO_KERNEL_MEMORY
from incroos.kernel.files import descriptors, events, interests, open_files
from incroos.kernel.files.flags import NONBLOCK, READ_WRITE
from incroos.kernel.state import EVENT_KIND, INTEREST_KIND, File, Kernel, Task
from incroos.lang import VirtAddr, kernel, word

MODE: Final = 0o600


@kernel
def open_counter(k: Kernel, task: Task, count: word, takes_one: word, flags: word, closing: word) -> word:
    """An event counter: its descriptor. NO_DESCRIPTOR, NO_KERNEL_MEMORY."""
    return open_thing(k, task, EVENT_KIND, events.create(k, count, takes_one), flags & NONBLOCK, closing)


@kernel
def open_interests(k: Kernel, task: Task, closing: word) -> word:
    """An interest list: its descriptor. NO_DESCRIPTOR, NO_KERNEL_MEMORY."""
    return open_thing(k, task, INTEREST_KIND, interests.create(k), 0, closing)


@kernel
def open_thing(k: Kernel, task: Task, kind: word, thing: VirtAddr, flags: word, closing: word) -> word:
    """A thing of the heap, 0 if that could not be had: its descriptor, or the same codes, and it is freed."""
    free = descriptors.lowest_free(task, 0)
    at = open_files.new_file(k, kind, flags | READ_WRITE)
    if free < 0 or at == 0 or thing == 0:
        heap.kfree(k, at)
        heap.kfree(k, thing)
        return NO_DESCRIPTOR if free < 0 else NO_KERNEL_MEMORY
    file = File(k.m, at)
    file.pipe = thing
    file.mode = MODE
    descriptors.put(task, free, file, closing)
    return free
