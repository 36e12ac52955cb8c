"""The kernel as a bootable image: from the cache, or built.

Kernel, front end and compiler are imported only where something is built: a warm boot needs none of them.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from incroos.build.boot_pvh import BootLayout, ExitPort
from incroos.build.cache import PACKAGE, Cache, key_of
from incroos.build.errors import BuildError
from incroos.build.link import find_linker, linker_identity
from incroos.build.whole_file import write_whole
from incroos.kernel import codes, layout

from .firmware import FORMATS, bootable_file
from .names import CLASSIC, NamedConfig, made
from .outcome import Say, Unusable

if TYPE_CHECKING:
    from incroos.kernel.config import KernelConfig

SOURCES: Final = tuple(PACKAGE / name for name in ('lang', 'kernel', 'guest', 'build', 'run/images.py'))
ELF: Final = 'kernel.elf'
ELF_FORMAT: Final = 'elf'
FACTS: Final = 'facts.json'

BOOT: Final = 'kmain'  # entry functions: the self-test, operations from the host,
MAILBOX: Final = 'mailbox_main'
RUN: Final = 'run_main'  # or programs in ring 3


@dataclass(frozen=True)
class KernelImage:
    """An image in the cache and what build/image.py found out about it."""

    path: Path
    facts: dict[str, Any]

    def place_of_site(self, site: int) -> str:
        """The `file:line` of a trap in a checked build."""
        return str(self.facts['sites'][site])


def kernel_image(
    say: Say,
    *,
    entry: str = BOOT,
    config: 'KernelConfig | NamedConfig' = CLASSIC,
    checked: bool = False,
    debug: bool = False,
    is_quick: bool = False,
) -> KernelImage:
    """The image of the kernel; a checked one is always built quickly.

    Raises Unusable where it has to be built and cannot be, Refused for bad kernel text.
    """
    paths = str(PACKAGE) if checked or debug else ''  # such an image names files of this checkout
    switches = (f'checked={checked}', f'debug={debug}', f'quick={is_quick}')
    key = key_of(SOURCES, (entry, config.identity(), *switches, paths, linker_identity()))
    cache = Cache(say)
    folder = cache.fetch(key)
    try:
        if folder is None:
            find_linker()  # before much time is spent for nothing
            say('building the kernel')
            folder = cache.store(key, build_files(entry, made(config), checked, debug, is_quick))
        return KernelImage(folder / ELF, json.loads((folder / FACTS).read_bytes()))
    except BuildError as error:
        raise Unusable(str(error)) from error


def build_files(
    entry: str, config: 'KernelConfig', checked: bool, debug: bool, is_quick: bool = False
) -> dict[str, bytes]:
    """Compile and link; the files of the cache's entry."""
    from incroos.build.image import build_image
    from incroos.lang.frontend import BARE, compile_unit

    unit = compile_unit(entry_functions(entry), target=BARE, config=config, checked=checked, debug=debug)
    image = build_image(unit.ir, unit.sites, boot_layout(config, has_ring3=entry == RUN), debug, is_quick)
    return {ELF: image.elf, FACTS: json.dumps(asdict(image.facts)).encode()}


def entry_functions(entry: str) -> dict[str, Callable[..., Any]]:
    """What the boot code calls, by the names under which it does."""
    from incroos.guest import mailbox
    from incroos.kernel.abi import entry as calls
    from incroos.kernel.boot import main, run
    from incroos.kernel.trap import entry as traps
    from incroos.kernel.trap import faults, kernel_faults

    if entry == RUN:
        return {
            'kmain': run.run_main,
            'on_syscall': calls.on_syscall,
            'on_trap': traps.on_trap,
            'on_kernel_trap': kernel_faults.on_kernel_trap,
        }
    first = {BOOT: main.kmain, MAILBOX: mailbox.mailbox_main}[entry]
    return {'kmain': first, 'on_page_fault': faults.on_page_fault, 'on_exception': faults.on_exception}


def boot_layout(config: 'KernelConfig | NamedConfig' = CLASSIC, *, has_ring3: bool = False) -> BootLayout:
    """The kernel's memory map, as far as the boot code needs it."""
    from incroos.kernel.config import MODERN_SPACE

    config = made(config)
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
        has_ring3=has_ring3,
    )


def write(
    output: Path,
    *,
    checked: bool,
    debug: bool,
    say: Say,
    image_format: str = ELF_FORMAT,
    config: 'KernelConfig | NamedConfig' = CLASSIC,
) -> dict[str, Any]:
    """Write the image to a file, whole or not at all, and say what was built."""
    image = kernel_image(say, config=config, checked=checked, debug=debug)
    content = bootable_file(FORMATS[image_format], image, say).read_bytes()
    write_image(output, content)
    facts = {name: image.facts[name] for name in ('nr_functions', 'stack')}
    return {'path': str(output), 'bytes': len(content), 'stack_bytes': image.facts['stack']['stack'], **facts}


def write_image(output: Path, content: bytes) -> None:
    """Write an image to a file, whole or not at all. Raises Unusable."""
    try:
        write_whole(output, content)
    except OSError as error:
        raise Unusable(f'{output} cannot be written ({error.strerror}): name a path that can') from error
