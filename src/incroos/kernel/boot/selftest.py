"""The boot self-test: four operations, each followed by the checks that make its SUCCESS true.

A check that fails puts its reason on the operation's line, and the test ends there.
"""

from typing import Final

from incroos.kernel import heap, pmm, vmm
from incroos.kernel.codes import BAD_FREE, DOUBLE_FREE, OK
from incroos.kernel.config import CLASSIC_SPACE, FULL
from incroos.kernel.io import console
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Kernel
from incroos.lang import Machine, PhysAddr, VirtAddr, fill, kernel, load8, load64, store8, store64, word

BLOCK_BYTES: Final = 100
OTHER_BYTE: Final = 0x3C


@kernel
def run(k: Kernel) -> bool:
    """Test the heap and the frames, put one line for each operation, and say whether all were right."""
    return is_heap_right(k) and is_pmm_right(k) and is_space_right(k)


@kernel
def is_heap_right(k: Kernel) -> bool:
    """kmalloc and kfree of a block."""
    used_before = heap.used_bytes(k)
    console.put_text(k, b'kmalloc(100): ')
    block = heap.kmalloc(k, BLOCK_BYTES)
    if not (is_place_right(k, block) and is_block_apart(k, block)):
        return False
    console.put_text(k, b'SUCCESS\nkfree: ')
    if not is_kfree_right(k, block, used_before):
        return False
    console.put_text(k, b'SUCCESS\n')
    return True


@kernel
def is_pmm_right(k: Kernel) -> bool:
    """alloc_page and free_page of a frame."""
    free_before = pmm.nr_free_frames(k)
    console.put_text(k, b'pmm_alloc_page: ')
    frame = pmm.alloc_page(k)
    if not is_frame_right(k, frame, free_before):
        return False
    console.put_text(k, b'SUCCESS (addr: 0x')
    console.put_hex(k, frame)
    console.put_text(k, b')\npmm_free_page: ')
    if not is_free_page_right(k, frame, free_before):
        return False
    console.put_text(k, b'SUCCESS\n')
    return True


@kernel
def is_space_right(k: Kernel) -> bool:
    """The checker of the address space, where the kernel made one of its own."""
    if k.config.space == CLASSIC_SPACE:
        return True
    console.put_text(k, b'address space: ')
    code, va = vmm.find_fault(k)
    if code != OK:
        console.put_text(k, b'FAILED (invariant ')
        console.put_decimal(k, code)
        console.put_text(k, b' at 0x')
        console.put_hex(k, va)
        console.put_text(k, b')\n')
        return False
    console.put_text(k, b'SUCCESS\n')
    return True


@kernel
def is_so(k: Kernel, holds: bool, reason: bytes) -> bool:
    """Whether a check holds; where it does not, put the reason."""
    if not holds:
        console.put_text(k, b'FAILED (')
        console.put_text(k, reason)
        console.put_text(k, b')\n')
    return holds


# ------------------------------------------------------------------ the block
@kernel
def is_place_right(k: Kernel, block: VirtAddr) -> bool:
    """The block lies in the heap, and its pages on frames that are handed out and are no page tables.

    Frames of the zone are apart from image, stack, Kernel struct and boot tables, which lie below it.
    """
    return (
        is_so(k, block != 0, b'no memory')
        and is_so(k, block % 16 == 0, b'misaligned')
        and is_so(k, is_in_heap(k, block), b'outside the heap')
        and is_so(k, is_on_own_frame(k, block), b'first byte on a foreign frame')
        and is_so(k, is_on_own_frame(k, VirtAddr(block + BLOCK_BYTES - 1)), b'last byte on a foreign frame')
    )


@kernel
def is_in_heap(k: Kernel, block: VirtAddr) -> bool:
    """Whether all bytes of the block are among the heap's addresses."""
    return heap.owns(k, block) and heap.owns(k, VirtAddr(block + BLOCK_BYTES - 1))


@kernel
def is_on_own_frame(k: Kernel, va: VirtAddr) -> bool:
    """Whether va is mapped to a frame of the zone that is handed out, and not as a page table."""
    pa = vmm.get_physical(k, va)
    return pa >= 0 and pmm.is_page(k, pa)


@kernel
def is_block_apart(k: Kernel, block: VirtAddr) -> bool:
    """The block keeps what is written to each of its bytes while a second block and the heap's metadata are written."""
    write_pattern(k.m, block)
    other = heap.kmalloc(k, BLOCK_BYTES)
    if not is_so(k, other != 0, b'no memory for a second block'):
        return False
    fill(k.m, other, OTHER_BYTE, BLOCK_BYTES)
    return (
        is_so(k, other >= block + BLOCK_BYTES or block >= other + BLOCK_BYTES, b'two blocks overlap')
        and is_so(k, has_pattern(k.m, block), b'the block lost what was written to it')
        and is_so(k, heap.kfree(k, other) == OK, b'the second block was not taken back')
        and is_so(k, has_pattern(k.m, block), b'kfree of another block wrote to this one')
        and is_so(k, heap.check(k) == OK, b'the heap is broken')
    )


@kernel
def write_pattern(m: Machine, block: VirtAddr) -> None:
    """Give each byte of the block a value that tells its place."""
    for at in range(BLOCK_BYTES):
        store8(m, VirtAddr(block + at), 0xFF - at)


@kernel
def has_pattern(m: Machine, block: VirtAddr) -> bool:
    """Whether each byte of the block is what write_pattern wrote."""
    for at in range(BLOCK_BYTES):
        if load8(m, VirtAddr(block + at)) != 0xFF - at:
            return False
    return True


@kernel
def is_kfree_right(k: Kernel, block: VirtAddr, used_before: word) -> bool:
    """The block is taken back once, and the bytes with it."""
    return (
        is_so(k, heap.kfree(k, block) == OK, b'refused')
        and is_so(k, heap.used_bytes(k) == used_before, b'used bytes differ from before')
        and is_so(k, is_second_kfree_refused(k, block), b'a second time accepted')
        and is_so(k, heap.used_bytes(k) == used_before, b'the second time was counted')
        and is_so(k, heap.check(k) == OK, b'the heap is broken')
    )


@kernel
def is_second_kfree_refused(k: Kernel, block: VirtAddr) -> bool:
    """Whether a block that came back is not taken back again. With hardening FULL that would end the machine."""
    return k.config.hardening == FULL or heap.kfree(k, block) == BAD_FREE


# ------------------------------------------------------------------ the frame
@kernel
def is_frame_right(k: Kernel, frame: PhysAddr, free_before: word) -> bool:
    """The frame is one of the zone, is free of any other use, zero, writable, and was counted."""
    return (
        is_so(k, frame >= 0, b'no frame')
        and is_so(k, frame % PAGE_BYTES == 0, b'misaligned')
        and is_so(k, pmm.is_managed(k, frame), b'outside the zone')
        and is_so(k, pmm.nr_free_frames(k) == free_before - 1, b'not counted')
        and is_so(k, is_zero(k, frame), b'not zero')
        and is_so(k, keeps_words(k, frame), b'not writable')
        and is_so(k, heap.check(k) == OK, b'a frame of the heap')
    )


@kernel
def is_zero(k: Kernel, frame: PhysAddr) -> bool:
    """Whether each word of the frame is 0."""
    for at in range(0, PAGE_BYTES, 8):
        if load64(k.m, pmm.address_of(k, PhysAddr(frame + at))) != 0:
            return False
    return True


@kernel
def keeps_words(k: Kernel, frame: PhysAddr) -> bool:
    """Whether each word of the frame keeps its own address after all of them were written."""
    for at in range(0, PAGE_BYTES, 8):
        store64(k.m, pmm.address_of(k, PhysAddr(frame + at)), frame + at)
    for at in range(0, PAGE_BYTES, 8):
        if load64(k.m, pmm.address_of(k, PhysAddr(frame + at))) != frame + at:
            return False
    return True


@kernel
def is_free_page_right(k: Kernel, frame: PhysAddr, free_before: word) -> bool:
    """The frame is taken back once, and the count with it."""
    return (
        is_so(k, pmm.free_page(k, frame) == OK, b'refused')
        and is_so(k, pmm.nr_free_frames(k) == free_before, b'free frames differ from before')
        and is_so(k, pmm.free_page(k, frame) == DOUBLE_FREE, b'a second time accepted')
        and is_so(k, pmm.nr_free_frames(k) == free_before, b'the second time was counted')
        and is_so(k, pmm.check(k) == OK, b'the frames are in disorder')
    )
