"""Real programs and C programs with the hosted heap in the place of the system's malloc."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from incroos.run.names import heap_config
from incroos.run.shared_library import HEADER, shared_library

from ..budget import SECONDS

WARNINGS: Final = ('-Wall', '-Wextra', '-Werror', '-pedantic')


def library(design: str = 'kmalloc', is_malloc: bool = True, hardening: str = 'off') -> Path:
    """The library, built once and cached."""
    return shared_library(lambda remark: None, config=heap_config(design, hardening), is_malloc=is_malloc)


def run(command: list[str], preload: Path | None = None, **options: object) -> 'subprocess.CompletedProcess[str]':
    """Run a program to its end, with the heap in malloc's place or without."""
    environment = {name: value for name, value in os.environ.items() if name != 'LD_PRELOAD'}
    if preload is not None:
        environment['LD_PRELOAD'] = str(preload)
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False, **options
    )


def run_group(command: list[str], preload: Path | None = None) -> 'subprocess.CompletedProcess[str]':
    """The same for a program that forks: none of its children is left when it ends or hangs."""
    environment = os.environ | {'LD_PRELOAD': str(preload or '')}
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, messages = process.communicate(timeout=SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return subprocess.CompletedProcess(command, process.returncode, output, messages)


def compile_library(folder: Path, source: str) -> Path:
    """A library to be preloaded, whose functions stand in front of the system's."""
    (folder / 'front.c').write_text(source)
    command = ['cc', '-Wall', '-Werror', '-O1', '-shared', '-fPIC', 'front.c', '-o', 'libfront.so']
    subprocess.run(command, cwd=folder, check=True, timeout=SECONDS)
    return folder / 'libfront.so'


def compile_program(
    folder: Path,
    source: str,
    heap: Path,
    *,
    compiler: str = 'cc',
    name: str = 'program.c',
    libraries: tuple[Path, ...] = (),
) -> Path:
    """A program in C or C++ that is linked with the library, and with others."""
    (folder / name).write_text(source)
    (folder / HEADER).write_bytes(heap.with_name(HEADER).read_bytes())
    program = folder / 'program'
    arguments = [
        name,
        str(heap),
        *map(str, libraries),
        f'-Wl,-rpath,{heap.parent}',
        '-pthread',
        '-O1',
        '-fno-builtin',
        '-o',
        str(program),
    ]
    done = subprocess.run(
        [compiler, *WARNINGS, *arguments], cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return program
