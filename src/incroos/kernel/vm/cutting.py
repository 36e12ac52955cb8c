"""Cutting contents: pages leave the tree and all ranges that show them, as truncation and holes want it.

    resize      behind the new end nothing is left, private copies neither; a grown content ends with zeros
    punch       what is cleared reads as zeros; private copies stay with those who made them

Unit: the byte. A page that leaves is flushed in all spaces before its frame is free. What lies in a row at `data`
cannot be cleared: its pages get frames of zeros, unless all behind them goes, too.
"""

from typing import Final

from incroos.kernel import vmm
from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import Content, Kernel, Range, UserSpace
from incroos.kernel.vm import objects, page_tree, pages
from incroos.kernel.vm.addresses import page_up
from incroos.lang import VirtAddr, fill, kernel, word

OFFSET: Final = PAGE_BYTES - 1


# ------------------------------------------------------------------ the end
@kernel
def resize(k: Kernel, content: Content, nbytes: word) -> None:
    """Let a content end elsewhere; to the end of its last page there are zeros."""
    clear_rest(k, content, min(nbytes, content.nbytes))
    if nbytes <= content.nbytes:
        unmap_from(k, content, page_up(nbytes))
        objects.free_pages(k, content, page_up(nbytes) >> PAGE_SHIFT)
        content.data_bytes = min(content.data_bytes, nbytes)
    content.nbytes = nbytes


@kernel
def clear_behind_end(k: Kernel, content: Content) -> None:
    """Whoever lets a content grow has zeros between its end and the end of its last page."""
    clear_rest(k, content, content.nbytes)


@kernel
def clear_rest(k: Kernel, content: Content, position: word) -> None:
    """Fill a page's frame from a position in it on, if it has one; of bytes without one none is behind the end."""
    if position & OFFSET != 0 and page_tree.frame_at(content, position >> PAGE_SHIFT) != 0:
        at = objects.page_to_write(k, content, position >> PAGE_SHIFT)
        fill(k.m, VirtAddr(at + (position & OFFSET)), 0, PAGE_BYTES - (position & OFFSET))


@kernel
def unmap_from(k: Kernel, content: Content, offset: word) -> None:
    """Unmap all pages of ranges that show the content from an offset on, whosever their frames are."""
    at = content.first_range
    while at != 0:
        node = Range(k.m, at)
        start = max(node.start + (offset - node.offset), node.start)
        if start < node.end:
            pages.clear(UserSpace(k.m, node.user), VirtAddr(start), node.end)
        at = node.next_of_content


# ------------------------------------------------------------------ holes
@kernel
def punch(k: Kernel, content: Content, start: word, end: word) -> word:
    """Let [start, end) read as zeros: OK; NO_FRAME, and nothing has changed that can be read."""
    code = prepare(k, content, start, end)
    if code != OK:
        return code
    first = page_up(start) >> PAGE_SHIFT
    last = end >> PAGE_SHIFT
    if first > last:
        clear_bytes(k, content, start, end)
        return OK
    clear_bytes(k, content, start, first << PAGE_SHIFT)
    clear_bytes(k, content, last << PAGE_SHIFT, end)
    if end >= content.data_bytes and first << PAGE_SHIFT < content.data_bytes:
        content.data_bytes = first << PAGE_SHIFT
    index = page_tree.next_page(content, first, last)
    while index < last:
        if index << PAGE_SHIFT < content.data_bytes:
            clear_bytes(k, content, index << PAGE_SHIFT, (index + 1) << PAGE_SHIFT)
        else:
            unmap_page(k, content, index << PAGE_SHIFT)
            objects.free_page(k, content, index)
        index = page_tree.next_page(content, index + 1, last)
    return OK


@kernel
def prepare(k: Kernel, content: Content, start: word, end: word) -> word:
    """Let each page of [start, end) have a frame that would show bytes in a row without it: OK or NO_FRAME."""
    first = start
    behind = min(end, content.data_bytes)
    if end >= content.data_bytes:
        behind = min(behind, page_up(start))  # of the pages behind that the row is cut off
    while first < behind:
        if objects.page_to_write(k, content, first >> PAGE_SHIFT) == 0:
            return NO_FRAME
        first = (first & -PAGE_BYTES) + PAGE_BYTES
    return OK


@kernel
def clear_bytes(k: Kernel, content: Content, start: word, end: word) -> None:
    """Fill [start, end), which lies in one page, if that has a frame."""
    if start < end and page_tree.frame_at(content, start >> PAGE_SHIFT) != 0:
        at = objects.page_to_write(k, content, start >> PAGE_SHIFT)
        fill(k.m, VirtAddr(at + (start & OFFSET)), 0, end - start)


@kernel
def unmap_page(k: Kernel, content: Content, offset: word) -> None:
    """Unmap a content's frame in all ranges that show it there."""
    at = content.first_range
    while at != 0:
        node = Range(k.m, at)
        page = VirtAddr(node.start + (offset - node.offset))
        if node.start <= page < node.end:
            user = UserSpace(k.m, node.user)
            if vmm.leaf_in(user.space, page) & vmm.HELD != 0:
                pages.clear(user, page, VirtAddr(page + PAGE_BYTES))
        at = node.next_of_content
