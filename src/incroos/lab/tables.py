"""Tables for people: the summary of a trace, and the figures of allocators for it."""

from typing import Final

from rich.console import Console
from rich.table import Table

from .replay import Replayed
from .summary import Summary
from .words import count

WIDTH: Final = 110  # where the terminal does not say how wide it is
NONE: Final = '-'  # in the place of a figure
_BAR: Final = 40


def summary_text(name: str, summary: Summary) -> str:
    """The summary of a trace as text."""
    lines = [
        f'{name}: {count(summary.nr_operations, "operation")} of {count(summary.nr_threads, "thread")}',
        *(f'  {kind:<20}{number:>14,}' for kind, number in summary.nr_by_kind.items() if number),
        f'live at most: {count(summary.live_bytes_at_most, "byte")}, {count(summary.nr_live_at_most, "block")}',
        f'live at the end: {count(summary.left_bytes, "byte")}, {count(summary.nr_left, "block")}',
        f'asked for in all: {count(summary.asked_bytes, "byte")}',
        'sizes of requests:',
    ]
    most = max(summary.histogram.values(), default=1)
    for size, number in summary.histogram.items():
        lines.append(f'  up to {size:>13,}{number:>14,}  {"#" * round(number / most * _BAR)}'.rstrip())
    return '\n'.join(lines) + '\n'


def replay_table(name: str, replayed: Replayed) -> tuple[str, Table, str]:
    """The figures of each allocator for a trace: a heading, a table and a remark."""
    at_once = '' if replayed.nr_threads == 1 else f', in {replayed.nr_threads} threads at once'
    live = f'at most {count(replayed.peak_live_bytes, "byte")} live'
    table = Table()
    table.add_column('heap')
    for column in ('ns an operation', 'least to most', 'footprint', 'worst, ns', '99.99 %, ns'):
        table.add_column(column, justify='right')
    for each in replayed.figures:
        table.add_row(
            each.heap,
            f'{each.ns:.1f}',
            f'{each.ns_least:.1f} - {each.ns_most:.1f}',
            NONE if each.footprint is None else f'{each.footprint:.3f}',
            f'{each.worst_ns:,.0f}',
            f'{each.rarely_ns:,.0f}',
        )
    heading = f'{name}: {count(replayed.nr_operations, "operation")}{at_once}, {live}'
    remark = f'median of {count(replayed.nr_rounds, "round")}; the loop alone takes {replayed.loop_ns:.1f} ns'
    return heading, table, remark


def text_of(parts: tuple[str, Table, str], width: int | None) -> str:
    """Heading, table and remark as text, as wide as the terminal."""
    console = Console(width=width or WIDTH, no_color=True, highlight=False)
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    return captured.get()
