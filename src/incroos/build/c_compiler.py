"""The C compiler of this machine, for the small parts of C libraries that are C: started in a folder of its own."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from .errors import BuildError

COMPILERS: Final = ('cc', 'gcc', 'clang')
SECONDS: Final = 120  # that one may take


def find_c_compiler() -> Path:
    """The compiler to take. Raises BuildError where there is none."""
    for name in COMPILERS:
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise BuildError('no C compiler is installed (cc): install one (on Debian and Ubuntu: apt install gcc)')


def c_compiler_identity() -> str:
    """Which compiler it would be, told without starting it: its path, time and size. Empty where there is none."""
    try:
        compiler = find_c_compiler()
        facts = compiler.stat()
    except (BuildError, OSError):
        return ''
    return f'{compiler} {facts.st_mtime_ns} {facts.st_size}'


def compile_c(files: Mapping[str, bytes], arguments: Sequence[str], output: str) -> bytes:
    """The output file that the compiler makes of these files with these arguments, which name them."""
    compiler = find_c_compiler()
    with tempfile.TemporaryDirectory(prefix='incroos-') as name:
        folder = Path(name)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        try:
            done = subprocess.run(
                [str(compiler), *arguments, '-o', output],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors='replace',
                timeout=SECONDS,
                check=False,
            )
        except OSError as error:
            raise BuildError(
                f'{compiler} cannot be started ({error.strerror}): install a working C compiler'
            ) from error
        except subprocess.TimeoutExpired:
            raise BuildError(f'{compiler} had not ended after {SECONDS} s: install a working C compiler') from None
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if 'error' in line] or done.stderr.splitlines() or ['']
            raise BuildError(f'{compiler} cannot compile {", ".join(files)}: {lines[0]}')
        try:
            return (folder / output).read_bytes()
        except FileNotFoundError:
            raise BuildError(f'{compiler} wrote no {output}: install a working C compiler') from None
