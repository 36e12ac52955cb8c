"""Reverse map: of each frame, who maps it. A word for each PFN, in memory of vmalloc:

    0                           nobody whose mappings are counted
    page | family               pages at this address in spaces of this family, as many as pmm counts mappings
    IS_HELD | page | family     the same of a frame of shared memory, which is not free when nobody maps it

A frame comes into another space by fork alone, and there it lies at the same address: so one word names all who may
map it, and who does is found by a look at that address in each space of the family (nr_mappers). The word is written
when the first mapping begins and when the last one ends; fork and copy-on-write leave it alone.

Unit: the frame. Knows nothing of how tables change: vmm.sparse counts mappings, pages.py writes here.
"""

from typing import Final

from incroos.kernel import vmm
from incroos.kernel.arch.pte import ADDRESS
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import MAX_FAMILIES, Kernel, UserSpace, kernel_of
from incroos.lang import PhysAddr, VirtAddr, fill, kernel, load64, store64, word

IS_HELD: Final = -1 << 63
FAMILY: Final = MAX_FAMILIES - 1


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
def note(user: UserSpace, frame: PhysAddr, page: VirtAddr, held: word) -> None:
    """Pages at this address, in spaces of the space's family, are where the frame is mapped. IS_HELD or 0."""
    store64(user.m, place_of(kernel_of(user.space), frame), held | page | user.family)


@kernel
def forget(k: Kernel, frame: PhysAddr) -> bool:
    """The frame is mapped nowhere any more: whether that makes it free."""
    place = place_of(k, frame)
    name = load64(k.m, place)
    store64(k.m, place, 0)
    return name >= 0


@kernel
def word_of(k: Kernel, frame: word) -> word:
    """What is known of a frame."""
    return load64(k.m, place_of(k, frame))


@kernel
def place_and_space(k: Kernel, frame: word) -> tuple[VirtAddr, VirtAddr]:
    """The page where a frame may be mapped, and a space of the family that may do so; 0: it is mapped nowhere."""
    name = word_of(k, frame)
    space = VirtAddr(load64(k.m, VirtAddr(k.vm.families + 8 * (name & FAMILY))))
    return VirtAddr(name & ~IS_HELD & -PAGE_BYTES), space


@kernel
def nr_mappers(k: Kernel, frame: PhysAddr) -> word:
    """How many pages lead to a frame, by a look at all where it may be."""
    page, first = place_and_space(k, frame)
    at = first
    nr_found = 0
    while at != 0:
        user = UserSpace(k.m, at)
        if vmm.leaf_in(user.space, page) & ADDRESS == frame:
            nr_found += 1
        at = user.next_in_family if user.next_in_family != first else VirtAddr(0)
    return nr_found
