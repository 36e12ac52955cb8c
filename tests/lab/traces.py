"""Traces for tests: made up by Hypothesis, or written down."""

from typing import Final

from hypothesis import strategies as st

from incroos.lab.operations import MAX_BYTES, MAX_SHIFT, MAX_THREADS, Kind, Trace

SIZES: Final = st.one_of(st.integers(0, 200), st.integers(0, 1 << 20), st.integers(0, MAX_BYTES))


@st.composite
def traces(draw: st.DrawFn, most: int = 60) -> Trace:
    """Any trace: what it names was allocated before and not freed."""
    trace = Trace()
    live: list[int] = []
    threads = draw(st.sampled_from([st.just(0), st.integers(0, 3), st.integers(0, MAX_THREADS - 1)]))
    for kind in draw(st.lists(st.sampled_from(Kind), max_size=most)):
        thread = draw(threads)
        if kind <= Kind.ALLOCATE_ALIGNED:
            shift = draw(st.integers(0, MAX_SHIFT)) if kind == Kind.ALLOCATE_ALIGNED else 0
            live.append(trace.nr_blocks)
            trace.add(kind, trace.nr_blocks, draw(SIZES), shift, thread)
        elif live:
            index = draw(st.integers(0, len(live) - 1))
            if kind == Kind.FREE:
                trace.add(kind, live.pop(index), thread=thread)
            else:
                trace.add(kind, live[index], draw(SIZES), thread=thread)
    return trace


def small_trace() -> Trace:
    """One operation of each kind, and a block that is never freed."""
    trace = Trace()
    trace.add(Kind.ALLOCATE, 0, 100)
    trace.add(Kind.ALLOCATE_ZEROED, 1, 3000)
    trace.add(Kind.ALLOCATE_ALIGNED, 2, 70_000, shift=12)
    trace.add(Kind.REALLOCATE, 0, 200_000, thread=1)
    trace.add(Kind.FREE, 1)
    trace.add(Kind.ALLOCATE, 3, 0)
    trace.add(Kind.FREE, 0)
    trace.add(Kind.FREE, 3)
    return trace
