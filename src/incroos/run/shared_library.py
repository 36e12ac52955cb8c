"""The hosted heap as a shared library: from the cache, or built; and written to a folder with its header.

Kernel, front end and compiler are imported only where something is built.
"""

from pathlib import Path
from typing import Any, Final

from incroos.build.c_compiler import c_compiler_identity, compile_c, find_c_compiler
from incroos.build.cache import PACKAGE, Cache, key_of
from incroos.build.errors import BuildError
from incroos.build.whole_file import write_all_whole
from incroos.hosted.configs import HOSTED
from incroos.kernel.config import KernelConfig

from .outcome import Say, Unusable

SHIM: Final = PACKAGE / 'build/heap_shim.c'
SOURCES: Final = (*(PACKAGE / name for name in ('lang', 'kernel', 'hosted', 'build', 'run/shared_library.py')), SHIM)
LIBRARY: Final = 'libincro_heap.so'
HEADER: Final = 'incro_heap.h'
CALLS_HEADER: Final = 'heap_calls.h'  # of the shim alone
COMPILER_OPTIONS: Final = (
    '-std=gnu11',
    '-O2',
    '-fPIC',
    '-fvisibility=hidden',
    '-fno-builtin-malloc',  # else gcc makes calloc of malloc and memset, which is what calloc is made of
    '-fno-plt',
    '-Wall',
    '-Wextra',
    '-Werror',
)
LINK_OPTIONS: Final = (
    '-shared',
    '-pthread',
    '-Wl,-z,now,-z,noexecstack',
    '-Wl,-z,nodelete',  # what it gave stays in use after dlclose, and so do its threads' destructors
    f'-Wl,-soname,{LIBRARY}',
)


def shared_library(say: Say, *, config: KernelConfig = HOSTED, is_malloc: bool = False) -> Path:
    """The path of the library in the cache, with its header beside it.

    With is_malloc it takes malloc's own names as well, for LD_PRELOAD. Raises Unusable where it cannot be built.
    """
    key = key_of(SOURCES, ('shared', config.identity(), f'malloc={is_malloc}', c_compiler_identity()))
    cache = Cache(say)
    folder = cache.fetch(key)
    try:
        if folder is None:
            find_c_compiler()  # before much time is spent for nothing
            say('building the shared library')
            folder = cache.store(key, build_files(config, is_malloc))
    except BuildError as error:
        raise Unusable(str(error)) from error
    return folder / LIBRARY


def write(folder: Path, *, say: Say, config: KernelConfig, is_malloc: bool) -> dict[str, Any]:
    """Write library and header into a folder, which is made if it is not there; what was written.

    Programs that run on an older library there keep it.
    """
    library = shared_library(say, config=config, is_malloc=is_malloc)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_all_whole({folder / name: library.with_name(name).read_bytes() for name in (LIBRARY, HEADER)})
    except OSError as error:
        raise Unusable(f'{folder} cannot be written ({error.strerror}): name a folder that can') from error
    return {'path': str(folder / LIBRARY), 'bytes': library.stat().st_size}


def build_files(config: KernelConfig, is_malloc: bool) -> dict[str, bytes]:
    """Compile and link; the files of the cache's entry."""
    from incroos.build.c_prototypes import prototype_of
    from incroos.build.codegen import compile_shared
    from incroos.build.heap_entries import with_entries
    from incroos.build.heap_header import declarations_of, header_of
    from incroos.hosted.calls import CALLS
    from incroos.lang.frontend import HOSTED, compile_unit

    roots = {prototype_of(row.shim).name: row.function for row in CALLS}
    unit = compile_unit(roots, HOSTED, config)
    header = header_of({row.offered: row.function for row in CALLS if row.offered}).encode()
    files = {
        'heap.o': compile_shared(with_entries(unit.ir, is_malloc)),
        'heap_shim.c': SHIM.read_bytes(),
        CALLS_HEADER: declarations_of(row.shim for row in CALLS).encode(),
        HEADER: header,
    }
    names = ('-DINCRO_MALLOC',) if is_malloc else ()
    arguments = (*COMPILER_OPTIONS, *names, 'heap_shim.c', 'heap.o', *LINK_OPTIONS)
    return {LIBRARY: compile_c(files, arguments, LIBRARY), HEADER: header}
