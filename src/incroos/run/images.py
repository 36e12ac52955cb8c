"""The kernel as a bootable image: from the cache, or built.

Kernel, front end and compiler are imported only where something is built: a warm boot needs none of them.
"""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from incroos.build.boot_pvh import BootLayout, ExitPort
from incroos.build.cache import PACKAGE, Cache, key_of
from incroos.build.errors import BuildError
from incroos.build.link import find_linker, linker_identity

from .firmware import FORMATS, bootable_file
from .outcome import Unusable

if TYPE_CHECKING:
    from incroos.kernel.config import KernelConfig

Say = Callable[[str], object]

SOURCES: Final = tuple(PACKAGE / name for name in ('lang', 'kernel', 'guest', 'build', 'run/images.py'))
ELF: Final = 'kernel.elf'
ELF_FORMAT: Final = 'elf'
FACTS: Final = 'facts.json'

SYSTEM_FOLDERS: Final = (Path('/dev'), Path('/dev/fd').resolve(), Path('/proc/self/fd').resolve())

CLASSIC: Final = 'CLASSIC'  # names of configurations in kernel/configs.py
CLASSIC_CHECKED: Final = 'CLASSIC_CHECKED'
MODERN: Final = 'MODERN'
MODERN_CHECKED: Final = 'MODERN_CHECKED'
BOOT: Final = 'kmain'  # entry functions: the self-test, or operations from the host
MAILBOX: Final = 'mailbox_main'


@dataclass(frozen=True)
class KernelImage:
    """An image in the cache and what build/image.py found out about it."""

    path: Path
    facts: dict[str, Any]

    def place_of_site(self, site: int) -> str:
        """The `file:line` of a trap in a checked build."""
        return str(self.facts['sites'][site])


def kernel_image(
    say: Say, *, entry: str = BOOT, config: str = CLASSIC, checked: bool = False, debug: bool = False
) -> KernelImage:
    """The image of the kernel. Raises Unusable where it has to be built and cannot be, Refused for bad kernel text."""
    paths = str(PACKAGE) if checked or debug else ''  # such an image names files of this checkout
    key = key_of(SOURCES, (entry, config, f'checked={checked}', f'debug={debug}', paths, linker_identity()))
    cache = Cache(say)
    folder = cache.fetch(key)
    try:
        if folder is None:
            find_linker()  # before much time is spent for nothing
            say('building the kernel')
            folder = cache.store(key, build_files(entry, config, checked, debug))
        return KernelImage(folder / ELF, json.loads((folder / FACTS).read_bytes()))
    except BuildError as error:
        raise Unusable(str(error)) from error


def build_files(entry: str, config: str, checked: bool, debug: bool) -> dict[str, bytes]:
    """Compile and link; the files of the cache's entry."""
    from incroos.build.image import build_image
    from incroos.kernel import configs
    from incroos.lang.frontend import BARE, compile_unit

    settings = getattr(configs, config)
    unit = compile_unit(entry_functions(entry), target=BARE, config=settings, checked=checked, debug=debug)
    image = build_image(unit.ir, unit.sites, boot_layout(settings), debug)
    return {ELF: image.elf, FACTS: json.dumps(asdict(image.facts)).encode()}


def entry_functions(entry: str) -> dict[str, Callable[..., Any]]:
    """What the boot code calls, by the names under which it does."""
    from incroos.guest import mailbox
    from incroos.kernel.boot import main
    from incroos.kernel.trap import faults

    first = {BOOT: main.kmain, MAILBOX: mailbox.mailbox_main}[entry]
    return {'kmain': first, 'on_page_fault': faults.on_page_fault, 'on_exception': faults.on_exception}


def boot_layout(config: 'KernelConfig | None' = None) -> BootLayout:
    """The kernel's memory map, as far as the boot code needs it; that of `classic` if nobody says otherwise."""
    from incroos.kernel import codes, layout
    from incroos.kernel.config import MODERN_SPACE
    from incroos.kernel.configs import CLASSIC

    config = config or CLASSIC
    return BootLayout(
        page_tables=layout.BOOT_TABLES,
        image_start=layout.IMAGE_START,
        image_limit=layout.IMAGE_END,
        guard_page=layout.STACK_GUARD,
        stack_top=layout.MODERN_STACK_END if config.space == MODERN_SPACE else layout.STACK_END,
        kernel_struct=layout.KERNEL_STATE,
        exit_port=ExitPort(codes.EXIT_PORT, codes.EXIT_PANIC),
        window=config.image_window,
        levels=config.levels,
    )


def write(
    output: Path, *, checked: bool, debug: bool, say: Say, image_format: str = ELF_FORMAT, config: str = CLASSIC
) -> dict[str, Any]:
    """Write the image to a file, whole or not at all, and say what was built."""
    image = kernel_image(say, config=config, checked=checked, debug=debug)
    content = bootable_file(FORMATS[image_format], image, say).read_bytes()
    try:
        write_whole(output, content)
    except OSError as error:
        raise Unusable(f'{output} cannot be written ({error.strerror}): name a path that can') from error
    facts = {name: image.facts[name] for name in ('nr_functions', 'stack')}
    return {'path': str(output), 'bytes': len(content), 'stack_bytes': image.facts['stack']['stack'], **facts}


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


def check(names: Iterable[str] = (CLASSIC, MODERN)) -> dict[str, int]:
    """Put the kernel and the simulated computer through the front end, for each target. Raises Refused.

    Of each configuration that is named, of the one with the same name that tests use, and of the library of it.
    """
    from incroos.kernel import configs
    from incroos.lang.frontend import BARE, compile_unit, simulated
    from incroos.machine.lowering import LOWERINGS

    from . import library

    roots = {**entry_functions(BOOT), MAILBOX: entry_functions(MAILBOX)['kmain']}
    units = [
        compile_unit(roots, target=target, config=config, checked=True)
        for target in (BARE, simulated(LOWERINGS))
        for name in names
        for config in (getattr(configs, name), getattr(configs, f'{name}_CHECKED'))
    ]
    chosen = [name for name in library.CONFIGS if name.upper() in names]
    units += [library.compile_functions(library.settings_of(name, 'full', True), checked=True) for name in chosen]
    return {'functions': sum(unit.ir.count('\ndefine ') for unit in units)}


def debug(at: str, memory_bytes: int, say: Say) -> int:
    """Boot an image with debug information in gdb, which stops at a function or `file:line`; gdb's exit status."""
    from . import gdb, qemu_process

    gdb.find_gdb()  # before anything is built for it
    qemu_process.find_qemu()

    def console_sink(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    return gdb.debug(kernel_image(say, debug=True).path, at, memory_bytes, console_sink)
