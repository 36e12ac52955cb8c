"""Moving pages: the private pages of a range are to be at another address, as mremap asks.

Unit: the page. What is a program's own moves by its table entry: no byte is copied. A frame that a fork shares cannot,
since the reverse map names it by one address in all spaces of a family: the mover gets a copy. Frames and tables of the
new place are had first; until the old place is cleared, all can be taken back.
"""

from typing import Final

from incroos.kernel import pmm, vmm
from incroos.kernel.arch.pte import ADDRESS
from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import Kernel, UserSpace, kernel_of
from incroos.kernel.vm import pages, reverse_map
from incroos.lang import PhysAddr, VirtAddr, copy, kernel, word

NO_FRAMES: Final = PhysAddr(0)  # an empty list


@kernel
def move(user: UserSpace, start: VirtAddr, end: VirtAddr, to: VirtAddr, rights: word) -> word:
    """Let the pages of [start, end), which have these rights, be at `to`, where none is: OK; NO_FRAME, none moved."""
    k = kernel_of(user.space)
    code, frames = take_frames(k, nr_to_copy(user, start, end))
    if code != OK:
        return code
    code, frames = put_all(user, start, end, to, rights, frames)
    behind = VirtAddr(to + (end - start))
    if code != OK:
        copies, _nr_pages = vmm.clear_in(user.space, to, behind)
        pages.free_frames(k, copies)
        free_list(k, frames)
        return code
    name_all(user, to, behind)
    vmm.clear_in(user.space, start, end)  # no frame comes back: each is mapped at the new place, or by others
    return OK


@kernel
def is_others_too(k: Kernel, entry: word) -> bool:
    """Whether a page's frame is private memory of other spaces, too."""
    if entry & (vmm.BORROWED | vmm.UNCOUNTED | vmm.HELD) != vmm.BORROWED:
        return False
    return pmm.nr_mappings(k, PhysAddr(entry & ADDRESS)) != 1


@kernel
def nr_to_copy(user: UserSpace, start: VirtAddr, end: VirtAddr) -> word:
    """How many pages of [start, end) cannot move by their entries."""
    k = kernel_of(user.space)
    nr_pages = 0
    page, entry = vmm.next_leaf_in(user.space, start, end)
    while page < end:
        nr_pages += is_others_too(k, entry)
        page, entry = vmm.next_leaf_in(user.space, VirtAddr(page + PAGE_BYTES), end)
    return nr_pages


# ------------------------------------------------------------------ frames in stock
@kernel
def take_frames(k: Kernel, nr_frames: word) -> tuple[word, PhysAddr]:
    """OK and a list of so many frames (vmm.next_of); or NO_FRAME, and none was taken."""
    frames = NO_FRAMES
    for _ in range(nr_frames):
        frame = pmm.take_frame(k)
        if frame < 0:
            free_list(k, frames)
            return NO_FRAME, NO_FRAMES
        pmm.set_owner_word(k, frame, frames >> PAGE_SHIFT)
        frames = frame
    return OK, frames


@kernel
def free_list(k: Kernel, frames: PhysAddr) -> None:
    """Give back the frames of a list."""
    frame = frames
    while frame != 0:
        behind = vmm.next_of(k.space, frame)
        pmm.free_page(k, frame)
        frame = behind


# ------------------------------------------------------------------ entries
@kernel
def put_all(
    user: UserSpace, start: VirtAddr, end: VirtAddr, to: VirtAddr, rights: word, frames: PhysAddr
) -> tuple[word, PhysAddr]:
    """Map the pages of [start, end) at `to`, too, some as copies in frames of the list: OK, NO_FRAME; the list."""
    k = kernel_of(user.space)
    stock = frames
    page, entry = vmm.next_leaf_in(user.space, start, end)
    while page < end:
        leaf = entry
        behind = stock
        if is_others_too(k, entry):
            behind = vmm.next_of(k.space, stock)
            copy(k.m, pmm.address_of(k, stock), pmm.address_of(k, PhysAddr(entry & ADDRESS)), PAGE_BYTES)
            leaf = stock | pages.flags_of(rights)
        if vmm.put_in(user.space, VirtAddr(to + (page - start)), leaf) != OK:
            if behind != stock:
                pmm.set_owner_word(k, stock, behind >> PAGE_SHIFT)
            return NO_FRAME, stock
        stock = behind
        page, entry = vmm.next_leaf_in(user.space, VirtAddr(page + PAGE_BYTES), end)
    return OK, stock


@kernel
def name_all(user: UserSpace, start: VirtAddr, end: VirtAddr) -> None:
    """Let the reverse map say of the private frames of [start, end) that they are there."""
    page, entry = vmm.next_leaf_in(user.space, start, end)
    while page < end:
        if entry & (vmm.UNCOUNTED | vmm.HELD) == 0:
            reverse_map.note(user, PhysAddr(entry & ADDRESS), page)
        page, entry = vmm.next_leaf_in(user.space, VirtAddr(page + PAGE_BYTES), end)
