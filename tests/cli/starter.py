"""The command `incroos` with the kernel of cases.py in place of its own. The first argument is where that was built."""

import functools
import json
import sys
from pathlib import Path
from typing import Any, Final
from unittest import mock

from incroos import cli
from incroos.build.image import build_image
from incroos.kernel.configs import CLASSIC
from incroos.lang.frontend import BARE, compile_unit
from incroos.run import images, jit, sim

from .cases import ENTRIES

IMAGE: Final = 'kernel.elf'
OBJECT: Final = 'kernel.o'
SITES: Final = 'sites.json'  # of both builds: {IMAGE: ..., OBJECT: ...}


def build(folder: Path) -> None:
    """Build the kernel of cases.py, checked, for the places that want it built."""
    roots = {'kmain': ENTRIES.main, 'on_page_fault': ENTRIES.page_fault, 'on_exception': ENTRIES.exception}
    unit = compile_unit(roots, target=BARE, config=CLASSIC, checked=True)
    image = build_image(unit.ir, unit.sites, images.boot_layout(), debug=False)
    code = jit.compile_kernel(ENTRIES, CLASSIC, checked=True)
    (folder / IMAGE).write_bytes(image.elf)
    (folder / OBJECT).write_bytes(code.object_bytes)
    (folder / SITES).write_text(json.dumps({IMAGE: image.facts.sites, OBJECT: code.sites}))


def main() -> None:
    folder = Path(sys.argv.pop(1))
    sites = json.loads((folder / SITES).read_text())
    image = images.KernelImage(folder / IMAGE, {'sites': sites[IMAGE]})
    code = jit.KernelCode((folder / OBJECT).read_bytes(), sites[OBJECT])

    def cached_kernel(*_: Any, **__: Any) -> jit.KernelCode:
        return code

    def kernel_image(*_: Any, **__: Any) -> images.KernelImage:
        return image

    with (
        mock.patch.object(images, 'kernel_image', kernel_image),
        mock.patch.object(jit, 'cached_kernel', cached_kernel),
        mock.patch.object(sim, 'boot', functools.partial(sim.boot, entries=ENTRIES)),
    ):
        cli.main()


if __name__ == '__main__':
    main()
