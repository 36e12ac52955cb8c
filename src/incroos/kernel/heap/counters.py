"""Figures of the heap: what requests asked for and got, and how far the heap has grown. Where config.counters is set.

Unit: the byte. Counted as requests go by, and exact. A small request pays for as little as can be: a count and two sums
when it comes, a subtraction when it goes. All else is told from the metadata when somebody asks: objects in use are
bits, their requests the count of their cache, free chunks are in bins.

The most that was ever in use is looked after with one comparison: slabs.mark is what objects may use before there is a
new peak, and follows whenever something else than objects is taken or given.
"""

from incroos.kernel.state import NR_SIZES, Heap, HeapFigures
from incroos.lang import VirtAddr, cold, count_leading_zeros, fill, kernel, word

# FIGURES-1  slabs.used_bytes == the bytes of the objects in use
# FIGURES-2  committed_bytes is what committed_bytes of the design counts, peak_committed_bytes at least that
# FIGURES-3  used_bytes <= peak_used_bytes; slabs.mark == peak_used_bytes - what is used by other things than objects


@kernel
def init(heap: Heap) -> None:
    """Begin with nothing."""
    fill(heap.m, heap.figures.addr, 0, HeapFigures.SIZE)


@kernel
def are_counted(heap: Heap) -> bool:
    """Whether this build counts them; those of first fit are its metadata alone."""
    return heap.config.counters != 0 and heap.config.objects.HAS_FIGURES


@kernel
def note_asked(heap: Heap, nbytes: word, ptr: VirtAddr) -> None:
    """Sum up what a user asked for, or count that he was refused. What is no size is not counted."""
    if ptr != 0:
        heap.figures.asked_bytes += nbytes
    elif nbytes > 0:
        heap.figures.nr_refused += 1


@kernel
def note_large(heap: Heap, nbytes: word, ptr: VirtAddr, used_before: word) -> None:
    """Count a request that no slab served, and what it got."""
    if ptr != 0:
        heap.figures.large_requests[min(63 - count_leading_zeros(nbytes), NR_SIZES - 1)] += 1
        heap.figures.large_bytes += used_bytes(heap) - used_before
        note_used(heap)


@kernel
def note_large_free(heap: Heap) -> None:
    """Count a block that came back to something else than slabs."""
    heap.figures.nr_large_frees += 1
    note_used(heap)


@kernel
def used_bytes(heap: Heap) -> word:
    """What used_bytes of the design says, without a look at the slabs."""
    return heap.chunks.used_bytes + heap.slabs.large_bytes + heap.slabs.used_bytes


@cold
@kernel
def note_used(heap: Heap) -> None:
    """Remember how much was used at most, and how much more objects may use."""
    used = used_bytes(heap)
    heap.figures.peak_used_bytes = max(heap.figures.peak_used_bytes, used)
    heap.slabs.mark = heap.figures.peak_used_bytes - (used - heap.slabs.used_bytes)


@kernel
def note_committed(heap: Heap, nbytes: word) -> None:
    """Count pages of the heap that got frames, or with less than 0 bytes such that gave theirs back."""
    figures = heap.figures
    figures.committed_bytes += nbytes
    figures.peak_committed_bytes = max(figures.peak_committed_bytes, figures.committed_bytes)
