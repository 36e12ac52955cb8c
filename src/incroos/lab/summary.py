"""A summary of a trace: counts, the most that is live, and the sizes of requests."""

from array import array
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from .operations import Kind, Trace


@dataclass
class Summary:
    """The figures of one trace. The histogram counts requests for new blocks and new sizes: up to 16, 32, 64, ..."""

    nr_operations: int = 0
    nr_by_kind: dict[str, int] = field(default_factory=dict)
    nr_threads: int = 0
    nr_live_at_most: int = 0
    live_bytes_at_most: int = 0
    nr_left: int = 0
    left_bytes: int = 0
    asked_bytes: int = 0
    histogram: dict[int, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def summary_of(trace: Trace) -> Summary:
    """Summarise a trace in one pass."""
    sizes = array('Q', bytes(8 * trace.nr_blocks))
    nr_live = most_live = live_bytes = most_bytes = asked = 0
    by_width: Counter[int] = Counter()
    for kind, block, size in zip(trace.kinds, trace.blocks, trace.sizes, strict=True):
        if kind == Kind.FREE:
            nr_live -= 1
            live_bytes -= sizes[block]
            sizes[block] = 0
            continue
        if kind != Kind.REALLOCATE:
            nr_live += 1
            most_live = max(most_live, nr_live)
        by_width[(size - 1 >> 4).bit_length() if size else 0] += 1
        live_bytes += size - sizes[block]
        most_bytes = max(most_bytes, live_bytes)
        asked += size
        sizes[block] = size
    return Summary(
        len(trace),
        {kind.name.lower().replace('_', ' '): trace.kinds.count(kind) for kind in Kind},
        len(set(trace.threads)),
        most_live,
        most_bytes,
        nr_live,
        live_bytes,
        asked,
        {16 << width: by_width[width] for width in sorted(by_width)},
    )
