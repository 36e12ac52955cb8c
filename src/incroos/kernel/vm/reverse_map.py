"""Reverse map: of each frame, who maps it. A word for each PFN, in memory of vmalloc:

    0                       nobody whose mappings are counted
    page | number           one page: its address, and in the low bits the number of its space, 1 to 63
    below 0                 kept free for frames that several spaces share: the address, which is negative, of the
                            first node of a chain in the kernel's heap, with one such word in each node

Unit: the frame. A frame that is shared has as many nodes as pmm counts mappings; when one is left, its word comes back
in here. Knows nothing of page tables: vmm.sparse counts mappings, and pages.py writes here whenever it does.
"""

from incroos.kernel import vmm
from incroos.kernel.layout import PAGE_SHIFT
from incroos.kernel.state import Kernel, UserSpace, kernel_of
from incroos.lang import PhysAddr, VirtAddr, fill, kernel, load64, store64, word


@kernel
def init(k: Kernel) -> bool:
    """Make the map, in which nobody maps a frame, unless there is no memory."""
    k.vm.nr_frames = k.blocks.database.nr_frames
    k.vm.reverse_map = vmm.vmalloc(k, 8 * k.vm.nr_frames)
    if k.vm.reverse_map == 0:
        return False
    fill(k.m, k.vm.reverse_map, 0, 8 * k.vm.nr_frames)
    return True


@kernel
def place_of(k: Kernel, frame: word) -> VirtAddr:
    """Where the word of a frame is."""
    return VirtAddr(k.vm.reverse_map + (frame >> PAGE_SHIFT << 3))


@kernel
def note(user: UserSpace, frame: PhysAddr, page: VirtAddr) -> None:
    """A page of the space is where the frame is mapped, and nowhere else."""
    store64(user.m, place_of(kernel_of(user.space), frame), page | user.number)


@kernel
def forget(k: Kernel, frame: PhysAddr) -> None:
    """The frame is mapped nowhere any more."""
    store64(k.m, place_of(k, frame), 0)


@kernel
def word_of(k: Kernel, frame: word) -> word:
    """What is known of a frame."""
    return load64(k.m, place_of(k, frame))
