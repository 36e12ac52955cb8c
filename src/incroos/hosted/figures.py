"""What a process has of its heaps, in the words of glibc's mallinfo.

Unit: the byte. Heaps of other threads are looked at while their owners work on them: their figures are about right, and
no list of theirs is followed. Nobody is made to wait.
"""

from incroos.hosted import pool
from incroos.hosted.pool import Pool
from incroos.kernel.heap import lifecycle
from incroos.kernel.heap.chunk import bins_check
from incroos.kernel.state import HostedHeap
from incroos.lang import Struct, VirtAddr, kernel, u64, word


class Figures(Struct):
    """Figures of one heap. Owner: the caller."""

    system_bytes: u64  # of addresses that were mapped and not unmapped; inside free chunks some are without pages
    used_bytes: u64  # of them, handed out, rounding included
    nr_free: u64  # chunks that are free, the one at the end of all included; only the owner's own are counted
    last_bytes: u64  # free at the end of all: what a trim gives back at least


@kernel
def count(p: Pool, number: word, own: VirtAddr, figures: VirtAddr) -> word:
    """Figures of the heap in a slot, for the thread with heap `own`, or 0; 0 when there is no heap, else 1."""
    of, into = HostedHeap(p.m, pool.heap_at(p, number)), Figures(p.m, figures)
    if of.addr == 0:
        return 0
    into.system_bytes = of.heap.config.objects.committed_bytes(of.heap)
    into.used_bytes = min(max(lifecycle.used_bytes(of.heap) - of.host.remote_bytes, 0), into.system_bytes)
    into.last_bytes = max(of.heap.chunks.committed_end - of.heap.chunks.top, 0)
    into.nr_free = 1
    if of.addr == own and of.heap.config.objects.HAS_CHUNKS and not of.heap.config.objects.HAS_FIRST_FIT:
        into.nr_free += max(bins_check.count_chunks(of.heap), 0)
    return 1
