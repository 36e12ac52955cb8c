"""How much memory this computer can still give to a process, and limits that keep a command within it.

Unit: the byte. What holds parts of files counts as free: the system takes it back. Where the system does not say how
much is free, nothing is limited.
"""

import contextlib
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_KEPT_FREE: Final = 16  # one part in so many, for page tables and for other programs
_PROC: Final = Path('/proc')
_SYS: Final = Path('/sys/fs/cgroup')


@dataclass(frozen=True)
class Hierarchy:
    """Files of a control group: its limit, what it holds, and what of that the system can take back."""

    folder: str
    limit: str
    held: str
    kept: str  # a line of memory.stat


# By the controllers that /proc/self/cgroup names: version 2 names none.
_HIERARCHIES: Final = {
    '': Hierarchy('', 'memory.max', 'memory.current', 'inactive_file'),
    'memory': Hierarchy('memory', 'memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file'),
}


def free_bytes(proc: Path = _PROC, sys: Path = _SYS) -> int | None:
    """How much more this process may take: of what the machine has, and of what its control groups allow."""
    with contextlib.suppress(OSError, KeyError, ValueError):
        available = kibibytes(proc / 'meminfo', 'MemAvailable')
        free = max(0, min([available, *group_bytes(proc, sys)]))
        return free - free // _KEPT_FREE
    return None


def group_bytes(proc: Path, sys: Path) -> Iterator[int]:
    """What is left in each control group of this process that has a limit."""
    with contextlib.suppress(OSError):
        for line in (proc / 'self/cgroup').read_text().splitlines():
            _, controllers, path = line.split(':', 2)
            for controller in controllers.split(','):
                if controller in _HIERARCHIES:
                    hierarchy = _HIERARCHIES[controller]
                    top = sys / hierarchy.folder
                    group = top / path.strip('/')
                    for folder in [group, *group.parents]:
                        yield from left_in(folder, hierarchy)
                        if folder == top:
                            break


def left_in(folder: Path, hierarchy: Hierarchy) -> Iterator[int]:
    """What is left in a control group; nothing where there is no limit, or no such group, as within a container."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        limit, held = (int((folder / name).read_text()) for name in (hierarchy.limit, hierarchy.held))
        kept = dict(line.split() for line in (folder / 'memory.stat').read_text().splitlines())
        yield limit - held + int(kept[hierarchy.kept])


def kibibytes(path: Path, name: str) -> int:
    """A line of a file of /proc, in bytes. Raises OSError, KeyError."""
    lines = dict(line.split(':', 1) for line in path.read_text().splitlines() if ':' in line)
    return int(lines[name].split()[0]) << 10


@contextlib.contextmanager
def within(nbytes: int | None) -> Iterator[None]:
    """Refuse this process so much more memory of its own: MemoryError. What it starts is limited, too."""
    if nbytes is None:
        yield
        return
    before, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = kibibytes(_PROC / 'self/status', 'VmData') + nbytes
    bounds = [bound for bound in (before, most, limit) if bound != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(bounds), most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, most))
