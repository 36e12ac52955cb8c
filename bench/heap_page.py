"""The heaps over traces of real programs as tables: what `python -m bench heap` found, for docs/heap.md."""

from typing import Any, Final

from bench.heap_traces import (
    AMBITIONS,
    KMALLOC,
    MOST_FOOTPRINT,
    MOST_TIME,
    MOST_WORST_NS,
    RESULT,
)

PAGE: Final = 'docs/heap.md'
NO_FIGURE: Final = '–'
LEVEL: Final = f'{KMALLOC}, '
TIME: Final = "time, of glibc's, the loop taken off"

__all__ = ['PAGE', 'RESULT', 'section']


def section(bench: dict[str, Any]) -> str:
    """All tables, what they say of the requirements, and on what they were measured."""
    parts = [means(bench['means']), verdicts(bench['means']), prices(bench['means'])]
    parts += [by_trace(bench, *column) for column in COLUMNS]
    return '\n\n'.join([*parts, traces(bench), summary(bench)]) + '\n'


# What a table by trace shows: its heading, the figure, how it is written
COLUMNS: Final = (
    ("time, of glibc's", 'time', '.2f'),
    ('footprint', 'footprint', '.2f'),
    ("time with two threads, of glibc's", 'time_of_two', '.2f'),
    ('worst operation, ns', 'worst_ns', ',.0f'),
)


def means(found: dict[str, Any]) -> str:
    """The geometric means, a line for each heap."""
    lines = [
        "| geometric means | time, of glibc's | the loop taken off | footprint | two threads, of glibc's"
        ' | worst operation, ns | 99.99 % stay below, ns |',
        '|---|---|---|---|---|---|---|',
    ]
    for heap, mean in found.items():
        cells = [f'{mean[name]:.2f}' for name in ('time', 'net_time', 'footprint', 'time_of_two')]
        cells += [f'{mean[name]:,.0f}' for name in ('worst_ns', 'rarely_ns')]
        lines.append(f'| {heap} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def ahead_in_both(found: dict[str, Any]) -> list[str]:
    """Allocators of others that are ahead of kmalloc in time and in footprint."""
    ours = found[KMALLOC]
    return [
        heap
        for heap, mean in found.items()
        if not heap.startswith(KMALLOC) and mean['time'] < ours['time'] and mean['footprint'] < ours['footprint']
    ]


def verdicts(found: dict[str, Any]) -> str:
    """What is required, and whether it is so."""
    ours = found[KMALLOC]
    ahead = ', '.join(ahead_in_both(found)) or 'none'
    rows = [
        ('allocators ahead of kmalloc in both time and footprint', 'none', ahead, ahead == 'none'),
        (TIME, f'{MOST_TIME:.2f}', f'{ours["net_time"]:.2f}', ours['net_time'] <= MOST_TIME),
        ('footprint', f'{MOST_FOOTPRINT:.2f}', f'{ours["footprint"]:.2f}', ours['footprint'] <= MOST_FOOTPRINT),
    ]
    words = {
        'net_time': f'ambition: {TIME}',
        'footprint': 'ambition: footprint',
        'time_of_two': 'ambition: two threads',
    }
    rows += [(words[name], f'{most:.2f}', f'{ours[name]:.2f}', ours[name] <= most) for name, most in AMBITIONS.items()]
    worst = ours['most_worst_ns']
    rows.append(('ambition: worst operation of all, ns', f'{MOST_WORST_NS}', f'{worst:,.0f}', worst <= MOST_WORST_NS))
    lines = ['| kmalloc | at most | is | met |', '|---|---|---|---|']
    return '\n'.join(
        [
            *lines,
            *(f'| {what} | {most} | {found} | {"yes" if is_met else "no"} |' for what, most, found, is_met in rows),
        ]
    )


def prices(found: dict[str, Any]) -> str:
    """What each level of hardening costs."""
    ours = found[KMALLOC]
    lines = ['| hardening | time, of that without | footprint |', '|---|---|---|']
    lines.append(f'| off | 1.00 | {ours["footprint"]:.2f} |')
    for heap, mean in found.items():
        if heap.startswith(LEVEL):
            time = mean['time'] / ours['time']
            lines.append(f'| {heap.removeprefix(LEVEL)} | {time:.2f} | {mean["footprint"]:.2f} |')
    return '\n'.join(lines)


def by_trace(bench: dict[str, Any], heading: str, name: str, form: str) -> str:
    """A line for each trace, a column for each heap."""
    found = {(row['trace'], row['heap']): row[name] for row in bench['figures']}
    lines = [f'| {heading} | {" | ".join(bench["means"])} |', '|---' * (1 + len(bench['means'])) + '|']
    for trace in bench['traces']:
        cells = [
            NO_FIGURE if (figure := found.get((trace['name'], heap))) is None else f'{figure:{form}}'
            for heap in bench['means']
        ]
        lines.append(f'| {trace["name"]} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def traces(bench: dict[str, Any]) -> str:
    """What was recorded."""
    glibc = {row['trace']: row['ns'] for row in bench['figures'] if row['heap'] == 'glibc'}
    lines = [
        '| trace | what the program does | operations | live at most: blocks | bytes | glibc, ns an operation |',
        '|---|---|---|---|---|---|',
    ]
    lines += [
        f'| {each["name"]} | {each["words"]} | {each["nr_operations"]:,} | {each["nr_live_at_most"]:,}'
        f' | {each["live_bytes_at_most"]:,} | {glibc[each["name"]]:.1f} |'
        for each in bench['traces']
    ]
    return '\n'.join(lines)


def summary(bench: dict[str, Any]) -> str:
    """On what it was measured."""
    machine = bench['machine']
    versions = ', '.join(f'{name} {version}' for name, version in bench['versions'].items())
    return '\n'.join(
        [
            f'Measured on {machine["processor"]} with {machine["processors"]} processors and a load of '
            f'{machine["load"]} before it began,',
            f'LLVM {machine["llvm"]}, {machine["gcc"]}; {bench["nr_rounds"]} rounds;',
            f'{versions}.',
        ]
    )
