"""Folders for temporary files, of which none stays: each goes with its block, however that ends.

What a process leaves that was killed, the next one clears away which makes such a folder at the same place. A folder is
locked as long as the process that made it lives, or one that it forked meanwhile; a program that is started does not
get the lock. Where there are no locks, nothing of others is cleared away.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PREFIX: Final = '.incroos-own-'


@contextlib.contextmanager
def own_folder(place: Path | None = None) -> Iterator[Path]:
    """A new folder, at the place for temporary files if no other is named. Raises OSError."""
    place = Path(tempfile.gettempdir()) if place is None else place
    clear_away(place)
    with contextlib.ExitStack() as closing:
        yield make(place, closing)


def make(place: Path, closing: contextlib.ExitStack) -> Path:
    """Make a folder and lock it.

    Before it is locked, another process may take it for one that nobody has; then another folder is made.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        with contextlib.ExitStack() as undoing:
            undoing.callback(shutil.rmtree, folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                undoing.callback(os.close, handle)
                fcntl.flock(handle, fcntl.LOCK_SH)
            if folder.is_dir():
                closing.enter_context(undoing.pop_all())
                return folder


def clear_away(place: Path) -> None:
    """Remove the folders there that are this user's, and of no living process."""
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX):
                remove_if_left(Path(entry.path))


def remove_if_left(folder: Path) -> None:
    """Remove a folder if nobody has its lock. It stays where it is not ours, or has no lock."""
    with contextlib.suppress(OSError), contextlib.ExitStack() as closing:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        closing.callback(os.close, handle)
        if os.fstat(handle).st_uid == os.geteuid():
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
