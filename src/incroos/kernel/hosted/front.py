"""The calls of C's allocator on the heap of one thread.

Unit: the byte. The C shim (build/heap_shim.c) hands in the heap, and sets errno where an answer is 0. A wrong pointer
ends the process with a sentence: C has no code for it, and who goes on after it destroys more.
"""

from incroos.kernel import heap, hosted_console
from incroos.kernel.codes import OK
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, cold, kernel, word


@kernel
def init(k: Kernel, slot_bytes: word, release: word, commit: word, stop: word) -> None:
    """Begin with an empty heap in the slot that begins with k, whose bytes are zeros; see Host for the functions."""
    host = k.host
    host.slot_bytes = slot_bytes
    host.release = release
    host.commit = commit
    host.stop = stop
    host.nr_chars = 0
    heap.init(k)


@kernel
def malloc(k: Kernel, nbytes: word) -> VirtAddr:
    """As heap.kmalloc."""
    return heap.kmalloc(k, nbytes)


@kernel
def free(k: Kernel, ptr: VirtAddr) -> None:
    """Take back what was given; 0 is nobody's. Any other pointer ends the process."""
    if heap.kfree(k, ptr) != OK:
        refuse(k, ptr)


@kernel
def calloc(k: Kernel, nr_items: word, item_bytes: word) -> VirtAddr:
    """Room for so many items, all bytes 0."""
    return heap.kcalloc(k, nr_items, item_bytes)


@kernel
def realloc(k: Kernel, ptr: VirtAddr, nbytes: word) -> VirtAddr:
    """As heap.krealloc, for ptr and nbytes that are not 0."""
    if heap.kmalloc_usable_size(k, ptr) == 0:
        refuse(k, ptr)
    return heap.krealloc(k, ptr, nbytes)


@kernel
def memalign(k: Kernel, alignment: word, nbytes: word) -> VirtAddr:
    """As heap.kmemalign."""
    return heap.kmemalign(k, alignment, nbytes)


@kernel
def usable_bytes(k: Kernel, ptr: VirtAddr) -> word:
    """How many bytes there are at what was given."""
    nbytes = heap.kmalloc_usable_size(k, ptr)
    if nbytes == 0:
        refuse(k, ptr)
    return nbytes


@cold
@kernel
def refuse(k: Kernel, ptr: VirtAddr) -> None:
    """End the process: this pointer is not one that was given, or it was taken back."""
    hosted_console.put_text(k, b'free or realloc of a pointer that is not allocated (freed twice, or never given):')
    hosted_console.put_word(k, ptr)
    hosted_console.stop(k)


# ------------------------------------------------------------------ without malloc's names
@kernel
def check(k: Kernel) -> word:
    """0, or the number of the first invariant that does not hold."""
    return heap.check(k)
