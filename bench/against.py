"""`python -m bench --against COMMIT`: the present checkout and one of a commit, in turn.

Nothing is compared within one process: each checkout builds its executables with its own `bench` (side.py), and its
image with its own `incroos`. A row is comparable as long as both sides have one of that name, however different the
two kernels are inside. The twins in C run along; where their ratio is not 1, the machine was not quiet.
"""

import json
import os
import resource
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench.checkout import Checkout
from bench.executable import CannotBench
from bench.figures import Figure, geometric_mean
from bench.image_figures import nr_instructions
from bench.processes import PROCESSES, Process, seconds

NR_ROUNDS: Final = 9
WORSE: Final = 1.1  # the most that the mean of a group should be
HERE: Final = Path(__file__).parent
MODERN_IMAGE: Final = ('build', '--config', 'modern', '--json', '-o')

Say = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """One figure of both: medians, and the median of the ratios of runs side by side. Of the twins only the ratio."""

    name: str
    pattern: str
    unit: str
    before: float
    now: float
    ratio: float
    twin_ratio: float | None = None
    are_results_equal: bool = True

    @property
    def group(self) -> str:
        """Rows that are judged by their mean: those whose names begin with the same word."""
        return self.name.partition('-')[0]


@dataclass(frozen=True)
class Fact:
    """What is counted, not timed. None where a side has none."""

    name: str
    before: int | None
    now: int | None


@dataclass(frozen=True)
class Remarks:
    """Sentences: what could not be measured, and what only one side has, which is no failure."""

    missing: list[str] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)


class Side:
    """A checkout whose executables are built, and which times rows when asked. Ends with the block."""

    def __init__(self, checkout: Checkout, table: str, only: Iterable[str]) -> None:
        self.name = checkout.name
        # The checkout's own `bench`, not the one beside side.py.
        environment = {**os.environ, 'PYTHONPATH': str(checkout.folder)}
        self._process = subprocess.Popen(
            [checkout.python, '-P', HERE / 'side.py', table, *only],
            cwd=checkout.folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> 'Side':
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.read()  # an answer that nobody waits for any more
        self._process.wait()
        self._process.stdout.close()

    def read(self) -> dict[str, Any]:
        """The next line that it says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise CannotBench(f'the benchmarks of {self.name} ended without a word')
        said: dict[str, Any] = json.loads(line)
        if 'error' in said:
            raise CannotBench(f'{self.name}: {said["error"]}')
        return said

    def time(self, names: list[str]) -> dict[str, tuple[float, float, bool]]:
        """One sample of each row: ours, the twin's, and whether their results were equal."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # then there is no answer to read either
            self._process.stdin.write(json.dumps(names) + '\n')
            self._process.stdin.flush()
        samples: dict[str, tuple[float, float, bool]] = self.read()['samples']
        return samples


# ------------------------------------------------------------------ timing in turn
def in_turn(nr_rounds: int, before: Callable[[], Any], now: Callable[[], Any]) -> list[tuple[Any, Any]]:
    """What both gave in each round. Each round begins with the other one, so that to be first is no advantage."""
    pairs = []
    for round_ in range(nr_rounds):
        if round_ % 2 == 0:
            first = before()
            pairs.append((first, now()))
        else:
            first = now()
            pairs.append((before(), first))
    return pairs


def row_of(name: str, pattern: str, unit: str, pairs: Sequence[tuple[float, float]]) -> Row:
    """The statistic: medians, and the median of the ratios."""
    before, now = (statistics.median(side) for side in zip(*pairs, strict=True))
    return Row(name, pattern, unit, before, now, statistics.median(now / before for before, now in pairs))


def timed_rows(before: Side, now: Side, nr_rounds: int, remarks: Remarks, say: Say) -> list[Row]:
    """A row for each name that both have, in the groups of the present checkout."""
    say('compiling')
    old, new = before.read(), now.read()
    remarks.missing.extend(
        f'{side.name}: {words}' for side, told in ((before, old), (now, new)) for words in told['missing']
    )
    old_names, new_names = ([name for group in told['groups'] for name in group] for told in (old, new))
    remarks.alone.extend(f'{name}: only {before.name} has it' for name in old_names if name not in new_names)
    remarks.alone.extend(f'{name}: only {now.name} has it' for name in new_names if name not in old_names)
    rows = []
    for group in new['groups']:
        names = [name for name in group if name in old_names]
        if names:
            say(', '.join(names))
            try:
                pairs = in_turn(nr_rounds, partial(before.time, names), partial(now.time, names))
            except CannotBench as error:
                remarks.missing.append(f'{names[0]}: {error}')
                continue
            rows += [timed_row(name, new['words'][name], pairs) for name in names]
    return rows


def timed_row(name: str, words: str, rounds: list[tuple[Any, Any]]) -> Row:
    """One row of what both sides answered in each round."""
    pairs = [(before[name], now[name]) for before, now in rounds]
    twins = row_of(name, words, 'ns', [(before[1], now[1]) for before, now in pairs])
    return replace(
        row_of(name, words, 'ns', [(before[0], now[0]) for before, now in pairs]),
        twin_ratio=twins.ratio,
        are_results_equal=all(before[2] and now[2] for before, now in pairs),
    )


def processor_seconds(process: Process, folder: Path, command: Path) -> float:
    """One run: what it and its children took of the processor, which depends less on who else runs than the wall clock.

    No other child of this process may end meanwhile.
    """
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds(process, folder, command)
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    return end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime


def process_row(process: Process, before: Path, now: Path, nr_rounds: int) -> Row:
    """The command of both, each with a cache of its own; a cold one is empty in each run."""
    with tempfile.TemporaryDirectory(prefix='incroos-bench-') as folder:

        def run(command: Path, cache: str) -> float:
            if process.is_cold:
                return processor_seconds(process, Path(tempfile.mkdtemp(dir=folder)), command)
            warm = Path(folder, cache)
            if not warm.exists():
                warm.mkdir()
                seconds(process, warm, command)
            return processor_seconds(process, warm, command)

        pairs = in_turn(nr_rounds, lambda: run(before, 'before'), lambda: run(now, 'now'))
    return row_of(process.name, f'{process.pattern}; processor time', 's', pairs)


# ------------------------------------------------------------------ counting
def counts_of(checkout: Checkout) -> dict[str, int | None]:
    """What the image of `modern` that a checkout builds has in it; CannotBench with the command's last word."""
    with tempfile.TemporaryDirectory(prefix='incroos-bench-') as folder:
        image, count = Path(folder, 'kernel.elf'), Path(folder, 'count')
        found = subprocess.run(
            [checkout.python, '-P', HERE / 'counted.py', count, *MODERN_IMAGE, image],
            env={**os.environ, 'XDG_CACHE_HOME': folder},
            capture_output=True,
            text=True,
            check=False,
        )
        if found.returncode != 0:
            words = found.stderr.strip().splitlines() or ['it said nothing']
            raise CannotBench(f'incroos build of {checkout.name} ended with {found.returncode}: {words[-1]}')
        elf = image.read_bytes()
        return {
            # where map_page is inlined into its callers, map_in is what it consists of
            'instructions of map_page': nr_instructions(elf, 'map_page') or nr_instructions(elf, 'map_in'),
            'functions compiled': int(count.read_text()),
            'functions in the image': int(json.loads(found.stdout)['nr_functions']),
            'bytes of the image': len(elf),
        }


def facts_of(before: Checkout, now: Checkout, remarks: Remarks, say: Say) -> list[Fact]:
    """The same of both."""
    sides = []
    for checkout in (before, now):
        say(f'the image of {checkout.name}')
        try:
            sides.append(counts_of(checkout))
        except CannotBench as error:
            remarks.missing.append(str(error))
            sides.append({})
    return [Fact(name, sides[0].get(name), sides[1].get(name)) for name in dict.fromkeys([*sides[0], *sides[1]])]


# ------------------------------------------------------------------ all of it
def compare(
    before: Checkout, now: Checkout, table: str, only: Sequence[str], found_on: Any, say: Say
) -> dict[str, Any]:
    """The content of the JSON: rows, means by group, and for the main table what is counted, too."""
    remarks = Remarks()
    rows: list[Row] = []
    facts: list[Fact] = []
    is_main = table == 'main'
    timed = [process for process in PROCESSES if is_main and (not only or process.name in only)]
    executables = [name for name in only if name not in {process.name for process in PROCESSES}]
    if not only or executables:
        with Side(before, table, executables) as old, Side(now, table, executables) as new:
            try:
                rows += timed_rows(old, new, NR_ROUNDS, remarks, say)
            except CannotBench as error:
                remarks.missing.append(str(error))
    for process in timed:
        say(process.name)
        try:
            rows.append(process_row(process, before.command, now.command, NR_ROUNDS))
        except CannotBench as error:
            remarks.missing.append(f'{process.name}: {error}')
    if is_main:
        facts = facts_of(before, now, remarks, say)
    return {
        'machine': found_on,
        'before': before.name,
        'now': now.name,
        'rows': [{**asdict(row), 'group': row.group} for row in rows],
        'groups': [
            {'name': name, 'geometric_mean': mean, 'is_worse': mean > WORSE} for name, mean in means(rows).items()
        ],
        'facts': [asdict(fact) for fact in facts],
        **asdict(remarks),
    }


def means(rows: Iterable[Row]) -> dict[str, float]:
    """The geometric mean of the ratios of each group."""
    groups: dict[str, list[Figure]] = {}
    for row in rows:
        figure = Figure(row.name, row.pattern, row.unit, row.now, ratio=row.ratio)
        groups.setdefault(row.group, []).append(figure)
    return {name: mean for name, group in groups.items() if (mean := geometric_mean(group)) is not None}


def show(content: Any, console: Console) -> None:
    """The tables, for people."""
    found_on = content['machine']
    table = Table(title=f'{content["before"]} and {content["now"]}, {found_on["processor"]}, load {found_on["load"]}')
    table.add_column('figure')
    table.add_column('pattern')
    for column in ('before', 'now', 'ratio', 'of twins'):
        table.add_column(column, justify='right')
    table.add_column('')
    for row in content['rows']:
        before, now = (f'{row[side]:.4g} {row["unit"]}' for side in ('before', 'now'))
        twin = '' if row['twin_ratio'] is None else f'{row["twin_ratio"]:.2f}'
        table.add_row(row['name'], row['pattern'], before, now, f'{row["ratio"]:.2f}', twin, mark(row))
    groups = Table(title='geometric means')
    groups.add_column('group')
    groups.add_column('ratio', justify='right')
    groups.add_column('')
    for group in content['groups']:
        groups.add_row(group['name'], f'{group["geometric_mean"]:.2f}', 'WORSE' if group['is_worse'] else '')
    facts = Table(title='config modern')
    facts.add_column('count')
    for column in ('before', 'now', 'more by'):
        facts.add_column(column, justify='right')
    for fact in content['facts']:
        both = (fact['before'], fact['now'])
        more = '' if None in both else f'{fact["now"] - fact["before"]:+,}'
        facts.add_row(fact['name'], *('' if value is None else f'{value:,}' for value in both), more)
    for each in (table, groups, facts):
        if each.row_count:
            console.print(each)
    for sentence in content['alone']:
        console.print(sentence)
    for sentence in content['missing']:
        console.print(f'missing: {sentence}')


def mark(row: Any) -> str:
    """What is to be seen at a row."""
    if not row['are_results_equal']:
        return 'RESULTS DIFFER'
    return 'slower' if row['ratio'] > WORSE else ''
