"""The parts of this package that are in C, compiled when they are first needed, and kept in the cache."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from incroos.build.c_compiler import c_compiler_identity, compile_c
from incroos.build.cache import PACKAGE, Cache, key_of
from incroos.build.errors import BuildError
from incroos.run.outcome import Unusable

Say = Callable[[str], object]

COMMON: Final = ('-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror')


@dataclass(frozen=True)
class Program:
    """One file of C, and how it is compiled."""

    source: str
    output: str
    options: tuple[str, ...]


# No builtins: the compiler must leave calls of malloc and free alone.
RECORDER: Final = Program('recorder.c', 'recorder.so', ('-fno-builtin', '-fPIC', '-shared', '-fvisibility=hidden'))
REPLAY: Final = Program('replay.c', 'replay', ('-fno-builtin-malloc', '-fno-builtin-free', '-pthread'))
_LIBRARIES: Final = ('-ldl',)  # a part of the C library itself in newer ones


def preloaded(library: Path) -> str:
    """The path of a library for LD_PRELOAD. Raises Unusable if LD_PRELOAD cannot take the path."""
    if re.search(r'[\s:$]', str(library)):
        raise Unusable(f'{library} cannot be preloaded, for the sign in its path: set XDG_CACHE_HOME to another folder')
    return str(library)


def compiled(program: Program, say: Say) -> Path:
    """The path of the compiled program. Raises Unusable if it cannot be compiled."""
    source = PACKAGE / 'lab/c' / program.source
    options = (*COMMON, *program.options)
    key = key_of([source], ('lab', program.output, *options, c_compiler_identity()))
    cache = Cache(say)
    try:
        folder = cache.fetch(key)
        if folder is None:
            arguments = (*options, program.source, *_LIBRARIES)
            content = compile_c({program.source: source.read_bytes()}, arguments, program.output)
            folder = cache.store(key, {program.output: content})
    except BuildError as error:
        raise Unusable(str(error)) from error
    path = folder / program.output
    if program is REPLAY:
        path.chmod(0o755)
    return path
