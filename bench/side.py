"""One side of `python -m bench --against`: builds the benchmarks of the checkout that it runs in, and times rows.

bench/against.py starts it twice, each time under the Python of a checkout and with that checkout's own `bench`, which
may be older than this file or newer. It therefore asks little of `bench`: `make` and `measure` of the three
executables, and the names of their rows. It imports nothing else.

usage: side.py <table> [row ...]

The first line on standard output has the rows in groups, the words for each, and what is missing. Then each line on
standard input names rows, and a line on standard output answers with one sample of each: ours, the twin's, and whether
their results were equal. The end of standard input ends it.
"""

import json
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

SAMPLE_US: Final = 10_000
CASES: Final = 'cases'
BLOCKS: Final = 'blocks'
OBJECTS: Final = 'objects'
KINDS: Final = {'main': (CASES, BLOCKS, OBJECTS), BLOCKS: (BLOCKS,), OBJECTS: (OBJECTS,)}

Groups = dict[str, list[Any]]


def silent(_: str) -> None:
    """Progress is the other process's to tell."""


def groups_of(kind: str, is_whole: bool) -> Groups:
    """The rows of an executable, grouped as it runs them: all of them, or those in the main table."""
    if kind == CASES:
        return {case.name: [case] for case in import_module('bench.cases').CASES}
    module = import_module(f'bench.{kind}')
    if not is_whole:
        names = [name if isinstance(name, str) else name.name for name in module.HEADLINES]
        by_name = {row.name: row for row in module.rows()}
        return {name: [by_name[name]] for name in names}
    groups: Groups = {}
    for row in module.rows():
        key = (row.size, row.pattern.order, row.fill) if kind == BLOCKS else (row.load.name, row.live)
        groups.setdefault(str(key), []).append(row)
    return groups


def built(kind: str, folder: Path) -> Callable[[list[Any]], Iterator[Any]]:
    """What times rows of a kind: their figures, each of one sample."""
    folder.mkdir()
    if kind == CASES:
        executable = import_module('bench.executable').make(folder)
        twins: Any = import_module('bench.twins')
        twins.make = lambda _: executable  # `measure` would build it each time
        return lambda rows: twins.measure(rows, SAMPLE_US, 1, 0, silent)
    module = import_module(f'bench.{kind}')
    made = str(module.make(folder))
    return lambda rows: module.measure(made, rows, SAMPLE_US, 1, 0, silent)


def words_of(row: Any) -> str:
    """What a row is, for people."""
    pattern = row.pattern
    return str(getattr(row, 'words', pattern if isinstance(pattern, str) else pattern.words))


def answer(value: Any) -> None:
    """A line for the other process."""
    print(json.dumps(value), flush=True)


def main(table: str, only: set[str], folder: Path) -> None:
    """Build, say what there is, and time what is asked for."""
    groups: list[list[str]] = []
    words: dict[str, str] = {}
    missing: list[str] = []
    runs: dict[str, tuple[Callable[[list[Any]], Iterator[Any]], Any]] = {}
    for kind in KINDS[table]:
        try:
            found = [
                [row for row in group if not only or row.name in only]
                for group in groups_of(kind, is_whole=table != 'main').values()
            ]
            run = built(kind, folder / kind) if any(found) else None
        except ModuleNotFoundError as error:
            if error.name != f'bench.{kind}':  # which is younger than the commit: the rows are the other side's alone
                missing.append(f'{kind}: {error}')
            continue
        except Exception as error:  # whatever another commit's bench has not, or refuses
            missing.append(f'{kind}: {type(error).__name__}: {error}')
            continue
        for group in filter(None, found):
            groups.append([row.name for row in group])
            words |= {row.name: words_of(row) for row in group}
            runs |= {row.name: (run, row) for row in group if run}
    answer({'groups': groups, 'words': words, 'missing': missing})
    for line in sys.stdin:
        samples: dict[str, Any] = {}
        wanted: dict[Any, list[Any]] = {}
        for name in json.loads(line):
            run, row = runs[name]
            wanted.setdefault(run, []).append(row)
        try:
            for run, rows in wanted.items():
                for figure in run(rows):
                    samples[figure.name] = [figure.ours, figure.twin, figure.are_results_equal]
        except Exception as error:
            answer({'error': str(error)})
        else:
            answer({'samples': samples})


if __name__ == '__main__':
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the other process, and that this one
    with tempfile.TemporaryDirectory(prefix='incroos-bench-') as temporary:
        main(sys.argv[1], set(sys.argv[2:]), Path(temporary))
