"""The command `incroos run`: a program of the host in ring 3 of the kernel. What it does is in `run`."""

import contextlib
import errno
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from incroos.run.outcome import Status

from . import Ended
from .amounts import Memory, Seconds
from .channels import STDERR, STDIN, STDOUT, OutputLost, closed_channels, put, put_error, raw_channels, say

if TYPE_CHECKING:
    from incroos.run.handover import Standard
    from incroos.run.program import Program, Ran
    from incroos.run.records import Told
    from incroos.run.strace import Trace

STATUSES: Final = """\b
Exit status:
  that of the program; of one that a signal ended, 128 and the signal's number
  2         wrong usage: nothing was started
  6         the program, or something that the place needs, is missing or
            unusable: nothing was started
  124       the time of --timeout was over
  125       the kernel panicked or met a triple fault, the processor of ring 3
            crashed, or standard output cannot be written
  130       interrupted, also by leaving pdb
Each of these of incroos's own comes with a sentence on standard error.
"""
PLACES: Final = ('jit', 'sim', 'qemu')


class Variable(click.ParamType[bytes]):
    """NAME=VALUE."""

    name = 'NAME=VALUE'

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        content = os.fsencode(value)
        if content.find(b'=') < 1:
            self.fail(f'{value!r} is no variable: write NAME=VALUE', param, ctx)
        return content


@click.command('run', epilog=STATUSES, context_settings={'allow_interspersed_args': False})
@click.option(
    '--on',
    'place',
    type=click.Choice(PLACES),
    default='jit',
    show_default=True,
    help='Where: the simulated computer, its kernel compiled (jit) or interpreted by Python (sim); or a PC in QEMU.',
)
@click.option('--memory', type=Memory(), default='64M', show_default=True, help='RAM of the machine, as 64M or 2G.')
@click.option('--timeout', type=Seconds('run'), help='Stop the program after so many seconds.  [default: never]')
@click.option(
    '--root',
    type=click.Path(path_type=Path),
    help='A folder that is / for the program: PROGRAM is a path in it. Nothing is written back. Without it the program'
    ' is alone in /.',
)
@click.option(
    '--env',
    'environment',
    type=Variable(),
    multiple=True,
    help='A variable of the environment, which is empty otherwise; may be given more than once.',
)
@click.option(
    '--interactive',
    is_flag=True,
    help='Somebody types: standard input is a terminal, and the program has one in which keys edit lines and send'
    ' signals. Ctrl-] ends the run. Time is real.',
)
@click.option('--calls', 'shows_calls', is_flag=True, help='Print each system call to standard error, as strace does.')
@click.option('--stats', is_flag=True, help='In the end, print figures to standard error.')
@click.option('--json', 'as_json', is_flag=True, help='With --stats: as one line of JSON.')
@click.option(
    '--break',
    'at',
    metavar='FUNCTION',
    help='With --on sim: stop in pdb at each call of this function of the kernel, as vm.fault or'
    ' abi.entry.on_syscall. pdb reads standard input and writes to standard error; the program has no input then.',
)
@click.argument('program')
@click.argument('arguments', nargs=-1, type=click.UNPROCESSED, metavar='[ARGUMENT...]')
def run_program(
    place: str,
    memory: int,
    timeout: float | None,
    root: Path | None,
    environment: tuple[bytes, ...],
    interactive: bool,
    shows_calls: bool,
    stats: bool,
    as_json: bool,
    at: str | None,
    program: str,
    arguments: tuple[str, ...],
) -> None:
    """Run PROGRAM, a static Linux program for x86-64, in user mode on the kernel.

    It has an address space of its own, and nothing of this computer but its arguments and standard input, output and
    error, which are those of this command: nothing is added to standard output. What follows PROGRAM is the program's,
    options too.

    \b
    Examples:
      incroos run ./hello
      incroos run --stats --calls /bin/busybox seq 3
      incroos run --root FOLDER --env LANG=C bin/sh -c 'echo *'
      incroos run --on sim --break vm.fault ./hello
      incroos run --root FOLDER --interactive /bin/sh
    """
    if as_json and not stats:
        raise click.UsageError('--json is for the figures: give --stats too')
    if at is not None and place != 'sim':
        raise click.UsageError(f'--break is for --on sim, where Python runs the kernel, and this is on {place}')
    if at is not None and timeout is not None:
        raise click.UsageError('--timeout is not for --break: pdb takes the time that you take')
    if interactive and at is not None:
        raise click.UsageError('--interactive is not for --break: pdb reads what is typed')
    if interactive and not os.isatty(STDIN):
        raise click.UsageError('--interactive is for typing, and standard input is no terminal')
    from incroos.run.program import Program
    from incroos.run.strace import Trace

    trace = Trace() if shows_calls else None
    wanted = Program(
        path=program,
        arguments=tuple(map(os.fsencode, arguments)),
        environment=environment,
        root=root,
        memory_bytes=memory,
        seconds=timeout,
        say=say,
        progress=say if os.isatty(STDERR) else lambda _: None,
        console=put_error,
        output=put,
        errors=put if is_one_file(STDOUT, STDERR) else put_error,
        input=STDIN,
        standard=[standard_of(descriptor) for descriptor in (STDIN, STDOUT, STDERR)],
        start_seconds=int(time.time()),
        calls=partial(put_trace, trace) if trace else None,
        on_record=lambda record: say_record(record, trace),
    )
    if interactive:
        raise click.exceptions.Exit(run_interactively(wanted, place, stats, as_json))
    raise click.exceptions.Exit(finish(wanted, place, at, stats, as_json))


def run_interactively(wanted: 'Program', place: str, stats: bool, as_json: bool) -> int:
    """Run it at the terminal that is standard input; the exit status."""
    from incroos.kernel.state.run_info import CLOCK_IS_TSC, INTERACTIVE
    from incroos.run.interactive import LEAVE_NAME, Keyboard

    keyboard = Keyboard(STDIN, leave=lambda: os.kill(os.getpid(), signal.SIGINT))
    wanted.check()
    try:
        with keyboard, raw_errors():
            say(f'{LEAVE_NAME} ends the run')
            rows, columns = keyboard.size()
            typed = replace(
                wanted,
                input=keyboard.input,
                flags=INTERACTIVE | (CLOCK_IS_TSC if place == 'qemu' else 0),  # elsewhere its counter is no clock
                rows=rows,
                columns=columns,
                environment=wanted.environment or default_environment(),
            )
            return finish(typed, place, None, stats, as_json)
    except Ended:
        if not keyboard.was_left:
            raise
        say(f'{LEAVE_NAME} ended the run')
        return Status.INTERRUPTED


@contextlib.contextmanager
def raw_errors() -> Iterator[None]:
    """Have lines on standard error begin at the left, where it is the terminal."""
    is_raw = os.isatty(STDERR)
    if is_raw:
        raw_channels.add(STDERR)
    try:
        yield
    finally:
        raw_channels.discard(STDERR)


def default_environment() -> tuple[bytes, ...]:
    """What a shell wants to know, and would have from whoever starts one at a terminal."""
    return (
        b'TERM=' + os.environb.get(b'TERM', b'linux'),
        b'HOME=/',
        b'PATH=/bin:/sbin:/usr/bin:/usr/sbin',
    )


def finish(wanted: 'Program', place: str, at: str | None, stats: bool, as_json: bool) -> int:
    """Run it, and say what there is to say; the exit status."""
    from incroos.run.program_places import run_program as run_it

    try:
        ran = run_stopping_at(at, wanted) if at is not None else run_it(place, wanted)
    except OutputLost as lost:
        return status_of_lost(lost)
    if ran.sentence:
        say(ran.sentence)
    if stats:
        put_figures(ran, as_json)
    return ran.exit_status


def run_stopping_at(at: str, wanted: 'Program') -> 'Ran':
    """Run it in sim, stopped in pdb at a function of the kernel. Ends the command where pdb is left."""
    from incroos.run.debugger import Debugger, DebuggerLeft, NoSuchFunction, find_function
    from incroos.run.program_places import run_program as run_it

    try:
        function = find_function(at)
    except NoSuchFunction as error:
        raise click.BadParameter(str(error), param_hint="'--break'") from None
    try:
        return run_it('sim', replace(wanted, input=b''), Debugger(function))
    except DebuggerLeft:
        say('pdb was left before the program ended')
        raise click.exceptions.Exit(Status.INTERRUPTED) from None


def status_of_lost(lost: OutputLost) -> int:
    """The status of a program whose output nobody takes any more: as if SIGPIPE had ended it where it is a pipe."""
    from incroos.run.ending import BY_SIGNAL
    from incroos.run.program import TROUBLE

    if lost.number == errno.EPIPE:
        say('SIGPIPE ended the program: nobody reads what it writes')
        return BY_SIGNAL + signal.SIGPIPE
    say(f'{lost.channel} cannot be written ({lost}): direct it elsewhere')
    return TROUBLE


def put_figures(ran: 'Ran', as_json: bool) -> None:
    """The figures that the kernel left, to standard error."""
    figures = ran.statistics
    if not figures:
        say('there are no figures: the kernel did not get so far')
    elif as_json:
        put_error(f'{json.dumps(figures)}\n'.encode())
    else:
        lines = (f'{name.replace("_", " "):<28}{value:>16,}\n' for name, value in figures.items())
        put_error(''.join(lines).encode())


def put_trace(trace: 'Trace', record: 'Told') -> None:
    """A system call or an end, in the words of strace."""
    put_error(f'{trace.line(record)}\n'.encode())


def say_record(record: 'Told', trace: 'Trace | None') -> None:
    """What is said of the other records as they come."""
    from incroos.kernel.state.records import RECORD_END
    from incroos.run.remarks import remark_on

    if remark := remark_on(record):
        say(remark)
    elif record.kind == RECORD_END and trace:
        put_trace(trace, record)


def is_one_file(one: int, other: int) -> bool:
    """Are both descriptors of the same file? Then the order of what is written to them is kept."""
    return os.path.sameopenfile(one, other)


def standard_of(descriptor: int) -> 'Standard':
    """What the program is told of a descriptor of this command."""
    from incroos.run.handover import Standard

    if descriptor in closed_channels:
        return Standard()
    facts = os.fstat(descriptor)
    return Standard(facts.st_mode, os.isatty(descriptor), facts.st_rdev)
