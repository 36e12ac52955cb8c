"""Leaves of page tables in words, for who looks at a program's memory in a debugger."""

from collections.abc import Iterator
from typing import Final

from incroos.kernel import pmm, vm, vmm
from incroos.kernel.arch.pte import ADDRESS
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import Kernel, Task, UserSpace
from incroos.lang import PhysAddr, VirtAddr

NOTHING: Final = 'nothing is there'
NO_RIGHTS: Final = 'no rights'
RIGHTS: Final = ((vmm.USER, 'read'), (vmm.WRITABLE, 'write'))
NOTES: Final = (
    (vmm.BORROWED, 'borrowed'),
    (vmm.HELD, 'of shared memory'),
    (vmm.UNCOUNTED, 'the frame of zeros'),
)


def in_words(leaf: int) -> str:
    """A leaf of level 1, as `vmm.leaf_in` gives it: which frame, what ring 3 may do, what the kernel has noted."""
    if leaf & vmm.PRESENT == 0:
        return NOTHING
    rights = [word for bit, word in RIGHTS if leaf & vmm.USER and leaf & bit]
    if rights and leaf & vmm.NX == 0:
        rights.append('execute')
    notes = [word for bit, word in NOTES if leaf & bit]
    return ', '.join([f'frame {(leaf & ADDRESS) >> PAGE_SHIFT:#x}', *(rights or [NO_RIGHTS]), *notes])


def page_of_tasks(k: Kernel, va: int) -> Iterator[str]:
    """A line for each task: what its page tables say about the page of a user address."""
    page = VirtAddr(va & -PAGE_BYTES)
    at = k.tasks.ring
    for _ in range(k.tasks.nr_tasks):
        task = Task(k.m, at)
        at = task.next
        if task.space:
            space = UserSpace(k.m, task.space).space
            leaf = vmm.leaf_in(space, page) if vm.is_user(page, PAGE_BYTES) else 0
            size = ', in a page of 2 MiB' if leaf and vmm.is_large_in(space, page) else ''
            counted = leaf & vmm.PRESENT and not leaf & vmm.UNCOUNTED
            times = f', mapped {pmm.nr_mappings(k, PhysAddr(leaf & ADDRESS))} times' if counted else ''
            yield f'task {task.number}: {in_words(leaf)}{size}{times}'.replace('mapped 1 times', 'mapped once')
