"""The allocators that a trace can be replayed against, by name, and the library of each.

Ours are built; those of other projects are used if the dynamic linker finds them.
"""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from incroos.run.names import HEAPS, heap_config
from incroos.run.names import LEVELS as LEVEL_NAMES
from incroos.run.names import NO_HARDENING as NO_HARDENING
from incroos.run.outcome import Say, Unusable

GLIBC: Final = 'glibc'
OURS: Final = tuple(HEAPS)
FIRST_FIT: Final = 'first-fit'
LEVELS: Final = tuple(LEVEL_NAMES)
# The library, and the package of Debian and Ubuntu that has it
OTHERS: Final = {
    'mimalloc': ('libmimalloc.so.2', 'libmimalloc2.0'),
    'jemalloc': ('libjemalloc.so.2', 'libjemalloc2'),
    'tcmalloc': ('libtcmalloc_minimal.so.4', 'libtcmalloc-minimal4'),
}
NAMES: Final = (*OURS, GLIBC, *OTHERS)
_LDCONFIG: Final = ('ldconfig', '/sbin/ldconfig', '/usr/sbin/ldconfig')
_CACHED: Final = re.compile(r'^\s*(\S+) \([^)]*x86-64[^)]*\) => (\S+)$', re.MULTILINE)


@dataclass(frozen=True)
class Heap:
    """An allocator: its name in tables, and its library for LD_PRELOAD, if it has one."""

    name: str
    library: Path | None
    can_align: bool = True  # to more than 16 bytes


def heaps(names: Sequence[str], levels: Sequence[str], say: Say) -> list[Heap]:
    """The heaps with these names, ours at each of these levels of hardening.

    Without names all heaps; one that is not installed is then left out with a remark. Raises Unusable.
    """
    from incroos.run.shared_library import shared_library

    found = []
    installed = installed_libraries()
    for name in names or NAMES:
        if name in OURS:
            for level in levels or (NO_HARDENING,):
                library = shared_library(say, config=heap_config(name, level), is_malloc=True)
                label = name if level == NO_HARDENING else f'{name}, {level}'
                found.append(Heap(label, library, name != FIRST_FIT))
        elif name == GLIBC:
            found.append(Heap(name, None))
        elif OTHERS[name][0] in installed:
            found.append(Heap(name, installed[OTHERS[name][0]]))
        elif names:
            raise Unusable(missing(name))
        else:
            say(f'{missing(name)}; left out')
    return found


def missing(name: str) -> str:
    """The sentence about a library that is not installed."""
    library, package = OTHERS[name]
    return f'{name} is not installed ({library}; on Debian and Ubuntu: apt install {package})'


def installed_libraries() -> dict[str, Path]:
    """The libraries that the dynamic linker knows, by name."""
    for program in _LDCONFIG:
        try:
            done = subprocess.run([program, '-p'], capture_output=True, text=True, errors='replace', check=False)
        except OSError:
            continue
        return {name: Path(path) for name, path in reversed(_CACHED.findall(done.stdout))}
    return {}
