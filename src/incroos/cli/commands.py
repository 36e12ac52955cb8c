"""The commands of `incroos`: parse, call, print. What they do is in `run` and `build`."""

import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from click.core import ParameterSource

from incroos import broken_text
from incroos.run import names
from incroos.run.firmware import FIRMWARES, FORMATS, MIN_MEMORY_BYTES, PVH, bootable_file
from incroos.run.names import CHEAP, DEFAULT_HEAP, DEFAULT_KERNEL, HEAPS, KERNELS, LEVELS, LIBRARIES, NO_HARDENING
from incroos.run.outcome import Outcome, Status, Unusable

from .amounts import Memory, Seconds
from .channels import STANDARD_OUTPUT, OutputLost, put, say
from .programs import Variable, run_program
from .trace import trace

if TYPE_CHECKING:
    from incroos.inspect.ram import RamMachine
    from incroos.run.pc_program import OnPc

STATUSES: Final = """\b
Exit status:
  0         the self-test passed
  1         the self-test failed
  2         wrong usage
  3         panic
  4         triple fault
  5         hang: the time was over
  6         something is missing or unusable: QEMU, a linker, a path, a text
  130       interrupted
  143, 129  ended by SIGTERM, SIGHUP; so any signal: 128 and its number
"""
PROGRAMS: Final = 'modern'  # the kernel that runs programs unless another is asked for
LIBRARY: Final = 'library'  # beside the formats of images
SHARED: Final = 'shared'


def finish(outcome: Outcome) -> None:
    """End the command as the run ended."""
    if outcome.remark:
        say(outcome.remark)
    raise click.exceptions.Exit(outcome.status)


checked_option = click.option(
    '--checked', is_flag=True, help='Trap on overflow, on shifts beyond the word and on numbers that do not fit.'
)


config_option = click.option(
    '--config',
    type=click.Choice(list(KERNELS)),
    default=DEFAULT_KERNEL,
    show_default=True,
    help='Which kernel: 32 MiB at their own addresses (classic), or all of RAM from the upper half (modern), with five '
    'levels of page tables where the processor has them (modern-la57).',
)


@click.group(context_settings={'help_option_names': ['-h', '--help']})
@click.version_option(package_name='incroos')
def cli() -> None:
    """A memory manager for x86-64 kernels, written in Python.

    The same text runs interpreted on a simulated computer (sim), compiled on it (jit), and booted on a PC (qemu).

    \b
    Examples:
      incroos run ./hello              run a static Linux program on the kernel
      incroos run --on sim --break vm.fault ./hello
                                       stop in pdb at each of its page faults
      incroos boot                     boot the kernel where it boots best
      incroos boot --on sim            the same, each line interpreted by Python
      incroos build -o kernel.elf      the image, for QEMU -kernel, Firecracker, ...
      incroos build --format bios -o kernel.img
                                       a disk with it, for a PC with a BIOS
      incroos build --format uefi -o BOOTX64.EFI
                                       a program for UEFI firmware
      incroos build --root FOLDER --run /bin/sh -o kernel.elf
                                       an image that starts a program by itself
      incroos build --format shared --malloc -o heap
                                       the heap for LD_PRELOAD, in a folder
      incroos trace record -o FILE -- COMMAND
                                       what a program asks of malloc
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
@click.option(
    '--firmware',
    type=click.Choice(FIRMWARES),
    default=PVH,
    show_default=True,
    help="How the PC in QEMU starts the kernel: the ELF image by QEMU's loader (pvh), a disk by its BIOS (bios), or a"
    ' program by its UEFI firmware (uefi).',
)
@click.option(
    '--timeout', type=Seconds('boot'), default=120.0, show_default=True, help='Seconds until a boot counts as hung.'
)
@config_option
@click.option(
    '--hardening',
    type=click.Choice(list(LEVELS)),
    default=CHEAP,
    show_default=True,
    help='What the heap does against damage: believe what it reads (off), check its own words (cheap), or also find and'
    " name users' mistakes (full).",
)
@checked_option
@click.option('--stats', is_flag=True, help='In the end, print figures about memory; for --config modern.')
@click.option('--json', 'as_json', is_flag=True, help='With --stats: as one line of JSON.')
def boot(
    place: str,
    memory: int,
    accel: str,
    firmware: str,
    timeout: float,
    config: str,
    hardening: str,
    checked: bool,
    stats: bool,
    as_json: bool,
) -> None:
    """Build the kernel, boot it, and let it test itself.

    Standard output is what the kernel wrote to its serial port and nothing else, but for the figures of --stats behind
    it; remarks go to standard error.
    """
    from incroos.run import places
    from incroos.run.boot import Boot

    if accel != 'auto' and place in ('jit', 'sim'):
        raise click.UsageError(f'--accel {accel} is for QEMU, and this boot is on {place}: leave it away')
    if firmware != PVH and place in ('jit', 'sim'):
        raise click.UsageError(f'--firmware {firmware} is for QEMU, and this boot is on {place}: leave it away')
    if memory < MIN_MEMORY_BYTES[firmware]:
        least = MIN_MEMORY_BYTES[firmware] >> 20
        raise click.UsageError(f'Firmware {firmware} does not start the kernel with so little --memory: give {least}M')
    if as_json and not stats:
        raise click.UsageError('--json is for the figures: give --stats too')
    if stats and config != 'modern':
        raise click.UsageError(f'--stats is for --config modern, and this is {config}')
    wanted = Boot(
        memory_bytes=memory,
        seconds=timeout,
        console_sink=put,
        say=say,
        config=names.named_kernel(config, hardening),
        is_checked=checked,
        accel=accel,
        firmware=firmware,
        look=partial(put_statistics, as_json) if stats else None,
    )
    finish(places.boot(place, wanted))


def put_statistics(as_json: bool, ram: 'RamMachine') -> None:
    """Print the figures that the kernel left in its memory."""
    from incroos.inspect.statistics import statistics_of, table_of

    figures = statistics_of(ram)
    if not figures:
        say('there are no figures: the kernel did not get so far')
        return
    put(f'{json.dumps(figures)}\n'.encode() if as_json else f'\n{table_of(figures)}'.encode())


@cli.command()
@click.option(
    '-o',
    '--output',
    type=click.Path(allow_dash=True, path_type=Path),
    required=True,
    help='Where to write the image, - is standard output; of a library, the folder.',
)
@click.option(
    '--format',
    'image_format',
    type=click.Choice([*FORMATS, LIBRARY, SHARED]),
    default='elf',
    show_default=True,
    help='ELF with a PVH entry, for virtual machines; a disk that a BIOS starts, to be written onto a stick; a program'
    ' for UEFI firmware, which finds it as EFI/BOOT/BOOTX64.EFI on a stick; the memory manager as a static library for'
    ' kernels in C; the heap alone as a shared library for programs of this system, with a header for C.',
)
@click.option('--malloc', 'is_malloc', is_flag=True, help="shared: take malloc's own names too, for LD_PRELOAD.")
@click.option(
    '--heap', 'design', type=click.Choice(list(HEAPS)), help='shared: how the heap works.  [default: kmalloc]'
)
@click.option(
    '--hardening',
    type=click.Choice(list(LEVELS)),
    help='What the heap does against damage.  [default: off in a shared library, else cheap]',
)
@config_option
@checked_option
@click.option('--debug', is_flag=True, help='With DWARF that names Python files and lines; not optimised.')
@click.option(
    '--run',
    'command',
    metavar='COMMAND',
    help='elf, bios, uefi: start this static Linux program by itself, as incroos run does, with its arguments behind'
    ' its path, quoted as for a shell. It has the first serial port as its terminal; the screen shows what it writes,'
    ' and a keyboard is not read.',
)
@click.option(
    '--root',
    type=click.Path(path_type=Path),
    help='--run: a folder that is / for the program, whose path is one in it. Its files are written into the image.',
)
@click.option(
    '--env',
    'environment',
    type=Variable(),
    multiple=True,
    help='--run: a variable of the environment, which is empty otherwise; may be given more than once.',
)
@click.option('--json', 'as_json', is_flag=True, help='Print what was built as JSON.')
@click.pass_context
def build(
    context: click.Context,
    output: Path,
    image_format: str,
    is_malloc: bool,
    design: str | None,
    hardening: str | None,
    config: str,
    checked: bool,
    debug: bool,
    command: str | None,
    root: Path | None,
    environment: tuple[bytes, ...],
    as_json: bool,
) -> None:
    """Build the kernel as an image that boots, or its memory manager or heap as a library.

    The image tests the memory manager; with --run it starts a program instead.

    \b
    Examples:
      incroos build --root FOLDER --run /bin/sh -o kernel.elf
      qemu-system-x86_64 -kernel kernel.elf -nographic
                                       a shell on the kernel; Ctrl-A X ends QEMU
      incroos build --format bios --root FOLDER --run '/bin/sh -c "ls /"' -o disk
      qemu-system-x86_64 -drive format=raw,file=disk -nographic
    """
    from incroos.run import images
    from incroos.run.pc_program import OnPc

    of_program = ('command', 'root', 'environment')
    if image_format == LIBRARY:
        refuse_options(context, ('is_malloc', 'design', 'debug', *of_program), f'--format {LIBRARY}')
        build_library(output, config, hardening, checked, as_json)
        return
    if image_format == SHARED:
        refuse_options(context, ('config', 'checked', 'debug', *of_program), f'--format {SHARED}')
        build_shared(output, is_malloc, design or DEFAULT_HEAP, hardening or NO_HARDENING, as_json)
        return
    refuse_options(context, ('is_malloc', 'design'), f'--format {image_format}')
    if os.path.isdir(output):  # which answers for a name that is too long, too
        raise click.UsageError(f'{str(output)!r} is a directory: name a file with -o')
    if output == STANDARD_OUTPUT and as_json:
        raise click.UsageError('The image and --json cannot both go to standard output: name a file with -o')
    if command is not None:
        settings = names.named_kernel(config_of_programs(context, config), hardening or CHEAP)
        build_program(output, OnPc(command, root, environment), image_format, settings, checked, debug, as_json)
        return
    if root is not None or environment:
        raise click.UsageError(f'{"--env" if root is None else "--root"} is for a program: name one with --run')
    settings = names.named_kernel(config, hardening or CHEAP)
    if output == STANDARD_OUTPUT:
        image = images.kernel_image(say, config=settings, checked=checked, debug=debug)
        put(bootable_file(FORMATS[image_format], image, say).read_bytes())
        return
    built = images.write(output, checked=checked, debug=debug, say=say, image_format=image_format, config=settings)
    if as_json:
        put(f'{json.dumps(built)}\n'.encode())
    else:
        say(f'{output}: {built["bytes"]:,} bytes, deepest stack {built["stack_bytes"]:,} bytes')


def config_of_programs(context: click.Context, config: str) -> str:
    """Which kernel runs programs: the one that was asked for, or else modern."""
    if context.get_parameter_source('config') != ParameterSource.COMMANDLINE:
        return PROGRAMS
    if config == DEFAULT_KERNEL:
        raise click.UsageError(f'--config {config} runs no programs: take {PROGRAMS}, or leave it away')
    return config


def build_program(
    output: Path,
    program: 'OnPc',
    image_format: str,
    config: names.NamedConfig,
    checked: bool,
    debug: bool,
    as_json: bool,
) -> None:
    """Build an image that starts a program, and write it."""
    from incroos.run.images import write_image
    from incroos.run.pc_program import NoCommand, artefact_of

    try:
        content, built = artefact_of(program, image_format, say, config=config, checked=checked, debug=debug)
    except NoCommand as error:
        raise click.BadParameter(str(error), param_hint="'--run'") from None
    if output == STANDARD_OUTPUT:
        put(content)
        return
    write_image(output, content)
    if as_json:
        put(f'{json.dumps({"path": str(output), "bytes": len(content), **built})}\n'.encode())
    else:
        megabytes = -(-built['memory_bytes'] >> 20)
        say(f'{output}: {len(content):,} bytes, for a PC with at least {megabytes:,}M of RAM')


def refuse_options(context: click.Context, names: tuple[str, ...], what: str) -> None:
    """Wrong usage where one of these options was given, which mean nothing for what is built."""
    for parameter in context.command.params:
        given = parameter.name and context.get_parameter_source(parameter.name) == ParameterSource.COMMANDLINE
        if given and parameter.name in names:
            raise click.UsageError(f'{parameter.opts[0]} is not for {what}: leave it away')


def build_shared(folder: Path, is_malloc: bool, design: str, hardening: str, as_json: bool) -> None:
    """Build the heap as a shared library, and write it and its header into a folder."""
    from incroos.run import shared_library

    if folder == STANDARD_OUTPUT or (folder.exists() and not folder.is_dir()):
        raise click.UsageError(
            f'{str(folder)!r} is no folder, and a library and its header are written: name one with -o'
        )
    built = shared_library.write(folder, say=say, config=names.heap_config(design, hardening), is_malloc=is_malloc)
    if as_json:
        put(f'{json.dumps({**built, "design": design, "hardening": hardening})}\n'.encode())
    else:
        say(f'{built["path"]}: {built["bytes"]:,} bytes, heap {design}, hardening {hardening}')


def build_library(folder: Path, config: str, hardening: str | None, checked: bool, as_json: bool) -> None:
    """Write the C library and its header into a folder."""
    from incroos.run import library

    if config not in LIBRARIES:
        raise click.UsageError(f'A library is of --config {" or ".join(LIBRARIES)}, and this is {config}')
    if folder == STANDARD_OUTPUT or (folder.exists() and not folder.is_dir()):
        raise click.UsageError(
            f'{str(folder)!r} is no folder, and a library and its header are written: name one with -o'
        )
    settings = names.library_config(config, hardening or CHEAP)
    built = library.write(folder, config=settings, checked=checked, say=say)
    if as_json:
        put(f'{json.dumps(built)}\n'.encode())
    else:
        files = ', '.join(f'{name} of {nbytes:,} bytes' for name, nbytes in built['files'].items())
        say(f'{folder}: {files}; deepest stack {built["stack_bytes"]:,} bytes')


@cli.command()
@click.option('--config', type=click.Choice(list(KERNELS)), help='Only this kernel, not all of them.')
@click.option('--json', 'as_json', is_flag=True, help='Print the figures as JSON.')
def check(config: str | None, as_json: bool) -> None:
    """Check that the kernel and the simulated computer are kernel Python, without building anything."""
    from incroos.run.check import check

    chosen = [config] if config else KERNELS
    kernels = [names.kernel_config(name) for name in chosen]
    nr_functions = check(kernels, [names.library_config(name) for name in chosen if name in LIBRARIES])
    line = json.dumps({'functions': nr_functions}) if as_json else f'kernel Python: {nr_functions} functions'
    put(f'{line}\n'.encode())


@cli.command()
@click.option(
    '--break', 'at', default='kmalloc', show_default=True, help='Where gdb stops first: function or file:line.'
)
@click.option('--memory', type=Memory(), default='64M', show_default=True, help='RAM of the machine.')
def gdb(at: str, memory: int) -> None:
    """Boot an image with debug information in QEMU, stopped in gdb at a line of Python."""
    from incroos.run.gdb import NoSuchPlace, debug_kernel

    try:
        raise click.exceptions.Exit(debug_kernel(at, memory, say))
    except NoSuchPlace as error:
        raise click.UsageError(str(error)) from None


cli.add_command(trace)
cli.add_command(run_program)


def run() -> int:
    """Run the command that the arguments name; its status. Failures that can be foreseen are a sentence."""
    try:
        return int(cli.main(prog_name='incroos', standalone_mode=False) or Status.PASSED)
    except click.UsageError as error:
        say_usage(error)
        return Status.WRONG_USAGE
    except OutputLost as lost:
        say(f'{lost.channel} cannot be written ({lost}): direct it elsewhere')
        return Status.UNUSABLE
    except Exception as error:
        say(sentence_about(error))
        return Status.UNUSABLE


def sentence_about(error: Exception) -> str:
    """What to say about a failure that can be foreseen; any other is a bug, and is raised again."""
    if isinstance(error, MemoryError):  # first: what follows is imported, which takes memory
        return 'this computer has not enough free memory: end something else first'
    if sentence := broken_text.sentence_about(error):
        return sentence
    from incroos.build.errors import BuildError
    from incroos.lang import ConfigError
    from incroos.lang.frontend.refusal import Refused  # slow, and rarely needed

    if isinstance(error, Unusable | BuildError | ConfigError | Refused):
        return str(error)
    if isinstance(error, OSError):
        what = f'{error.filename}: {error.strerror}' if error.filename else error.strerror or str(error)
        return f'the system refuses what this needs ({what}): free some space, files or processes'
    raise error


def say_usage(error: click.UsageError) -> None:
    """What is wrong with the arguments, or the help where there are none."""
    command = error.ctx.command_path if error.ctx else 'incroos'
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        say(f'name a command\n\n{error.format_message()}')
    else:
        message = error.format_message().rstrip('.').replace('\n', ' ')
        say(f'{message[0].lower()}{message[1:]} ({command} --help says more)')
