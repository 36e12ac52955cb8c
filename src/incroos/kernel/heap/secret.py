"""Hardening: the secret of this heap, its random numbers, and which blocks get a tag.

Knows nothing of what is hardened: chunk/ seals and masks with the secret, slab/ draws places, harden/
puts tags. The levels are in config.py, what each of them catches in docs/heap-hardening.md.
"""

from typing import Final

from incroos.kernel.config import FULL
from incroos.kernel.state import Heap
from incroos.lang import add_wrap, kernel, mul_wrap, shr_logical, word

MULTIPLIER: Final = 6364136223846793005  # D. Knuth, "MMIX", the linear congruential generator
INCREMENT: Final = 1442695040888963407
USABLE_SHIFT: Final = 33  # its low bits have short periods


@kernel
def init(heap: Heap) -> None:
    """Begin with the seed of the configuration.

    Who has better random numbers may store another secret as long as the heap is empty.
    """
    hardening = heap.hardening
    hardening.generator = heap.config.heap_seed
    hardening.secret = add_wrap(mul_wrap(heap.config.heap_seed, MULTIPLIER), INCREMENT)
    hardening.nr_given = 0


@kernel
def is_tagged(heap: Heap) -> bool:
    """Whether each block has a tag in front of it."""
    return heap.config.hardening == FULL or heap.config.call_sites != 0


@kernel
def has_random_places(heap: Heap) -> bool:
    """Whether a request gets any of the objects that are free, and not the first one."""
    return heap.config.hardening == FULL


@kernel
def draw_below(heap: Heap, limit: word) -> word:
    """A random number below the limit, which is more than 0 and less than 2**31."""
    hardening = heap.hardening
    hardening.generator = add_wrap(mul_wrap(hardening.generator, MULTIPLIER), INCREMENT)
    return shr_logical(hardening.generator, USABLE_SHIFT) % limit
