"""Runs a program of this machine, such as a linker, in a folder of its own, and fetches the file that it makes.

A program that cannot be started, does not end, fails or makes no file is a BuildError of one sentence. Knows neither
which program to use nor its messages: `failure` explains a failure.
"""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from .errors import BuildError
from .held_signals import held_signals
from .own_folder import own_folder

NO_FILE: Final = 0  # the status of a program that thinks that it did what it should


def output_of(
    command: Sequence[str],
    files: Mapping[str, bytes],
    output: str,
    seconds: int,
    kind: str,
    failure: Callable[[int, str], str],
) -> bytes:
    """The output file of a command for these files, all of which its arguments name. Raises BuildError.

    `kind` is what to install if it does not work. `failure` makes of a status and of what the program said on standard
    error what is wrong; the status is NO_FILE where it ended well without the output file.
    """
    program = command[0]
    with own_folder() as folder:
        for file, content in files.items():
            (folder / file).write_bytes(content)
        try:
            status, remarks = run(command, folder, seconds)
        except OSError as error:
            raise BuildError(f'{program} cannot be started ({error.strerror}): install a working {kind}') from error
        except subprocess.TimeoutExpired:
            raise BuildError(f'{program} had not ended after {seconds} s: install a working {kind}') from None
        if status == 0:
            try:
                return (folder / output).read_bytes()
            except FileNotFoundError:
                pass
        raise BuildError(f'{program} {failure(status, remarks)}')


def run(command: Sequence[str], folder: Path, seconds: float) -> tuple[int, str]:
    """Run a command in a folder; its status, and what it said on standard error. It ends with this function."""
    with ExitStack() as closing:
        with held_signals():
            process = closing.enter_context(
                subprocess.Popen(
                    command,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                    errors='replace',
                )
            )
            closing.callback(process.kill)
        _, remarks = process.communicate(timeout=seconds)
        return process.returncode, remarks
