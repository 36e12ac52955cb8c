"""A cache of build results in the user's cache folder, under a key made from the content of all inputs.

    $XDG_CACHE_HOME/incroos/<key>/   (or ~/.cache/incroos)
        <the files of one result>
        checksums                    what each file must hash to

An entry appears whole, by a rename, and is never changed; an entry whose files do not match their checksums is rebuilt.
Processes share the folder: a process that looks for an entry shares its lock, one that replaces or drops an entry holds
the lock alone.
A process holds each entry that it fetched or stored until it ends, and a held entry is not dropped.
Unit: the entry. Knows nothing of what the files mean. Imports nothing heavy: a warm start passes through here.
"""

import atexit
import contextlib
import fcntl
import hashlib
import os
import pwd
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from .errors import BuildError
from .own_folder import own_folder

PACKAGE: Final = Path(__file__).resolve().parents[1]
CHECKSUMS: Final = 'checksums'
NR_ENTRIES_KEPT: Final = 64  # the most recently used
# An entry is kept this long after it was fetched, even if no process holds it: some file systems have no locks, and
# over a network the locks of one machine may not be visible to another.
SECONDS_KEPT: Final = 3600

STARTED: Final = time.time_ns()

Say = Callable[[str], object]

_held: dict[tuple[int, int], int] = {}  # open folders of entries, by device and inode; the system closes them


def key_of(sources: Iterable[Path], values: Iterable[str]) -> str:
    """A key for the result of these files and folders of Python source, these values, this Python and this llvmlite.

    A file counts by its content, and by its path inside this package. One that changed since this process started is
    perhaps not what the process has loaded: then the key is this process's alone.
    """
    digest = hashlib.sha256()
    compiler = Path(find_spec('llvmlite').origin or '').with_name('_version.py')  # type: ignore[union-attr]
    files = [compiler]
    for source in sources:
        files += sorted(source.rglob('*.py')) if source.is_dir() else [source]
    for file in files:
        text = file.read_bytes()
        name = file.relative_to(PACKAGE) if file.is_relative_to(PACKAGE) else file.name
        digest.update(f'{name}\0{len(text)}\0'.encode() + text)
    if any(STARTED < file.stat().st_mtime_ns <= time.time_ns() for file in files):
        digest.update(f'{os.getpid()} {STARTED}'.encode())
    for value in (sys.implementation.cache_tag or '', *values):
        digest.update(f'{len(value)}\0{value}'.encode())
    return digest.hexdigest()[:32]


def cache_folder() -> Path | None:
    """The user's cache folder, by the XDG base directory specification; None for a user without a home."""
    named = os.environ.get('XDG_CACHE_HOME', '')
    if os.path.isabs(named):
        return Path(named) / 'incroos'
    home = os.environ.get('HOME', '')
    if not os.path.isabs(home):
        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            return None
    return Path(home) / '.cache' / 'incroos'


class Cache:
    """The entries below one folder. `say` gets remarks about defects of it."""

    def __init__(self, say: Say, folder: Path | None = None) -> None:
        self._say = say
        self._folder = folder or cache_folder()

    def fetch(self, key: str) -> Path | None:
        """The folder of an entry that is whole, else None. The entry stays until this process ends."""
        if self._folder is None:
            return None
        entry = self._folder / key
        with locked(self._folder, fcntl.LOCK_SH):
            if not os.path.isdir(entry):
                return None
            with contextlib.suppress(OSError):  # a cache that may only be read is still a cache
                os.utime(entry)
            hold(entry)
        if not is_whole(entry):
            self._say(f'the cached build in {entry} is damaged: building it anew')
            return None
        return entry

    def store(self, key: str, files: Mapping[str, bytes]) -> Path:
        """Make an entry and give its folder, which stays until this process ends.

        If the cache is unusable, it lies elsewhere, and goes when this process ends.
        """
        try:
            if self._folder is not None:
                return self._publish(self._folder, key, files)
            self._say('this user has no home: this build is not kept; XDG_CACHE_HOME names a folder')
        except OSError as error:
            self._say(
                f'the cache folder {self._folder} cannot be written ({error.strerror}): this build is not kept;'
                ' XDG_CACHE_HOME names another folder'
            )
        try:
            closing = contextlib.ExitStack()
            folder = closing.enter_context(own_folder()) / 'cache'  # which has a lock of its own
            atexit.register(closing.close)
            return self._publish(folder, key, files)
        except OSError as error:
            raise BuildError(
                f'no folder for temporary files can be written ({error.strerror}): free some space'
            ) from error

    def _publish(self, folder: Path, key: str, files: Mapping[str, bytes]) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        entry = folder / key
        with own_folder(folder) as beside:
            self._put(entry, beside / key, files)
        drop_old_entries(folder)
        return entry

    def _put(self, entry: Path, staging: Path, files: Mapping[str, bytes]) -> None:
        """Make an entry elsewhere, and rename it."""
        folder = entry.parent
        try:
            staging.mkdir()
            for name, content in files.items():
                (staging / name).write_bytes(content)
            (staging / CHECKSUMS).write_text(checksums_of(staging))
            with locked(folder, fcntl.LOCK_EX):
                if not is_whole(entry):
                    shutil.rmtree(entry, ignore_errors=True)
                    os.rename(staging, entry)
                hold(entry)
        except OSError:
            with locked(folder, fcntl.LOCK_SH):
                hold(entry)
            if not is_whole(entry):  # else another process was quicker, with the same content
                raise


@contextlib.contextmanager
def locked(folder: Path, how: int) -> Iterator[None]:
    """Hold the folder's lock while the block runs, shared (fcntl.LOCK_SH) or alone (LOCK_EX).

    Some network file systems have no locks. Then a rare race remains, which costs an unnecessary build.
    """
    with contextlib.ExitStack() as closing:
        with contextlib.suppress(OSError):
            handle = os.open(folder, os.O_RDONLY)
            closing.callback(os.close, handle)  # which unlocks it
            fcntl.flock(handle, how)
        yield


def hold(entry: Path) -> None:
    """Keep others from dropping an entry until this process, and all that it forks meanwhile, have ended.

    However it ends: the lock goes with the last process that has the handle. A program that is started does not get it.
    Without locks nothing is held, and SECONDS_KEPT decides. The caller has the lock of the cache.
    """
    with contextlib.ExitStack() as closing, contextlib.suppress(OSError):
        handle = os.open(entry, os.O_RDONLY)
        closing.callback(os.close, handle)
        fcntl.flock(handle, fcntl.LOCK_SH)
        status = os.fstat(handle)
        if _held.setdefault((status.st_dev, status.st_ino), handle) == handle:
            closing.pop_all()


def is_held(entry: Path) -> bool:
    """Does a process hold the entry? False where there are no locks."""
    try:
        handle = os.open(entry, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def drop_old_entries(folder: Path) -> None:
    """Drop the entries that were not used for longest, except those that a process holds or fetched lately."""
    with locked(folder, fcntl.LOCK_EX), contextlib.suppress(OSError):  # others clear their own away without asking
        entries = sorted(folder.iterdir(), key=used_at, reverse=True)
        for entry in entries[NR_ENTRIES_KEPT:]:
            if used_at(entry) < time.time() - SECONDS_KEPT and not is_held(entry):
                shutil.rmtree(entry, ignore_errors=True)


def used_at(entry: Path) -> float:
    """When an entry was last fetched or made."""
    return entry.stat().st_mtime


def is_whole(entry: Path) -> bool:
    """Is every file there, and as it was written?"""
    try:
        listed = entry / CHECKSUMS
        return listed.is_file() and listed.read_text(errors='replace') == checksums_of(entry)
    except OSError:
        return False


def checksums_of(entry: Path) -> str:
    """The checksums of the files in a folder, a line each."""
    files = sorted(file for file in entry.iterdir() if file.name != CHECKSUMS)
    if not all(file.is_file() for file in files):
        raise OSError(f'{entry} holds something that is no file')
    return ''.join(f'{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n' for file in files)
