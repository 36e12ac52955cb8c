"""The calls of C's allocator, on the heap of the thread that calls.

Unit: the byte. The C shim (build/heap_shim.c) hands in the heap, and sets errno where an answer is 0. A wrong pointer
ends the process with a sentence: C has no code for it, and a program that goes on after it destroys more. The call site
is the address that C returns to.
"""

from typing import Final

from incroos.hosted import fast_path, kept, pool, remote, text
from incroos.hosted.pool import Pool
from incroos.kernel.codes import OK
from incroos.kernel.config import FULL
from incroos.kernel.heap import front, lifecycle, zeroing
from incroos.kernel.heap.block import ALIGNMENT
from incroos.kernel.state import HostedHeap
from incroos.lang import VirtAddr, apart, call4, cold, copy, fill, kernel, word

ZEROED: Final = 0  # in the place of an alignment


@kernel
def malloc(own: HostedHeap, nbytes: word, site: word) -> VirtAddr:
    """Room for nbytes bytes at a multiple of 16; their content is not specified.

    NULL, and errno is ENOMEM, when there is no memory for them. For 0 bytes it is a pointer like any other.
    """
    bits = fast_path.bits_for(own.heap, nbytes)
    if bits != 0:
        return fast_path.take(own.heap, nbytes, bits)
    return malloc_slowly(own, nbytes, site)


@apart
@kernel
def malloc_slowly(own: HostedHeap, nbytes: word, site: word) -> VirtAddr:
    """The same on any way."""
    wanted = with_room_for_links(own, nbytes if nbytes != 0 else 1)
    ptr = attend(own, wanted, site) if remote.is_waiting(own) else VirtAddr(0)
    if ptr == 0:
        ptr = front.alloc(own.heap, wanted, site)
    return ptr if ptr != 0 else no_room(own, ALIGNMENT, nbytes, site)


@cold
@kernel
def attend(own: HostedHeap, nbytes: word, site: word) -> VirtAddr:
    """Do what waits for the owner, before a request; a block for the request, where one of another heap serves it."""
    take_back(own)
    return kept.take(own, nbytes, site) if nbytes > 0 else VirtAddr(0)


@cold
@kernel
def no_room(own: HostedHeap, alignment: word, nbytes: word, site: word) -> VirtAddr:
    """Ask the shim for a way out: the thread may have another heap. Alignment 0 is calloc's, and all bytes are 0."""
    return VirtAddr(call4(own.m, own.host.no_room, own.addr, alignment, nbytes, site))


@kernel
def owns(own: HostedHeap, ptr: VirtAddr) -> bool:
    """Whether an address lies in the heap's ranges."""
    return own.heap.config.objects.owns(own.heap, ptr)


@kernel
def with_room_for_links(own: HostedHeap, nbytes: word) -> word:
    """So many bytes as let remote.py and kept.py link the block: less would have a red zone there."""
    return max(nbytes, remote.LINKS_BYTES) if own.heap.config.hardening == FULL and nbytes > 0 else nbytes


@kernel
def free(own: HostedHeap, ptr: VirtAddr, site: word) -> None:
    """Give back what was given; NULL does nothing. Any other pointer ends the process with a sentence."""
    if fast_path.has(own.heap, ptr):
        if fast_path.put(own.heap, ptr) != OK:
            text.refuse(own, ptr)
    else:
        free_slowly(own, ptr, site)


@apart
@kernel
def free_slowly(own: HostedHeap, ptr: VirtAddr, site: word) -> None:
    """The same on any way."""
    if owns(own, ptr):
        if front.free(own.heap, ptr, site) != OK:
            text.refuse(own, ptr)
    else:
        free_elsewhere(own, ptr)


@cold
@kernel
def free_elsewhere(own: HostedHeap, ptr: VirtAddr) -> None:
    """The same for what is in another heap, or nowhere."""
    if ptr == 0:
        return
    owner = HostedHeap(own.m, pool.heap_of(Pool(own.m, own.host.pool), ptr))
    if owner.addr == 0 or not (remote.put(owner, ptr) or pool.is_lost(owner)):
        text.refuse(own, ptr)
    if pool.is_abandoned(owner) and remote.are_many_waiting(owner):
        tidy(own, owner)


@cold
@kernel
def give_back(p: Pool, ptr: VirtAddr) -> bool:
    """The same for a thread that has no heap and gets none; False when the pointer is wrong."""
    owner = HostedHeap(p.m, pool.heap_of(p, ptr))
    return owner.addr != 0 and (remote.put(owner, ptr) or pool.is_lost(owner))


@cold
@kernel
def tidy(own: HostedHeap, other: HostedHeap) -> None:
    """Free what waits in an abandoned heap, which gives back in proportion."""
    if pool.adopt(other, pool.process_of(own)):
        take_back(other)
        pool.leave(other)


@kernel
def calloc(own: HostedHeap, nr_items: word, item_bytes: word, site: word) -> VirtAddr:
    """As malloc, room for so many items, all bytes 0."""
    nbytes = with_room_for_links(own, nr_items * item_bytes if nr_items * item_bytes != 0 else 1)
    bits = fast_path.bits_for(own.heap, nbytes)
    if bits != 0:
        ptr = fast_path.take(own.heap, nbytes, bits)
        fill(own.m, ptr, 0, nbytes)
        return ptr
    return calloc_slowly(own, nbytes, site)


@apart
@kernel
def calloc_slowly(own: HostedHeap, nbytes: word, site: word) -> VirtAddr:
    """The same on any way."""
    ptr = attend(own, nbytes, site) if remote.is_waiting(own) else VirtAddr(0)
    if ptr != 0:
        zeroing.zero(own.heap, ptr, nbytes, VirtAddr(ptr + nbytes))
    else:
        ptr = front.alloc_zeroed(own.heap, nbytes, site)
    return ptr if ptr != 0 else no_room(own, ZEROED, nbytes, site)


@kernel
def realloc(own: HostedHeap, ptr: VirtAddr, nbytes: word, site: word) -> VirtAddr:
    """Let what was given have nbytes bytes, where it is or elsewhere with its content and its alignment.

    NULL, errno is ENOMEM, and nothing has changed, when that cannot be. As malloc when ptr is NULL, as free, with the
    answer NULL, when nbytes is 0.
    """
    have = usable_bytes(own, ptr)
    owner = own
    new = VirtAddr(0)
    if owns(own, ptr):
        new = front.reallocate(own.heap, ptr, with_room_for_links(own, nbytes), site)
        if new != 0 or nbytes == 0:
            return new
        new = no_room(own, front.alignment_of(own.heap, ptr), nbytes, site)
    else:
        owner = HostedHeap(own.m, pool.heap_of(Pool(own.m, own.host.pool), ptr))
        new, code = own.heap.config.objects.bring_large(own.heap, owner.heap, ptr, have, nbytes)
        if new != 0:
            if code == OK:
                free_elsewhere(own, ptr)
            return new
        new = memalign(own, front.alignment_of(owner.heap, ptr), nbytes, site)
    if new != 0:
        copy(own.m, new, ptr, min(have, nbytes))
        free_elsewhere(own, ptr)
    return new


@kernel
def memalign(own: HostedHeap, alignment: word, nbytes: word, site: word) -> VirtAddr:
    """As malloc, at a multiple of the alignment, a power of two; else NULL, and errno is EINVAL."""
    if alignment <= ALIGNMENT:
        return malloc(own, nbytes, site)
    if remote.is_waiting(own):
        take_back(own)
    ptr = front.alloc_aligned(own.heap, alignment, with_room_for_links(own, nbytes if nbytes != 0 else 1), site)
    return ptr if ptr != 0 else no_room(own, alignment, nbytes, site)


@kernel
def usable_bytes(own: HostedHeap, ptr: VirtAddr) -> word:
    """How many bytes there are at what was given, at least those asked for; 0 for NULL."""
    nbytes = 0
    if owns(own, ptr):
        nbytes = front.usable_bytes(own.heap, ptr)
    else:
        owner = HostedHeap(own.m, pool.heap_of(Pool(own.m, own.host.pool), ptr))
        if owner.addr != 0:
            nbytes = front.usable_bytes(owner.heap, ptr)
    if nbytes == 0:
        text.refuse(own, ptr)
    return nbytes


@cold
@kernel
def take_back(own: HostedHeap) -> None:
    """Free what other threads freed, and do what they asked for."""
    wrong = remote.take_back(own)
    if wrong != 0:
        text.refuse(own, wrong)
    if own.host.trim_wanted != 0:
        own.host.trim_wanted = 0
        kept.give_back(own)
        lifecycle.shrink(own.heap)


@kernel
def trim(own: HostedHeap) -> word:
    """Give the system back all whole pages that nothing lies in, of the heaps of other threads when they next look.

    How many bytes of addresses were given back; some of them may have had no pages.
    """
    own.host.trim_wanted = 0
    kept.give_back(own)
    take_back(own)
    return lifecycle.shrink(own.heap)


@kernel
def trim_others(p: Pool, process: word) -> word:
    """Trim the heaps that nobody owns, and ask the owners of all others to do it; how many bytes.

    PRE the caller, a thread of this process, is not in the shared heap.
    """
    nbytes = 0
    for number in range(p.nr_slots):
        other = HostedHeap(p.m, pool.heap_at(p, number))
        if other.addr == 0 or pool.is_lost(other):
            continue
        if pool.adopt(other, process):
            nbytes += trim(other)
            pool.leave(other)
        elif pool.enter(other, process):
            nbytes += trim(other)
            pool.leave_shared(other)
        else:
            remote.ask_to_trim(other)
    return nbytes


@kernel
def check(own: HostedHeap) -> word:
    """0 when the metadata of this thread's heap are in order, else the number of the invariant that does not hold."""
    return lifecycle.check(own.heap)


@kernel
def leave(own: HostedHeap) -> None:
    """The thread that owns the heap ends: nothing is kept that the next one can do without."""
    trim(own)
    pool.leave(own)
