"""The figures of whole processes: the command as a user types it, from start to end, in wall-clock time."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.executable import CannotBench
from bench.figures import Figure

COMMAND: Final = Path(sys.executable).parent / 'incroos'


@dataclass(frozen=True)
class Process:
    """One figure. Each run is cold, with an empty cache, or the cache is filled by one run before the first.

    `{folder}` in an argument is a folder to write in.
    """

    name: str
    pattern: str
    arguments: tuple[str, ...]
    at_most: float
    ambition: float | None = None
    is_cold: bool = False
    runs: int = 5


PROCESSES: Final = (
    Process(
        'build-cold',
        'incroos build, no image in the cache',
        ('build', '-o', '{folder}/kernel.elf'),
        at_most=10.0,
        ambition=3.0,
        is_cold=True,
    ),
    Process(
        'boot-qemu', 'incroos boot in QEMU without KVM, warm', ('boot', '--on', 'qemu', '--accel', 'tcg'), at_most=1.0
    ),
    Process('boot-jit', 'incroos boot in jit, warm', ('boot', '--on', 'jit'), at_most=1.0),
    Process('boot-sim', 'incroos boot in sim', ('boot', '--on', 'sim'), at_most=5.0),
)


def seconds(process: Process, folder: Path, command: Path = COMMAND) -> float:
    """One run of the command with cache and bytecode in a folder; CannotBench with its words when it fails."""
    arguments = [argument.format(folder=folder) for argument in process.arguments]
    if not command.exists():
        raise CannotBench(f'there is no {command}')
    environment = {**os.environ, 'XDG_CACHE_HOME': str(folder), 'PYTHONPYCACHEPREFIX': str(folder / 'bytecode')}
    environment.pop('PYTHONDONTWRITEBYTECODE', None)
    begin = time.perf_counter()
    found = subprocess.run([command, *arguments], capture_output=True, text=True, check=False, env=environment)
    taken = time.perf_counter() - begin
    if found.returncode != 0:
        words = found.stderr.strip().splitlines() or ['it said nothing']
        raise CannotBench(f'incroos {" ".join(arguments)} ended with {found.returncode}: {words[-1]}')
    return taken


def measure(process: Process, runs: int, say: Callable[[str], None]) -> Figure:
    """The median of its runs."""
    say(process.name)
    with tempfile.TemporaryDirectory(prefix='incroos-bench-') as folder:
        folders = [Path(folder, str(index) if process.is_cold else 'warm') for index in range(runs)]
        for each in folders:
            each.mkdir(exist_ok=True)
        if not process.is_cold:
            seconds(process, folders[0])
        taken = [seconds(process, each) for each in folders]
    return Figure(
        process.name,
        process.pattern,
        's',
        statistics.median(taken),
        at_most=process.at_most,
        ambition=process.ambition,
    )
