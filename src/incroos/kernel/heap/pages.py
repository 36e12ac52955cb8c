"""Pages of a heap in a kernel: mapped to frames before anything reaches them, given back when nothing does.

Unit: the page. Knows nothing of chunks or slabs. The ranges are those of the configuration.
"""

from typing import Final

from incroos.kernel import pmm, vmm
from incroos.kernel.codes import OK
from incroos.kernel.heap import counters, ranges
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Heap, Kernel, kernel_of_heap
from incroos.lang import PhysAddr, VirtAddr, cold, kernel, word

HAS_FRAMES: Final = True
HAS_FIXED_RANGES: Final = True
HAS_LARGE_RANGES: Final = True
HAS_HOLES: Final = False


@kernel
def range_of(heap: Heap, which: word) -> tuple[VirtAddr, word]:
    """The configuration has them."""
    if which == ranges.CHUNKS:
        return VirtAddr(heap.config.heap), heap.config.heap_max_bytes
    if which == ranges.SLABS:
        return VirtAddr(heap.config.slabs), heap.config.heap_max_bytes
    return VirtAddr(heap.config.slab_records), heap.config.heap_max_bytes


@cold
@kernel
def map_fresh(heap: Heap, start: VirtAddr, end: VirtAddr) -> word:
    """Map frames at [start, end), writable and never executed; gives all back when one is refused."""
    k = kernel_of_heap(heap)
    va = start
    while va < end:
        code = map_fresh_page(k, va)
        if code != OK:
            unmap_all(k, start, va)
            return code
        va = VirtAddr(va + PAGE_BYTES)
    if heap.config.counters != 0:
        counters.note_committed(heap, end - start)
    return OK


@kernel
def map_fresh_page(k: Kernel, va: VirtAddr) -> word:
    """Map a frame at va; gives it back when a table for it is refused."""
    frame = pmm.take_frame(k)
    if frame < 0:
        return frame
    code = vmm.map_page(k, va, frame, vmm.PRESENT | vmm.WRITABLE | vmm.NX)
    if code != OK:
        pmm.free_page(k, frame)
    return code


@kernel
def get_ready(heap: Heap, ready: VirtAddr, end: VirtAddr, limit: VirtAddr, used_bytes: word) -> VirtAddr:
    """What is mapped is ready."""
    return end


@cold
@kernel
def unmap_and_free(heap: Heap, start: VirtAddr, end: VirtAddr) -> None:
    """Give back the frames of [start, end)."""
    unmap_all(kernel_of_heap(heap), start, end)
    if heap.config.counters != 0:
        counters.note_committed(heap, start - end)


@kernel
def unmap_all(k: Kernel, start: VirtAddr, end: VirtAddr) -> None:
    """Give back the frames of [start, end), the last page first; unmap_page flushes before the frame is free."""
    va = end
    while va > start:
        va = VirtAddr(va - PAGE_BYTES)
        unmap_and_free_page(k, va)


@kernel
def unmap_and_free_page(k: Kernel, va: VirtAddr) -> None:
    """Give back the frame at va."""
    frame = vmm.unmap_page(k, va)
    code = frame
    if frame >= 0:
        code = pmm.free_page(k, PhysAddr(frame))
    if code != OK:
        panic(k, b'heap: a page that is not as it was: address, code', va, code, 0)


@kernel
def are_as(heap: Heap, start: VirtAddr, end: VirtAddr, wanted: bool) -> bool:
    """Whether the page tables have frames for all pages of [start, end), or for none."""
    k = kernel_of_heap(heap)
    for va in range(start, end, PAGE_BYTES):
        if (vmm.get_physical(k, VirtAddr(va)) >= 0) != wanted:
            return False
    return True


# ------------------------------------------------------------------ ranges of their own
@kernel
def take_large(heap: Heap, nbytes: word) -> VirtAddr:
    """vmalloc has them."""
    return vmm.vmalloc_for_heap(kernel_of_heap(heap), nbytes)


@kernel
def give_large(heap: Heap, ptr: VirtAddr) -> word:
    """vmalloc takes them back."""
    return vmm.vfree_of_heap(kernel_of_heap(heap), ptr)


@kernel
def large_bytes(heap: Heap, ptr: VirtAddr) -> word:
    """vmalloc knows them."""
    return vmm.heap_pages_from(kernel_of_heap(heap), ptr) * PAGE_BYTES
