"""Runs the C compiler of this machine, in a folder of its own, for the small parts that are written in C."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from .errors import BuildError
from .tool import NO_FILE, output_of

COMPILERS: Final = ('cc', 'gcc', 'clang')
SECONDS: Final = 600  # that one may take


def find_c_compiler() -> Path:
    """The compiler to use. Raises BuildError if there is none."""
    for name in COMPILERS:
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise BuildError('no C compiler is installed (cc): install one (on Debian and Ubuntu: apt install gcc)')


def c_compiler_identity() -> str:
    """The identity of the compiler without starting it: its path, time and size. Empty if there is none."""
    try:
        compiler = find_c_compiler()
        facts = compiler.stat()
    except (BuildError, OSError):
        return ''
    return f'{compiler} {facts.st_mtime_ns} {facts.st_size}'


def compile_c(files: Mapping[str, bytes], arguments: Sequence[str], output: str) -> bytes:
    """The output file of the compiler for these files; the arguments name them."""

    def why_not_compiled(status: int, messages: str) -> str:
        if status == NO_FILE:
            return f'wrote no {output}: install a working C compiler'
        lines = [line for line in messages.splitlines() if 'error' in line] or messages.splitlines() or ['']
        return f'cannot compile {", ".join(files)}: {lines[0]}'

    command = [str(find_c_compiler()), *arguments, '-o', output]
    return output_of(command, files, output, SECONDS, 'C compiler', why_not_compiled)
