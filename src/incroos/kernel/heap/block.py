"""What holds for the blocks of every design of a heap."""

from typing import Final

ALIGNMENT: Final = 16  # of every block
MAX_BYTES: Final = 1 << 38  # of a request; the header of a chunk has room for more
POISON_FRESH: Final = 0xCD  # the content of blocks that are handed out, in builds that fill them
POISON_FREED: Final = 0xDD  # that came back
