"""The fault function: a space, an address and a kind of access -> what happened. For the processor and for copies.

    case                what is there           what is done                                    answer
    no range            no range, no stack      nothing                                         FAULT_NO_RANGE
    no right            a range without it      nothing                                         FAULT_NO_RIGHT
    stack growth        a stack above           the range begins with the page; then as below   or FAULT_NO_RANGE
    remembered          the page, with right    the old translation is forgotten                OK
    zero page           nothing; it is read     the frame of zeros, read-only                   OK, NO_FRAME
    fresh page          nothing; written        a frame full of zeros                           OK, NO_FRAME
    zero page written   the frame of zeros      a frame full of zeros in its place              OK, NO_FRAME
    copy on write:
      last owner        borrowed by this alone  the page can be written                         OK
      copy              borrowed by several     a frame with a copy in its place                OK, NO_FRAME
    content page        nothing; has a content  a frame with a copy, zeros behind its end       OK, NO_FRAME
    beyond the content  nothing; has a content  nothing                                         FAULT_BEYOND_CONTENT
    shared page         nothing; shared memory  the memory's frame, or one full of zeros        OK, NO_FRAME

Rights come from the range, never from the entry: what can be written or executed can be read, as on the processor. A
page that is there has all bits that its range grants, but a borrowed one is not writable: a write to a page that is not
writable is one to a borrowed frame, of which the frame of zeros is one. An answer but OK has changed nothing.
"""

from incroos.kernel import pmm, vmm
from incroos.kernel.arch.pte import ADDRESS
from incroos.kernel.arch.x86 import FAULT_FETCH, FAULT_WRITE
from incroos.kernel.codes import FAULT_BEYOND_CONTENT, FAULT_NO_RANGE, FAULT_NO_RIGHT, NO_FRAME, OK
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import (
    EXECUTE,
    GROWS_DOWN,
    IS_SHARED,
    WRITE,
    Content,
    Range,
    SharedMemory,
    UserSpace,
    kernel_of,
)
from incroos.kernel.vm import pages, ranges, shared, tree
from incroos.kernel.vm.addresses import LOWEST, STACK_GAP, may_grow
from incroos.kernel.vmm.tlb import flush_page
from incroos.lang import PhysAddr, VirtAddr, apart, cold, copy, fill, kernel, word


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
    return bring(user, Range(user.m, at), page, error)


@kernel
def bring(user: UserSpace, node: Range, page: VirtAddr, error: word) -> word:
    """The same of a page that lies in a range."""
    if not grants(node.rights, error):
        return FAULT_NO_RIGHT
    entry = vmm.leaf_in(user.space, page)
    if entry != 0:
        return change_page(user, node, page, entry, error)
    if node.content != 0:
        if node.flags & IS_SHARED != 0:
            return bring_shared(user, node, page)
        return bring_content(user, node, page)
    if error & FAULT_WRITE == 0:
        return bring_zero_page(user, node, page)
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
    if pmm.nr_mappings(k, frame) != 1:
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


# ------------------------------------------------------------------ contents and shared memory


@kernel
def bring_content(user: UserSpace, node: Range, page: VirtAddr) -> word:
    """Map a copy of the content's bytes."""
    return bring_bytes(user, node, page, PAGE_BYTES)


@kernel
def bring_up_to(user: UserSpace, va: VirtAddr) -> word:
    """Map a copy of a page's content up to an address in it, and zeros from there on: OK, or a code of fault.

    PRE the page is not there, and lies in a range with a content.
    """
    page = VirtAddr(va & -PAGE_BYTES)
    return bring_bytes(user, Range(user.m, tree.find(user, va)), page, va - page)


@kernel
def bring_bytes(user: UserSpace, node: Range, page: VirtAddr, most: word) -> word:
    """Map a copy of so many of the content's bytes, or of all that there are, and zeros behind them."""
    content = Content(user.m, node.content)
    offset = node.offset + (page - node.start)
    if offset >= content.nbytes:
        return FAULT_BEYOND_CONTENT
    k = kernel_of(user.space)
    frame = pmm.take_frame(k)
    if frame < 0:
        return NO_FRAME
    nbytes = min(content.nbytes - offset, most)
    to = pmm.address_of(k, frame)
    copy(k.m, to, VirtAddr(content.data + offset), nbytes)
    fill(k.m, VirtAddr(to + nbytes), 0, PAGE_BYTES - nbytes)
    return put_frame(user, node, page, frame)


@kernel
def bring_shared(user: UserSpace, node: Range, page: VirtAddr) -> word:
    """Map the memory's frame; a read takes one, too, since a write elsewhere is to be seen here."""
    memory = SharedMemory(user.m, node.content)
    index = (node.offset + (page - node.start)) >> PAGE_SHIFT
    frame = shared.frame_at(memory, index)
    if frame == 0:
        code = bring_first(user, node, page, memory, index)
    else:
        code = pages.put_held(user, page, frame, node.rights)
    if code == OK:
        user.nr_faults += 1
    return code


@kernel
def bring_first(user: UserSpace, node: Range, page: VirtAddr, memory: SharedMemory, index: word) -> word:
    """Give the memory a frame for a page, and map it: OK; NO_FRAME, and nothing has changed."""
    k = kernel_of(user.space)
    frame = pmm.alloc_page(k)
    if frame < 0:
        return NO_FRAME
    code = pages.put_held(user, page, frame, node.rights)
    if code == OK:
        code = shared.put_frame(k, memory, index, frame)
        if code != OK:
            pages.clear(user, page, VirtAddr(page + PAGE_BYTES))
    if code != OK:
        pmm.free_page(k, frame)
    return code


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
