"""Files that are written whole or not at all: all that a command leaves behind. Knows nothing of what is in them.

A file is never written in place: programs may run on it, or have it mapped, and a full disk would cost the older one.
"""

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from .own_folder import own_folder

SYSTEM_FOLDERS: Final = (Path('/dev'), Path('/dev/fd').resolve(), Path('/proc/self/fd').resolve())


def write_whole(output: Path, content: bytes) -> None:
    """Replace a file at once, and not the link that leads to it. What is no plain file is written to. Raises OSError.

    /dev/stdout is a link to whatever file standard output is: it must stay one, and the file is not ours to replace.
    """
    write_all_whole({output: content})


def write_all_whole(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together: none of them is replaced before all are written. Raises OSError."""
    with contextlib.ExitStack() as undoing:
        written: list[tuple[Path, Path]] = []
        beside: dict[Path, Path] = {}  # where they are written, by the folder of each
        for output, content in contents.items():
            if output.parent.resolve() in SYSTEM_FOLDERS or (output.exists() and not output.is_file()):
                output.write_bytes(content)
                continue
            target = output.resolve()
            with named(output):
                if target.parent not in beside:
                    beside[target.parent] = undoing.enter_context(own_folder(target.parent))
                staged = beside[target.parent] / target.name
                with staged.open('xb') as file:
                    file.write(content)
                    os.fchmod(file.fileno(), mode_of(target))
            written.append((staged, target))
        for staged, target in written:
            with named(target):
                os.replace(staged, target)


@contextlib.contextmanager
def named(output: Path) -> Iterator[None]:
    """Have an OSError name the file that is wanted, and not the one that was to become it."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(output), None
        raise


def mode_of(path: Path) -> int:
    """The permissions of a file, or those that a new one gets."""
    with contextlib.suppress(FileNotFoundError):
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
