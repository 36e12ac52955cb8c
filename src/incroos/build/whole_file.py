"""Files that are written whole or not at all, as what a build gives must be. Knows nothing of what is in them."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Final

SYSTEM_FOLDERS: Final = (Path('/dev'), Path('/dev/fd').resolve(), Path('/proc/self/fd').resolve())


def write_whole(output: Path, content: bytes) -> None:
    """Replace a file at once, and not the link that leads to it. What is no plain file is written to.

    /dev/stdout is a link to whatever file standard output is: it must stay one, and the file is not ours to replace.
    """
    if output.parent.resolve() in SYSTEM_FOLDERS or (output.exists() and not output.is_file()):
        output.write_bytes(content)
        return
    output = output.resolve()
    handle, name = tempfile.mkstemp(prefix=f'.{output.name}-', dir=output.parent)
    try:
        with os.fdopen(handle, 'wb') as file:
            file.write(content)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, output)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
