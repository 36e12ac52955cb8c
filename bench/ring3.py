"""Programs in ring 3: instructions of an operation beside Linux's, and how long the places take.

Instructions are counted by `-icount` in QEMU: bench/c/ring3.c and bench/c/tasks.c measure themselves, on our kernel and
as init of Linux under the same command. What takes seconds is the command as a user types it.
"""

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import which
from typing import Any, Final

from bench import linux_guest
from bench.executable import C, CannotBench
from bench.figures import Figure, as_json
from bench.linux_guest import compiled, figures_in
from bench.processes import COMMAND
from incroos.kernel.state.run_info import CLOCK_IS_TSC
from incroos.run.outcome import Unusable
from incroos.run.program import Program
from incroos.run.program_places import run_program

HALF_OF_LINUX: Final = 0.0  # what is required follows from what Linux takes
LIKE_FEW: Final = -1.0  # and here from what we take with ten ranges
MOST_OF_FEW: Final = 1.5
Say = Callable[[str], None]
RUNS: Final = 5
MIB_PAGES: Final = 256
SIM_PAGES_MIB: Final = 4
JIT_MIB: Final = 256
JIT_ROUNDS: Final = 16


@dataclass(frozen=True)
class Operation:
    """A line of bench/c/ring3.c or tasks.c, what is required of it, and what Linux does more in it."""

    name: str
    pattern: str
    at_most: float | None
    ambition: float | None
    more: str


OPERATIONS: Final = (
    Operation(
        'system-call',
        'system call, there and back (getppid)',
        120,
        80,
        'looks up the parent under RCU, entry work for tracing, seccomp and signals',
    ),
    Operation(
        'first-write',
        'first write of a page',
        1100,
        900,
        'per-VMA locks, memory policy, accounting by process, lists for reclaim',
    ),
    Operation(
        'large-write',
        'the same where the program asks for large pages, a page of 4 KiB',
        None,
        None,
        'as above',
    ),
    Operation('first-read', 'first read of a page', 500, 350, 'per-VMA locks, statistics of processes'),
    Operation('mprotect-page', 'mprotect of 1,024 pages, a page', 15, 6, 'batches that other processors may interrupt'),
    Operation(
        'munmap-page', 'munmap of 1,024 pages, a page', 120, 60, 'lists for reclaim, gathering for other processors'
    ),
    Operation(
        'dontneed-page',
        'MADV_DONTNEED of 1,024 pages, a page',
        150,
        None,
        'lists for reclaim, gathering for other processors',
    ),
    Operation(
        'populate-page',
        'mmap with MAP_POPULATE of 1,024 pages, a page',
        800,
        600,
        'memory policy, accounting by process, lists for reclaim',
    ),
    Operation(
        'map-unmap',
        'mmap and munmap of 4 MiB that nobody touched',
        2000,
        900,
        'a maple tree under RCU, security hooks',
    ),
    Operation(
        'fault-of-10',
        'first write of a page in another of ten ranges',
        None,
        None,
        'per-VMA locks, memory policy, accounting by process, lists for reclaim',
    ),
    Operation(
        'fault-of-100000',
        'the same of 100,000 ranges',
        LIKE_FEW,
        None,
        'a maple tree, as deep as that',
    ),
    Operation(
        'copy-on-write',
        'first write of a page that another task has, too: it is copied',
        1300,
        1000,
        'per-VMA locks, memory policy, notifiers, lists for reclaim',
    ),
    Operation(
        'last-owner',
        'first write of a page that nobody else has any more',
        450,
        300,
        'per-VMA locks, the lock of a page',
    ),
    Operation(
        'fork-page',
        'fork, a resident page',
        30,
        12,
        'a reverse map by trees of VMAs, batches that others may interrupt',
    ),
    Operation(
        'fork-exit-wait',
        'fork, exit and wait',
        None,
        None,
        'threads, name spaces, accounting, scheduling on many processors',
    ),
    Operation(
        'fork-exec-exit-wait',
        'fork, exec, exit and wait of a static musl `return 0`',
        20_000,
        14_000,
        'credentials, security hooks, name spaces, scheduling on many processors',
    ),
    Operation(
        'pipe-round-trip',
        'a byte to another task and back, through two pipes',
        HALF_OF_LINUX,
        None,
        'locks of pipes and wait queues, fairness by virtual run time',
    ),
    Operation(
        'switch', 'a switch of tasks, with wait and wake', None, None, 'fairness by virtual run time, lazy TLBs, RCU'
    ),
)


def counted(program: Path) -> dict[str, float]:
    """Instructions of each operation on our kernel, in a root that holds the program and what is beside it."""
    output = bytearray()
    wanted = Program(
        f'/{program.name}',
        root=program.parent,
        memory_bytes=linux_guest.MEMORY_BYTES,
        seconds=linux_guest.SECONDS,
        output=output.extend,
        flags=CLOCK_IS_TSC,
        processor=linux_guest.PROCESSOR,
        extra=linux_guest.COUNTING,
    )
    try:
        ran = run_program('qemu', wanted)
    except Unusable as error:
        raise CannotBench(str(error)) from error
    if ran.exit_status != 0:
        raise CannotBench(f'the program ended with {ran.exit_status}: {ran.sentence} {bytes(output[-300:])!r}')
    return figures_in(output.decode())


def most_of(each: Operation, ours: dict[str, float], of_linux: dict[str, float]) -> float | None:
    """What is required of an operation."""
    if each.at_most == HALF_OF_LINUX:
        return of_linux[each.name] / 2
    return MOST_OF_FEW * ours['fault-of-10'] if each.at_most == LIKE_FEW else each.at_most


def operations(folder: Path, say: Say) -> tuple[list[Figure], linux_guest.Measured]:
    """Ours beside Linux's, and Linux's themselves."""
    root = folder / 'root'
    root.mkdir()
    programs = [compiled(C / f'{name}.c', root) for name in ('ring3', 'tasks')]
    beside = compiled(C / 'return_0.c', root)
    say('counting instructions on Linux')
    of_linux = linux_guest.measured_or_stored(programs, beside, say)
    say('counting instructions on our kernel')
    ours = {name: count for program in programs for name, count in counted(program).items()}
    figures = [
        Figure(
            each.name,
            each.pattern,
            'instructions',
            ours[each.name],
            twin=of_linux.figures[each.name],
            ratio=ours[each.name] / of_linux.figures[each.name],
            at_most=most_of(each, ours, of_linux.figures),
            ambition=each.ambition,
        )
        for each in OPERATIONS
    ]
    return figures, of_linux


def seconds(arguments: list[str], runs: int = RUNS) -> float:
    """The median of the time that `incroos run` takes, warm."""
    command = [str(COMMAND), 'run', *arguments]
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONDONTWRITEBYTECODE'}
    taken = []
    for _run in range(runs + 1):
        begin = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        taken.append(time.perf_counter() - begin)
        if done.returncode != 0:
            raise CannotBench(f'{" ".join(command[1:])} ended with {done.returncode}: {done.stderr[-300:].strip()}')
    return statistics.median(taken[1:])


def first_line_in_sim(_folder: Path) -> Figure:
    """From the key to the line."""
    busybox = which('busybox')
    if busybox is None:
        raise CannotBench('busybox is not installed: make setup should have done it')
    taken = seconds(['--on', 'sim', busybox, 'echo', 'a', 'line'])
    return Figure('sim-first-line', 'sim: busybox echo', 's', taken, at_most=2.0)


def prompt_in_sim(_folder: Path) -> Figure:
    """A shell that reads a command and ends."""
    busybox = which('busybox')
    if busybox is None:
        raise CannotBench('busybox is not installed: make setup should have done it')
    taken = seconds(['--on', 'sim', busybox, 'sh', '-c', 'echo "$PS1"'])
    return Figure('sim-prompt', 'sim: busybox sh, to its first line', 's', taken, at_most=2.0)


def fault_in_sim(folder: Path) -> Figure:
    """A program that touches pages, less one that touches none."""
    program = str(compiled(C / 'touch.c', folder))
    with_faults = seconds(['--on', 'sim', program, str(SIM_PAGES_MIB), '1'])
    taken = (with_faults - seconds(['--on', 'sim', program, '0', '1'])) / (SIM_PAGES_MIB * MIB_PAGES)
    return Figure('sim-fault', 'sim: a page fault', 'ms', taken * 1000, at_most=0.5)


def hello_in_jit(folder: Path) -> Figure:
    """Warm."""
    taken = seconds(['--on', 'jit', str(compiled(C / 'touch.c', folder))])
    return Figure('jit-hello', 'jit: incroos run of a program that prints a line, warm', 's', taken, at_most=0.7)


def faults_in_jit(folder: Path) -> Figure:
    """A program that touches pages, less one that touches none."""
    program = str(compiled(C / 'touch.c', folder))
    memory = ['--on', 'jit', '--memory', f'{JIT_MIB + 64}M', program]
    taken = seconds([*memory, str(JIT_MIB), str(JIT_ROUNDS)]) - seconds([*memory, '0', '1'])
    taken *= 1_000_000 / (JIT_MIB * MIB_PAGES * JIT_ROUNDS)
    return Figure('jit-faults', 'jit: a million page faults', 's', taken, at_most=1.0)


def all_of_16_gib(folder: Path) -> Figure:
    """One program has nearly all of it."""
    program = str(compiled(C / 'touch.c', folder))
    taken = seconds(['--on', 'qemu', '--memory', '16G', '--timeout', '600', program, str(16000), '1'], runs=1)
    return Figure('qemu-16g', 'QEMU: one program writes 16,000 MiB of 16 GiB', 's', taken)


WHOLE_RUNS: Final = (first_line_in_sim, prompt_in_sim, fault_in_sim, hello_in_jit, faults_in_jit, all_of_16_gib)


def content(found_on: dict[str, Any], say: Say) -> dict[str, Any]:
    """All figures of programs in ring 3."""
    missing: list[str] = []
    figures: list[Figure] = []
    of_linux: linux_guest.Measured | None = None
    with tempfile.TemporaryDirectory(prefix='incroos-bench-') as name:
        try:
            counts, of_linux = operations(Path(name), say)
            figures += counts
        except CannotBench as error:
            missing.append(str(error))
        for measure in WHOLE_RUNS:
            say(measure.__name__.replace('_', ' '))
            try:
                figures.append(measure(Path(name)))
            except CannotBench as error:
                missing.append(f'{measure.__name__}: {error}')
    return {**as_json(figures, found_on, missing), 'linux': of_linux and asdict(of_linux)}
