"""Runs the cases against their twins, and reads the output of the executable."""

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.cases import CASES, Case
from bench.executable import CannotBench, make
from bench.figures import Figure, against_twin


def measure(
    cases: list[Case], sample_us: int, nr_samples: int, most: int, say: Callable[[str], None]
) -> Iterator[Figure]:
    """A figure for each case. `most` limits the operations of a round, for trials; 0 leaves each case its own."""
    by_name = {case.name: case for case in CASES}
    with tempfile.TemporaryDirectory(prefix='incroos-bench-') as folder:
        say('compiling')
        command = [str(make(Path(folder))), str(sample_us), str(nr_samples), str(most), *(case.name for case in cases)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            for line in process.stdout:
                figure = of_line(line, by_name)
                say(figure.name)
                yield figure
            words = process.stderr.read().strip()
        if process.returncode != 0:
            raise CannotBench(words or f'the benchmarks ended with {process.returncode}')


def of_line(line: str, by_name: dict[str, Case]) -> Figure:
    """A line of bench/c/host.c."""
    name, _, equal, *samples = line.split()
    case = by_name[name]
    return against_twin(
        name,
        [float(sample) for sample in samples],
        equal == '1',
        pattern=case.pattern,
        at_most=case.at_most,
        ambition=case.ambition,
    )
