"""The C library of the memory manager: `libincro_mm.a` and `incro_mm.h`, from the cache or built, and written out.

What is offered says guest/calls.py; compiled and archived it is by build/c_library.py, and described to C by
build/c_header.py. Compiler and kernel are imported only where something is built.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from incroos.build.cache import PACKAGE, Cache, key_of
from incroos.build.errors import BuildError
from incroos.build.whole_file import write_all_whole
from incroos.kernel.config import CHEAP, CLASSIC_SPACE, FULL, NO_HARDENING, KernelConfig
from incroos.kernel.configs import EMBEDDED_CLASSIC

from .outcome import Say, Unusable

if TYPE_CHECKING:
    from incroos.build.c_header import HeaderParts
    from incroos.lang.frontend import Unit

SOURCES: Final = tuple(PACKAGE / name for name in ('lang', 'kernel', 'guest', 'build', 'run'))
WORDS_OF_LEVELS: Final = {NO_HARDENING: 'off', CHEAP: 'cheap', FULL: 'full'}  # as the header calls them
ARCHIVE: Final = 'libincro_mm.a'
HEADER: Final = 'incro_mm.h'
SITES: Final = 'incro_mm.sites'
FACTS: Final = 'facts.json'

TEXT: Final = """\
Frames, page tables and a heap for an x86-64 kernel on one processor. Link libincro_mm.a into a kernel, give it a
struct incro_kernel and a struct incro_start, and call incro_mm_init, or its three steps. The guide to it is
docs/c-library.md of IncroOS.

Sizes, counts and physical addresses are never negative: a negative result is one of the codes INCRO_..., and a call
that answers with one has changed nothing. Pointers are 0 instead. Before the start, functions answer
INCRO_NOT_STARTED, 0 or false. A size_t of 2**63 and more is refused as too much. No function may be called while
another one runs, as from an interrupt, unless the hooks lock and unlock see to that; nor from a hook, but that for
panics, whose calls pass the lock.

Of the caller's stack a call takes at most INCRO_MM_STACK_BYTES, and what the hooks take.
"""
CHECKED_TEXT: Final = """
This build checks its arithmetic: the instruction ud2 with a number in rdi means that the line of Python which
incro_mm.sites has under this number, counting from 0, went wrong.
"""


def library_files(
    say: Say, *, config: KernelConfig = EMBEDDED_CLASSIC, checked: bool = False
) -> tuple[Path, dict[str, Any]]:
    """The folder in the cache with archive and header, and the facts about them. Raises Unusable."""
    from incroos.build.c_library import find_archiver

    try:
        archiver = find_archiver()
        facts = archiver.stat()
        paths = str(PACKAGE) if checked else ''
        identity = f'{archiver} {facts.st_mtime_ns} {facts.st_size}'
        key = key_of(SOURCES, ('library', config.identity(), f'checked={checked}', paths, identity))
        cache = Cache(say)
        folder = cache.fetch(key)
        if folder is None:
            say('building the library')
            folder = cache.store(key, build_files(config, checked))
    except BuildError as error:
        raise Unusable(str(error)) from error
    return folder, json.loads((folder / FACTS).read_bytes())


def build_files(config: KernelConfig, checked: bool) -> dict[str, bytes]:
    """Compile, archive and describe; the files of the cache's entry."""
    from incroos.build.c_header import header_of
    from incroos.build.c_library import Codes, archive, build_library, wrappers
    from incroos.kernel import codes
    from incroos.kernel.state import Kernel

    from .library_constants import STATE_BYTES
    from .library_functions import all_functions

    functions = all_functions(config)
    unit = compile_functions(config, checked)
    constants = {STATE_BYTES.prototype.name: Kernel.SIZE}
    answers = Codes(not_started=codes.NOT_STARTED, already_started=codes.ALREADY_STARTED)
    text = unit.ir + wrappers(functions, constants, lock_offset(), answers)
    code = build_library(text, [*(each.prototype.name for each in functions), *constants])
    header = header_of(header_parts(config, checked, code.stack_bytes))
    facts = {'stack_bytes': code.stack_bytes, 'nr_functions': code.nr_functions}
    sites = {SITES: '\n'.join((*unit.sites, '')).encode()} if checked else {}
    return {
        ARCHIVE: archive(code.object_bytes),
        HEADER: header.encode(),
        FACTS: json.dumps(facts).encode(),
        **sites,
    }


def compile_functions(config: KernelConfig, checked: bool) -> 'Unit':
    """Put what the library offers through the front end. Raises Refused.

    A checked library also poisons what is freed, and counts requests for frames.
    """
    from incroos.build.c_library import LOCK, UNLOCK, inner_name
    from incroos.kernel.embed import lock
    from incroos.lang.frontend import LIBRARY, compile_unit

    from .library_functions import all_functions

    settings = replace(config, fault_injection=1, poison=1) if checked else config
    roots = {inner_name(each.prototype.name): each.with_site or each.function for each in all_functions(settings)}
    roots |= {LOCK: lock.take, UNLOCK: lock.release}
    return compile_unit(roots, target=LIBRARY, config=settings, checked=checked)


def lock_offset() -> int:
    """Where the wrappers find out whether there is a lock."""
    from incroos.kernel.state import Hooks, HookState, Kernel
    from incroos.lang import offset_of

    return offset_of(Kernel, 'hooks') + offset_of(HookState, 'hooks') + offset_of(Hooks, 'lock')


def header_parts(config: KernelConfig, checked: bool, stack_bytes: int) -> 'HeaderParts':
    """What stands in the header."""
    from incroos.build.c_header import Constant, HeaderParts
    from incroos.kernel.arch.pvh import StartInfoEntry
    from incroos.kernel.embed.library import Start
    from incroos.kernel.state import Kernel, PanicReport

    from . import library_constants
    from .library_functions import all_functions, functions_of

    is_classic = config.space == CLASSIC_SPACE
    build = [
        Constant('INCRO_MM_CLASSIC', int(is_classic)),
        Constant('INCRO_MM_MODERN', int(not is_classic)),
        Constant('INCRO_MM_HARDENING', config.hardening, f'of the heap: {WORDS_OF_LEVELS[config.hardening]}'),
        Constant('INCRO_MM_CHECKED', int(checked)),
        Constant('INCRO_MM_STACK_BYTES', stack_bytes, 'of the stack, that a call takes at most, hooks left out'),
    ]
    of_size = {'The size of struct incro_kernel': [library_constants.STATE_BYTES]}
    return HeaderParts(
        config='classic' if is_classic else 'modern',
        text=TEXT + (CHECKED_TEXT if checked else ''),
        constants={'This build': build, **library_constants.constants_of(config)},
        structs=(StartInfoEntry, PanicReport, Start, Kernel),
        c_types=library_constants.C_TYPES,
        typedefs=library_constants.TYPEDEFS,
        functions={**functions_of(config), **of_size},
        c_names=library_constants.c_names(all_functions(config)),
    )


def write(folder: Path, *, config: KernelConfig, checked: bool, say: Say) -> dict[str, Any]:
    """Write archive and header into a folder, which is made where there is none, and say what was built."""
    cached, facts = library_files(say, config=config, checked=checked)
    names = [ARCHIVE, HEADER, *([SITES] if checked else [])]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_all_whole({folder / name: (cached / name).read_bytes() for name in names})
    except OSError as error:
        what = error.filename or folder
        raise Unusable(f'{what} cannot be written ({error.strerror}): name a folder that can') from error
    sizes = {name: (folder / name).stat().st_size for name in names}
    return {'path': str(folder), 'files': sizes, **facts}
