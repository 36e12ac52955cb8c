"""/proc/N/pagemap: 8 bytes for each page of the user's half, made of the tables when they are read.

    bit 63   the page is there             bit 61   its frame is a content's: of a file or shared memory
    bit 56   nobody else maps its frame    bits 0 to 54   its PFN, told to root

Unit: the page. Nothing is ever swapped out (bit 62), nor is it noted who wrote (bit 55), as in a Linux without
CONFIG_MEM_SOFT_DIRTY. Format: pagemap, "Linux Kernel Documentation".
"""

from typing import Final

from incroos.kernel import pmm, vm, vmm
from incroos.kernel.arch.pte import ADDRESS
from incroos.kernel.codes import BAD_ARGUMENT, BAD_POINTER, NO_TASK
from incroos.kernel.files import process_tasks as tasks
from incroos.kernel.files import rights
from incroos.kernel.files.proc.tally import is_of_content
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import File, Kernel, Node, Task, UserSpace
from incroos.lang import PhysAddr, VirtAddr, fill, kernel, store64, word

ENTRY_BYTES: Final = 8
PIECE_ENTRIES: Final = 1024  # that are made at once, in the kernel's buffer
IS_THERE: Final = -1 << 63
IS_OF_CONTENT: Final = 1 << 61
IS_ALONE: Final = 1 << 56
END: Final = (vm.USER_END + PAGE_BYTES >> PAGE_SHIFT) * ENTRY_BYTES


@kernel
def read_at(k: Kernel, user: UserSpace, file: File, to: VirtAddr, nbytes: word, position: word) -> word:
    """Read whole entries: bytes; 0 behind the last one. BAD_ARGUMENT, BAD_POINTER, NO_TASK."""
    if (position | nbytes) % ENTRY_BYTES != 0:
        return BAD_ARGUMENT
    at = tasks.find(k, Node(k.m, file.node).subject)
    if at == 0:
        return NO_TASK
    if Task(k.m, at).space == 0:
        return 0
    wanted = min(nbytes, END - position)
    done = 0
    while done < wanted:
        part = min(wanted - done, PIECE_ENTRIES * ENTRY_BYTES)
        make(k, UserSpace(k.m, Task(k.m, at).space), (position + done) // ENTRY_BYTES, part // ENTRY_BYTES)
        if vm.copy_out(user, to + done, k.files.piece, part) != 0:
            return done if done > 0 else BAD_POINTER
        done += part
    return done


@kernel
def make(k: Kernel, of: UserSpace, first: word, nr_entries: word) -> None:
    """Make so many entries in the kernel's buffer. Pages that are not there cost next to none."""
    fill(k.m, k.files.piece, 0, nr_entries * ENTRY_BYTES)
    start = VirtAddr(first << PAGE_SHIFT)
    end = VirtAddr(min(start + (nr_entries << PAGE_SHIFT), vm.USER_END))
    page, entry = vmm.next_leaf_in(of.space, start, end)
    while page < end:
        place = VirtAddr(k.files.piece + ENTRY_BYTES * (page - start >> PAGE_SHIFT))
        store64(k.m, place, word_of(k, entry))
        page, entry = vmm.next_leaf_in(of.space, VirtAddr(page + PAGE_BYTES), end)


@kernel
def word_of(k: Kernel, entry: word) -> word:
    """What is told of a page that is there."""
    frame = PhysAddr(entry & ADDRESS)
    found = IS_THERE | (frame >> PAGE_SHIFT if rights.is_root(rights.caller(k)) else 0)
    if entry & vmm.UNCOUNTED != 0:
        return found
    found |= IS_OF_CONTENT if is_of_content(k, frame) else 0
    return found | (IS_ALONE if pmm.nr_mappings(k, frame) == 1 else 0)
