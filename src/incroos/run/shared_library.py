"""The hosted heap as a shared library: from the cache, or built; and written to a folder with its header.

Kernel, front end and compiler are imported only where something is built.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from incroos.build.c_compiler import c_compiler_identity, compile_c, find_c_compiler
from incroos.build.cache import PACKAGE, Cache, key_of
from incroos.build.errors import BuildError
from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import HOSTED

from .outcome import Say, Unusable

SHIM: Final = PACKAGE / 'build/heap_shim.c'
SOURCES: Final = (*(PACKAGE / name for name in ('lang', 'kernel', 'hosted', 'build', 'run/shared_library.py')), SHIM)
LIBRARY: Final = 'libincro_heap.so'
HEADER: Final = 'incro_heap.h'
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
LINK_OPTIONS: Final = ('-shared', '-pthread', '-Wl,-z,now,-z,noexecstack', f'-Wl,-soname,{LIBRARY}')


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
    """Write library and header into a folder, which is made if it is not there; what was written."""
    library = shared_library(say, config=config, is_malloc=is_malloc)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (LIBRARY, HEADER):
            (folder / name).write_bytes(library.with_name(name).read_bytes())
    except OSError as error:
        raise Unusable(f'{folder} cannot be written ({error.strerror}): name a folder that can') from error
    return {'path': str(folder / LIBRARY), 'bytes': library.stat().st_size}


def build_files(config: KernelConfig, is_malloc: bool) -> dict[str, bytes]:
    """Compile and link; the files of the cache's entry."""
    from incroos.build.codegen import compile_shared
    from incroos.build.heap_entries import with_entries
    from incroos.lang import frontend

    roots = {f'incro_k_{function.__name__}': function for function in called_by_shim()}
    unit = frontend.compile_unit(roots, frontend.HOSTED, config)
    header = header_text().encode()
    files = {
        'heap.o': compile_shared(with_entries(unit.ir, is_malloc)),
        'heap_shim.c': SHIM.read_bytes(),
        HEADER: header,
    }
    names = ('-DINCRO_MALLOC',) if is_malloc else ()
    arguments = (*COMPILER_OPTIONS, *names, 'heap_shim.c', 'heap.o', *LINK_OPTIONS)
    return {LIBRARY: compile_c(files, arguments, LIBRARY), HEADER: header}


def called_by_shim() -> list[Callable[..., Any]]:
    """The kernel functions that C calls, with `incro_k_` before their names."""
    from incroos.hosted import malloc as front
    from incroos.hosted import pool

    of_pool: list[Callable[..., Any]] = [pool.init, pool.get, pool.enter_shared, pool.leave_shared]
    at_fork: list[Callable[..., Any]] = [pool.before_fork, pool.after_fork, pool.after_fork_in_child]
    calls: list[Callable[..., Any]] = [
        front.malloc,
        front.free,
        front.calloc,
        front.realloc,
        front.memalign,
        front.usable_bytes,
    ]
    return [*of_pool, *at_fork, *calls, front.trim, front.check, front.leave]


def header_text() -> str:
    """incro_heap.h."""
    from incroos.build.heap_header import header_of
    from incroos.hosted import malloc as front

    calls: Mapping[str, Callable[..., Any]] = {
        'void *incro_malloc(size_t nbytes)': front.malloc,
        'void incro_free(void *ptr)': front.free,
        'void *incro_calloc(size_t nr_items, size_t item_bytes)': front.calloc,
        'void *incro_realloc(void *ptr, size_t nbytes)': front.realloc,
        'void *incro_memalign(size_t alignment, size_t nbytes)': front.memalign,
        'size_t incro_malloc_usable_size(void *ptr)': front.usable_bytes,
        'size_t incro_malloc_trim(void)': front.trim,
        'int incro_malloc_check(void)': front.check,
    }
    return header_of(calls)
