"""A trace laid out for c/replay.c: nothing needs decoding, and each block has a slot in a small table.

    file        operations, slots, the operation after which most bytes are live, 0; the operations; 16 unused ones
    operation   slot 32 bits, kind 8, log2 of the alignment 8, 0; size 64 bits

A slot is reused once its block is freed, the last freed one first. So the table of the replaying program is as small as
the trace allows and does not compete with the allocator for the processor's caches.
"""

import struct
from array import array
from dataclasses import dataclass
from typing import Final

from .operations import Kind, Trace

_START: Final = struct.Struct('<QQQQ')
_NR_BEHIND: Final = 16  # operations behind the last, which are looked at ahead of time and never carried out


@dataclass
class Flat:
    """The bytes of the file, and the counts that are needed to interpret its figures."""

    content: bytes
    nr_operations: int
    nr_slots: int
    peak_live_bytes: int


def flatten(trace: Trace) -> Flat:
    """Lay a trace out."""
    words = array('Q')
    slot_of, size_of = array('I', bytes(4 * trace.nr_blocks)), array('Q', bytes(8 * trace.nr_blocks))
    free_slots: list[int] = []
    nr_slots = live = peak = peak_operation = 0
    for index, (kind, block, size, shift) in enumerate(
        zip(trace.kinds, trace.blocks, trace.sizes, trace.shifts, strict=True)
    ):
        if kind <= Kind.ALLOCATE_ALIGNED:
            if free_slots:
                slot = free_slots.pop()
            else:
                slot = nr_slots
                nr_slots += 1
            slot_of[block] = slot
        else:
            slot = slot_of[block]
            live -= size_of[block]
            if kind == Kind.FREE:
                free_slots.append(slot)
        size_of[block] = size
        live += size
        if live > peak:
            peak, peak_operation = live, index
        words.append(slot | kind << 32 | shift << 40)
        words.append(size)
    words.extend([0] * 2 * _NR_BEHIND)
    start = _START.pack(len(trace), nr_slots, peak_operation, 0)
    return Flat(start + words.tobytes(), len(trace), nr_slots, peak)
