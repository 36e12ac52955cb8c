"""Contents as objects: the bytes of a file, or memory that spaces share, with the ranges that show them.

    a page with a frame     the frame is the one truth: reads, writes and mappings see it
    a page without          the bytes in a row at `data`, as far as these reach, and zeros behind them

Unit: the page, by its index. A page gets its frame when somebody maps or writes it (bring_page), and keeps it, mapped
or not, until it is cut off (cutting.py), the content ends, or frames are scarce and it can be made anew
(give_up_pages).
Knows nothing of files, of who asks, or of spaces but their ranges.
"""

from typing import Final

from incroos.kernel import heap, pmm
from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import Content, Kernel, Range, UserSpace
from incroos.kernel.vm import page_tree
from incroos.kernel.vm.addresses import page_up
from incroos.lang import PhysAddr, VirtAddr, copy, fill, kernel, word

END_OF_PAGES: Final = 1 << 50  # no content has a page with this index


# ------------------------------------------------------------------ making and ending
@kernel
def create(k: Kernel, nbytes: word) -> VirtAddr:
    """Anonymous memory of so many bytes, whole pages, that no range shows: a Content's address; 0 without memory."""
    content = Content(k.m, heap.kzalloc(k, Content.SIZE))
    if content.addr != 0:
        content.nbytes = page_up(nbytes)
        content.is_anonymous = 1
    return VirtAddr(content.addr)


@kernel
def destroy(k: Kernel, content: Content) -> None:
    """End anonymous memory, which no range shows."""
    free_pages(k, content, 0)
    heap.kfree(k, VirtAddr(content.addr))


@kernel
def free_pages(k: Kernel, content: Content, start: word) -> None:
    """Take the frames of all pages from one on, which nobody maps."""
    index = page_tree.next_page(content, start, END_OF_PAGES)
    while index < END_OF_PAGES:
        free_page(k, content, index)
        index = page_tree.next_page(content, index + 1, END_OF_PAGES)


@kernel
def free_page(k: Kernel, content: Content, index: word) -> None:
    """Take the frame of a page, which has one that nobody maps."""
    frame = page_tree.take_frame(k, content, index)
    code = pmm.free_page(k, frame)
    if code != OK:
        panic(k, b'vm: the frame of a content is not free: frame, code', frame, code, index)


# ------------------------------------------------------------------ ranges
@kernel
def add_range(user: UserSpace, content: Content, node: Range) -> None:
    """One more range shows the content."""
    node.user = user.addr
    node.previous_of_content = VirtAddr(0)
    node.next_of_content = content.first_range
    if content.first_range != 0:
        Range(user.m, content.first_range).previous_of_content = node.addr
    content.first_range = node.addr
    content.nr_users += 1


@kernel
def remove_range(k: Kernel, content: Content, node: Range) -> None:
    """A range shows the content no longer; anonymous memory ends with its last one."""
    if node.next_of_content != 0:
        Range(k.m, node.next_of_content).previous_of_content = node.previous_of_content
    if node.previous_of_content != 0:
        Range(k.m, node.previous_of_content).next_of_content = node.next_of_content
    else:
        content.first_range = node.next_of_content
    content.nr_users -= 1
    if content.nr_users == 0 and content.is_anonymous != 0:
        destroy(k, content)
    elif content.nr_users == 0 and content.is_lost != 0:
        free_pages(k, content, 0)


# ------------------------------------------------------------------ pages
@kernel
def bring_page(k: Kernel, content: Content, index: word) -> PhysAddr:
    """The frame of a page, which is made if it has none: NO_FRAME, and nothing has changed."""
    frame = page_tree.frame_at(content, index)
    return frame if frame != 0 else make_page(k, content, index)


@kernel
def make_page(k: Kernel, content: Content, index: word) -> PhysAddr:
    """Give a page, which has none, a frame with its bytes: the frame; NO_FRAME, and nothing has changed."""
    start = index << PAGE_SHIFT
    nbytes = min(content.data_bytes - start, PAGE_BYTES)
    frame = pmm.take_frame(k) if nbytes > 0 else pmm.alloc_page(k)
    if frame < 0:
        return PhysAddr(NO_FRAME)
    if nbytes > 0:
        to = pmm.address_of(k, frame)
        copy(k.m, to, VirtAddr(content.data + start), nbytes)
        fill(k.m, VirtAddr(to + nbytes), 0, PAGE_BYTES - nbytes)
    if page_tree.put_frame(k, content, index, frame) != OK:
        pmm.free_page(k, frame)
        return PhysAddr(NO_FRAME)
    return frame


@kernel
def is_page_changed(content: Content, index: word) -> bool:
    """Whether a page has a frame that cannot be made anew."""
    return page_tree.entry_at(content, index) & page_tree.IS_CHANGED != 0


@kernel
def page_to_write(k: Kernel, content: Content, index: word) -> VirtAddr:
    """Where the kernel writes the bytes of a page, which is changed from now on; 0 without a frame."""
    frame = bring_page(k, content, index)
    if frame < 0:
        return VirtAddr(0)
    page_tree.note_changed(k, content, index)
    return pmm.address_of(k, frame)


@kernel
def bytes_at(k: Kernel, content: Content, position: word) -> tuple[VirtAddr, word]:
    """Where the byte at a position is, and how many lie in a row from there on. PRE it is before the end.

    Good until the page gets a frame or loses it.
    """
    left = content.nbytes - position
    in_page = min(left, PAGE_BYTES - (position & (PAGE_BYTES - 1)))
    if content.root == 0:
        in_page = left
    else:
        frame = page_tree.frame_at(content, position >> PAGE_SHIFT)
        if frame != 0:
            return pmm.address_of(k, PhysAddr(frame | position & (PAGE_BYTES - 1))), in_page
    if position < content.data_bytes:
        return VirtAddr(content.data + position), min(in_page, content.data_bytes - position)
    zeros = pmm.address_of(k, k.vm.zero_page)
    return VirtAddr(zeros + (position & (PAGE_BYTES - 1))), min(in_page, PAGE_BYTES - (position & (PAGE_BYTES - 1)))


@kernel
def read(k: Kernel, content: Content, to: VirtAddr, position: word, nbytes: word) -> word:
    """Copy bytes from a position on to the kernel's memory, up to the end: how many."""
    wanted = min(nbytes, content.nbytes - position)
    done = 0
    while done < wanted:
        source, nr_there = bytes_at(k, content, position + done)
        part = min(nr_there, wanted - done)
        copy(k.m, VirtAddr(to + done), source, part)
        done += part
    return done


# ------------------------------------------------------------------ when frames are scarce
@kernel
def give_up_pages(k: Kernel) -> word:
    """Free the frames of pages of files that nobody maps, and that can be made anew: how many."""
    nr_pages = 0
    at = k.vm.contents
    while at != 0:
        content = Content(k.m, at)
        at = content.next
        if content.is_anonymous == 0 and content.nr_pins == 0 and content.nr_frames != content.nr_changed:
            nr_pages += give_up_pages_of(k, content)
    return nr_pages


@kernel
def give_up_pages_of(k: Kernel, content: Content) -> word:
    """The same of one content, of which nobody copies."""
    nr_pages = 0
    index = page_tree.next_page(content, 0, END_OF_PAGES)
    while index < END_OF_PAGES:
        entry = page_tree.entry_at(content, index)
        if entry & page_tree.IS_CHANGED == 0 and pmm.nr_mappings(k, PhysAddr(entry)) == 0:
            free_page(k, content, index)
            nr_pages += 1
        index = page_tree.next_page(content, index + 1, END_OF_PAGES)
    return nr_pages


# ------------------------------------------------------------------ data and holes
@kernel
def next_data(content: Content, offset: word) -> word:
    """The first byte from this one on that has a frame, or lies in the archive; the end where none has."""
    if offset < content.data_bytes:
        return offset
    last = (content.nbytes + PAGE_BYTES - 1) >> PAGE_SHIFT
    found = page_tree.next_page(content, offset >> PAGE_SHIFT, last) << PAGE_SHIFT
    return min(max(found, offset), content.nbytes)


@kernel
def next_hole(content: Content, offset: word) -> word:
    """The first byte from this one on that has neither; the end, behind which a hole lies always."""
    at = max(offset, content.data_bytes)
    while at < content.nbytes and page_tree.frame_at(content, at >> PAGE_SHIFT) != 0:
        at = (at & -PAGE_BYTES) + PAGE_BYTES
    return min(at, content.nbytes)


@kernel
def nr_data_pages(content: Content) -> word:
    """How many pages of its size have a frame, or lie in the archive."""
    if content.data_bytes == 0:
        return content.nr_frames
    last = (content.nbytes + PAGE_BYTES - 1) >> PAGE_SHIFT
    nr_pages = min((content.data_bytes + PAGE_BYTES - 1) >> PAGE_SHIFT, last)
    index = page_tree.next_page(content, nr_pages, last)
    while index < last:
        nr_pages += 1
        index = page_tree.next_page(content, index + 1, last)
    return nr_pages
