"""Which arguments of a call are texts or buffers, so that --calls can show their bytes: as run/system_calls.py says.

shape   two bits for each argument, the first one lowest: NOTHING, PATH, INPUT (the next argument is how many
        bytes), OUTPUT (as many bytes as the result says); an OUTPUT is the last of a call
"""

from typing import Final

from incroos.lang import cold, kernel, word

NOTHING: Final = 0
PATH: Final = 1
INPUT: Final = 2
OUTPUT: Final = 3
BITS: Final = 2  # of an argument
MASK: Final = 3
NR_PLACES: Final = 4  # no text or buffer is behind the fourth argument


@cold
@kernel
def shape_of(number: word) -> word:
    """The shape of a call."""
    match number:
        case 0 | 17:
            return OUTPUT << 2
        case 1 | 18:
            return INPUT << 2
        case 79 | 318:
            return OUTPUT
        case 89:
            return PATH | OUTPUT << 2
        case 267:
            return PATH << 2 | OUTPUT << 4
        case 2 | 4 | 6 | 21 | 59 | 76 | 80 | 83 | 84 | 85 | 87 | 90 | 92 | 94 | 132 | 133 | 137 | 161 | 166 | 235 | 319:
            return PATH
        case 82 | 86 | 88 | 165:
            return PATH | PATH << 2
        case 266:
            return PATH | PATH << 4
        case 254 | 257 | 258 | 259 | 260 | 261 | 262 | 263 | 268 | 269 | 280 | 322 | 332 | 437 | 439:
            return PATH << 2
        case 264 | 265 | 316:
            return PATH << 2 | PATH << 6
        case _:
            return NOTHING
