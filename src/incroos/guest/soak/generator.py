"""Random numbers of the soaks, from a linear congruential generator as the heap's is.

Unit: the number. The same seed gives the same numbers in every place.
"""

from typing import Final

from incroos.kernel.heap.secret import INCREMENT, MULTIPLIER, USABLE_SHIFT
from incroos.lang import Struct, add_wrap, i64, kernel, mul_wrap, shr_logical, word

MAX_LIMIT: Final = (1 << 31) - 1


class Generator(Struct):
    """Where it is in its sequence; at the start, the seed."""

    state: i64


@kernel
def draw(generator: Generator, limit: word) -> word:
    """A random number below the limit, which is at most MAX_LIMIT."""
    generator.state = add_wrap(mul_wrap(generator.state, MULTIPLIER), INCREMENT)
    return shr_logical(generator.state, USABLE_SHIFT) % limit
