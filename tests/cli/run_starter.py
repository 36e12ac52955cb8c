"""The command `incroos` with a small kernel in the place of the one for programs. The first argument is its image."""

import sys
from pathlib import Path
from typing import Any
from unittest import mock

from incroos import cli
from incroos.run import images


def main() -> None:
    image = images.KernelImage(Path(sys.argv.pop(1)), {'sites': []})

    def kernel_image(*_: Any, **__: Any) -> images.KernelImage:
        return image

    with mock.patch.object(images, 'kernel_image', kernel_image):
        cli.main()


if __name__ == '__main__':
    main()
