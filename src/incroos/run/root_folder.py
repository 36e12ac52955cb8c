"""What of the host's files a program sees: a folder of the host as `/`, or the program alone.

Folders, regular files and symlinks, with their modes and times; owners are root, and a hard link is a file of its own.
Devices, sockets and pipes are left out, with a remark. The program comes first, the others in the order of their names,
so that equal folders give equal archives. Nothing is written back.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .archive import Entry
from .outcome import Say, Unusable

MAX_LINKS: Final = 40  # that are followed on the way to the program, as on Linux
ASK_FOR_MORE: Final = 'ask for more with --memory'


def program_alone(path: Path) -> list[Entry]:
    """The program in `/`, under its own name."""
    return [read_entry(os.path.realpath(os.fsencode(path)), os.path.basename(os.fsencode(path)))]


def folder_with(program: str, root: Path, most_bytes: int, say: Say, advice: str = ASK_FOR_MORE) -> list[Entry]:
    """The files of a folder, the program first; `most_bytes` are how many their contents may have together.

    `advice` is what to do where they have more.
    """
    first = resolve(os.fsencode(root), os.fsencode(program))
    entries: dict[bytes, Entry] = {}
    left_out: list[bytes] = []
    nbytes = 0
    for name, facts in walk(os.fsencode(root)):
        if not is_file_of_archive(facts.st_mode):
            left_out.append(name)
            continue
        nbytes += facts.st_size
        if nbytes > most_bytes:
            raise Unusable(f'{root}: its files do not fit the memory, in which they all lie: {advice}')
        entries[name] = read_entry(os.path.join(os.fsencode(root), name), name)
    if first not in entries:
        raise Unusable(f'{program} in {root} cannot be run: it is no file')
    if left_out:
        more = f', and {len(left_out) - 1} more' if len(left_out) > 1 else ''
        say(f'{os.fsdecode(left_out[0])} is neither a file nor a folder nor a symlink, and is left out{more}')
    return [entries.pop(first), *(entries[name] for name in sorted(entries, key=lambda name: name.split(b'/')))]


def is_file_of_archive(mode: int) -> bool:
    """Is it something that the archive has?"""
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def walk(root: bytes, name: bytes = b'') -> Iterator[tuple[bytes, os.stat_result]]:
    """Names and facts of all that lies below a folder; symlinks are not followed."""
    try:
        with os.scandir(os.path.join(root, name)) as folder:
            found = [(os.path.join(name, entry.name), entry.stat(follow_symlinks=False)) for entry in folder]
    except OSError as error:
        raise unreadable(error) from error
    for inner, facts in found:
        yield inner, facts
        if stat.S_ISDIR(facts.st_mode):
            yield from walk(root, inner)


def read_entry(path: bytes, name: bytes) -> Entry:
    """A file, folder or symlink of the host as an entry of that name. Raises Unusable if it cannot be read."""
    try:
        facts = os.lstat(path)
        content = b''
        if stat.S_ISLNK(facts.st_mode):
            content = os.readlink(path)
        elif stat.S_ISREG(facts.st_mode):
            with open(path, 'rb') as file:
                content = file.read()
    except OSError as error:
        raise unreadable(error) from error
    return Entry(name, facts.st_mode, int(facts.st_mtime), content)


def unreadable(error: OSError) -> Unusable:
    """What to say about a file of the host that cannot be read."""
    name = os.fsdecode(error.filename) if error.filename else 'a file'
    return Unusable(f'{name} cannot be read ({error.strerror})')


def resolve(root: bytes, path: bytes) -> bytes:
    """The name, relative to the root, of the file to which a path in the folder leads.

    Symlinks are followed inside the folder, which is their `/`, and whose `..` is itself. Raises Unusable.
    """
    done: list[bytes] = []
    left = parts_of(path)
    nr_links = 0
    while left:
        part = left.pop(0)
        if part == b'..':
            del done[-1:]
            continue
        here = os.path.join(root, *done, part)
        try:
            target = os.readlink(here) if stat.S_ISLNK(os.lstat(here).st_mode) else None
        except OSError as error:
            shown = f'{os.fsdecode(path)} in {os.fsdecode(root)}'
            raise Unusable(f'{shown} cannot be run ({error.strerror}): name a program by its path there') from error
        if target is None:
            done.append(part)
            continue
        nr_links += 1
        if nr_links > MAX_LINKS:
            raise Unusable(f'{os.fsdecode(path)} in {os.fsdecode(root)} cannot be run: its symlinks have no end')
        if target.startswith(b'/'):
            done = []
        left = parts_of(target) + left
    return b'/'.join(done)


def parts_of(path: bytes) -> list[bytes]:
    """The names in a path that say something."""
    return [part for part in path.split(b'/') if part not in (b'', b'.')]
