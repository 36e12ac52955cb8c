"""What is told of a trace, against a dict of live blocks."""

from hypothesis import given

from incroos.lab.operations import Kind, Trace
from incroos.lab.summary import summary_of

from .traces import small_trace, traces


@given(traces())
def test_a_summary_is_what_a_dict_says(trace: Trace) -> None:
    live: dict[int, int] = {}
    most_bytes = most_live = 0
    for operation in (trace[index] for index in range(len(trace))):
        if operation.kind == Kind.FREE:
            del live[operation.block]
        else:
            live[operation.block] = operation.size
        most_bytes, most_live = max(most_bytes, sum(live.values())), max(most_live, len(live))
    summary = summary_of(trace)
    assert (summary.nr_left, summary.left_bytes) == (len(live), sum(live.values()))
    assert (summary.nr_live_at_most, summary.live_bytes_at_most) == (most_live, most_bytes)
    assert summary.asked_bytes == sum(trace.sizes)
    assert sum(summary.nr_by_kind.values()) == summary.nr_operations == len(trace)


def test_sizes_are_counted_by_powers_of_two() -> None:
    trace = Trace()
    for block, size in enumerate([0, 1, 16, 17, 32, 33, 64, 65, 1 << 20, (1 << 20) + 1]):
        trace.add(Kind.ALLOCATE, block, size)
    assert summary_of(trace).histogram == {16: 3, 32: 2, 64: 2, 128: 1, 1 << 20: 1, 1 << 21: 1}
    assert summary_of(small_trace()).nr_threads == 2
