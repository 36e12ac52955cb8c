"""Random numbers of programs: a generator that begins with the host's seed, so that a run can be made again.

Nothing here is secret. Method: SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators").
"""

from typing import Final

from incroos.kernel.state import Kernel
from incroos.lang import add_wrap, kernel, mul_wrap, shr_logical, word

STEP: Final = 0x9E37_79B9_7F4A_7C15 - (1 << 64)
FIRST_FACTOR: Final = 0xBF58_476D_1CE4_E5B9 - (1 << 64)
SECOND_FACTOR: Final = 0x94D0_49BB_1331_11EB - (1 << 64)


@kernel
def next_word(k: Kernel) -> word:
    """The next 64 bits."""
    k.tasks.random = add_wrap(k.tasks.random, STEP)
    mixed = k.tasks.random
    mixed = mul_wrap(mixed ^ shr_logical(mixed, 30), FIRST_FACTOR)
    mixed = mul_wrap(mixed ^ shr_logical(mixed, 27), SECOND_FACTOR)
    return mixed ^ shr_logical(mixed, 31)
