"""Boots the kernel in QEMU and writes what is on its screen as PNG: `make picture` makes the pictures of docs/ so.

QEMU gets no exit port, so that the machine stands still when the kernel is done, with its last words on the screen.
"""

import sys
import time
from pathlib import Path
from typing import Final

from incroos.build.whole_file import write_whole
from incroos.run import images
from incroos.run.firmware import file_for_qemu
from incroos.run.qemu_guest import Guest

MEMORY: Final = 64 << 20
LAST_WORDS: Final = b'Memory manager operational!\n'  # each character is seen before the next one is sent
SECONDS: Final = 90


def say(remark: str) -> None:
    """Print a remark where the user sees it."""
    print(remark, file=sys.stderr)


def main() -> None:
    """Boot by the firmware that is the first argument, and write the picture to the path that is the second."""
    firmware, output = sys.argv[1], Path(sys.argv[2])
    file = file_for_qemu(firmware, images.kernel_image(say), say)
    end = time.monotonic() + SECONDS
    with Guest(file, MEMORY, can_exit=False, firmware=firmware) as guest:
        while not guest.console().endswith(LAST_WORDS):
            if time.monotonic() > end:
                sys.exit(f'the kernel does not say {LAST_WORDS.decode().strip()!r} within {SECONDS} s')
            time.sleep(0.01)
        write_whole(output, guest.screenshot())


if __name__ == '__main__':
    main()
