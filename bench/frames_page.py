"""The figures of frames of all of RAM as tables: what `python -m bench blocks` found, for docs/frames.md."""

import statistics
from itertools import product
from typing import Any, Final

from bench.blocks import ALLOCATORS, FILLS, NO_ORDER, PATTERNS, SIZES, Row

RESULT: Final = 'build/bench-blocks.json'
PAGE: Final = 'docs/frames.md'
NO_FIGURE: Final = '–'
NAMES: Final = {'32M': '32 MiB', '1G': '1 GiB', '16G': '16 GiB', '256G': '256 GiB'}
TAKEN: Final = {
    'zero-now-warm': 'zeroed when it is asked for; it was in the cache',
    'zero-ahead-warm': 'zeroed ahead of time; it still is in the cache',
    'zero-now-cold': 'zeroed when it is asked for; it was not in the cache',
    'zero-ahead-cold': 'zeroed ahead of time; it is not in the cache any more',
}
CLEARED: Final = {'zero-upwards': 'in ascending order', 'zero-downwards': 'in descending order'}
KINDS: Final = {
    'order-tenths': 'the lowest half is in use; a tenth of them is freed, then as many are taken',
    'random-tenths': 'a random half is in use; a tenth of them is freed, then as many are taken',
    'random-pairs': 'a random half is in use; one is freed and one is taken, for a tenth of them',
}


def section(bench: dict[str, Any]) -> str:
    """All tables, and on what they were measured."""
    rows = {row['name']: row for row in bench['rows']}
    parts = [times(rows), starts(rows), zeroings(rows), shares(bench['fragmentation']), summary(bench, rows)]
    return '\n\n'.join(parts) + '\n'


def times(rows: dict[str, Any]) -> str:
    """For each pattern a table with a line for each allocator and size and a column for each fill."""
    parts = []
    for pattern in PATTERNS:
        if pattern.order != NO_ORDER:
            lines = [f'{pattern.words}:', '', f'| | {" | ".join(f"{fill} % in use" for fill in FILLS)} |']
            lines += ['|---' * (1 + len(FILLS)) + '|']
            for allocator, size in product(ALLOCATORS, SIZES):
                cells = [cell(rows.get(Row(allocator, pattern, size, fill).name)) for fill in FILLS]
                lines.append(f'| {line_name(allocator, size)} | {" | ".join(cells)} |')
            parts.append('\n'.join(lines))
    return '\n\n'.join(parts)


def line_name(allocator: str, size: str) -> str:
    """What stands at the head of a line."""
    return f'{allocator}, {NAMES[size]}'


def cell(row: dict[str, Any] | None) -> str:
    """Ours in nanoseconds, and the ratio to the twin."""
    return NO_FIGURE if row is None else f'{row["ours"]:.1f} ({row["ratio"]:.2f})'


def starts(rows: dict[str, Any]) -> str:
    """Start-up."""
    lines = ['| start-up, in microseconds | ' + ' | '.join(NAMES.values()) + ' |', '|---' * (1 + len(SIZES)) + '|']
    (pattern,) = [pattern for pattern in PATTERNS if pattern.order == NO_ORDER]
    for allocator in ALLOCATORS:
        found = [rows[Row(allocator, pattern, size, 0).name] for size in SIZES]
        cells = [
            f'{row["ours"] * nr_frames / 1000:.1f} ({row["ratio"]:.2f})'
            for row, nr_frames in zip(found, SIZES.values(), strict=True)
        ]
        lines.append(f'| {allocator} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def zeroings(rows: dict[str, Any]) -> str:
    """The ways to a zeroed frame."""
    lines = ['| take a frame that is zeroed, give it back | ns | with a word of each line written |', '|---|---|---|']
    for name, words in TAKEN.items():
        lines.append(f'| {words} | {cell(rows[name])} | {cell(rows[f"{name}-use"])} |')
    lines += ['', '| clear 1,024 frames in a row that are in no cache | ns a frame |', '|---|---|']
    lines += [f'| {words} | {cell(rows[name])} |' for name, words in CLEARED.items()]
    return '\n'.join(lines)


def shares(found: list[dict[str, Any]]) -> str:
    """What is left of whole blocks."""
    lines = ['| free memory in whole blocks of 2 MiB after 100 rounds | allocator | per cent |', '|---|---|---|']
    for each in found:
        allocator, _, kind = each['name'].partition('-')
        kind, _, size = kind.rpartition('-')
        lines.append(f'| {KINDS[kind]} | {line_name(allocator, size)} | {each["per_cent"]:.1f} |')
    return '\n'.join(lines)


def summary(bench: dict[str, Any], rows: dict[str, Any]) -> str:
    """What the requirements are about."""
    machine = bench['machine']
    worst = max(bench['rows'], key=lambda row: float(row['ratio']))
    return '\n'.join(
        [
            f'Measured on {machine["processor"]} with {machine["processors"]} processors and a load of '
            f'{machine["load"]},',
            f'LLVM {machine["llvm"]}; the twins by {machine["gcc"]}. Of {len(rows)} figures the geometric mean of the',
            f'ratios is {bench["geometric_mean"]:.2f} and the highest ratio {worst["ratio"]:.2f}.',
            f'The churn of single frames takes {growth(rows, "tree"):.2f} times as long with 256 GiB as with 32 MiB in',
            f'the tree, and {growth(rows, "buddy"):.2f} times in the buddy.',
        ]
    )


def growth(rows: dict[str, Any], allocator: str) -> float:
    """By how much churn through the hot list is slower on the largest machine: the medians over all fills."""
    medians = [
        statistics.median(rows[f'{allocator}-frame-churn-{size}-{fill}']['ours'] for fill in FILLS)
        for size in ('32M', '256G')
    ]
    return float(medians[1] / medians[0])
