"""Contents of files: bytes in a row in the kernel's memory, so that programs can be loaded and mapped from them.

    of the archive   where they lie in it, until the file is changed: then all of them are copied
    all others       a block of the heap, twice as large when it is too small

Unit: the byte. What lies behind the end is not zero: whoever lets a file grow clears it. Holes have memory as all else.
All contents together may have a share of the memory, and leave a reserve: so a program that writes for ever gets
NO_SPACE, and the others go on.
"""

from typing import Final

from incroos.kernel import heap, pmm, vm
from incroos.kernel.codes import BAD_POINTER, FILE_TOO_LARGE, NO_SPACE, OK
from incroos.kernel.files import nodes, times
from incroos.kernel.files.bytes import take_some
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Kernel, Node, UserSpace
from incroos.lang import VirtAddr, copy, fill, kernel, word

SHARE: Final = 2  # of the RAM, at most, is in contents
RESERVE: Final = 16  # of it is left for others
LEAST_ROOM: Final = 64
MOST_BYTES: Final = 1 << 40


@kernel
def most_content_bytes(k: Kernel) -> word:
    """How many bytes all contents may have together."""
    return pmm.nr_total_frames(k) * PAGE_BYTES // SHARE


@kernel
def free_content_bytes(k: Kernel) -> word:
    """How many more they may have now."""
    left = most_content_bytes(k) - k.files.nr_content_bytes
    reserve = pmm.nr_total_frames(k) // RESERVE
    return max(min(left, (pmm.nr_free_frames(k) - reserve) * PAGE_BYTES), 0)


# ------------------------------------------------------------------ room
@kernel
def reserve(k: Kernel, node: Node, nbytes: word) -> word:
    """Let a node have memory of its own for so many bytes: OK; NO_SPACE, and nothing has changed."""
    if node.room >= nbytes and node.room > 0:
        return OK
    nodes.sweep(k)
    wanted = max(max(nbytes, node.content.nbytes), LEAST_ROOM)
    if wanted > MOST_BYTES:
        return FILE_TOO_LARGE
    if set_room(k, node, max(wanted, 2 * node.room)) == OK:
        return OK
    return set_room(k, node, wanted)


@kernel
def set_room(k: Kernel, node: Node, nbytes: word) -> word:
    """Let a node have so much memory, in which its content fits: OK; NO_SPACE, and nothing has changed."""
    room = vm.page_up(nbytes) if nbytes > PAGE_BYTES // 2 else nbytes
    if room - node.room > free_content_bytes(k):
        return NO_SPACE
    if node.room != 0:
        fresh = heap.krealloc(k, node.content.data, room)
    else:
        fresh = heap.kmalloc(k, room)
        if fresh != 0:
            copy(k.m, fresh, node.content.data, node.content.nbytes)
    if fresh == 0:
        return NO_SPACE
    k.files.is_changed = 1
    node.content.data = fresh
    k.files.nr_content_bytes += room - node.room
    node.room = room
    return OK


@kernel
def give_back(k: Kernel, node: Node) -> None:
    """Let a node have no content and no memory."""
    if node.room != 0:
        heap.kfree(k, node.content.data)
        k.files.nr_content_bytes -= node.room
    node.content.data = VirtAddr(0)
    node.content.nbytes = 0
    node.room = 0


# ------------------------------------------------------------------ changes
@kernel
def write(k: Kernel, user: UserSpace, node: Node, source: word, nbytes: word, position: word) -> word:
    """Write a caller's bytes at a position: how many. FILE_TOO_LARGE, NO_SPACE, BAD_POINTER."""
    if nbytes == 0:
        return 0
    if position >= MOST_BYTES:
        return FILE_TOO_LARGE
    code = reserve(k, node, position + nbytes)
    if code != OK:
        return code
    end = node.content.nbytes
    if position > end:
        fill(k.m, VirtAddr(node.content.data + end), 0, position - end)
    done = take_some(user, VirtAddr(node.content.data + position), source, nbytes)
    if done == 0:
        return BAD_POINTER
    node.content.nbytes = max(end, position + done)
    times.touch(k, node)
    return done


@kernel
def resize(k: Kernel, node: Node, nbytes: word) -> word:
    """Cut a file off, or let it end with zeros: OK; FILE_TOO_LARGE, NO_SPACE, and nothing has changed."""
    end = node.content.nbytes
    if nbytes > end:
        code = reserve(k, node, nbytes)
        if code != OK:
            return code
        fill(k.m, VirtAddr(node.content.data + end), 0, nbytes - end)
    if nbytes == 0:
        give_back(k, node)
    node.content.nbytes = nbytes
    times.touch(k, node)
    return OK
