"""A commit in a folder of its own, set up there by its own tools/setup: with its own .venv, beside the present one."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / 'build' / 'against'  # a folder for each commit, by its hash
TOOLS: Final = ('linker', 'gcc')
HASH_DIGITS: Final = 12
MISSING: Final = 6  # exit status: what tools/setup ends with, too


class CannotSetUp(click.ClickException):
    """What is missing, in a sentence."""

    exit_code = MISSING


@dataclass(frozen=True)
class Checkout:
    """A folder with a commit, or the present one, and the Python in it."""

    name: str
    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter of its .venv."""
        return self.folder / '.venv' / 'bin' / 'python'

    @property
    def command(self) -> Path:
        """Its `incroos`."""
        return self.folder / '.venv' / 'bin' / 'incroos'


def git(*arguments: str, root: Path) -> 'subprocess.CompletedProcess[bytes]':
    """Git on a repository; CannotSetUp where there is no git."""
    program = shutil.which('git')
    if program is None:
        raise CannotSetUp('--against needs git: install it with the system package manager')
    return subprocess.run([program, '-C', str(root), *arguments], capture_output=True, check=False)


def hash_of(commit: str, root: Path = ROOT) -> str:
    """The whole hash of a commit, by any name that git knows."""
    if git('rev-parse', '--git-dir', root=root).returncode != 0:
        raise CannotSetUp(f'--against needs a git repository, and {root} is none: clone it')
    found = git('rev-parse', '--verify', '--quiet', f'{commit}^{{commit}}', root=root)
    if found.returncode != 0:
        raise click.BadParameter(f'git knows no commit {commit!r}; fetch it, if this clone is shallow')
    return found.stdout.decode().strip()


def put_into(commit: str, folder: Path, root: Path = ROOT) -> None:
    """The files of a commit, all of them or none."""
    archive = git('archive', '--format=tar', commit, root=root)
    if archive.returncode != 0:
        raise CannotSetUp(f'git cannot read commit {commit}: {archive.stderr.decode(errors="replace").strip()}')
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.new-', dir=folder.parent) as temporary:
        whole = Path(temporary) / 'whole'
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            # A Python 3.11 of the first hour has no filters yet.
            tar.extraction_filter = getattr(tarfile, 'data_filter', lambda member, _: member)
            tar.extractall(whole)
        whole.rename(folder)


def set_up(commit: str, say: Callable[[str], None]) -> Checkout:
    """A commit that is ready to be measured. What is there already, by its hash, is used again."""
    whole_hash = hash_of(commit)
    checkout = Checkout(whole_hash[:HASH_DIGITS], FOLDER / whole_hash)
    if not checkout.folder.exists():
        say(f'checking {checkout.name} out into {os.path.relpath(checkout.folder)}')
        put_into(whole_hash, checkout.folder)
    say(f'setting {checkout.name} up')
    setup = checkout.folder / 'tools' / 'setup'
    if not setup.exists():
        raise CannotSetUp(f'{checkout.name} has no tools/setup: it is too old to be measured')
    if (ended := subprocess.run([sys.executable, str(setup), *TOOLS], check=False)).returncode != 0:
        raise CannotSetUp(f'{checkout.name} could not be set up: its tools/setup ended with {ended.returncode}')
    return checkout
