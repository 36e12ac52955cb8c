"""The figures of slabs and chunks as tables: what `python -m bench objects` found, for docs/heap-figures.md."""

from typing import Any, Final

from bench.frames_page import NO_FIGURE, cell
from bench.objects import COUNTED_LIVES, LEVELS, LIVES, LOADS, PATTERNS, PRICED_LIVE, Load, Row

RESULT: Final = 'build/bench-objects.json'
PAGE: Final = 'docs/heap-figures.md'
FEW: Final = LIVES[1]
MANY: Final = LIVES[-1]
LEAVES_CACHES_COLD: Final = ('pair', 'churn')  # patterns that meet the same few blocks again and again


def section(bench: dict[str, Any]) -> str:
    """All tables, and on what they were measured."""
    rows = {row['name']: row for row in bench['rows']}
    counts = {each['name']: each for each in bench['instructions']}
    parts = [*(times(rows, load) for load in LOADS), instructions(counts), levels(bench['levels'])]
    parts.append(worst(bench['worst']))
    return '\n\n'.join([*parts, summary(bench, rows, counts)]) + '\n'


def times(rows: dict[str, Any], load: Load) -> str:
    """A line for each pattern, a column for each number of live blocks."""
    lines = [f'{load.words}:', '', f'| | {" | ".join(f"{live:,} live" for live in LIVES)} |']
    lines += ['|---' * (1 + len(LIVES)) + '|']
    for pattern in PATTERNS:
        cells = [cell(rows.get(Row(load, pattern, live).name)) for live in LIVES]
        lines.append(f'| {pattern.words} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def instructions(counts: dict[str, Any]) -> str:
    """What an operation takes of the processor when it has all it needs."""
    columns = ' | '.join(f'{load.name}, {live:,} live' for load in LOADS for live in COUNTED_LIVES)
    lines = [f'| instructions an operation | {columns} |', '|---' * (1 + len(LOADS) * len(COUNTED_LIVES)) + '|']
    for pattern in PATTERNS:
        names = [Row(load, pattern, live).name for load in LOADS for live in COUNTED_LIVES]
        if names[0] in counts:
            cells = [f'{counts[name]["ours"]:.0f} ({counts[name]["twin"]:.0f})' for name in names]
            lines.append(f'| {pattern.name} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def levels(found: list[dict[str, Any]]) -> str:
    """The price of hardening."""
    by_name = {each['name']: each for each in found}
    lines = [f'| hardening, {PRICED_LIVE:,} live | {" | ".join(LEVELS)} |', '|---' * (1 + len(LEVELS)) + '|']
    for load in LOADS:
        for pattern in PATTERNS:
            each = by_name.get(Row(load, pattern, PRICED_LIVE).name)
            cells = [
                f'{each["ns"][level]:.1f} ({each["ratios"][level]:.2f})' if each else NO_FIGURE for level in LEVELS
            ]
            lines.append(f'| {load.name}, {pattern.name} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def worst(found: list[dict[str, Any]]) -> str:
    """Calls that are timed one by one."""
    by_name = {each['name']: each for each in found}
    lines = [
        f'| single calls, {PRICED_LIVE:,} live, in nanoseconds | median | one of a thousand | slowest |',
        '|---|---|---|---|',
    ]
    for load in LOADS:
        each = by_name[f'{load.name}-mix-{PRICED_LIVE}']
        for call, key in (('kmalloc', 'take'), ('kfree', 'give')):
            cells = [f'{each[f"{kind}_{key}"]:.0f}' for kind in ('median', 'rare', 'worst')]
            lines.append(f'| {load.name}, {call} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def summary(bench: dict[str, Any], rows: dict[str, Any], counts: dict[str, Any]) -> str:
    """What the requirements are about."""
    machine = bench['machine']
    worst = max(bench['rows'], key=lambda row: float(row['ratio']))
    lines = [
        f'Measured on {machine["processor"]} with {machine["processors"]} processors and a load of {machine["load"]},',
        f'LLVM {machine["llvm"]}; the twins by {machine["gcc"]}. Of {len(rows)} figures the geometric mean of the',
        f'ratios is {bench["geometric_mean"]:.2f} and the highest ratio {worst["ratio"]:.2f}.',
        f'The time of an operation with {MANY:,} live blocks, over that with {FEW}:',
    ]
    for load in LOADS:
        taken = [f'{growth(rows, load, name):.2f} ({name})' for name in LEAVES_CACHES_COLD]
        counted = [f'{growth(counts, load, name):.2f} ({name})' for name in ('pair', 'churn', 'mix', 'refill')]
        lines.append(f'{load.name} {", ".join(taken)}; in instructions {", ".join(counted)}.')
    return '\n'.join(lines)


def growth(found: dict[str, Any], load: Load, pattern: str) -> float:
    """How many times as much with many live blocks as with few."""
    few, many = (found[f'{load.name}-{pattern}-{live}']['ours'] for live in (FEW, MANY))
    return float(many / few)
