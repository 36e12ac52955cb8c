"""Boots the kernel in QEMU and writes what is on its screen as PNG: `make picture` makes docs/boot.png so.

QEMU gets no exit port, so that the machine stands still when the kernel is done, with its last words on the screen.
"""

import sys
import time
from pathlib import Path
from typing import Final

from incroos.run import images
from incroos.run.qemu_guest import Guest

MEMORY: Final = 64 << 20
LAST_WORDS: Final = 'Memory manager operational!'
SECONDS: Final = 30


def main() -> None:
    """Write the picture to the path that is the only argument."""
    output = Path(sys.argv[1])
    image = images.kernel_image(lambda remark: print(remark, file=sys.stderr))
    end = time.monotonic() + SECONDS
    with Guest(image.path, MEMORY, can_exit=False) as guest:
        while LAST_WORDS not in guest.screen_text():
            if time.monotonic() > end:
                sys.exit(f'the screen does not say {LAST_WORDS!r} after {SECONDS} s')
            time.sleep(0.01)
        output.write_bytes(guest.screenshot())


if __name__ == '__main__':
    main()
