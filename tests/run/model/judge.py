"""Runs programs of memory operations on the host's Linux and on our kernel, and says where they differ."""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...budget import SECONDS
from ..ring3 import STACK_LIMIT, Case, built, in_place, make_root
from .programs import FEATURES, program
from .steps import Step, packed

SOURCE: Final = Path(__file__).parent / 'interpreter.c'
EXPECTED: Final = Path(__file__).parent / 'expected.txt'
BATCH: Final = 250  # programs of a boot
NR_FIRST: Final = 100
MEMORY_BYTES: Final = 128 << 20
Programs = Mapping[int, Sequence[Step]]
Answers = dict[int, str]  # of each program its status and the digest of what it said


@dataclass(frozen=True)
class Unfinished(Exception):
    """The interpreter itself, or the kernel below it, came to no good end."""

    what: str


def interpreter() -> Path:
    """The static program."""
    return built(SOURCE, 'musl')


def programs_of(numbers: Iterable[int], features: frozenset[str] = FEATURES) -> dict[int, list[Step]]:
    """By their numbers."""
    return {number: program(number, features) for number in numbers}


@contextmanager
def shared_folder() -> Iterator[Path]:
    """A folder on a tmpfs where there is one: its files do what ours do."""
    parent = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=parent) as name:
        Path(name).chmod(0o777)
        yield Path(name)


def said_by_host(programs: Programs, form: str) -> str:
    """What the interpreter writes on Linux: without root, and no addresses at random."""
    with shared_folder() as folder:
        shutil.copy(interpreter(), folder / 'interpreter')
        (folder / 'interpreter').chmod(0o755)
        (folder / 'programs').write_bytes(packed(programs.items()))
        limits = f'ulimit -c 0; ulimit -s {STACK_LIMIT >> 10}; exec "$@"'
        command = ['setarch', '-R', './interpreter', 'programs', str(folder), form, 'strict']
        done = subprocess.run(
            ['sh', '-c', limits, 'sh', *command],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={},
        )
    if done.returncode != 0 or done.stderr:
        raise Unfinished(f'on the host the interpreter ended with {done.returncode}: {done.stderr}')
    return done.stdout


def said_in(place: str, programs: Programs, form: str, folder: Path) -> str:
    """What it writes on our kernel, in a root of its own in the folder."""
    root = folder / 'root'
    make_root(root, interpreter(), {'programs': packed(programs.items()), 'tmp': None})
    (root / 'tmp').chmod(0o1777)
    case = Case('model', 'interpreter', ('/programs', '/tmp', form), memory_bytes=MEMORY_BYTES)
    try:
        seen, ran = in_place(place, interpreter(), case, root, path='/interpreter')
    except AssertionError as error:
        raise Unfinished(f'{place}: {error}') from error
    finally:
        shutil.rmtree(root)
    if (seen.status, seen.signal, seen.stderr) != (0, 0, b''):
        raise Unfinished(f'{place}: ended with {seen.status} {seen.signal} {seen.stderr!r}: {ran.sentence}')
    return seen.stdout.decode()


def answers_of(text: str) -> Answers:
    """The lines of `digest`."""
    return {int(number): f'{status} {digest}' for number, status, digest in map(str.split, text.splitlines())}


def batches(programs: Programs, nr_programs: int = BATCH) -> Iterator[Programs]:
    """So many programs at a time."""
    numbers = list(programs)
    for start in range(0, len(numbers), nr_programs):
        yield {number: programs[number] for number in numbers[start : start + nr_programs]}


def host_answers(programs: Programs) -> Answers:
    """What Linux says of each."""
    return {key: value for part in batches(programs) for key, value in answers_of(said_by_host(part, 'digest')).items()}


def answers_in(place: str, programs: Programs, folder: Path) -> Answers:
    """What our kernel says of each, all in one boot."""
    return answers_of(said_in(place, programs, 'digest', folder))


def linux() -> str:
    """The host's kernel."""
    return f'{platform.system()} {platform.release()}'


def digest_of(programs: Programs) -> str:
    """Of the programs themselves: answers belong to the generator that made them."""
    return hashlib.sha256(packed(programs.items())).hexdigest()[:16]


def write_expected(programs: Programs, answers: Answers) -> None:
    """Keep what Linux says: which Linux and of which programs, then a line a program."""
    heads = [f'{linux()} of programs {digest_of(first_of(programs))}']
    EXPECTED.write_text('\n'.join([*heads, *(answers[number] for number in sorted(answers))]) + '\n')


def first_of(programs: Programs) -> Programs:
    """Some of them, by which the generator is known."""
    return {number: programs[number] for number in range(NR_FIRST)}


def expected() -> tuple[str, str, Answers]:
    """Which Linux, the digest of the first programs, and what it said of the programs from 0 on."""
    head, *lines = EXPECTED.read_text().splitlines()
    kernel, _, digest = head.partition(' of programs ')
    return kernel, digest, dict(enumerate(lines))


def differing(found: Answers, wanted: Answers) -> list[int]:
    """The programs whose answers differ."""
    return [number for number in found if found[number] != wanted[number]]
