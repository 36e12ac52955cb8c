"""Kernels in C that link the library: built from one of the files beside this one and what examples/c-kernel has.

A kernel says with text on the serial port what it found, and with a byte to the exit port how it ended.
"""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from incroos.run.boot import Boot
from incroos.run.library import library_files
from incroos.run.names import library_config
from incroos.run.outcome import Outcome
from incroos.run.qemu import boot

from ..budget import SECONDS

ROOT: Final = Path(__file__).parents[2]
EXAMPLE: Final = ROOT / 'examples' / 'c-kernel'
HERE: Final = Path(__file__).parent
MEMORY: Final = 64 << 20


def compiler_flags() -> list[str]:
    """Those of the example's Makefile."""
    found = re.search(r'(?m)^CFLAGS = ((?:.*\\\n)*.*)$', (EXAMPLE / 'Makefile').read_text())
    assert found
    return found[1].replace('\\\n', ' ').split()


def library_folder(config: str = 'classic', checked: bool = False, hardening: str = 'cheap') -> Path:
    """Archive and header."""
    return library_files(lambda remark: None, config=library_config(config, hardening), checked=checked)[0]


def build(
    folder: Path,
    main: Path,
    config: str = 'classic',
    checked: bool = False,
    hardening: str = 'cheap',
    defines: Sequence[str] = (),
) -> Path:
    """Compile a kernel and link it with the library; the image."""
    library = library_folder(config, checked, hardening)
    image = folder / 'kernel.elf'
    options = ['-nostdlib', '-static', '-no-pie', f'-Wl,-T,{EXAMPLE / "kernel.ld"}', '-Wl,--build-id=none']
    sources = [str(EXAMPLE / 'boot.S'), str(main)]
    settings = [f'-I{EXAMPLE}', f'-I{library}', *(f'-D{name}' for name in defines)]
    command = ['gcc', *compiler_flags(), *settings, *options, '-Wl,--fatal-warnings', '-o', str(image), *sources]
    done = subprocess.run([*command, f'-L{library}', '-lincro_mm'], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ''
    return image


def boot_image(image: Path, memory_bytes: int = MEMORY, seconds: float = SECONDS) -> tuple[Outcome, str]:
    """How a kernel ends in QEMU, and what it wrote."""
    console = bytearray()
    outcome = boot(Boot(memory_bytes, seconds, console.extend, accel='tcg'), image)
    return outcome, console.decode('ascii')


def run(
    folder: Path,
    name: str,
    config: str,
    hardening: str = 'cheap',
    defines: Sequence[str] = (),
    memory_bytes: int = MEMORY,
    seconds: float = SECONDS,
) -> tuple[Outcome, str]:
    """Build one of the kernels beside this file with the checked library, and boot it."""
    image = build(folder, HERE / f'{name}.c', config, checked=True, hardening=hardening, defines=defines)
    return boot_image(image, memory_bytes, seconds)
