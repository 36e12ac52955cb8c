"""Ends a process that takes more memory than it may, so that the system does not end any other for it.

A limit of the system (RLIMIT_DATA, RLIMIT_AS) would not do: it counts addresses, and allocators reserve more of them
than there is memory. So what the process has in RAM is read again and again, by a thread that sleeps in between. It
takes a two-hundredth of a processor, and no figure of a replay shows it. A process that takes memory as fast as it can
goes too far by what it writes between two looks.
"""

import contextlib
import mmap
import subprocess
import threading
from collections.abc import Iterator
from typing import Final

SECONDS_BETWEEN: Final = 0.02
_RESIDENT: Final = 1  # the word of /proc/PID/statm that is in RAM, in pages


class Watch:
    """What became of a watched process."""

    has_ended_it = False


@contextlib.contextmanager
def watched(process: 'subprocess.Popen[str]', limit: int | None) -> Iterator[Watch]:
    """End the process if it has more bytes in RAM than this limit, while the block runs."""
    watch, is_over = Watch(), threading.Event()
    if limit is None:
        yield watch
        return
    thread = threading.Thread(target=look, args=(process, limit, watch, is_over), daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        is_over.set()
        thread.join()


def look(process: 'subprocess.Popen[str]', limit: int, watch: Watch, is_over: threading.Event) -> None:
    """Look until the process takes too much, or is gone, or it is over."""
    with contextlib.suppress(OSError), open(f'/proc/{process.pid}/statm', 'rb', buffering=0) as statm:
        while not is_over.wait(SECONDS_BETWEEN):
            statm.seek(0)
            if int(statm.read().split()[_RESIDENT]) * mmap.PAGESIZE > limit:
                watch.has_ended_it = True
                process.kill()
                return
