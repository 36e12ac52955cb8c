"""Static programs of the host, built once, and run on the host and on our kernel: output and end must be equal.

Knows nothing of what the programs do: tests/run/ring3_cases.py lists them, tests/run/programs has their sources.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from incroos.kernel.state.run_info import CHECK_IN_THE_END
from incroos.run.outcome import Status
from incroos.run.program import Program, Ran
from incroos.run.program_places import run_program

from ..budget import SECONDS

SOURCES: Final = Path(__file__).parent / 'programs'
ATTACKS: Final = Path(__file__).parent / 'attacks'
BUILT: Final = Path(__file__).parents[2] / 'build' / 'programs'
FLAGS: Final = ('-O1', '-Wall', '-Wextra', '-Werror', '-Wno-clobbered', '-Wno-stringop-overflow')
MORE_FLAGS: Final = ('-Wno-infinite-recursion', f'-I{SOURCES}')
MUSL: Final = Path('/usr/lib/x86_64-linux-musl')
# The musl-gcc of Debian 12 makes a dynamic program of -static-pie: what it should pass on is here.
MUSL_PIE: Final = ('-fPIE', '-static', '-nostartfiles', '-Wl,-pie,--no-dynamic-linker,-z,text')
BUILDS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {  # before and after the source
    'musl': (('musl-gcc', '-static', '-no-pie'), ('-lm',)),
    'musl-pie': (
        ('musl-gcc', *MUSL_PIE, str(MUSL / 'rcrt1.o'), str(MUSL / 'crti.o')),
        ('-lm', str(MUSL / 'crtn.o')),
    ),
    'glibc': (('gcc', '-static', '-no-pie'), ('-lm',)),
    'glibc-pie': (('gcc', '-static-pie', '-fPIE'), ('-lm',)),
}
C_PLUS_PLUS: Final = (('g++', '-static', '-no-pie'), ())
STACK_LIMIT: Final = 8 << 20


@dataclass(frozen=True)
class Seen:
    """How a program ended, and what it wrote. `signal` is 0 when it ended by itself; then `status` is 0, too."""

    stdout: bytes
    stderr: bytes
    status: int
    signal: int


@dataclass(frozen=True)
class Case:
    """A program with what it is given.

    `files` of its root are bytes, a text for a symbolic link, or None for a folder.
    """

    name: str
    source: str
    arguments: tuple[str, ...] = ()
    input: bytes = b''
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes | str | None] = field(default_factory=dict)
    memory_bytes: int = 64 << 20
    in_sim: bool = False  # also in the usual suite: it needs few instructions


def built(source: Path, build: str, *more: str) -> Path:
    """The program of a source, in a cache by the content of source, header and command."""
    before, after = BUILDS[build] if source.suffix == '.c' else C_PLUS_PLUS
    command = [*before, *FLAGS, *MORE_FLAGS, *more, str(source)]
    headers = sorted({*SOURCES.glob('*.h'), *source.parent.glob('*.h')})
    texts = [source.read_bytes(), *(header.read_bytes() for header in headers), repr((command, after)).encode()]
    digest = hashlib.sha256(b'\0'.join(texts)).hexdigest()[:16]
    program = BUILT / f'{digest}-{build}' / source.stem
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        own = program.with_name(f'{source.stem}.{os.getpid()}')
        done = subprocess.run(
            [*command, '-o', str(own), *after], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr
        own.replace(program)
    return program


def make_root(folder: Path, program: Path, files: Mapping[str, bytes | str | None]) -> None:
    """The folder that a program finds as its root, with the program in it under its own name."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, folder / program.name)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        elif isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)


def on_host(program: Path, case: Case, folder: Path) -> Seen:
    """What Linux makes of it: alone in its folder, with our limits and no addresses at random."""
    limits = f'ulimit -c 0; ulimit -s {STACK_LIMIT >> 10}; exec "$@"'
    environment = [f'{name}={value}' for name, value in case.environment.items()]
    command = [
        'sh',
        '-c',
        limits,
        'sh',
        'setarch',
        '-R',
        'env',
        '--default-signal',  # a program begins with none ignored, whoever started these tests
        '-i',
        *environment,
        f'./{program.name}',
        *case.arguments,
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        input=case.input,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    return Seen(done.stdout, done.stderr, max(done.returncode, 0), max(-done.returncode, 0))


def in_place(place: str, program: Path, case: Case, folder: Path, **more: Any) -> tuple[Seen, Ran]:
    """What our kernel makes of it; its checkers have found nothing, and no frame is lost."""
    stdout, stderr, console = bytearray(), bytearray(), bytearray()
    with tempfile.TemporaryFile() as file:
        file.write(case.input)
        file.seek(0)
        wanted = Program(
            arguments=[os.fsencode(argument) for argument in case.arguments],
            environment=[os.fsencode(f'{name}={value}') for name, value in case.environment.items()],
            root=folder,
            memory_bytes=case.memory_bytes,
            seconds=SECONDS,
            input=file.fileno(),
            output=stdout.extend,
            errors=stderr.extend,
            console=console.extend,
            **{'path': f'./{program.name}', 'flags': CHECK_IN_THE_END, **more},
        )
        ran = run_program(place, wanted)
    assert ran.machine.status == Status.PASSED, (ran.machine.remark, bytes(console[-2000:]), bytes(stdout[-300:]))
    assert ran.ending is not None, bytes(console[-2000:])
    return Seen(bytes(stdout), bytes(stderr), ran.ending.status, ran.ending.signal), ran


def compare(place: str, program: Path, case: Case, folder: Path) -> None:
    """The same on the host and here."""
    make_root(folder, program, case.files)
    expected = on_host(program, case, folder)
    found, ran = in_place(place, program, case, folder)
    assert found == expected, difference(found, expected, ran)


def difference(found: Seen, expected: Seen, ran: Ran) -> str:
    """For people: how both ended, and where their outputs part."""
    parts = [f'ended with {found.status} {found.signal}, and not {expected.status} {expected.signal}: {ran.sentence}']
    for name, ours, theirs in (('stdout', found.stdout, expected.stdout), ('stderr', found.stderr, expected.stderr)):
        if ours != theirs:
            pairs = enumerate(zip(ours, theirs, strict=False))
            at = next((index for index, (one, other) in pairs if one != other), min(len(ours), len(theirs)))
            start = max(at - 60, 0)
            parts.append(f'{name} from {start} on: {ours[start : at + 200]!r}, and not {theirs[start : at + 200]!r}')
    return '\n'.join(parts)
