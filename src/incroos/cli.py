"""The command `incroos`: parses, calls, prints. What it does is in `run` and `build`."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any, Final

import click

from .run.outcome import Outcome, Status, Unusable

UNITS: Final = {'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30, 'T': 1 << 40}
STATUSES: Final = """\b
Exit status:
  0    the self-test passed
  1    the self-test failed
  2    wrong usage
  3    panic
  4    triple fault
  5    hang: the time was over
  6    something is missing or unusable: QEMU, a linker, a path
  130  interrupted
"""


class Memory(click.ParamType[int]):
    """An amount of memory: a number with K, M, G or T."""

    name = 'amount'

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r'(\d+)([KMGT])(i?B)?', value, re.IGNORECASE)
        if not match:
            self.fail(f'{value!r} is not an amount of memory: write a number with K, M, G or T, as 64M', param, ctx)
        nbytes = int(match[1]) * UNITS[match[2].upper()]
        if nbytes < 2 << 20:
            self.fail(f'{value} is less than the kernel needs to start: give it 2M or more', param, ctx)
        if nbytes > 1 << 46:
            self.fail(f'{value} is more than the simulated processor can address: give it 64T or less', param, ctx)
        if nbytes % (4 << 10):
            self.fail(f'{value} is not a whole number of frames of 4K', param, ctx)
        return nbytes


class Seconds(click.ParamType[float]):
    """A positive number of seconds."""

    name = 'seconds'

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            self.fail(f'{value!r} is not a number of seconds: write one, as 30', param, ctx)
        if not 0 < seconds <= 86400:
            self.fail(f'{value} s is no time to boot in: write more than 0 and at most 86400', param, ctx)
        return seconds


def say(sentence: str) -> None:
    """A remark on standard error."""
    click.echo(f'incroos: {sentence}', err=True)


def write_out(data: bytes) -> None:
    """What the kernel wrote, as it comes."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def finish(outcome: Outcome) -> None:
    """End the command as the run ended."""
    if outcome.remark:
        say(outcome.remark)
    raise SystemExit(int(outcome.status))


checked_option = click.option(
    '--checked', is_flag=True, help='Trap on overflow, on shifts beyond the word and on numbers that do not fit.'
)


@click.group(context_settings={'help_option_names': ['-h', '--help']})
@click.version_option(package_name='incroos')
def cli() -> None:
    """A memory manager for x86-64 kernels, written in Python.

    The same text runs interpreted on a simulated computer (sim), compiled on it (jit), and booted on a PC (qemu).

    \b
    Examples:
      incroos boot                     boot the kernel where it boots best
      incroos boot --on sim            the same, each line interpreted by Python
      incroos build -o kernel.elf      the image, for QEMU -kernel, Firecracker, ...
    """


@cli.command(epilog=STATUSES)
@click.option(
    '--on',
    'place',
    type=click.Choice(['auto', 'qemu', 'jit', 'sim']),
    default='auto',
    show_default=True,
    help='Where: a PC in QEMU, the simulated computer compiled (jit) or interpreted (sim). auto takes QEMU where it is'
    ' installed, otherwise jit.',
)
@click.option('--memory', type=Memory(), default='64M', show_default=True, help='RAM of the machine, as 64M or 2G.')
@click.option(
    '--accel',
    type=click.Choice(['auto', 'kvm', 'tcg']),
    default='auto',
    show_default=True,
    help='How QEMU runs the processor: KVM, or emulation (tcg). auto takes KVM where it works and starts promptly.',
)
@click.option('--timeout', type=Seconds(), default=30.0, show_default=True, help='Seconds until a boot counts as hung.')
@checked_option
def boot(place: str, memory: int, accel: str, timeout: float, checked: bool) -> None:
    """Build the kernel, boot it, and let it test itself.

    Standard output is what the kernel wrote to its serial port and nothing else; remarks go to standard error.
    """
    from .run import places

    finish(places.boot(place, memory, accel, timeout, checked, write_out, say))


@cli.command()
@click.option(
    '-o', '--output', type=click.Path(dir_okay=False, path_type=Path), required=True, help='Where to write the image.'
)
@checked_option
@click.option('--debug', is_flag=True, help='With DWARF that names Python files and lines; not optimised.')
@click.option('--json', 'as_json', is_flag=True, help='Print what was built as JSON.')
def build(output: Path, checked: bool, debug: bool, as_json: bool) -> None:
    """Build the kernel as a freestanding ELF image with a PVH entry."""
    from .run import images

    built = images.write(output, checked=checked, debug=debug, say=say)
    if as_json:
        click.echo(json.dumps(built))
    else:
        say(f'{output}: {built["bytes"]:,} bytes, deepest stack {built["stack_bytes"]:,} bytes')


@cli.command()
@click.option('--json', 'as_json', is_flag=True, help='Print the figures as JSON.')
def check(as_json: bool) -> None:
    """Check that the kernel and the simulated computer are kernel Python, without building anything."""
    from .run import images

    checked = images.check()
    click.echo(json.dumps(checked) if as_json else f'kernel Python: {checked["functions"]} functions')


@cli.command()
@click.option(
    '--break', 'at', default='kmalloc', show_default=True, help='Where gdb stops first: function or file:line.'
)
@click.option('--memory', type=Memory(), default='64M', show_default=True, help='RAM of the machine.')
def gdb(at: str, memory: int) -> None:
    """Boot an image with debug information in QEMU, stopped in gdb at a line of Python."""
    from .run import images

    raise SystemExit(images.debug(at, memory, say))


def main() -> None:
    """Run the command; every failure is one sentence and a status."""
    from .lang.frontend.refusal import Refused

    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        raise_interrupted()
    except KeyboardInterrupt:
        raise_interrupted()
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else 'incroos'
        click.echo(f'{command}: {error.format_message()} ({command} --help says more)', err=True)
        raise SystemExit(int(Status.WRONG_USAGE)) from None
    except (Unusable, Refused) as error:
        say(str(error))
        raise SystemExit(int(Status.UNUSABLE)) from None
    except BrokenPipeError:  # whoever read our output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(int(Status.UNUSABLE)) from None


def raise_interrupted() -> None:
    """End as a program does that Ctrl-C ended."""
    say('interrupted')
    raise SystemExit(int(Status.INTERRUPTED)) from None
