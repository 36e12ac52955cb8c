"""Pages of user spaces: which frame lies where, with which bits. The only place that changes both tables and counts.

Unit: the page. Rights are a range's, the bits of its entries follow from them. A page without any right is present for
the kernel alone, so that its content is kept and user mode faults. The frame of zeros may be at any number of pages,
is never writable and never counted. A page whose frame others may have, too, is borrowed: it is not writable either,
until it has a frame of its own. Frames of contents are held: they stay when their last page goes. A shared range maps
them with all its bits, a private one borrows them. A large page is 512 pages of a space's own (vmm.large).
"""

from incroos.kernel import pmm, vmm
from incroos.kernel.arch.pte import HUGE_BYTES
from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.layout import PAGE_SHIFT
from incroos.kernel.state import EXECUTE, WRITE, Kernel, UserSpace, kernel_of
from incroos.kernel.vm import reverse_map
from incroos.lang import PhysAddr, VirtAddr, kernel, word


@kernel
def flags_of(rights: word) -> word:
    """The bits of an entry that grants the rights. What can be written or executed can be read."""
    flags = vmm.PRESENT
    if rights != 0:
        flags |= vmm.USER
    if rights & WRITE != 0:
        flags |= vmm.WRITABLE
    if rights & EXECUTE == 0:
        flags |= vmm.NX
    return flags


@kernel
def put_zero_page(user: UserSpace, page: VirtAddr, rights: word) -> word:
    """Map the frame of zeros at a page that is not there: OK or NO_FRAME."""
    flags = flags_of(rights) & ~vmm.WRITABLE | vmm.BORROWED | vmm.UNCOUNTED
    return vmm.put_in(user.space, page, kernel_of(user.space).vm.zero_page | flags)


@kernel
def put_frame(user: UserSpace, page: VirtAddr, frame: PhysAddr, rights: word) -> word:
    """Map a frame at a page that is not there: OK; NO_FRAME, and the frame is free."""
    code = vmm.put_in(user.space, page, frame | flags_of(rights))
    if code != OK:
        pmm.free_page(kernel_of(user.space), frame)
        return NO_FRAME
    reverse_map.note(user, frame, page)
    user.nr_resident += 1
    return OK


@kernel
def put_large(user: UserSpace, page: VirtAddr, frames: PhysAddr, rights: word) -> word:
    """Map 512 frames in a row, of pmm.take_huge, as a large page from a page on: OK; NO_FRAME, and they are free."""
    code = vmm.put_large_in(user.space, page, frames, flags_of(rights))
    if code != OK:
        pmm.free_block(kernel_of(user.space), frames)
        return NO_FRAME
    reverse_map.note_row(user, frames, page, HUGE_BYTES)
    user.nr_resident += HUGE_BYTES >> PAGE_SHIFT
    return OK


@kernel
def put_held(user: UserSpace, page: VirtAddr, frame: PhysAddr, rights: word) -> word:
    """Map a content's frame at a page, which is not there, of a shared range: OK or NO_FRAME."""
    return put_of_content(user, page, frame | flags_of(rights) | vmm.HELD)


@kernel
def put_borrowed(user: UserSpace, page: VirtAddr, frame: PhysAddr, rights: word) -> word:
    """The same of a private range, whose first write copies."""
    return put_of_content(user, page, frame | flags_of(rights) & ~vmm.WRITABLE | vmm.HELD | vmm.BORROWED)


@kernel
def put_of_content(user: UserSpace, page: VirtAddr, leaf: word) -> word:
    """Write a leaf that leads to a content's frame: OK or NO_FRAME."""
    code = vmm.put_in(user.space, page, leaf)
    if code == OK:
        user.nr_resident += 1
    return code


@kernel
def exchange_zero_page(user: UserSpace, page: VirtAddr, frame: PhysAddr, rights: word) -> None:
    """Map a frame at a page where the frame of zeros is."""
    exchange(user, page, frame, rights)
    user.nr_resident += 1


@kernel
def exchange(user: UserSpace, page: VirtAddr, frame: PhysAddr, rights: word) -> None:
    """Map a frame at a page where another one is, which others have, too."""
    vmm.exchange_in(user.space, page, frame | flags_of(rights))
    reverse_map.note(user, frame, page)


@kernel
def part(user: UserSpace, child: UserSpace, page: VirtAddr, frame: PhysAddr, rights: word) -> None:
    """Map a frame with the same bytes at a page that a space and its child, which never ran, would only borrow."""
    vmm.part_in(user.space, child.space, page, frame | flags_of(rights))
    reverse_map.note(child, frame, page)


@kernel
def reuse(user: UserSpace, page: VirtAddr, rights: word) -> None:
    """Let a page that was borrowed keep the frame, which nobody else has any more."""
    vmm.reuse_in(user.space, page, flags_of(rights))


@kernel
def clear(user: UserSpace, start: VirtAddr, end: VirtAddr) -> None:
    """Unmap the pages of [start, end) that are there, and free their frames."""
    frames, nr_pages = vmm.clear_in(user.space, start, end)
    user.most_resident = max(user.most_resident, user.nr_resident)
    user.nr_resident -= nr_pages
    free_frames(kernel_of(user.space), frames)


@kernel
def free_frames(k: Kernel, frames: PhysAddr) -> None:
    """Free the frames of a list that vmm.clear_in gave, but those of contents."""
    frame = frames
    while frame != 0:
        behind = vmm.next_of(k.space, frame)
        if reverse_map.forget(k, frame):
            pmm.free_unmapped(k, frame)
        frame = behind
    pmm.settle_unmapped(k)


@kernel
def protect(user: UserSpace, start: VirtAddr, end: VirtAddr, rights: word) -> None:
    """Give the pages of [start, end) that are there the bits of other rights."""
    vmm.protect_sparse_in(user.space, start, end, flags_of(rights))
