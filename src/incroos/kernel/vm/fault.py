"""The fault function: a space, an address and a kind of access -> what happened. For the processor and for copies.

    case                what is there           what is done                                    answer
    no range            no range, no stack      nothing                                         FAULT_NO_RANGE
    no right            a range without it      nothing                                         FAULT_NO_RIGHT
    stack growth        a stack above           the range begins with the page; then as below   or FAULT_NO_RANGE
    remembered          the page, with right    the old translation is forgotten                OK
    zero page           nothing; it is read     the frame of zeros, read-only                   OK, NO_FRAME
    fresh page          nothing; written        a frame full of zeros                           OK, NO_FRAME
      large             nothing in the 2 MiB    512 frames in a row, if the range wants them    or as above
    zero page written   the frame of zeros      a frame full of zeros in its place              OK, NO_FRAME
    copy on write:
      last owner        borrowed by this alone  the page can be written                         OK
      copy              borrowed by several,    a frame with a copy in its place                OK, NO_FRAME
                        or the content's
    of a content, in a
    private range:
      read              nothing                 the content's frame, borrowed                   OK, NO_FRAME
      written           nothing                 a frame with a copy                             OK, NO_FRAME
    a shared one        nothing                 the content's frame                             OK, NO_FRAME
    behind its end      nothing                 nothing                                         FAULT_BEYOND_CONTENT

Rights come from the range, never from the entry: what can be written or executed can be read, as on the processor. A
page that is there has all bits that its range grants, but a borrowed one is not writable: a write to a page that is not
writable is one to a borrowed frame, of which the frame of zeros is one. An answer but OK has changed nothing. Before
NO_FRAME is the answer, pages of files that nobody maps are given up. A read of a file's page maps its neighbours, too,
if they have frames.
"""

from typing import Final

from incroos.kernel import pmm, vmm
from incroos.kernel.arch.pte import ADDRESS, HUGE_BYTES
from incroos.kernel.arch.x86 import FAULT_FETCH, FAULT_WRITE
from incroos.kernel.codes import FAULT_BEYOND_CONTENT, FAULT_NO_RANGE, FAULT_NO_RIGHT, NO_FRAME, OK
from incroos.kernel.devices import program_clock
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import (
    EXECUTE,
    GROWS_DOWN,
    IS_SHARED,
    WANTS_LARGE,
    WRITE,
    Content,
    PageNode,
    Range,
    UserSpace,
    kernel_of,
)
from incroos.kernel.vm import large_pages, objects, page_tree, pages, ranges, spaces, tree
from incroos.kernel.vm.addresses import LOWEST, STACK_GAP, may_grow
from incroos.kernel.vmm.tlb import flush_page
from incroos.lang import PhysAddr, VirtAddr, apart, cold, copy, fill, kernel, word

AROUND: Final = 16  # pages, aligned on their own number, that a read of one of them maps; 1: that one alone


@kernel
def fault(user: UserSpace, va: VirtAddr, error: word) -> word:
    """Let the access be possible: see the table. `error` has the processor's bits; write and fetch matter."""
    page = VirtAddr(va & -PAGE_BYTES)
    at = user.last_found
    if at == 0 or not Range(user.m, at).start <= va < Range(user.m, at).end:
        at = tree.find(user, va)
        if at == 0:
            return fault_below(user, page, error)
        user.last_found = at
    code = bring(user, Range(user.m, at), page, error)
    return code if code != NO_FRAME else bring_at_last(user, Range(user.m, at), page, error)


@cold
@kernel
def bring_at_last(user: UserSpace, node: Range, page: VirtAddr, error: word) -> word:
    """No frame was free: once more, if any page can be given up."""
    return bring(user, node, page, error) if spaces.give_up_pages(kernel_of(user.space)) > 0 else NO_FRAME


@kernel
def bring(user: UserSpace, node: Range, page: VirtAddr, error: word) -> word:
    """The same of a page that lies in a range."""
    if not grants(node.rights, error):
        return FAULT_NO_RIGHT
    entry = vmm.leaf_in(user.space, page)
    if entry != 0:
        return change_page(user, node, page, entry, error)
    if node.content != 0:
        return bring_content(user, node, page, error)
    if error & FAULT_WRITE == 0:
        return bring_zero_page(user, node, page)
    if node.flags & WANTS_LARGE != 0 and large_pages.bring(user, node, page):
        return OK
    frame = pmm.alloc_page(kernel_of(user.space))
    return put_frame(user, node, page, frame) if frame >= 0 else NO_FRAME


@kernel
def put_frame(user: UserSpace, node: Range, page: VirtAddr, frame: PhysAddr) -> word:
    """Map a frame, and count the fault."""
    code = pages.put_frame(user, page, frame, node.rights)
    if code == OK:
        user.nr_faults += 1
    return code


@kernel
def bring_zero_page(user: UserSpace, node: Range, page: VirtAddr) -> word:
    """Map the frame of zeros."""
    code = pages.put_zero_page(user, page, node.rights)
    if code == OK:
        user.nr_faults += 1
        user.nr_zero_faults += 1
    return code


@kernel
def grants(rights: word, error: word) -> bool:
    """Whether the rights allow the access."""
    if error & FAULT_WRITE != 0:
        return rights & WRITE != 0
    return rights & EXECUTE != 0 if error & FAULT_FETCH != 0 else rights != 0


# ------------------------------------------------------------------ pages that are there
@apart
@kernel
def change_page(user: UserSpace, node: Range, page: VirtAddr, entry: word, error: word) -> word:
    """The page is there: copy on write, or forget what the processor remembered."""
    if error & FAULT_WRITE == 0 or entry & vmm.WRITABLE != 0:
        flush_page(user.space, page)
        return OK
    k = kernel_of(user.space)
    if entry & vmm.BORROWED == 0:
        panic(k, b'vm: a page has not the rights of its range: page, entry, rights', page, entry, node.rights)
    if entry & vmm.UNCOUNTED != 0:
        return replace_zero_page(user, node, page)
    frame = PhysAddr(entry & ADDRESS)
    if entry & vmm.HELD != 0 or pmm.nr_mappings(k, frame) != 1:
        return copy_page(user, node, page, frame)
    pages.reuse(user, page, node.rights)
    user.nr_faults += 1
    return OK


@cold
@kernel
def replace_zero_page(user: UserSpace, node: Range, page: VirtAddr) -> word:
    """Map a frame of the page's own in the place of the frame of zeros."""
    frame = pmm.alloc_page(kernel_of(user.space))
    if frame < 0:
        return NO_FRAME
    pages.exchange_zero_page(user, page, frame, node.rights)
    user.nr_faults += 1
    return OK


@kernel
def copy_page(user: UserSpace, node: Range, page: VirtAddr, borrowed: PhysAddr) -> word:
    """Map a frame with the same bytes in the place of one that others have, too."""
    k = kernel_of(user.space)
    frame = pmm.take_frame(k)
    if frame < 0:
        return NO_FRAME
    copy(k.m, pmm.address_of(k, frame), pmm.address_of(k, borrowed), PAGE_BYTES)
    pages.exchange(user, page, frame, node.rights)
    user.nr_faults += 1
    return OK


# ------------------------------------------------------------------ contents
@kernel
def bring_content(user: UserSpace, node: Range, page: VirtAddr, error: word) -> word:
    """Map a page of a range's content; who writes to it in private gets a copy at once."""
    content = Content(user.m, node.content)
    offset = node.offset + (page - node.start)
    if offset >= content.nbytes:
        return FAULT_BEYOND_CONTENT
    if error & FAULT_WRITE != 0 and node.flags & IS_SHARED == 0:
        return bring_copy(user, node, page, PAGE_BYTES)
    code = bring_held(user, node, page, content, offset >> PAGE_SHIFT)
    if code == OK:
        user.nr_faults += 1
        if error & FAULT_WRITE != 0 and content.is_anonymous == 0:
            content.written = program_clock.now(kernel_of(user.space))
        elif content.is_anonymous == 0:
            map_around(user, node, page, content, offset >> PAGE_SHIFT)
    return code


@kernel
def bring_up_to(user: UserSpace, va: VirtAddr) -> word:
    """Map a copy of a page's content up to an address in it, and zeros from there on: OK, or a code of fault.

    PRE the page is not there, and lies in a range with a content.
    """
    page = VirtAddr(va & -PAGE_BYTES)
    node = Range(user.m, tree.find(user, va))
    if node.offset + (page - node.start) >= Content(user.m, node.content).nbytes:
        return FAULT_BEYOND_CONTENT
    return bring_copy(user, node, page, va - page)


@kernel
def bring_copy(user: UserSpace, node: Range, page: VirtAddr, most: word) -> word:
    """Map a frame with so many of the bytes of a content's page, and zeros behind them."""
    k = kernel_of(user.space)
    frame = pmm.take_frame(k)
    if frame < 0:
        return NO_FRAME
    content = Content(user.m, node.content)
    offset = node.offset + (page - node.start)
    to = pmm.address_of(k, frame)
    nbytes = most
    source = page_tree.frame_at(content, offset >> PAGE_SHIFT)
    if source != 0:
        copy(k.m, to, pmm.address_of(k, source), nbytes)
    else:
        nbytes = max(min(content.data_bytes - offset, most), 0)
        copy(k.m, to, VirtAddr(content.data + offset), nbytes)
    fill(k.m, VirtAddr(to + nbytes), 0, PAGE_BYTES - nbytes)
    return put_frame(user, node, page, frame)


@kernel
def bring_held(user: UserSpace, node: Range, page: VirtAddr, content: Content, index: word) -> word:
    """Map the content's frame; a read takes one, too, since a write elsewhere is to be seen here."""
    k = kernel_of(user.space)
    there = page_tree.frame_at(content, index)
    frame = there if there != 0 else objects.make_page(k, content, index)
    if frame < 0:
        return NO_FRAME
    code = put_content(user, node, page, frame)
    if code != OK:
        if there == 0:
            objects.free_page(k, content, index)
        return code
    if may_change(node, content):
        page_tree.note_changed(k, content, index)
    return OK


@kernel
def put_content(user: UserSpace, node: Range, page: VirtAddr, frame: PhysAddr) -> word:
    """Map a content's frame, with the rights of the range: OK or NO_FRAME."""
    if node.flags & IS_SHARED != 0:
        return pages.put_held(user, page, frame, node.rights)
    return pages.put_borrowed(user, page, frame, node.rights)


@kernel
def may_change(node: Range, content: Content) -> bool:
    """Whether a program may write to a file's page that it maps, now or after mprotect."""
    return node.flags & IS_SHARED != 0 and node.most_rights & WRITE != 0 and content.is_anonymous == 0


@kernel
def map_around(user: UserSpace, node: Range, page: VirtAddr, content: Content, index: word) -> None:
    """Map those neighbours of a page that have a frame and are not there, in its range and its table."""
    slots = PageNode(user.m, page_tree.find_node(content, index))
    if slots.nr_slots == 1:
        return
    first = index & -AROUND
    low = max(max(page - (index - first) * PAGE_BYTES, node.start), page & -HUGE_BYTES)
    high = min(min(page + (first + AROUND - index) * PAGE_BYTES, node.end), (page & -HUGE_BYTES) + HUGE_BYTES)
    for at in range(low, high, PAGE_BYTES):
        there = index + (at - page) // PAGE_BYTES
        frame = PhysAddr(slots.slots[page_tree.slot_of(there, 0)] & ADDRESS)
        if frame != 0 and vmm.leaf_in(user.space, VirtAddr(at)) == 0:
            put_content(user, node, VirtAddr(at), frame)
            if may_change(node, content):
                page_tree.note_changed(kernel_of(user.space), content, there)


# ------------------------------------------------------------------ the stack
@cold
@kernel
def fault_below(user: UserSpace, page: VirtAddr, error: word) -> word:
    """The page is in no range: let the stack above it grow if it may, and the access be possible, or nothing."""
    at = tree.find_behind(user, page)
    if at == 0 or not may_grow_to(user, Range(user.m, at), page):
        return FAULT_NO_RANGE
    node = Range(user.m, at)
    start = node.start
    ranges.resize(user, node, page, node.end)
    code = bring(user, node, page, error)
    if code == OK:
        ranges.merge(user, page, page)
    else:
        ranges.resize(user, node, start, node.end)
    return code


@kernel
def may_grow_to(user: UserSpace, node: Range, page: VirtAddr) -> bool:
    """Whether a range grows down, and neither limits nor what lies below forbid that it begins with the page."""
    if node.flags & GROWS_DOWN == 0 or page < LOWEST:
        return False
    if user.limit_stack >= 0 and node.end - page > user.limit_stack:
        return False
    before = tree.preceding(user, node.addr)
    if before != 0 and is_near(Range(user.m, before), page):
        return False
    return may_grow(user, (node.start - page) >> PAGE_SHIFT, node.rights, node.flags)


@kernel
def is_near(node: Range, page: VirtAddr) -> bool:
    """Whether a range lies so close below a page that a stack must not begin there: one that can be used at all."""
    return node.flags & GROWS_DOWN == 0 and node.rights != 0 and page - node.end < STACK_GAP
