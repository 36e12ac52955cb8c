"""`python -m bench`, which is `make bench`: a table on standard output, and JSON in build/.

`python -m bench blocks` measures frames of all of RAM, at every size and fill. `python -m bench objects` measures slabs
and chunks with up to a million live blocks. `python -m bench` includes a few rows of both. `python -m bench heap`
measures the heap on traces of real programs, against other allocators. `python -m bench ring3` counts the instructions
of what programs in user mode ask for, beside Linux's.
"""

import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from shutil import which
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from bench import (
    against,
    blocks,
    checkout,
    frames_page,
    heap_page,
    heap_traces,
    objects,
    objects_page,
    processes,
    ring3,
    ring3_page,
    twins,
)
from bench.cases import CASES
from bench.executable import CannotBench
from bench.figures import MEAN_LIMIT, Figure, as_json, geometric_mean
from incroos.build.codegen import LLVM_VERSION
from incroos.build.whole_file import write_whole

RESULT: Final = Path('build/bench.json')
AGAINST: Final = Path('build/bench-against.json')
SAMPLE_US: Final = 10_000
NR_SAMPLES: Final = 9
ZEROING_ROUNDS: Final = 41  # a sample
WORST_RUNS: Final = 25  # of the same calls
DIGITS: Final = '.4g'
MAIN: Final = 'main'
BLOCKS: Final = 'blocks'
OBJECTS: Final = 'objects'
HEAP: Final = 'heap'
RING3: Final = 'ring3'
PAGES: Final = {BLOCKS: frames_page, OBJECTS: objects_page, HEAP: heap_page, RING3: ring3_page}
NAMES: Final = [
    *(each.name for each in (*CASES, *blocks.HEADLINES)),
    *objects.HEADLINES,
    *(each.name for each in processes.PROCESSES),
]


def say(sentence: str) -> None:
    """Progress."""
    click.echo(f'bench: {sentence}', err=True)


def machine() -> dict[str, Any]:
    """On what it was measured."""
    gcc = (
        subprocess.run(['gcc', '--version'], capture_output=True, text=True, check=False).stdout if which('gcc') else ''
    )
    return {
        'processor': processor(),
        'processors': os.cpu_count(),
        'load': round(os.getloadavg()[0], 2),
        'gcc': gcc.partition('\n')[0],
        'llvm': LLVM_VERSION,
        'python': platform.python_version(),
    }


def processor() -> str:
    """Its name, as Linux knows it."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except FileNotFoundError:
        return platform.processor()
    return next((line.partition(': ')[2] for line in lines if line.startswith('model name')), platform.machine())


def figures_of(names: set[str], missing: list[str]) -> list[Figure]:
    """All that were asked for; why one is missing goes on the list."""
    figures: list[Figure] = []
    try:
        cases = [case for case in CASES if case.name in names]
        if cases:
            figures += twins.measure(cases, SAMPLE_US, NR_SAMPLES, 0, say)
        headlines = [each for each in blocks.HEADLINES if each.name in names]
        if headlines:
            figures += blocks.measure_headlines(headlines, SAMPLE_US, NR_SAMPLES, say)
        of_objects = [name for name in objects.HEADLINES if name in names]
        if of_objects:
            figures += objects.measure_headlines(of_objects, SAMPLE_US, NR_SAMPLES, say)
    except CannotBench as error:
        missing.append(str(error))
    for process in processes.PROCESSES:
        if process.name in names:
            try:
                figures.append(processes.measure(process, process.runs, say))
            except CannotBench as error:
                missing.append(f'{process.name}: {error}')
    return figures


def blocks_content(found_on: dict[str, Any]) -> dict[str, Any]:
    """All figures of frames of all of RAM."""
    missing: list[str] = []
    figures: list[Figure] = []
    shares: list[tuple[str, float, float]] = []
    try:
        with blocks.built(say) as executable:
            figures += blocks.measure(executable, blocks.rows(), SAMPLE_US, NR_SAMPLES, 0, say)
            figures += blocks.measure_zeroing(executable, NR_SAMPLES, ZEROING_ROUNDS, say)
            shares += blocks.measure_fragmentation(executable, blocks.FRAGMENTATION_SIZES, say)
    except CannotBench as error:
        missing.append(str(error))
    fragmentation = [{'name': name, 'per_cent': share, 'ns': ns} for name, share, ns in shares]
    return {**as_json(figures, found_on, missing), 'fragmentation': fragmentation}


def objects_content(found_on: dict[str, Any]) -> dict[str, Any]:
    """All figures of slabs and chunks."""
    missing: list[str] = []
    figures: list[Figure] = []
    counts: list[tuple[str, float, float]] = []
    levels: list[tuple[str, dict[str, float], dict[str, float]]] = []
    worst: list[objects.Worst] = []
    try:
        with objects.built(say) as executable:
            figures += objects.measure(executable, objects.rows(), SAMPLE_US, NR_SAMPLES, 0, say)
            levels += objects.measure_levels(executable, objects.priced_rows(), SAMPLE_US, NR_SAMPLES, 0, say)
            worst += objects.measure_worst(executable, objects.worst_rows(), WORST_RUNS, objects.NR_SINGLE, say)
            counts += objects.count_instructions(executable, objects.counted_rows(), objects.COUNTED, say)
    except CannotBench as error:
        missing.append(str(error))
    return {
        **as_json(figures, found_on, missing),
        'instructions': [{'name': name, 'ours': ours, 'twin': twin} for name, ours, twin in counts],
        'worst': [asdict(each) for each in worst],
        'levels': [{'name': name, 'ns': taken, 'ratios': ratios} for name, taken, ratios in levels],
    }


def number(value: float | None, form: str) -> str:
    """A number, or nothing."""
    return '' if value is None else f'{value:{form}}'


def show(figures: list[Figure], found_on: dict[str, Any], missing: list[str]) -> None:
    """The table, for people."""
    table = Table(title=f'{found_on["processor"]}, {found_on["gcc"]}, LLVM {found_on["llvm"]}, load {found_on["load"]}')
    table.add_column('figure')
    table.add_column('pattern')
    for column in ('ours', 'C twin', 'ratio', 'required'):
        table.add_column(column, justify='right')
    table.add_column('met')
    for figure in figures:
        table.add_row(
            figure.name,
            figure.pattern,
            f'{figure.ours:{DIGITS}} {figure.unit}',
            number(figure.twin, DIGITS),
            number(figure.ratio, '.2f'),
            figure.required(),
            verdict(figure),
        )
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(table)
    mean = geometric_mean(figures)
    if mean is not None:
        met = 'met' if mean <= MEAN_LIMIT else 'not met'
        console.print(f'geometric mean of the ratios: {mean:.2f}, required {MEAN_LIMIT:g}: {met}')
    for sentence in missing:
        console.print(f'missing: {sentence}')


def verdict(figure: Figure) -> str:
    """Whether the row is as it should be."""
    if not figure.are_results_equal:
        return 'RESULTS DIFFER'
    if not figure.is_met:
        return 'NO'
    return 'yes, and the ambition' if figure.is_ambition_met else 'yes'


@click.command(context_settings={'help_option_names': ['-h', '--help']})
@click.argument('table', type=click.Choice([MAIN, *PAGES]), default=MAIN)
@click.option('--only', type=click.Choice(NAMES), multiple=True, help='Only this figure; may be given more than once.')
@click.option('--json', 'wants_json', is_flag=True, help='JSON on standard output, in place of the table.')
@click.option(
    '--against',
    'commit',
    metavar='COMMIT',
    help='Compare with a commit: it is checked out under build/against, set up there, and run in turn with this one.',
)
def main(table: str, only: tuple[str, ...], wants_json: bool, commit: str | None) -> None:
    """Time the compiled kernel against its twins in C, and the command as a whole.

    With `blocks`, only frames of all of RAM, but at every size and fill: some two minutes. With `objects`, only slabs
    and chunks, but with up to a million live blocks and at each level of hardening: some two minutes, too. With `heap`,
    real programs are recorded, and replayed against all allocators: a quarter of an hour, and it installs what it
    needs for that. With `ring3`, programs in user mode: instructions beside those of Linux, which is downloaded once
    and not installed, and how long the places take; some minutes.

    A figure is the median of nine runs, in turn with the twin's; the ratio is the median of those of runs side by side.
    Let nothing else run meanwhile.

    With `--against`, which `heap` and `ring3` do not have, rows are compared with those of the same name that a
    commit's own bench has: nine rounds in turn, and the ratio is now by before. It takes several times as long as
    without. Then come the means by group, of which one above 1.1 is marked, and what is counted in the image of
    `modern`. A slower row is no failure.
    """
    if table != MAIN and only:
        raise click.UsageError('--only is for the main table')
    if commit is not None:
        content = against_main(commit, table, only, wants_json)
    else:
        content = cases_main(only, wants_json) if table == MAIN else page_main(table, wants_json)
    if wants_json:
        click.echo(json.dumps(content, indent=2))
    are_equal = all(row['are_results_equal'] for row in content['rows'])
    raise SystemExit(0 if are_equal and not content['missing'] else 1)


def cases_main(only: tuple[str, ...], wants_json: bool) -> dict[str, Any]:
    """The main table."""
    missing: list[str] = []
    found_on = machine()
    figures = figures_of(set(only or NAMES), missing)
    content = as_json(figures, found_on, missing)
    save(RESULT, content)
    if not wants_json:
        show(figures, found_on, missing)
    return content


def against_main(commit: str, table: str, only: tuple[str, ...], wants_json: bool) -> dict[str, Any]:
    """Before and now."""
    if table in (HEAP, RING3):
        raise click.UsageError(f'--against is not for {table}')
    found_on = machine()
    before = checkout.set_up(commit, say)
    content = against.compare(before, checkout.Checkout('this checkout', checkout.ROOT), table, only, found_on, say)
    save(AGAINST if table == MAIN else AGAINST.with_stem(f'{AGAINST.stem}-{table}'), content)
    if not wants_json:
        against.show(content, Console(width=None if sys.stdout.isatty() else 150))
    return content


def page_main(table: str, wants_json: bool) -> dict[str, Any]:
    """The tables of a page of their own."""
    page = PAGES[table]
    content = CONTENTS[table](machine())
    save(Path(page.RESULT), content)
    if not wants_json and not content['missing']:
        click.echo(page.section(content))
    for sentence in content['missing']:
        say(f'missing: {sentence}')
    for row in content['rows']:
        if row['is_met'] is False:
            ratio = '' if row['ratio'] is None else f', ratio {row["ratio"]:.2f}'
            say(f'{row["name"]}: {row["ours"]:.2f} {row["unit"]}{ratio}: not met')
    return content


def heap_content(found_on: dict[str, Any]) -> dict[str, Any]:
    """All figures of the heap on traces of real programs."""
    return heap_traces.content(found_on, say)


def ring3_content(found_on: dict[str, Any]) -> dict[str, Any]:
    """All figures of programs in user mode."""
    return ring3.content(found_on, say)


CONTENTS: Final = {BLOCKS: blocks_content, OBJECTS: objects_content, HEAP: heap_content, RING3: ring3_content}


def save(path: Path, content: dict[str, Any]) -> None:
    """Keep a result."""
    path.parent.mkdir(exist_ok=True)
    write_whole(path, (json.dumps(content, indent=2) + '\n').encode())


main(prog_name='python -m bench')
