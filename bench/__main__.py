"""`python -m bench`, which is `make bench`: a table on standard output, and JSON in build/bench.json."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from shutil import which
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from bench import processes, twins
from bench.cases import CASES
from bench.executable import CannotBench
from bench.figures import MEAN_LIMIT, Figure, as_json, geometric_mean
from incroos.build.codegen import LLVM_VERSION

RESULT: Final = Path('build/bench.json')
SAMPLE_US: Final = 10_000
NR_SAMPLES: Final = 9
NAMES: Final = [*(case.name for case in CASES), *(process.name for process in processes.PROCESSES)]


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
    except CannotBench as error:
        missing.append(str(error))
    for process in processes.PROCESSES:
        if process.name in names:
            try:
                figures.append(processes.measure(process, process.runs, say))
            except CannotBench as error:
                missing.append(f'{process.name}: {error}')
    return figures


def number(value: float | None, digits: int) -> str:
    """A number, or nothing."""
    return '' if value is None else f'{value:.{digits}f}'


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
            f'{figure.ours:.2f} {figure.unit}',
            number(figure.twin, 2),
            number(figure.ratio, 2),
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
@click.option('--only', type=click.Choice(NAMES), multiple=True, help='Only this figure; may be given more than once.')
@click.option('--json', 'wants_json', is_flag=True, help='JSON on standard output, in place of the table.')
def main(only: tuple[str, ...], wants_json: bool) -> None:
    """Time the compiled kernel against its twins in C, and the command as a whole.

    A figure is the median of nine runs, in turn with the twin's; the ratio is the median of those of runs side by side.
    Let nothing else run meanwhile.
    """
    missing: list[str] = []
    found_on = machine()
    figures = figures_of(set(only or NAMES), missing)
    content = json.dumps(as_json(figures, found_on, missing), indent=2)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(content + '\n')
    if wants_json:
        click.echo(content)
    else:
        show(figures, found_on, missing)
    raise SystemExit(1 if missing or not all(figure.are_results_equal for figure in figures) else 0)


main(prog_name='python -m bench')
