"""Allocation traces: recorded from programs, converted, summed up, and replayed against allocators.

    record ──> raw ──┐                             ┌──> summary
                     ├──> operations <──> binary ──┤
    .rep ─────> rep ─┘                             └──> flat ──> replay, with an allocator of heaps

Knows our heap only as a shared library that `run` builds, like those of other projects.
"""
