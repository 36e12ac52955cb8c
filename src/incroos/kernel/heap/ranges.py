"""Ranges: which addresses are the heap's.

Unit: the byte. In a kernel the configuration says it. In a process they are the slot behind the Kernel struct,
so that each heap of the process has its own, and an address tells the heap:

    start             1/64        1/8                     1/2                              slot_bytes
      | Kernel struct  | records   | slabs                 | chunks                          |
"""

from typing import Final

from incroos.kernel.config import HOSTED_SPACE
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, kernel, word

MAX_FIRST_FIT_BYTES: Final = (1 << 32) - (1 << 12)  # of a range of first fit, whose headers have 32 bits for bytes


@kernel
def chunks_start(k: Kernel) -> VirtAddr:
    """Where chunks begin, first fit's too."""
    if k.config.space == HOSTED_SPACE:
        return VirtAddr(k.addr + (k.host.slot_bytes >> 1))
    return VirtAddr(k.config.heap)


@kernel
def chunks_bytes(k: Kernel) -> word:
    """How many bytes they may grow to."""
    if k.config.space == HOSTED_SPACE:
        return k.host.slot_bytes >> 1
    return k.config.heap_max_bytes


@kernel
def first_fit_start(k: Kernel) -> VirtAddr:
    """Where the chunks of first fit begin."""
    return k.heap.start if k.config.space == HOSTED_SPACE else VirtAddr(k.config.heap)


@kernel
def first_fit_bytes(k: Kernel) -> word:
    """How many bytes they may grow to."""
    return min(chunks_bytes(k), MAX_FIRST_FIT_BYTES)


@kernel
def slabs_start(k: Kernel) -> VirtAddr:
    """Where slabs begin."""
    if k.config.space == HOSTED_SPACE:
        return VirtAddr(k.addr + (k.host.slot_bytes >> 3))
    return VirtAddr(k.config.slabs)


@kernel
def slabs_bytes(k: Kernel) -> word:
    """How many bytes they may grow to."""
    if k.config.space == HOSTED_SPACE:
        return (k.host.slot_bytes >> 1) - (k.host.slot_bytes >> 3)
    return k.config.heap_max_bytes


@kernel
def records_start(k: Kernel) -> VirtAddr:
    """Where the records of the slabs' pages begin."""
    if k.config.space == HOSTED_SPACE:
        return VirtAddr(k.addr + (k.host.slot_bytes >> 6))
    return VirtAddr(k.config.slab_records)
