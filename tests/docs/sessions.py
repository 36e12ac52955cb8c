"""Runs the examples of a document in a copy of the checkout and compares what they print.

A `console` block is a session in a shell: a line after `$ ` is a command, which goes on behind `> ` after a backslash;
what follows is what it prints on either channel. A line after `(Pdb) ` or `(gdb) ` is typed into the program that runs.
A `python` block that begins with `# name.py` is a file of that name, another one runs by itself. A `pycon` block is a
session in Python.

In what is printed, `...` stands for anything: within a line, or for any number of lines. Not compared: remarks about
where a boot runs and that something is built, numbers of lines, and blanks at the ends of lines. The folder of the
checkout is called `~/incroos`.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..budget import SECONDS
from .documents import ROOT, Block

COPIED: Final = ('src', 'tools', 'Makefile', 'pyproject.toml')
HOME: Final = '~/incroos'

PROMPTS: Final = ('(Pdb) ', '(gdb) ')
_PROMPT: Final = re.compile(r'^(\((?:Pdb|gdb)\) )(.*)$')
_FILE: Final = re.compile(r'^# (\w+\.py)$')
_REMARK: Final = re.compile(r'^incroos: (building the |booting )')
_LINE_NUMBERS: Final = (
    (re.compile(r'(\.py[:(])\d+'), r'\1N'),
    (re.compile(r'^(\(gdb\) )?\d+\t'), r'\1N\t'),
)
_END: Final = '----- end of a command -----'


class Differs(AssertionError):
    """An example does not print what the document says."""


@dataclass
class Command:
    """One command of a session: what is typed into it, and what it prints."""

    line: int
    text: str
    typed: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)


def commands_of(block: Block) -> Iterator[Command]:
    """The commands of a `console` block."""
    command: Command | None = None
    for number, line in enumerate(block.lines, block.line):
        if line.startswith('$ '):
            if command:
                yield command
            command = Command(number, line.removeprefix('$ '))
        elif command is None:
            raise Differs(f'line {number}: a session begins with a command, found {line!r}')
        elif command.text.endswith('\\') and not command.printed:
            command.text += '\n' + line.removeprefix('> ')
        elif prompt := _PROMPT.match(line):
            command.typed.append(prompt[2])
            command.printed.append(prompt[1])
        elif command.printed and command.printed[-1] in PROMPTS:
            command.printed[-1] += line  # what is typed is not echoed: the answer follows the prompt
        else:
            command.printed.append(line)
    if command:
        yield command


def copy_checkout(folder: Path) -> Path:
    """A copy in which examples may change what they like, with commands of its own."""
    checkout = folder / 'checkout'
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, checkout / name, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy(source, checkout / name)
    programs = checkout / '.venv' / 'bin'
    programs.mkdir(parents=True)
    start = 'import sys; sys.argv[0] = "incroos"; from incroos.cli import main; main()'
    for name, arguments in (('python', ''), ('incroos', f' -c {shlex.quote(start)}')):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)}{arguments} "$@"\n')
        program.chmod(0o755)
    return checkout


def environment(checkout: Path) -> dict[str, str]:
    """Examples import the copy, and `make` sets nothing up; it need not know that a `make` runs these tests."""
    kept = {name: value for name, value in os.environ.items() if name not in ('MAKELEVEL', 'MFLAGS')}
    return {**kept, 'PYTHONPATH': str(checkout / 'src'), 'MAKEFLAGS': '-- PYTHON=true'}


def run(command: Sequence[str], checkout: Path) -> str:
    """What a program prints on both channels."""
    done = subprocess.run(
        command,
        cwd=checkout,
        env=environment(checkout),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.stdout.replace(str(checkout), HOME).replace('\n    at ', ' at ')  # gdb folds long lines


def run_console(block: Block, checkout: Path) -> None:
    """Run a session; each command in the shell that ran the one before it."""
    commands = list(commands_of(block))
    script = ''
    for command in commands:
        typed = ''.join(f'{line}\n' for line in command.typed)
        script += f'{command.text}{f" < <(printf %s {shlex.quote(typed)})" if typed else ""}\n'
        script += f"status=$?; printf '\\n%s\\n' '{_END}'; (exit $status)\n"
    parts = run(['bash', '-c', script], checkout).split(f'\n{_END}\n')
    for command, part in zip(commands, parts, strict=False):
        compare(command.printed, part.splitlines(), f'line {command.line}: $ {command.text}')
    if len(parts) != len(commands) + 1:
        raise Differs(f'line {block.line}: the session ended early: {parts[-1]}')


def run_pycon(blocks: Sequence[Block], checkout: Path) -> None:
    """Run sessions in Python, all in one."""
    text = '\n\n'.join('\n'.join(block.lines) for block in blocks)
    file = checkout / 'session.txt'
    file.write_text(text)
    printed = run([sys.executable, '-m', 'doctest', '-o', 'ELLIPSIS', file.name], checkout)
    if printed:
        raise Differs(printed)


def run_python(block: Block, checkout: Path) -> None:
    """Put a file where it belongs, or run a program."""
    text = '\n'.join(block.lines)
    name = _FILE.match(block.lines[0])
    if name:
        compile(text, name[1], 'exec')
        (checkout / name[1]).write_text(text + '\n')
    else:
        compare([], run([sys.executable, '-c', text], checkout).splitlines(), f'line {block.line}')


def run_section(blocks: Sequence[Block], checkout: Path) -> None:
    """Run the examples of a section in the order in which they stand; sessions in Python come last."""
    for block in blocks:
        if block.kind == 'console':
            run_console(block, checkout)
        elif block.kind == 'python':
            run_python(block, checkout)
    sessions = [block for block in blocks if block.kind == 'pycon']
    if sessions:
        run_pycon(sessions, checkout)


def compare(expected: Sequence[str], printed: Sequence[str], where: str) -> None:
    """Raise Differs where the lines are not those that the document shows."""
    wanted = [pattern_of(line) for line in comparable(expected)]
    found = ''.join(f'{line}\n' for line in comparable(printed))
    if not re.fullmatch(''.join(wanted), found):
        shown = '\n'.join(expected)
        raise Differs(f'{where}\n--- the document shows\n{shown}\n--- it prints\n{found}')


def comparable(lines: Sequence[str]) -> list[str]:
    """The lines without what differs from machine to machine and from day to day."""
    kept = [line.rstrip() for line in lines if not _REMARK.match(line)]
    for pattern, replacement in _LINE_NUMBERS:
        kept = [pattern.sub(replacement, line) for line in kept]
    while kept and not kept[-1]:
        kept.pop()
    return kept


def pattern_of(line: str) -> str:
    """A pattern for a line that may hold `...`."""
    if line == '...':
        return r'(?:.*\n)*?'
    prompt = _PROMPT.match(line)
    if prompt and prompt[2] == '...':
        return re.escape(prompt[1].rstrip()) + r' ?(?:.*\n)*?'
    return r'.*?'.join(re.escape(part) for part in line.split('...')) + r'\n'
