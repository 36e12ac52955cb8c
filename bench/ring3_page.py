"""The figures of programs in ring 3 as a table: what `python -m bench ring3` found, for docs/ring3-figures.md."""

from typing import Any, Final

from bench.linux_guest import Measured, store
from bench.ring3 import OPERATIONS

RESULT: Final = 'build/bench-ring3.json'
PAGE: Final = 'docs/ring3-figures.md'
SHORT: Final = (  # rows of the README
    'first-write',
    'mprotect-page',
    'munmap-page',
    'dontneed-page',
    'populate-page',
    'map-unmap',
    'fault-of-10',
    'fault-of-100000',
    'copy-on-write',
    'fork-exec-exit-wait',
)


def limit(value: float | None, unit: str) -> str:
    """What is required or hoped for, or nothing."""
    return '' if value is None else f'{value:,g}{unit}'


def section(bench: dict[str, Any]) -> str:
    """Instructions beside Linux's, then seconds, and on what they were measured."""
    rows = {row['name']: row for row in bench['rows']}
    lines = [
        '| instructions | Linux | ours | required | ambition | what Linux does more |',
        '|---|---|---|---|---|---|',
    ]
    for each in OPERATIONS:
        row = rows.pop(each.name)
        limits = f'{limit(row["at_most"], "")} | {limit(row["ambition"], "")}'
        lines.append(f'| {each.pattern} | {row["twin"]:,.0f} | {row["ours"]:,.0f} | {limits} | {each.more} |')
    lines += ['', '| time | ours | required |', '|---|---|---|']
    for row in rows.values():
        required = limit(row['at_most'], f' {row["unit"]}')
        lines.append(f'| {row["pattern"]} | {row["ours"]:.2f} {row["unit"]} | {required} |')
    machine, of_linux = bench['machine'], Measured(**bench['linux'])
    words = [
        '',
        'Instructions by `-icount shift=0,sleep=off` and `-cpu max,-erms,-fsrm`.',
        f'{of_linux.words()}, without mitigations, control groups of',
        'memory, and huge pages that nobody asks for. Linux also serves many processors, and most of what it does more',
        f'it does for that. Times on {machine["processor"]} with {machine["processors"]} processors and a load of',
        f'{machine["load"]}.',
    ]
    return '\n'.join([*lines, *words]) + '\n'


def short_section(bench: dict[str, Any]) -> str:
    """What the calls of memory cost, and a program that starts another, beside Linux's: for the README."""
    rows = {row['name']: row for row in bench['rows']}
    lines = ['| instructions | Linux | ours | required |', '|---|---|---|---|']
    for each in OPERATIONS:
        if each.name in SHORT:
            row = rows[each.name]
            lines.append(f'| {each.pattern} | {row["twin"]:,.0f} | {row["ours"]:,.0f} | {limit(row["at_most"], "")} |')
    return '\n'.join(lines) + '\n'


def keep(bench: dict[str, Any]) -> None:
    """Store Linux's figures of this table for machines that cannot have its kernel, unless they were stored before."""
    of_linux = Measured(**bench['linux'])
    if not of_linux.date:
        store(of_linux)
