"""The calls of C's allocator, on the heap of the thread that calls.

Unit: the byte. The C shim (build/heap_shim.c) hands in the heap, and sets errno where an answer is 0. A wrong pointer
ends the process with a sentence: C has no code for it, and a program that goes on after it destroys more. The call site
is the address that C returns to.
"""

from incroos.hosted import fast_path, pool, remote
from incroos.hosted.pool import Pool
from incroos.kernel import heap
from incroos.kernel.codes import OK
from incroos.kernel.config import FULL
from incroos.kernel.heap.size_classes import ALIGNMENT
from incroos.kernel.io import text_sink
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, apart, call4, cold, copy, fill, kernel, word


@kernel
def malloc(k: Kernel, nbytes: word, site: word) -> VirtAddr:
    """Room for nbytes bytes at a multiple of 16; their content is not specified.

    NULL, and errno is ENOMEM, when there is no memory for them. For 0 bytes it is a pointer like any other.
    """
    bits = fast_path.bits_for(k, nbytes)
    if bits != 0:
        return fast_path.take(k, nbytes, bits)
    return malloc_slowly(k, nbytes, site)


@apart
@kernel
def malloc_slowly(k: Kernel, nbytes: word, site: word) -> VirtAddr:
    """The same on any way."""
    if remote.is_waiting(k) != 0:
        take_back(k)
    ptr = heap.kmalloc_at(k, with_room_for_link(k, nbytes if nbytes != 0 else 1), site)
    if ptr == 0:
        call4(k.m, k.host.no_memory, 0, 0, 0, 0)
    return ptr


@kernel
def with_room_for_link(k: Kernel, nbytes: word) -> word:
    """So many bytes as let remote.py link the block: less would have a red zone there."""
    return max(nbytes, 8) if k.config.hardening == FULL and nbytes > 0 else nbytes


@kernel
def free(k: Kernel, ptr: VirtAddr, site: word) -> None:
    """Give back what was given; NULL does nothing. Any other pointer ends the process with a sentence."""
    if fast_path.has(k, ptr):
        if fast_path.put(k, ptr) != OK:
            refuse(k, ptr)
    else:
        free_slowly(k, ptr, site)


@apart
@kernel
def free_slowly(k: Kernel, ptr: VirtAddr, site: word) -> None:
    """The same on any way."""
    if heap.owns(k, ptr):
        if heap.kfree_at(k, ptr, site) != OK:
            refuse(k, ptr)
    else:
        free_elsewhere(k, ptr)


@cold
@kernel
def free_elsewhere(k: Kernel, ptr: VirtAddr) -> None:
    """The same for what is in another heap, or nowhere."""
    if ptr == 0:
        return
    owner = Kernel(k.m, pool.heap_of(Pool(k.m, k.host.pool), ptr))
    if owner.addr == 0 or not (owner.host.ownership == pool.LOST or remote.put(owner, ptr)):
        refuse(k, ptr)


@kernel
def calloc(k: Kernel, nr_items: word, item_bytes: word, site: word) -> VirtAddr:
    """As malloc, room for so many items, all bytes 0."""
    nbytes = with_room_for_link(k, nr_items * item_bytes if nr_items * item_bytes != 0 else 1)
    bits = fast_path.bits_for(k, nbytes)
    if bits != 0:
        ptr = fast_path.take(k, nbytes, bits)
        fill(k.m, ptr, 0, nbytes)
        return ptr
    return calloc_slowly(k, nbytes, site)


@apart
@kernel
def calloc_slowly(k: Kernel, nbytes: word, site: word) -> VirtAddr:
    """The same on any way."""
    if remote.is_waiting(k) != 0:
        take_back(k)
    ptr = heap.kzalloc_at(k, nbytes, site)
    if ptr == 0:
        call4(k.m, k.host.no_memory, 0, 0, 0, 0)
    return ptr


@kernel
def realloc(k: Kernel, ptr: VirtAddr, nbytes: word, site: word) -> VirtAddr:
    """Let what was given have nbytes bytes, where it is or elsewhere with its content and its alignment.

    NULL, errno is ENOMEM, and nothing has changed, when that cannot be. As malloc when ptr is NULL, as free, with the
    answer NULL, when nbytes is 0.
    """
    have = usable_bytes(k, ptr)
    if heap.owns(k, ptr):
        return heap.krealloc_at(k, ptr, with_room_for_link(k, nbytes), site)
    owner = Kernel(k.m, pool.heap_of(Pool(k.m, k.host.pool), ptr))
    new = memalign(k, heap.alignment_of(owner, ptr), nbytes, site)
    if new != 0:
        copy(k.m, new, ptr, min(have, nbytes))
        free_elsewhere(k, ptr)
    return new


@kernel
def memalign(k: Kernel, alignment: word, nbytes: word, site: word) -> VirtAddr:
    """As malloc, at a multiple of the alignment, a power of two; else NULL, and errno is EINVAL."""
    if alignment <= ALIGNMENT:
        return malloc(k, nbytes, site)
    if remote.is_waiting(k) != 0:
        take_back(k)
    ptr = heap.kmemalign_at(k, alignment, with_room_for_link(k, nbytes if nbytes != 0 else 1), site)
    if ptr == 0:
        call4(k.m, k.host.no_memory, 0, 0, 0, 0)
    return ptr


@kernel
def usable_bytes(k: Kernel, ptr: VirtAddr) -> word:
    """How many bytes there are at what was given, at least those asked for; 0 for NULL."""
    nbytes = 0
    if heap.owns(k, ptr):
        nbytes = heap.kmalloc_usable_size(k, ptr)
    else:
        owner = Kernel(k.m, pool.heap_of(Pool(k.m, k.host.pool), ptr))
        if owner.addr != 0:
            nbytes = heap.kmalloc_usable_size(owner, ptr)
    if nbytes == 0:
        refuse(k, ptr)
    return nbytes


@cold
@kernel
def take_back(k: Kernel) -> None:
    """Free what other threads freed."""
    wrong = remote.take_back(k)
    if wrong != 0:
        refuse(k, wrong)


@cold
@kernel
def refuse(k: Kernel, ptr: VirtAddr) -> None:
    """End the process: this pointer was never given, or it was taken back."""
    text_sink.put_text(k, b'free or realloc of a pointer that is not allocated (freed twice, or never given):')
    text_sink.put_word(k, ptr)
    text_sink.stop(k)


@kernel
def trim(k: Kernel) -> word:
    """Give the system back all whole pages that nothing lies in; how many bytes."""
    take_back(k)
    return heap.shrink(k)


@kernel
def check(k: Kernel) -> word:
    """0 when the metadata of this thread's heap are in order, else the number of the invariant that does not hold."""
    return heap.check(k)


@kernel
def leave(k: Kernel) -> None:
    """The thread that owns the heap ends: nothing is kept that the next one can do without."""
    trim(k)
    pool.leave(Pool(k.m, k.host.pool), k)
