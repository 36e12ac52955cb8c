"""Allocation traces: recorded from programs, converted, summed up, and replayed against allocators.

    record ──> raw ──┐                             ┌──> summary
                     ├──> operations <──> binary ──┤
    .rep ─────> rep ─┘                             └──> flat ──> replay, with an allocator of heaps

Knows the heap only as a shared library that `run` builds, next to those of other people.
"""
