"""The commands of `incroos trace`: record, convert, show, replay. What they do is in `lab`."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from incroos.lab.heaps import LEVELS, NAMES, OURS
from incroos.run.outcome import Status, Unusable

from .amounts import Amount
from .channels import STANDARD_OUTPUT, STDOUT, put, say

if TYPE_CHECKING:
    from incroos.lab.heaps import Heap
    from incroos.lab.operations import Trace

STATUSES = """\b
Exit status:
  0         done
  2         wrong usage
  6         something is missing or unusable: a trace, a C compiler, a library
"""
RECORD_STATUSES = """\b
Exit status:
  that of the command; of one that a signal ended, 128 and the signal's number
  2         wrong usage: nothing was started
  6         something is missing or unusable, and FILE was not written
"""
REPLAY_STATUSES = """\b
Exit status:
  0         done
  1         a heap went wrong: its answer, or what became of a block
  2         wrong usage
  6         something is missing or unusable: a trace, a C compiler, a library
"""
FILE = click.Path(path_type=Path)
OUTPUT = click.Path(dir_okay=False, allow_dash=True, path_type=Path)


@click.group()
def trace() -> None:
    """Record what a program asks of malloc, and replay it against allocators.

    \b
    Examples:
      incroos trace record -o gcc.trace --children -- gcc -c main.c
      incroos trace show gcc.trace
      incroos trace replay gcc.trace --heap glibc --heap mimalloc
    """


@trace.command(epilog=RECORD_STATUSES, context_settings={'allow_interspersed_args': False})
@click.option('-o', '--output', type=OUTPUT, required=True, help='Where to write the trace.')
@click.option(
    '--children', 'with_children', is_flag=True, help='Record the processes that the command starts, too: see above.'
)
@click.argument('command', nargs=-1, required=True, type=click.UNPROCESSED)
def record(output: Path, with_children: bool, command: tuple[str, ...]) -> None:
    """Run COMMAND and record each call of malloc and its kin in its process, by all threads.

    Its output is its own: nothing is added to it. A process that it starts is not
    recorded; with --children it is, as FILE.PID, and if it goes on as another program (exec) as FILE.PID.1 and so
    on. If the command itself goes on as another program, the last one is what FILE is of. A program that is linked
    statically, and one that runs with the rights of another user, cannot be recorded.
    """
    from incroos.lab.record import record as record_command

    if output == STANDARD_OUTPUT:
        raise click.UsageError("Standard output is the command's own: name a file with -o")
    raise click.exceptions.Exit(record_command(list(command), output, with_children, say))


@trace.command(epilog=STATUSES)
@click.argument('file', type=FILE)
@click.option('-o', '--output', type=OUTPUT, required=True, help='Where to write the trace, - is standard output.')
def convert(file: Path, output: Path) -> None:
    """Make a trace of FILE, which is a text of the malloc lab (.rep).

    If something is wrong with it, each defect is named with its line, and nothing is written.
    """
    from incroos.lab import binary, files

    with all_defects_told(), files.memory_for(file):
        content = binary.encode(files.read(file))
    if output == STANDARD_OUTPUT:
        put(content)
    else:
        files.write(content, output)


@trace.command(epilog=STATUSES)
@click.argument('file', type=FILE)
@click.option('--json', 'as_json', is_flag=True, help='As one line of JSON.')
def show(file: Path, as_json: bool) -> None:
    """Sum a trace up: its operations, what is live at most, the sizes of its requests."""
    from incroos.lab import files
    from incroos.lab.summary import summary_of

    with all_defects_told(), files.memory_for(file):
        summary = summary_of(files.read(file))
    if as_json:
        put(f'{json.dumps(summary.as_json())}\n'.encode())
    else:
        from incroos.lab.tables import summary_text

        put(summary_text(str(file), summary).encode(errors='backslashreplace'))


@trace.command('replay', epilog=REPLAY_STATUSES)
@click.argument('files', nargs=-1, required=True, type=FILE, metavar='FILE...')
@click.option(
    '--heap', 'heaps', type=click.Choice(NAMES), multiple=True, help='Only this allocator; may be given more than once.'
)
@click.option(
    '--hardening',
    'levels',
    type=click.Choice(LEVELS),
    multiple=True,
    help='Ours with this level, the others as they are; may be given more than once.  [default: off]',
)
@click.option(
    '--threads', type=click.IntRange(1, 64), default=1, show_default=True, help='Replay it in so many threads at once.'
)
@click.option('--rounds', type=click.IntRange(1, 99), default=9, show_default=True, help='Of which the median counts.')
@click.option(
    '--memory', type=Amount(), help='How much memory a replay may take, as 512M or 4G.  [default: what is free]'
)
@click.option('--json', 'as_json', is_flag=True, help='A line of JSON for each trace, in the place of a table.')
def replay_files(
    files: tuple[Path, ...],
    heaps: tuple[str, ...],
    levels: tuple[str, ...],
    threads: int,
    rounds: int,
    memory: int | None,
    as_json: bool,
) -> None:
    """Replay traces against allocators, all of them driven by the same loop, in turn.

    kmalloc, dlmalloc, slab and first-fit are ours, glibc is the malloc of this system; the others are replayed where
    they are installed. The threads that a trace was recorded from are one here: with --threads 2 two replay it, each
    for itself. docs/traces.md says what each figure is.
    """
    from incroos.lab import files as trace_files
    from incroos.lab.heaps import heaps as find_heaps

    if levels and heaps and not set(heaps) & set(OURS):
        raise click.UsageError(f'--hardening is for {", ".join(OURS)}, and --heap names none of them: leave it away')
    with all_defects_told():  # in any of the traces, before minutes are spent on the first
        traces = {}
        for file in files:
            with trace_files.memory_for(file):
                traces[file] = trace_files.read(file)
    found = find_heaps(heaps, levels, say)
    went_wrong = [
        sentence
        for file, content in traces.items()
        for sentence in put_replay(file, content, found, threads, rounds, memory, as_json)
    ]
    if went_wrong:
        raise click.exceptions.Exit(Status.FAILED)


@contextmanager
def all_defects_told() -> Iterator[None]:
    """A remark for each defect of a trace; the last one is that of the command."""
    from incroos.lab.operations import BadTrace

    try:
        yield
    except BadTrace as error:
        *others, last = str(error).splitlines()
        for sentence in others:
            say(sentence)
        raise Unusable(last) from None


def put_replay(
    file: Path,
    content: 'Trace',
    found: 'list[Heap]',
    threads: int,
    rounds: int,
    memory: int | None,
    as_json: bool,
) -> list[str]:
    """Replay a trace and print what it took; a sentence for each heap that went wrong."""
    from incroos.lab.replay import TooMuch, heaps_for, replay

    able = heaps_for(content, found, str(file), say)
    try:
        result = replay(content, able, threads, rounds, say, memory)
    except TooMuch as error:
        raise Unusable(f'{file}: {error}') from error
    if as_json:
        put(f'{json.dumps({"trace": str(file), **result.as_json()})}\n'.encode())
    else:
        from incroos.lab.tables import replay_table, text_of

        width = shutil.get_terminal_size().columns if os.isatty(STDOUT) else None
        put(text_of(replay_table(str(file), result), width).encode(errors='backslashreplace'))
    for sentence in result.failures.values():
        say(f'{file}: {sentence}')
    return list(result.failures.values())
